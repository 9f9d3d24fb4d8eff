"""What the device is set to: in force in RAM, kept in flash, changed while it runs.

``wireless``: whether the device joins networks itself. Who may change what, and whether it
works, is decided elsewhere (setup.py, pairing.py).
"""

# pyright: reportAttributeAccessIssue=false

from latchkey import policy
from latchkey.device import lazy
from latchkey.errors import NOT_STORED
from latchkey.limits import ROOM_BYTES


class Installation:
    """``.config`` (dict or None), ``.credentials``, ``.changes``: as ``settings.load`` gives them.

    Set by the composition once there is a configuration: ``verifier`` and ``updates``, which learn of new policies;
    ``link``, and ``relink(config, credentials)``, which builds it anew and gives it.
    """

    def __init__(self, store, log, wireless):
        self._store = store
        self._wireless = wireless
        self._log = log
        with lazy.settings as settings:
            self.config, self.credentials, self.changes = settings.load(store)
        self.verifier = self.updates = self.relink = self.link = None
        self.stale = False  # whether the link runs on settings that have been replaced

    @property
    def unpaired(self):
        """Whether this device joins networks, and none was given yet."""
        return bool(self._wireless and self.config and not self.config["wifi"]["ssid"])

    @property
    def pinned(self):
        """Whether keys come by the serial cable alone (K4)."""
        return self.config["policy"]["keys"] == "pinned"

    @property
    def hostname(self):
        return "latchkey-" + self.config["system_uuid"][:8].lower()

    @property
    def ap_passphrase(self):
        return self.credentials["ap_passphrase"]

    def network(self):
        """(ssid, passphrase) to join, or (None, None)."""
        if not self.config["wifi"]["ssid"]:
            return None, None
        return self.config["wifi"]["ssid"], self.credentials["wifi_passphrase"]

    def link_state(self):
        """(state, reason) of the cloud link."""
        status = self.link.status() if self.link else {"state": "stopped", "reason": ""}
        return status["state"], status["reason"]

    def link_to(self, config):
        """Have the link try another configuration; None: the one in force."""
        if self.relink:
            self.link = self.relink(config or self.config, self.credentials)

    def refresh_link(self):
        """Have the link follow what was stored, as soon as memory allows: what asked for it has been answered."""
        if self.stale:
            try:
                self.link_to(None)
                self.stale = False
            except MemoryError:
                pass

    def keep(self, config, by, secret, attempt=None):
        """A configuration and ``secret`` (``wifi_passphrase`` or nothing) at once, with what came of a ``attempt``.

        ``by``: (jti, names of trust settings, unix_s) if there are any, or None. StoreError: nothing is kept.
        """
        made = policy.from_config(config)
        with lazy.settings as module:
            self._keep(module, config, by, secret, attempt)
        self.verifier.policy = made
        self.updates.pinned = self.pinned

    def _keep(self, module, config, by, secret, attempt):
        changes = dict(self.changes)
        if attempt:
            changes["attempt"] = attempt
        if by:
            changes = module.with_trust(changes, by)
            self._log("trust: %s by %s" % (", ".join(by[1]), by[0]))
        room = bytearray(ROOM_BYTES)
        module.commit(self._store, config=config, changes=changes, **secret)
        room = None  # noqa: F841  Stored: what follows must not fail.
        self.config, self.changes = config, changes
        self.credentials.update(secret)

    def note(self, attempt):
        """Keep the record of an attempt. StoreError."""
        changes = dict(self.changes, attempt=attempt)
        room = bytearray(ROOM_BYTES)
        with lazy.settings as module:
            module.note(self._store, changes)
        room = None  # noqa: F841
        self.changes = changes

    def note_at_least(self, attempt):
        """The same, and in RAM alone where flash or memory refuses."""
        try:
            self.note(attempt)
        except NOT_STORED:
            self.changes = dict(self.changes, attempt=attempt)

    def forget_network(self):
        """Leave the network for good. StoreError."""
        with lazy.settings as module:
            self._put_away(module, dict(self.config, wifi={"ssid": ""}))

    def reset(self):
        """Factory reset (A7): Wi-Fi, name and hosts go. A power cut in its middle is no harm. StoreError."""
        with lazy.settings as module:
            self._put_away(module, module.wiped(self.config))

    def _put_away(self, module, config):
        changes = dict(self.changes, attempt=module.idle())
        room = bytearray(ROOM_BYTES)
        module.commit(self._store, config=config, changes=changes, wifi_passphrase=None)
        room = None  # noqa: F841
        self.config, self.changes = config, changes
        self.credentials["wifi_passphrase"] = None

    def renew(self, pair):
        """Keep a new client certificate, which the link tries next (``refresh_link``). ConfigError, StoreError."""
        with lazy.settings as module:
            self.credentials = module.renew(self._store, pair)
        self.stale = True

    def settle(self, kept):
        """The broker has taken the new client certificate, or refused it. StoreError."""
        with lazy.settings as module:
            self.credentials = module.settle(self._store, kept)
