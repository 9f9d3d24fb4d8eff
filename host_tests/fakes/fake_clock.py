"""A clock adapter whose hands the test moves. Ticks wrap as the chip's do, at 2**30 ms."""

_WRAP = 1 << 30


class FakeClock:
    """``unix_now``: what the RTC says; ``pass_s`` moves RTC and ticks together."""

    def __init__(self, unix_now=946684800, host_trusted=False):
        self.unix_now = unix_now
        self.host_trusted = host_trusted
        self.elapsed_ms = 0

    def pass_s(self, seconds):
        self.elapsed_ms += int(seconds * 1000)
        self.unix_now += seconds

    def unix_s(self):
        return int(self.unix_now)

    def set_unix_s(self, unix_s):
        self.unix_now = unix_s

    def ticks_ms(self):
        return (self.elapsed_ms + _WRAP - 5000) % _WRAP

    def ticks_diff_ms(self, a, b):
        return ((a - b + _WRAP // 2) % _WRAP) - _WRAP // 2
