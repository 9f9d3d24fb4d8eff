# A new release goes into the other of two program slots: an ESP32 that runs an image.
package("latchkey", files=("update/programs.py",), base_path="../..")
