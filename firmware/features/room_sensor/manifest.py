# A room sensor's adapter: what measures, a lamp, perhaps a battery.
package("latchkey", files=("hw/room.py",), base_path="../..")
