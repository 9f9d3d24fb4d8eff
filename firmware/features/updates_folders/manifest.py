# A new release goes into the other of two folders: a board that runs .mpy files.
package("latchkey", files=("update/folders.py",), base_path="../..")
