# Sensirion SHT30, SHT31 and SHT35 on I2C.
package("latchkey", files=("hw/sht3x.py",), base_path="../..")
