"""Parts of an ESP32's `machine` for the firmware: every call is kept for a test to read, and nothing else is here."""

TIMER_WAKE = 4
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5

# For tests: what the chip would know. "i2c" maps an address to an object with write(bytes) and read() -> bytes.
_bench = {"cause": PWRON_RESET, "i2c": {}, "adc_uv": {}, "calls": [], "wake": 0, "pins": {}, "irqs": {}, "memory": b""}


def reset_cause():
    return _bench["cause"]


def wake_reason():
    return _bench["wake"]


def reset():
    _bench["calls"].append("reset")


def deepsleep(ms):
    _bench["calls"].append(("deepsleep", ms))


class Pin:
    IN, OUT, PULL_UP = 1, 3, 2
    IRQ_RISING = 1

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        self._id, self._mode, self._value, self._pull = id, mode, value, pull

    def value(self, level=None):
        if level is None and self._mode == Pin.IN:
            # Nothing is connected: the pull-up decides.
            return _bench["pins"].get(self._id, int(self._pull == Pin.PULL_UP))
        if self._mode != Pin.OUT or level not in (0, 1):
            raise ValueError("not an output, or no level")
        self._value = level

    def irq(self, handler, trigger):
        _bench["irqs"][self._id] = handler, trigger


class PWM:
    def __init__(self, dest, *, freq, duty_u16):
        self._pin, self._freq = dest, freq
        self.duty_u16(duty_u16)

    def duty_u16(self, value):
        if type(value) is not int or not 0 <= value <= 65535:
            raise ValueError("duty_u16")
        self._duty = value


class I2C:
    def __init__(self, id, *, scl, sda, freq):
        self._pins = (scl._id, sda._id)

    def writeto(self, addr, buf):
        _device(addr).write(bytes(buf))
        return len(buf)

    def readfrom_into(self, addr, buf):
        buf[:] = _device(addr).read()


def _device(addr):
    if addr not in _bench["i2c"]:
        raise OSError(19)  # ENODEV, as a chip says when nobody acknowledges
    return _bench["i2c"][addr]


class ADC:
    ATTN_11DB = 3

    def __init__(self, id, *, atten):
        if atten != ADC.ATTN_11DB:
            raise ValueError("atten")
        self._pin = id._id

    def read_uv(self):
        return _bench["adc_uv"][self._pin]


class WDT:
    def __init__(self, id=0, timeout=5000):
        self._timeout, self._fed = timeout, 0

    def feed(self):
        self._fed += 1


class RTC:
    def datetime(self, datetimetuple):
        _bench["calls"].append(("rtc", datetimetuple))

    def memory(self, data=None):
        if data is None:
            return _bench["memory"]
        if len(data) > 2048:
            raise ValueError("buffer too long")
        _bench["memory"] = bytes(data)


class _Memory:
    """Words by address; a test puts what can be read into ``words``."""

    def __init__(self):
        self.words = None

    def __getitem__(self, address):
        return self.words[address]


mem32 = _Memory()
