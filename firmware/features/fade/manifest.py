# Levels of a light that move in small steps.
package("latchkey", files=("products/fade.py",), base_path="../..")
