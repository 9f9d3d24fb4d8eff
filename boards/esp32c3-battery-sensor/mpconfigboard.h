#define MICROPY_HW_BOARD_NAME "Latchkey room sensor with a lithium cell"
#define MICROPY_HW_MCU_NAME "ESP32-C3"

#include "../common/latchkey.h"
