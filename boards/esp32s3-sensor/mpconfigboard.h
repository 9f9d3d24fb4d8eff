#define MICROPY_HW_BOARD_NAME "Latchkey room sensor on mains"
#define MICROPY_HW_MCU_NAME "ESP32-S3"

#include "../common/latchkey.h"
