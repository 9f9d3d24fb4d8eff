"""The device as main builds it, provisioned, over stand-ins of board, link and verifier."""

import json

from fake_clock import FakeClock
from fake_device import SYSTEM_UUID, FakeGrant
from fake_radio import FakeRadio
from ram_store import RamStore

from latchkey.api.request import parse_head
from latchkey.device import app, config, settings
from latchkey.device.start import Boots
from latchkey.errors import LatchkeyError, TokenError
from latchkey.ledger import LEDGER_TOKENS
from latchkey.products import bulb
from latchkey.stores.timefloor import TimeFloor

ISSUER = "https://company-example.api.drivr.cloud"
OWNER = "Domain Owner"
NOW = 1800000000
DOCUMENT = {
    "system_uuid": SYSTEM_UUID,
    "slug": "company-example",
    "issuer": ISSUER,
    "name": "Cellar",
    "hosts": ["lamp.example"],
    "roles": {OWNER: "configure", "Visitor": "read"},
}


class PolicyVerifier:
    """Tokens are ``CLOUD-`` and a role's name; what they open follows from the policy in force."""

    def __init__(self, _keystore, _ledger, _floor, policy):
        self.policy = policy
        self.busy = False

    def verify(self, token, caller=None, policy=None):
        policy = policy or self.policy
        if self.busy:
            raise TokenError("verify_busy", retry_after_s=1)
        if policy.issuer not in (None, ISSUER):
            raise TokenError("wrong_issuer")
        permissions = policy.permissions(((bytes(16), bytes(token)[6:].decode()),))
        if not permissions:
            raise TokenError("no_permission")
        grant = FakeGrant(permissions[-1])
        grant.roles = (("00000000-0000-0000-0000-000000000000", bytes(token)[6:].decode()),)
        return grant

    def judge(self, grant, policy):
        return self.verify(b"CLOUD-" + grant.roles[0][1].encode(), policy=policy)


class FakeCloudLink:
    turns = 0

    def __init__(self, config):
        self.config = config
        self.state, self.reason = "waiting", "dns"

    def start(self):
        pass

    def stop(self):
        pass

    def pump(self, updates, distrusted):
        pass

    def status(self):
        return {"state": self.state, "reason": self.reason}


class Light:
    def show(self, state, transition_ms):
        pass

    def blink(self):
        pass


class Note:
    """Memory that outlives resets."""

    def __init__(self):
        self.data = b""

    def __call__(self, data=None):
        if data is None:
            return self.data
        self.data = bytes(data)


class Board:
    """A bulb without a button that the power was switched on for; ``restarts``: how often a restart was requested."""

    board_name, product_name, model = "desk", "bulb", "white"
    listen = ("127.0.0.1", 0, 0)
    ledger_tokens = LEDGER_TOKENS
    hurry = 1
    reset_cause = "power"
    sleep_s = measure_every_s = button = None

    def __init__(self, store, radio, clock):
        self.store, self.radio, self.clock, self.note = store, radio, clock, Note()
        self.restarts = 0
        self.fitted = None  # a carrier

    def carrier(self):
        return self.fitted

    def product(self):
        return bulb.Product(Light(), self.model)

    def factory_keys(self):
        return None

    def wake(self):
        # The access point stays shut until a test opens it.
        return "timer"

    def heap(self):
        return {"free_bytes": 1, "used_bytes": 1}

    def say(self, text):
        pass

    def restart(self):
        self.restarts += 1


def provisioned(ssid="", ap_passphrase="on the label"):
    """The flash of a provisioned device."""
    store = RamStore()
    made = config.parse(json.dumps(dict(DOCUMENT, wifi={"ssid": ssid})).encode())
    settings.save(store, settings.made_of(made, "old secret" if ssid else None, ap_passphrase))
    TimeFloor(store, FakeClock()).set_over_cable(NOW)
    return store


class Device(app.Device):
    """``links``: every broker that a link was made for, but the first."""

    def __init__(self, store=None, ssid="", ap_passphrase="on the label", radio=None, board=None, verifier=None):
        store = store or provisioned(ssid, ap_passphrase)
        board = board or Board(store, radio or FakeRadio(), FakeClock(NOW))
        self.links = []
        boots = Boots(board.note, board.store, board.reset_cause, False)
        app.Device.__init__(self, board, boots, self._made_link, lambda _device: None, None, verifier or PolicyVerifier)
        self.log._trace = None  # Nobody may read what is printed.
        self.links.clear()
        self.radio, self.store = board.radio, board.store
        self.radio.calls.clear()

    def again(self):
        """The device after the next start, from the same flash."""
        return Device(self.store)

    def _made_link(self, _device, made):
        self.links.append(made["broker"]["host"])
        return FakeCloudLink(made)

    def pass_s(self, seconds):
        for _ in range(seconds):
            self.board.clock.pass_s(1)
            self.turn()

    def call(self, method, path, body=None, role=OWNER):
        """(status, dict of the answer) as a client gets it."""
        data = b"" if body is None else json.dumps(body).encode()
        request = _request(method, path, data, role)
        try:
            response = self.api.answer(self.api.admit(request), data)
        except LatchkeyError as exc:
            response = self.api.refusal(exc)
        if self.api.uses:
            self.api.uses.note(self.api, request, request.peer, response)
        return response.status, json.loads(body_of(response))

    def code(self, *call, **more):
        status, answer = self.call(*call, **more)
        return (status, answer.get("code"))

    def attempt(self):
        return self.call("GET", "/v1/pairing")[1]


def body_of(response):
    if response.pieces:
        return whole(response.pieces, response.length)
    return b"".join(response.body) if isinstance(response.body, list) else response.body


def whole(pieces, length):
    """Bytes of an answer that is made in pieces."""
    data = b"".join(map(bytes, pieces))
    assert len(data) == length, (len(data), length)
    return data


def _request(method, path, data, role):
    lines = [f"{method} {path} HTTP/1.1", "Host: lamp.local", "Authorization: Bearer CLOUD-" + role]
    if data:
        lines += [f"Content-Length: {len(data)}", "Content-Type: application/json"]
    head = bytearray(("\r\n".join(lines) + "\r\n").encode())
    request = parse_head(memoryview(head), len(head), head)
    request.channel = "ap"
    return request
