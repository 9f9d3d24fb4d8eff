# What every frozen board has: asyncio, the modules that MicroPython's port freezes for itself, umqtt, ssl (which the
# firmware imports itself, for HTTPS), and the firmware.
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
require("ssl")
require("umqtt.simple")
include("../../firmware/manifest.py")

# The bignum kernel for the board's architecture, made by `make kernel`; without it builtin pow does the work.
options.defaults(kernel=False)
if options.kernel:
    freeze_mpy("../../build/kernel/" + options.kernel)
