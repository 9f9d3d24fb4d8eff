# Wi-Fi: the station, the access point and scans.
package("latchkey", files=("hw/wifi.py",), base_path="../..")
