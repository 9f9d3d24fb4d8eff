# Deep sleep between measurements, for a sensor on battery.
package("latchkey", files=("device/sleep.py",), base_path="../..")
