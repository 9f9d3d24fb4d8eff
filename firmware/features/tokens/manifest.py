# What the token list holds, in short: GET /v1/tokens.
package("latchkey", files=("api/tokens.py",), base_path="../..")
