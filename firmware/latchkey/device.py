"""What one device knows of itself: the facts behind /v1/info and /v1/diagnostics, and its own names.

Holds the parts that ``main`` built and asks them; decides nothing about tokens.
"""

from latchkey import __version__, renewal, sha512
from latchkey.errors import StoreError


class Uptime:
    """Whole seconds since it was made. To be called at least once in a turn of the tick counter (6 days)."""

    def __init__(self, clock):
        self._clock = clock
        self._last_ms = clock.ticks_ms()
        self._rest_ms = 0
        self._s = 0

    def __call__(self):
        now = self._clock.ticks_ms()
        self._rest_ms += self._clock.ticks_diff_ms(now, self._last_ms)
        self._last_ms = now
        self._s += self._rest_ms // 1000
        self._rest_ms %= 1000
        return self._s


class Device:
    """``board``: the adapters of one board (see boards/desk/board_config.py). ``config``: a validated document, or None
    before provisioning. ``keystore ledger floor link updates server`` are set by ``main``
    once they exist; None before."""

    def __init__(self, board, config, uptime_s, log):
        self._board = board
        self._config = config
        self.uptime_s = uptime_s
        self.log = log
        self.keystore = self.ledger = self.floor = self.link = self.updates = self.server = None

    def info(self):
        """What anybody may know (A1)."""
        config = self._config
        return {
            "product": self._board.product_name,
            "model": self._board.model,
            "version": __version__,
            "system_uuid": config["system_uuid"] if config else None,
            "name": config["name"] if config else None,
            "state": self.state(),
            "dev": bool(config and config["dev"]),
        }

    def state(self):
        """unprovisioned: no System yet. pairing: no network given. ready: everything else."""
        if self._config is None:
            return "unprovisioned"
        if self._board.radio.wants_network and not self._config["wifi"]["ssid"]:
            return "pairing"
        return "ready"

    def hosts(self):
        """Names and addresses by which requests may call us (A4), lower case, without port."""
        names = list(self._board.addresses())
        if self._config:
            names.append(self.hostname() + ".local")
            names.extend([host.lower() for host in self._config["hosts"]])
        return names

    def hostname(self):
        return "latchkey-" + self._config["system_uuid"][:8].lower()

    def plain_http(self):
        """The highest permission that plain LAN requests may use (A2). Asked of a provisioned device only."""
        return self._config["policy"]["plain_http"]

    def save(self):
        """Write what waits in RAM: before a planned restart. What flash refuses is logged and left as it was."""
        for part in (self.keystore, self.ledger, self.floor):
            if part:
                self._store(part.save)

    def save_floor_if_due(self):
        self._store(self.floor.save_if_due)

    def restart(self):
        self.save()
        self._board.restart()

    def settle_trial(self, kept):
        """The broker has taken a new client certificate, or refused it."""
        from latchkey.config import CredentialStore

        self.log.add("cloud: new certificate " + ("kept" if kept else "refused"))
        self._store(lambda: renewal.settle(CredentialStore(self._board.store), kept))

    def _store(self, save):
        try:
            save()
        except StoreError as exc:
            self.log.add("flash: " + exc.code)
        except MemoryError:
            self.log.add("flash: no memory to write")

    def diagnostics(self):
        """Everything a technician may want to see; no secret is among it."""
        parts = (
            ("cloud", self.link),
            ("messages", self.updates),
            ("keys", self.keystore),
            ("ledger", self.ledger),
            ("clock", self.floor),
            ("server", self.server),
        )
        facts = {name: part.status() for name, part in parts if part}
        facts["uptime_s"] = self.uptime_s()
        facts["reset_cause"] = self._board.reset_cause
        facts["heap"] = self._board.heap()
        facts["kernels"] = {"sha512": sha512.kernel, "threads": self._board.threads}
        return facts
