# The whole firmware, to be frozen; a board adds its board_config.py (see boards/).
package("latchkey")
module("boot.py")
module("wire.py")
module("selftest.py")
# A frozen main.py is executed at the start, never imported. It imports the firmware's as firmware.main.
module("main.py", base_path="../boards/common/frozen")
module("firmware/main.py", base_path="..")
