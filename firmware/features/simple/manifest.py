# latchkey.simple, for programs of your own.
package("latchkey", files=("simple.py",), base_path="../..")
