# An ESP32 of any kind: its pins, NVS, watchdog and Wi-Fi.
include("../wifi")
package("latchkey", files=("hw/chip.py", "hw/nvs.py"), base_path="../..")
