# In place of the product after three crashes in a row.
package("latchkey", files=("products/safe.py",), base_path="../..")
