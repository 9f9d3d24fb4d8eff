include("../common/manifest.py", kernel="rv32imc")
module("board_config.py")
require("neopixel")
