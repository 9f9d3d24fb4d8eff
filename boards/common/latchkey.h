// What every Latchkey board leaves out: radios and consoles that nobody has a token for.
#define MICROPY_PY_BLUETOOTH (0)
#define MICROPY_PY_ESPNOW (0)
#define MICROPY_PY_WEBREPL (0)
