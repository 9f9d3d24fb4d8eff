include(boards/mpconfigboard_esp32s3_common.cmake)
include(${MICROPY_BOARD_DIR}/../common/latchkey.cmake)
