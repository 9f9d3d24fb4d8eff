"""The parts and the steps of `latchkey practice`: a cloud, a Wi-Fi network and a bulb that is just unboxed.

Each step has a line to type and a look at the device or the cloud that says whether the line had its effect.
docs/quickstart.md has the same lines.
"""

import contextlib
import json
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from latchkey_tools.boards import build
from latchkey_tools.boards.mpremote import LINK
from latchkey_tools.desk.unix_board import Desk, DeskError
from latchkey_tools.device.wallet import Wallet
from latchkey_tools.sim import Simulator, pki, server
from latchkey_tools.sim.broker import Broker, free_port, taken
from latchkey_tools.sim.client import NO_TLS, SimulatorError
from latchkey_tools.sim.cloud import published_key_set

EXAMPLES = build.BOARDS / "desk" / "practice"
# The ports of docs/quickstart.md, if nobody else has them.
API_PORT, BROKER_PORT = 8080, 8883
# The practice that has this name may take them; of two that start at once both would find them free. An abstract
# name (unix(7)) leaves no file.
CLAIM = "\0latchkey-practice"
# Addresses of boards/desk/standins/network.py: the bulb's access point, and a laptop in its network and in the owner's.
ACCESS_POINT, AT_ACCESS_POINT, IN_LAN = "127.4.0.1", "127.4.0.2", "127.7.0.20"
# Files that a factory has ready, and their names among the simulator's.
FILES = {"ca.pem": "ca.cert.pem", "lamp.pem": "device.cert.pem", "lamp.key": "device.key.pem"}


class World:
    """Everything that runs, in ``folder``, which is the working directory of the lines that are typed.

    ``port``: of the bulb's local API; 0 for the quickstart's, or a free one.
    """

    def __init__(self, folder, port=0):
        if sys.platform != "linux":
            raise DeskError("practice needs Linux, where one machine has many loopback addresses; try `latchkey demo`")
        if port and taken(port, ""):
            raise DeskError(f"port {port} is in use by another program: end that, or give another --port")
        self.folder = Path(folder)
        config = json.loads((EXAMPLES / "lamp.json").read_text())
        self.system, slug = config["system_uuid"], config["slug"]
        self.wallet = Wallet(self.folder / "wallet")
        made = pki.make(self.folder / "sim" / "pki", slug, self.system)
        self._claim = socket.socket(socket.AF_UNIX)
        alone = _bound(self._claim, CLAIM)
        self.broker = Broker(made.folder, port=_port(BROKER_PORT, "127.0.0.1", alone))
        self.sim = Simulator(self.folder / "sim", slug, self.broker, [self.system])
        config["broker"]["port"] = self.broker.port
        (self.folder / "lamp.json").write_text(json.dumps(config, indent=2))
        (self.folder / "air.json").write_bytes((EXAMPLES / "air.json").read_bytes())
        port = port or _port(API_PORT, "", alone)
        self.lamp = Desk(self.folder / "lamp", port, air=self.folder / "air.json", pins=True)

    def start(self):
        self.broker.start()
        self.sim.start()
        for name, made in FILES.items():
            shutil.copy(self.broker.pki.folder / made, self.folder / name)
        (self.folder / "keys.json").write_bytes(published_key_set(self.folder / "sim" / server.STATE_NAME))
        (self.lamp.folder / LINK).symlink_to(self.lamp.serial)
        self.lamp.power_on()

    def stop(self):
        self.lamp.close()
        self.sim.stop()
        self.broker.stop()
        self._claim.close()

    def environment(self, words):
        """Variables for a line, so that nothing of the user's own is read or changed."""
        at_access_point = any(ACCESS_POINT in word for word in words)
        return {
            "LATCHKEY_SIM": str(self.folder / "sim"),
            "LATCHKEY_WALLET": str(self.wallet.folder),
            "LATCHKEY_SOURCE": f"{AT_ACCESS_POINT},{IN_LAN}" if at_access_point else IN_LAN,
        }

    # Changes before a step

    def open_access_point(self):
        """It closes by itself after 15 minutes; somebody may have had a long break."""
        state = self.lamp.radio_state() or {}
        if not state.get("access_point") and not state.get("joined"):
            self.lamp.restart()

    def internet_fails(self):
        self.broker.stop()

    def internet_returns(self):
        """With a restart, so that nobody has to wait: alone the device would connect within five minutes."""
        if not self.broker.running:
            self.broker.start()
            self.lamp.restart()
            seen(self.paired, within_s=30)

    # Seen by the steps

    def provisioned(self):
        return self.lamp.info().get("system_uuid") == self.system

    def paired(self):
        return bool(self.lamp.radio_state()["joined"]) and self.lamp.info()["state"] == "ready"

    def light(self):
        """Whether one of the lamp's outputs is on."""
        return any(self.lamp.pin_levels().values())

    def kept_tokens(self):
        """{token: its status in the cloud} of the wallet's tokens for the bulb."""
        listed = {record["uuid"]: record["status"] for record in self.sim.tokens(self.system)}
        return {entry.token: listed[entry.uuid] for entry in self.wallet.entries() if entry.uuid in listed}

    def good_token(self):
        """The uuid of a token of the wallet that the cloud has not revoked, or None."""
        kept = self.kept_tokens()
        return next((entry.uuid for entry in self.wallet.entries() if kept.get(entry.token) == "ACTIVATED"), None)

    def device_refuses(self):
        """Whether the device says to a laptop in its network that every token of the wallet is revoked."""
        return self.good_token() is None and all(map(self._is_revoked, self.kept_tokens()))

    def _is_revoked(self, token):
        way = httpx.HTTPTransport(NO_TLS, local_address=IN_LAN)
        with httpx.Client(transport=way, headers={"Authorization": f"Bearer {token}"}, timeout=5) as laptop:
            answer = laptop.get(f"{self.lamp.lan_url}/v1/state")
        return answer.status_code == 401 and answer.json()["code"] == "revoked"


def seen(look, within_s):
    """Whether ``look()`` is true within this time. Some looks fail while the device restarts."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(httpx.HTTPError, SimulatorError, KeyError, TypeError, ValueError):
            if look():
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)


@dataclass
class Step:
    """``line`` is typed; ``done(world)`` looks whether it had its effect, for ``within_s`` seconds at most.

    ``proof`` is said then, ``missing`` otherwise. ``prepare(world)`` is called before the line is shown, perhaps again.
    ``status``: the exit status that the line must have.
    """

    title: str
    text: str
    line: str
    done: Callable
    proof: str
    missing: str
    prepare: Callable = lambda world: None
    status: int = 0
    within_s: int = 2

    def line_for(self, world):
        """``line`` with the port, the System and the token of this practice."""
        token = (world.good_token() or "UUID")[:8] if "{token}" in self.line else ""
        return self.line.format(port=world.lamp.port, system=world.system, token=token)


STEPS = (
    Step(
        "The factory: the bulb gets its System",
        "The bulb is new, and it refuses everything. Over the serial cable it gets its settings (lamp.json), a "
        "certificate for the cloud, and the cloud's public keys.",
        "latchkey board provision --port lamp/serial --config lamp.json --ca ca.pem --cert lamp.pem --key lamp.key "
        "--key-set keys.json",
        World.provisioned,
        "The bulb has its System. It opens a Wi-Fi network of its own, an access point.",
        "The bulb has no System yet.",
        within_s=20,
    ),
    Step(
        "The office: the cloud signs a token",
        "A simulator plays DRIVR, the cloud. It signs a token for you and this one System. The token ends in a day. "
        "Your wallet keeps it.",
        "latchkey token create {system} --sim",
        World.good_token,
        "The cloud lists the token, and your wallet has it.",
        "Your wallet has no token for the bulb.",
    ),
    Step(
        "The cellar: the bulb joins the Wi-Fi network",
        "You are in the bulb's own network now, without internet. The bulb checks your token, and you choose a "
        "network for it: Home. The passphrase of Home is: correcthorse",
        "latchkey pair 127.4.0.1:{port}",
        World.paired,
        "The bulb is in the Wi-Fi network.",
        "The bulb is not in a Wi-Fi network yet.",
        prepare=World.open_access_point,
        within_s=20,
    ),
    Step(
        "Switch the light on",
        "In its Wi-Fi network the bulb has another address. (A real one also has a name, such as "
        "latchkey-792b6149.local.)",
        "latchkey device set 127.7.0.7:{port} on brightness_pct=40",
        World.light,
        "The light is on.",
        "The light is off.",
    ),
    Step(
        "Look at every link, from here to the cloud",
        "doctor says which link is broken, and what to do. The TLS link is weak: without HTTPS, everybody who has the "
        "Wi-Fi passphrase can read the token. So the bulb does not show everything to this network.",
        "latchkey doctor 127.7.0.7:{port}",
        lambda world: True,
        "No link that was seen is broken.",
        "doctor found a broken link. Read what it says.",
    ),
    Step(
        "The internet fails",
        "The cloud cannot be reached any more. The bulb checks your token by itself.",
        "latchkey device set 127.7.0.7:{port} off",
        lambda world: not world.light(),
        "The light is off. The bulb did not ask the cloud.",
        "The light is still on.",
        prepare=World.internet_fails,
    ),
    Step(
        "The internet is back, and the cloud revokes your token",
        "The bulb was switched off and on, so that it connects at once. A revoked token is out as soon as the cloud's "
        "new token list reaches the bulb.",
        "latchkey sim revoke {token}",
        World.device_refuses,
        "The cloud has revoked the token, and the bulb has the new list.",
        "The bulb still accepts a token of your wallet.",
        prepare=World.internet_returns,
        within_s=60,
    ),
    Step(
        "The bulb refuses the token",
        "Ask for the state of the light. The command fails now, and says why.",
        "latchkey device state 127.7.0.7:{port}",
        lambda world: world.paired() and world.device_refuses(),
        "The bulb refuses the token. That is the end of the practice.",
        "The bulb still accepts a token of your wallet.",
        status=1,
    ),
)


def _bound(claim, name):
    """Whether the socket ``claim`` has got ``name``, which no other socket on this machine has."""
    try:
        claim.bind(name)
        return True
    except OSError:
        return False


def _port(wanted, host, alone):
    return wanted if alone and not taken(wanted, host) else free_port()
