# A new release goes into the other of two folders: a board that runs .mpy files.
package("latchkey", files=("update/__init__.py", "update/folders.py"), base_path="../..")
