# The product bulb. Its board adds a light.
package("latchkey", files=("products/bulb.py",), base_path="../..")
