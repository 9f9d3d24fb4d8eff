# The parts of every device: the modules that no other feature's manifest names, and what MicroPython's library adds.
from pathlib import Path

_OTHERS = "".join(path.read_text() for path in Path("..").glob("*/manifest.py") if path.parent.name != "core")
_PACKAGE = Path("../../latchkey")
_NAMES = sorted(path.relative_to(_PACKAGE).as_posix() for path in _PACKAGE.rglob("*.py"))
package("latchkey", files=[name for name in _NAMES if f'"{name}"' not in _OTHERS], base_path="../..")
include("../safe")
module("boot.py", base_path="../..")
module("cable.py", base_path="../..")
module("program.py", base_path="../..")
# Frozen, a main.py is executed and never imported: an image has one of its own, which imports this one.
module("firmware/main.py", base_path="../../..")
require("umqtt.simple")
