"""What one device knows of itself: the facts behind /v1/info and /v1/diagnostics, and its own names.

Holds the parts that ``main`` built and asks them; decides nothing about tokens.
"""

# pyright: reportAttributeAccessIssue=false

from latchkey import __version__, bignum, sha512
from latchkey.errors import StoreError

try:
    from latchkey_image import MADE_FROM  # frozen in by `latchkey board image`
except ImportError:
    MADE_FROM = None


class Device:
    """``board``: the adapters of one board (see boards/desk/board_config.py). ``installation``: what it is set to
    (latchkey.device.installation), ``boots``: why it started (latchkey.device.start). ``keystore ledger floor updates
    server pairing awake`` are set by ``main`` once they exist; None before."""

    def __init__(self, board, installation, boots, log):
        self._board = board
        self._boots = boots
        self.installation = installation
        self.uptime_s = board.clock.uptime_s
        self.log = log
        self._granted = 0
        self.keystore = self.ledger = self.floor = self.updates = self.server = self.pairing = self.awake = None

    @property
    def wireless(self):
        """Whether the device joins networks itself."""
        return self._board.radio.wants_network

    @property
    def config(self):
        """The configuration in force (dict), None before provisioning."""
        return self.installation.config

    def info(self):
        """What anybody may know (A1)."""
        config = self.config
        facts = {
            "product": self._board.product_name,
            "model": self._board.model,
            "version": __version__,
            "system_uuid": config["system_uuid"] if config else None,
            "name": config["name"] if config else None,
            "state": self.state(),
            "dev": bool(config and config["dev"]),
        }
        if MADE_FROM:
            facts["image"] = MADE_FROM
        return facts

    def state(self):
        """unprovisioned: no System yet. pairing: no network given. ready: everything else."""
        if self.config is None:
            return "unprovisioned"
        return "pairing" if self.installation.unpaired else "ready"

    @property
    def safe(self):
        """Whether this boot runs without the application (A9)."""
        return self._boots.safe

    @property
    def gesture(self):
        """What power cycles said, see latchkey.device.start."""
        return self._boots.gesture

    def busy(self):
        """Whether somebody with a token is here, or was since this was asked last: no time to sleep."""
        came = self.server.granted != self._granted
        self._granted = self.server.granted
        return came or self.server.event_streams > 0 or bool(self.pairing and self.pairing.busy)

    def hosts(self):
        """Names and addresses by which requests may call us (A4), lower case, without port or final dot."""
        names = list(self._board.addresses())
        if self.config:
            names.append(self.installation.hostname + ".local")
            names.extend([host.lower().rstrip(".") for host in self.config["hosts"]])
        return names

    def plain_http(self):
        """The highest permission that plain LAN requests may use (A2). Asked of a provisioned device only."""
        return self.config["policy"]["plain_http"]

    def save(self):
        """Write what waits in RAM: before a planned restart. What flash refuses is logged and left as it was."""
        for part in (self.keystore, self.ledger, self.floor):
            if part:
                self.try_to_store(part.save)

    def save_floor_if_due(self):
        self.try_to_store(self.floor.save_if_due)

    def restart(self):
        """Never returns on a board, whatever cannot be saved: it has been promised (A12)."""
        try:
            self.save()
            self._boots.end(self.floor.floor_unix_s)
        finally:
            self._board.restart()

    def reset(self):
        """Factory reset (A7), and begin anew; nothing happens if flash refuses."""
        if self.try_to_store(self.installation.reset):
            self.restart()

    def settle_attempt(self, kept):
        """The broker has taken a new client certificate, or refused it."""
        self.log.add("cloud: new certificate " + ("kept" if kept else "refused"))
        self.try_to_store(lambda: self.installation.settle(kept))

    def try_to_store(self, save):
        """Call ``save``; True if it worked. That flash refuses is logged, and what was in force stays."""
        try:
            save()
            return True
        except StoreError as exc:
            self.log.add("flash: " + exc.code)
        except MemoryError:
            self.log.add("flash: no memory to write")
        return False

    def diagnostics(self):
        """Everything a technician may want to see; no secret is among it."""
        parts = (
            ("cloud", self.installation.link),
            ("messages", self.updates),
            ("keys", self.keystore),
            ("ledger", self.ledger),
            ("clock", self.floor),
            ("server", self.server),
            ("pairing", self.pairing),
            ("sleep", self.awake),
        )
        facts = {name: part.status() for name, part in parts if part}
        facts["uptime_s"] = self.uptime_s()
        facts["reset_cause"] = self._board.reset_cause
        facts["crashes"] = self._boots.crashes
        facts["safe_boot"] = self._boots.safe
        facts["trust_changes"] = self.installation.changes["trust"]["changes"]
        facts["stores_behind"] = sorted(self._board.store.behind)
        facts["faults"] = {"count": self.log.faults, "last": self.log.last_fault}
        facts["heap"] = self._board.heap()
        facts["kernels"] = {"power": bignum.kernel, "sha512": sha512.kernel}
        return facts
