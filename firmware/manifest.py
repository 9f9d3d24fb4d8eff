# The whole firmware, to be frozen; a board adds its board_config.py (see boards/).
from pathlib import Path

# Without the specification of SHA-512's kernel: every chip runs the kernel.
_SOURCES = sorted(path.relative_to("latchkey") for path in Path("latchkey").rglob("*.py"))
package("latchkey", files=[str(path) for path in _SOURCES if path.name != "sha512_plain.py"])
module("boot.py")
module("wire.py")
module("selftest.py")
# A frozen main.py is executed at the start, never imported. It imports the firmware's as firmware.main.
module("main.py", base_path="../boards/common/frozen")
module("firmware/main.py", base_path="..")
