include("../common/manifest.py")
module("board_config.py")
