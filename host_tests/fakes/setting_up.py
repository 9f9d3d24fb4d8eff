"""A provisioned device of the pure ring, as the composition builds it: for tests of pairing and configuration."""

import json

from fake_device import SYSTEM_UUID, FakeGrant
from fake_radio import FakeRadio
from ram_store import RamStore

from latchkey import policy
from latchkey.api import handlers
from latchkey.api.request import parse_head
from latchkey.device import config
from latchkey.device.installation import Installation
from latchkey.device.log import LogRing
from latchkey.device.pairing import Pairing
from latchkey.errors import LatchkeyError, TokenError
from latchkey.products import bulb

ISSUER = "https://company-example.api.drivr.cloud"
OWNER = "Domain Owner"
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

    def __init__(self, made):
        self.policy = made
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
        return FakeGrant(permissions[-1])


class FakeCloudLink:
    def __init__(self, config):
        self.config = config
        self.state, self.reason = "waiting", "dns"

    def status(self):
        return {"state": self.state, "reason": self.reason}


class FakeUpdates:
    pinned = False


class Floor:
    floor_unix_s = 1800000000

    def save(self):
        pass


class Light:
    def show(self, state, transition_ms):
        pass


class Device:
    """``store``: what flash holds, kept over ``restart``; ``links``: every configuration that a link was built for."""

    def __init__(self, store=None, ssid="", ap_passphrase="on the label", radio=None):
        self.store = store or RamStore()
        if store is None:
            document = dict(DOCUMENT, wifi={"ssid": ssid})
            config.ConfigStore(self.store).save(json.dumps(document).encode())
            secrets = {"ap_passphrase": ap_passphrase, "wifi_passphrase": "old secret" if ssid else None}
            config.CredentialStore(self.store).save(secrets)
        self.radio = radio or FakeRadio()
        self.safe = False
        self.now_s = 0
        self.log = LogRing(self.uptime_s)
        self.floor = Floor()
        self.links = []
        self.installation = Installation(self.store, self.log.add, self.radio.wants_network)
        self.installation.verifier = PolicyVerifier(policy.from_config(self.config))
        self.installation.updates = FakeUpdates()
        self.installation.relink = self._relink
        self.installation.link = FakeCloudLink(self.config)
        self.pairing = Pairing(self.radio, self.uptime_s, self.installation, self.log.add)
        self.wireless = self.radio.wants_network
        self.api = handlers.Api(self, self.installation.verifier, bulb.Product(Light()))

    @property
    def config(self):
        return self.installation.config

    def uptime_s(self):
        return self.now_s

    def restart(self):
        """What the next start makes of the same flash."""
        return Device(self.store)

    def state(self):
        return "pairing" if self.installation.unpaired else "ready"

    def hosts(self):
        return ("lamp.local",)

    def plain_http(self):
        return "configure"

    def _relink(self, made, _credentials):
        self.links.append(made["broker"]["host"])
        return FakeCloudLink(made)

    def pass_s(self, seconds):
        for _ in range(seconds):
            self.now_s += 1
            self.pairing.tick()
            self.installation.refresh_link()

    def call(self, method, path, body=None, role=OWNER):
        """(status, dict of the answer) as a client gets it."""
        data = b"" if body is None else json.dumps(body).encode()
        try:
            exchange = self.api.admit(_request(method, path, data, role))
            response = self.api.answer(exchange, data)
        except LatchkeyError as exc:
            response = self.api.refusal(exc)
        return response.status, json.loads(response.body)

    def code(self, *call, **more):
        status, answer = self.call(*call, **more)
        return (status, answer.get("code"))

    def attempt(self):
        return self.call("GET", "/v1/pairing")[1]


def _request(method, path, data, role):
    lines = [f"{method} {path} HTTP/1.1", "Host: lamp.local", "Authorization: Bearer CLOUD-" + role]
    if data:
        lines += [f"Content-Length: {len(data)}", "Content-Type: application/json"]
    head = bytearray(("\r\n".join(lines) + "\r\n").encode())
    request = parse_head(memoryview(head), len(head), head)
    request.channel = "ap"
    return request
