# Every frozen board has asyncio, the modules that MicroPython's port freezes for itself, the firmware's core and the
# features of a chip.
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
include("../../firmware/features/core")
include("../../firmware/features/esp32")
module("main.py", base_path="frozen")

# The bignum kernel for the board's architecture, made by `make kernel`; without it builtin pow does the work.
options.defaults(kernel=False)
if options.kernel:
    freeze_mpy("../../build/kernel/" + options.kernel)
