# The token list in short: GET /v1/tokens.
package("latchkey", files=("api/tokens.py",), base_path="../..")
