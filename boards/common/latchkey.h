// What every Latchkey board leaves out: radios that nobody has a token for. WebREPL stays as far as it is C: MicroPython
// 1.29 defines MICROPY_PY_WEBREPL for every ESP32. What could start it, its Python module, is not frozen.
#define MICROPY_PY_BLUETOOTH (0)
#define MICROPY_PY_ESPNOW (0)

// Modules with a USB-serial chip of their own keep their console, also where the chip itself has USB.
#define MICROPY_HW_ENABLE_UART_REPL (1)
