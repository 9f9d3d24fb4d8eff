# The product room sensor. Its board adds room_sensor and what measures.
package("latchkey", files=("products/sensor.py",), base_path="../..")
