# Who did what, the newest of it: GET /v1/uses.
package("latchkey", files=("api/uses.py",), base_path="../..")
