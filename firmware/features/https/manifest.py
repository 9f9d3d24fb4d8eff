# HTTPS of the local API, with the certificate that was provisioned.
package("latchkey", files=("net/https.py",), base_path="../..")
require("ssl")
