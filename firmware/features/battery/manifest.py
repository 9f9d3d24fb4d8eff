# How full a lithium cell is.
package("latchkey", files=("hw/battery.py",), base_path="../..")
