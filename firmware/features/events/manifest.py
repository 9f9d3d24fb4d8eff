# Event streams of the local API: GET /v1/events.
package("latchkey", files=("api/events.py",), base_path="../..")
