# A button: this is the device, open the access point, factory reset.
package("latchkey", files=("device/button.py",), base_path="../..")
