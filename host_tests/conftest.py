"""Paths for the CPython run: the firmware, the fakes, and the shims for modules CPython lacks."""

import sys
from pathlib import Path

from latchkey_tools import umqtt

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE / "shims", HERE / "fakes", HERE.parent / "firmware", umqtt.fetch()):
    sys.path.insert(0, str(folder))
