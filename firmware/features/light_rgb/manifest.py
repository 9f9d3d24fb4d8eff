# A light of addressable RGB pixels.
include("../fade")
require("neopixel")
package("latchkey", files=("hw/light_rgb.py",), base_path="../..")
