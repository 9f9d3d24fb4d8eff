"""A device and a verifier for tests of the API, on both interpreters: facts as given, tokens by name."""

from latchkey.device.log import LogRing
from latchkey.errors import TokenError
from latchkey.policy import Policy

SYSTEM_UUID = "792b6149-1daa-488f-b07a-f684503b0586"
PERMISSIONS = ("read", "control", "configure")


class FakeGrant:
    def __init__(self, permission):
        self.jti = "530886ea-da07-4927-ade0-b49c05d655f4"
        self.sub = "1ad6fb1a-c38e-4d68-ad44-248b88d5fd13"
        self.name = "Marie Curie"
        self.typename = "USER"
        self.roles = (("2faa6870-91b0-4b3a-84e8-8bbbd8becbd0", "System Maintainer"),)
        self.permissions = PERMISSIONS[: PERMISSIONS.index(permission) + 1]
        self.exp_unix_s = None
        self.entry = self


class FakeVerifier:
    """``CLOUD-read``, ``CLOUD-control`` and ``CLOUD-configure`` open; ``CLOUD-`` and a code is refused with that code.

    ``refuse``: a code that refuses every token, or None. ``calls``: how often it was asked.
    """

    policy = Policy(SYSTEM_UUID)

    def __init__(self):
        self.refuse = None
        self.calls = 0

    def verify(self, token, caller=None, _policy=None):
        self.calls += 1
        word = bytes(token).decode()
        if self.refuse:
            raise TokenError(self.refuse, retry_after_s=3)
        if word[:6] != "CLOUD-":
            raise TokenError("token_malformed")
        if word[6:] in PERMISSIONS:
            return FakeGrant(word[6:])
        raise TokenError(word[6:] if "_" in word or word[6:] in ("expired", "revoked") else "bad_signature")

    def judge(self, grant, _policy):
        if self.refuse:
            raise TokenError(self.refuse, retry_after_s=3)
        return grant


class FakeBoard:
    """Where a server listens: its own clock and radio."""

    ap_address = "192.168.4.1"

    def __init__(self, now_ms=None, port=80, tls_port=443, channel="loopback"):
        self.clock = self.radio = self
        self.now_ms = now_ms
        self.listen = ("127.0.0.1", port, tls_port)
        self.channel = lambda _peer: channel


class FakeDevice:
    def __init__(self, state="ready"):
        self.board = FakeBoard()
        self.uptime_s = 0
        self.log = LogRing(lambda: self.uptime_s)
        self.facts = {
            "product": "bulb",
            "model": "rgb",
            "version": "0.1.0",
            "system_uuid": SYSTEM_UUID,
            "name": "Hall lamp",
            "state": state,
            "dev": True,
        }
        self.cap = "control"
        self.restarts = 0
        self.pairing = None
        self.safe = self.wireless = False
        self.names = ("127.0.0.1", "localhost", "latchkey-792b6149.local")

    def turn(self):
        pass

    def info(self):
        return self.facts

    def state(self):
        return self.facts["state"]

    def hosts(self):
        return self.names

    def plain_http(self, _path):
        return self.cap

    def diagnostics(self):
        return {"uptime_s": self.uptime_s, "heap_free_bytes": 1}

    def restart(self):
        self.restarts += 1
