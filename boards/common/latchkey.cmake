# What every Latchkey board adds to MicroPython's configuration of its chip. Written for MicroPython 1.29.

# No Bluetooth: its controller and stack take tens of KB of RAM that TLS needs.
list(REMOVE_ITEM SDKCONFIG_DEFAULTS boards/sdkconfig.ble)

# A board may have its own partition table and settings. The table's name is taken relative to the port, and this folder
# may be anywhere.
set(LATCHKEY_COMMON ${MICROPY_BOARD_DIR}/../common)
set(LATCHKEY_PARTITIONS ${LATCHKEY_COMMON}/partitions.csv)
if(EXISTS ${MICROPY_BOARD_DIR}/partitions.csv)
    set(LATCHKEY_PARTITIONS ${MICROPY_BOARD_DIR}/partitions.csv)
endif()
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.partitions
    "CONFIG_PARTITION_TABLE_CUSTOM=y\nCONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${LATCHKEY_PARTITIONS}\"\n")

list(APPEND SDKCONFIG_DEFAULTS ${LATCHKEY_COMMON}/sdkconfig.latchkey ${CMAKE_BINARY_DIR}/sdkconfig.partitions)
if(EXISTS ${MICROPY_BOARD_DIR}/sdkconfig.board)
    list(APPEND SDKCONFIG_DEFAULTS ${MICROPY_BOARD_DIR}/sdkconfig.board)
endif()

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
