# What every Latchkey board adds to MicroPython's configuration of its chip. Written for MicroPython 1.29.

# No Bluetooth: its controller and stack take tens of KB of RAM that TLS needs.
list(REMOVE_ITEM SDKCONFIG_DEFAULTS boards/sdkconfig.ble)

# The partition table's name is taken relative to the port, and this folder may be anywhere.
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.partitions
    "CONFIG_PARTITION_TABLE_CUSTOM=y\nCONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${MICROPY_BOARD_DIR}/partitions.csv\"\n")

list(APPEND SDKCONFIG_DEFAULTS
    ${MICROPY_BOARD_DIR}/../common/sdkconfig.latchkey
    ${MICROPY_BOARD_DIR}/sdkconfig.board
    ${CMAKE_BINARY_DIR}/sdkconfig.partitions)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
