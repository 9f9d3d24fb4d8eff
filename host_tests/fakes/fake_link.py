"""Fakes around the cloud link: radio, list-like payloads, and stores that note their calls."""

SYSTEM = "792B6149-1daa-488f-b07a-f684503b0586"
CONFIG = {
    "system_uuid": SYSTEM,
    "slug": "company-example",
    "broker": {"host": "mqtt.example.org", "port": 8883},
    "dev": False,
}
DER = {"ca_der": b"1", "cert_der": b"2", "key_der": b"3"}


class FakePayload:
    """``readinto`` in pieces of ``step`` bytes; raises ``error`` once ``fail_at`` bytes were given."""

    def __init__(self, data, step=64, fail_at=None, error=None):
        self.data = data
        self.at = 0
        self.step = step
        self.fail_at = fail_at
        self.error = error

    @property
    def left(self):
        return len(self.data) - self.at

    def readinto(self, buf):
        if self.fail_at is not None and self.at >= self.fail_at:
            raise self.error
        n = min(len(buf), self.step, self.left)
        buf[:n] = self.data[self.at : self.at + n]
        self.at += n
        return n


class Noting:
    """Any method may be called; ``calls`` has (name, arguments). ``fail``: name to the exception it raises."""

    def __init__(self, names, **answers):
        self.names = names
        self.answers = answers
        self.calls = []
        self.fail = {}

    def __getattr__(self, name):
        if name not in self.names:
            raise AttributeError(name)

        def call(*args):
            self.calls.append((name, args))
            if name in self.fail:
                raise self.fail[name]
            return self.answers.get(name)

        return call
