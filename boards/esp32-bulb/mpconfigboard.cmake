include(boards/mpconfigboard_esp32_common.cmake)
include(${MICROPY_BOARD_DIR}/../common/latchkey.cmake)
