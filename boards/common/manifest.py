# What every frozen board has: asyncio, the modules that MicroPython's port freezes for itself, umqtt, and the firmware.
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
require("umqtt.simple")
include("../../firmware/manifest.py")
