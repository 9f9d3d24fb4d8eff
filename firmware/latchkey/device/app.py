"""The device: what it is set to, what it holds, and what it does at each turn of its loop.

Decides nothing about tokens. latchkey.api.setup and latchkey.device.pairing decide whether a caller may change a
setting, and whether it works.
"""

import json
import sys

from latchkey import __version__, bignum, sha512
from latchkey.api.handlers import Api, firmware
from latchkey.cloud.messages import Updates
from latchkey.device import certdates, lazy
from latchkey.device import settings as settings_
from latchkey.device.log import LogRing
from latchkey.device.pairing import Pairing
from latchkey.errors import NOT_STORED, StoreError
from latchkey.keystore import KeyStore, factory_keys
from latchkey.ledger import Ledger
from latchkey.stores.slots import ROOM
from latchkey.stores.timefloor import TimeFloor
from latchkey.verifier import Verifier

try:
    # Frozen in by `latchkey board image`.
    from latchkey_image import MADE_FROM  # pyright: ignore[reportMissingImports]
except ImportError:
    MADE_FROM = None


class Device:
    """Built in one step from its ``board`` (boards/desk/board_config.py has what boards give) and ``boots``
    (latchkey.device.start). ``new_link(device, config)`` and ``new_server(device)`` make the link to the cloud and what
    serves ``.api``. ``awake``: latchkey.device.sleep.Awake of a device on battery, else None.

    ``.settings``: see latchkey.device.settings, None before provisioning; ``.lost``: there were some, now unreadable.
    ``.keystore .ledger .verifier .updates .pairing``: None without settings, ``.link`` in the safe state too (A9).
    """

    def __init__(self, board, boots, new_link, new_server, awake=None, verifier=Verifier):
        self.board, self.boots, self.awake = board, boots, awake
        self.safe, self.wireless, self.uptime_s = boots.safe, board.radio.wants_network, board.clock.uptime_s
        self.log = LogRing(self.uptime_s, board.say, trace=getattr(sys, "print_exception", None))
        self.upload = None  # latchkey.update.upload.Upload
        self.proof = firmware.proof(self) if firmware else None
        self.settings, self.lost = settings_.load(board.store)
        with lazy.credentials as credentials:
            self.credentials = credentials.load(board.store)
            self._https_not_after = certdates.not_after(credentials.https(board.store)["https_cert_der"])
        self.lost = self.lost or (self.settings is None and self.credentials["cert_der"] is not None)
        # Whether the link runs on settings that have been replaced; whether on settings that are only tried: what its
        # broker sends must not outlive the attempt.
        self.stale = self.tried = False
        self._granted = 0
        self._new_link = new_link
        if self.settings and boots.gesture == "reset" and self.try_to_store(self.forget):
            boots.keep_cycles(0)  # or the next short start would take what was set since
        self.floor = TimeFloor(board.store, board.clock, boots.floor_unix_s)
        self.keystore = self.ledger = self.verifier = self.updates = self.pairing = self.link = None
        if self.settings:
            self._begin(self.config, verifier)
        self.product = _product(board, boots)
        self.api = Api(self, self.verifier, self.product)
        self.server = new_server(self)

    def _begin(self, config, verifier):
        """The parts that a device has once it is provisioned."""
        board, dev = self.board, config["dev"]
        self.keystore = KeyStore(board.store, factory_keys(board.factory_keys(), dev), dev)
        self.ledger = Ledger(board.store, config["system_uuid"], board.ledger_tokens)
        parts = self.keystore, self.ledger, self.floor
        self.verifier = verifier(*parts, settings_.policy_of(config))
        self.updates = Updates(*parts, self.settle_attempt, self.log.add, config["policy"]["keys"] == "pinned")
        self.pairing = Pairing(board.radio, self.uptime_s, self, self.log.add, board.hurry)
        if not self.safe:
            self.link = self._new_link(self, config)
        self._enter_network()

    def _enter_network(self):
        """The network that was given; else, or on request, or in the safe state, the access point."""
        radio, wake, gesture = self.board.radio, self.board.wake(), self.boots.gesture
        radio.name(self.hostname)
        alone = self.unpaired or self.safe
        radio.use(*((None, None) if alone else self.network()))
        if alone and wake != "timer" and self.settings["ap_passphrase"]:
            radio.scan()  # Now, since it blocks, and nobody has joined yet.
        # A sensor that wakes by itself would spend its cell on an access point that nobody asked for.
        if gesture or (alone and wake != "timer"):
            self.pairing.open(not alone)
        if gesture == "long" or wake == "button":
            self.pairing.pressed()

    @property
    def config(self):
        """The configuration in force (dict), None before provisioning."""
        return self.settings and self.settings["config"]

    @property
    def unpaired(self):
        """Whether this device joins networks, and none was given yet."""
        return bool(self.wireless and self.config and not self.config["wifi"]["ssid"])

    @property
    def hostname(self):
        return "latchkey-" + self.config["system_uuid"][:8].lower()

    def network(self):
        """(ssid, passphrase) to join, or (None, None)."""
        if not self.config["wifi"]["ssid"]:
            return None, None
        return self.config["wifi"]["ssid"], self.settings["wifi_passphrase"]

    def info(self):
        """The facts for everybody (A1)."""
        config = self.config or {}
        facts = {
            "product": self.board.product_name,
            "model": self.board.model,
            "version": __version__,
            "system_uuid": config.get("system_uuid"),
            "name": config.get("name"),
            "state": self.state(),
            "dev": config.get("dev", False),
        }
        if MADE_FROM:
            facts["image"] = MADE_FROM
        return facts

    def state(self):
        """unprovisioned: no System yet. settings_lost: it had one. pairing: no network given. ready: all else."""
        if self.config is None:
            return "settings_lost" if self.lost else "unprovisioned"
        return "pairing" if self.unpaired else "ready"

    def hosts(self):
        """Names and addresses by which requests may call us (A4), lower case, without port or final dot."""
        names = list(self.board.radio.addresses())
        if self.config:
            names.append(self.hostname + ".local")
            names.extend([host.lower().rstrip(".") for host in self.config["hosts"]])
        return names

    def plain_http(self, path):
        """The highest permission that plain LAN requests may use at ``path`` (A2); of a provisioned device."""
        policy = self.config["policy"]
        lifted = path == "/v1/firmware" and policy["updates"] == "configure_plain"
        return "configure" if lifted else policy["plain_http"]

    def busy(self):
        """Whether somebody with a token is here, or was since this was asked last, or a release comes or is not proven:
        no time to sleep."""
        came = self.server.granted != self._granted
        self._granted = self.server.granted
        updates = self.proof or self.upload and self.upload.running
        return came or self.api.streams > 0 or bool(updates or self.pairing and self.pairing.busy)

    def diagnostics(self):
        """Everything a technician may want to see; no secret is among it."""
        parts = (
            ("cloud", self.link),
            ("keys", self.keystore),
            ("ledger", self.ledger),
            ("clock", self.floor),
            ("server", self.server),
            ("pairing", self.pairing),
            ("sleep", self.awake),
        )
        facts = {name: part.status() for name, part in parts if part}
        facts["https_cert_not_after"] = self._https_not_after
        facts["uptime_s"] = self.uptime_s()
        facts["reset_cause"] = self.board.reset_cause
        facts["crashes"] = self.boots.crashes
        facts["safe_boot"] = self.safe
        facts["trust_changes"] = self.settings["trust"]["changes"]
        facts["stores_behind"] = sorted(self.board.store.behind)
        facts["faults"] = {"count": self.log.faults, "last": self.log.last_fault}
        facts["heap"] = self.board.heap()
        facts["kernels"] = {"power": bignum.kernel, "sha512": sha512.kernel}
        return facts

    # Settings: stored first, then in force. StoreError: nothing has changed.

    def keep(self, config, by=None, **parts):
        """A configuration at once with ``parts`` of the settings. ``by``: who changes which trust settings when (jti,
        names, unix_s), or None."""
        made = settings_.policy_of(config)
        if by:
            parts["trust"] = settings_.with_trust(self.settings["trust"], by)
            self.log.add("trust: %s by %s" % (", ".join(by[1]), by[0]))
        self._change(False, config=config, **parts)
        self.verifier.policy = made
        self.updates.pinned = config["policy"]["keys"] == "pinned"

    def note(self, attempt, at_least=False):
        """The record of an attempt. ``at_least``: in RAM alone where flash or memory refuses."""
        try:
            self._change(False, attempt=attempt)
        except NOT_STORED:
            if not at_least:
                raise
            self.settings = dict(self.settings, attempt=attempt)

    def forget(self, network_alone=False):
        """Factory reset (A7): Wi-Fi, name and hosts go. ``network_alone``: leave the network for good."""
        gone = {"wifi": {"ssid": ""}} if network_alone else {"wifi": {"ssid": ""}, "name": "", "hosts": []}
        self._change(True, config=dict(self.config, **gone), wifi_passphrase=None, attempt=settings_.idle())

    def _change(self, alone, **parts):
        changed = dict(self.settings, **parts)
        room = list(map(bytearray, ROOM))
        settings_.save(self.board.store, changed, alone)
        room = None  # noqa: F841  Stored: what follows must not fail.
        self.settings = changed

    def link_to(self, config, tried=False):
        """Have the link follow ``config``; False if memory is too short for it: the link that there is goes on."""
        if self.link:
            try:
                link = self._new_link(self, config)
                self.link.stop()
                link.start()
            except MemoryError:
                return False
            self.link, self.tried = link, tried
        return True

    def settle_attempt(self, kept):
        """The broker has taken the new client certificate, or refused it. StoreError."""
        self.log.add("cloud: new certificate " + ("kept" if kept else "refused"))
        with lazy.credentials as credentials:
            credentials.settle(self.board.store, kept)
            self.credentials = self.link.credentials = credentials.load(self.board.store)

    def turn(self):
        """Everything that the loop does at each of its turns; returns at once."""
        if self.pairing:
            self.pairing.tick()
            self._look_at_button()
        if self.stale:
            # As soon as memory allows: what asked for it has been answered.
            self.stale = not self.link_to(self.config)
        if self.link:
            self.link.pump(self.updates, self.tried)
        if self.keystore:
            self.try_to_store(self.keystore.save_if_due, self.board.clock.now_ms())
        self.try_to_store(self.floor.save_if_due)
        self.boots.settled(self.uptime_s())
        for part in (self.proof, self.upload):
            if part:
                part.turn()

    def _look_at_button(self):
        button = self.board.button
        said = button.look(self.board.clock.now_ms()) if button else None
        if said is None:
            return
        self.log.add("button: " + said)
        if said == "reset":
            # Factory reset, and begin anew; nothing happens if flash refuses.
            if self.try_to_store(self.forget):
                self.restart()
            return
        self.pairing.pressed()
        if said == "long":
            self.pairing.open()
            self.show_itself()

    def show_itself(self):
        """Tell who presses or switches that it was understood."""
        if self.safe:
            return
        try:
            self.product.identify()
        except Exception as exc:
            # A mistake in a product must not restart the device at every press.
            self.log.failed("identify", exc)

    def try_to_store(self, save, *parts):
        """Call ``save``; True if it worked. That flash refuses is logged, and what was in force stays."""
        try:
            save(*parts)
            return True
        except StoreError as exc:
            self.log.add("flash: " + exc.code)
        except MemoryError:
            self.log.add("flash: no memory to write")
        return False

    def save(self):
        """Write what waits in RAM: before a planned restart."""
        for part in (self.keystore, self.ledger, self.floor):
            if part:
                self.try_to_store(part.save)

    def stop(self):
        """Before the end: the link stops, and stores write what waits in RAM."""
        if self.link:
            self.link.stop()
        self.save()

    def restart(self):
        """Never returns on a board, whatever cannot be saved: it has been promised (A12)."""
        try:
            self.save()
            self.boots.end(self.floor.floor_unix_s)
        finally:
            self.board.restart()


def _product(board, boots):
    if boots.safe:
        from latchkey.products import safe

        return safe.Product()
    product = board.product()
    if boots.kept:
        product.restore(json.loads(boots.kept))
    return product
