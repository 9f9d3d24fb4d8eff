include("../common/manifest.py", kernel="xtensawin")
module("board_config.py")
