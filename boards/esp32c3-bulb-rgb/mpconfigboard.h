#define MICROPY_HW_BOARD_NAME "Latchkey bulb, RGB pixels"
#define MICROPY_HW_MCU_NAME "ESP32-C3"

// Modules with a USB-serial chip of their own keep their console.
#define MICROPY_HW_ENABLE_UART_REPL (1)

#include "../common/latchkey.h"
