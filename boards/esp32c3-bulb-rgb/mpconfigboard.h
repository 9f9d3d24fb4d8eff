#define MICROPY_HW_BOARD_NAME "Latchkey bulb, RGB pixels"
#define MICROPY_HW_MCU_NAME "ESP32-C3"

#include "../common/latchkey.h"
