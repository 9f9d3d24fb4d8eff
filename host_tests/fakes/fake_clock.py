"""A clock adapter that the test moves."""


class FakeClock:
    """``unix_now``: what the RTC says; ``pass_s`` moves both clocks together."""

    def __init__(self, unix_now=946684800, host_trusted=False):
        self.unix_now = unix_now
        self.host_trusted = host_trusted
        self.elapsed_ms = 0

    def pass_s(self, seconds):
        self.elapsed_ms += int(seconds * 1000)
        self.unix_now += seconds

    def sleep_ms(self, ms):
        self.pass_s(ms / 1000)

    def unix_s(self):
        return int(self.unix_now)

    def set_unix_s(self, unix_s):
        self.unix_now = unix_s

    def now_ms(self):
        return self.elapsed_ms

    def uptime_s(self):
        return self.elapsed_ms // 1000
