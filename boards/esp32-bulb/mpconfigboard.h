#define MICROPY_HW_BOARD_NAME "Latchkey bulb, warm and cold white"
#define MICROPY_HW_MCU_NAME "ESP32"

#include "../common/latchkey.h"
