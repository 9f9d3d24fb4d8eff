"""Paths for the CPython run: the firmware, the fakes, the shims for modules CPython lacks, the desk's stand-ins."""

import sys
from pathlib import Path

from latchkey_tools import umqtt

HERE = Path(__file__).resolve().parent
STANDINS = HERE.parent / "boards" / "desk" / "standins"
for folder in (HERE, HERE / "shims", HERE / "fakes", STANDINS, HERE.parent / "firmware", umqtt.fetch()):
    sys.path.insert(0, str(folder))
