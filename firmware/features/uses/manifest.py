# The newest requests, and who sent them: GET /v1/uses.
package("latchkey", files=("api/uses.py",), base_path="../..")
