#define MICROPY_HW_BOARD_NAME "Latchkey bulb, warm and cold white"
#define MICROPY_HW_MCU_NAME "ESP32"

// The first area of MicroPython's heap: docs/image.md has the formula. 56 KB, the default, double and then take the RAM
// that TLS needs. Measured on an emulated ESP32; board.json has the same for `latchkey board image`.
#define MICROPY_GC_INITIAL_HEAP_SIZE (88 * 1024)

#include "../common/latchkey.h"
