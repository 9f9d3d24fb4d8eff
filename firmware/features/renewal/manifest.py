# Renewal of the client certificate over the local API: PUT /v1/config/certificate.
package("latchkey", files=("api/renewal.py",), base_path="../..")
