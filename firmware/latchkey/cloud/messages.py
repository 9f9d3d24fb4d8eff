"""What the cloud's messages do to what is kept. Runs on the loop, which alone writes stores.

Messages are those of ``latchkey.cloud.decode`` and of the link (``tls``, ``time``, others pass unnoticed). A message
that cannot be stored leaves what was in force in force; it is counted, shown by ``status()`` and logged.
"""

from latchkey.errors import LatchkeyError

# Made once: an except clause that makes its tuple needs memory, and raises when that is out.
_REFUSED = (LatchkeyError, MemoryError)


class Updates:
    """``pinned`` (may be set later too): policy ``keys: pinned`` (K4), key sets are counted and dropped. ``log``:
    callable of one text."""

    def __init__(self, keystore, ledger, timefloor, log, pinned=False):
        self._keystore = keystore
        self._ledger = ledger
        self._timefloor = timefloor
        self._log = log
        self.pinned = pinned
        self._open = False
        self.key_sets = self.key_sets_refused = self.keys_refused = self.lists = self.lists_aborted = 0
        self.last_refusal = None

    def apply(self, message):
        """Do what one message (a tuple) says. False if memory was too short for it: it is worth having again."""
        do = self._deeds().get(message[0])
        if do is None:
            return True
        try:
            do(*message[1:])
        except Exception as e:
            # The one cloud message that fails must not take the local API with it.
            self._failed(message[0], e)
            return not isinstance(e, MemoryError)
        return True

    def tick(self):
        """Write to flash what has waited long enough; to be called every second or so."""
        try:
            self._keystore.save_if_due(self._timefloor.now_ms())
        except _REFUSED as e:
            self._failed("save", e)

    def status(self):
        """Counts since start, as plain values."""
        return {
            "key_sets": self.key_sets,
            "key_sets_refused": self.key_sets_refused,
            "keys_refused": self.keys_refused,
            "lists": self.lists,
            "lists_aborted": self.lists_aborted,
            "last_refusal": self.last_refusal,
            "pinned": self.pinned,
        }

    def _deeds(self):
        return {
            "keys": self._keys,
            "keys_refused": self._keys_refused,
            "list_begin": self._list_begin,
            "list_records": self._list_records,
            "list_commit": self._list_commit,
            "list_abort": self._list_abort,
            "time": self._time,
            "tls": self._tls,
        }

    def _keys(self, keys, refused):
        self.key_sets += 1
        self.keys_refused = refused
        if refused:
            self._log("cloud: %d keys of the set cannot be used here" % refused)
        if not self.pinned:
            self._keystore.replace(keys, self._timefloor.now_ms())

    def _keys_refused(self, code):
        self.key_sets_refused += 1
        self.last_refusal = "keys: " + code
        self._keystore.refuse(code)
        self._log("cloud: key set refused: " + code)

    def _list_begin(self, retained):
        # A connection that died with the queue full may have left one open.
        self._close()
        self._ledger.begin(retained, self._timefloor.heard_unix_s(), self._timefloor.latest_unix_s())
        self._open = True

    def _list_records(self, records):
        if self._open:
            self._ledger.add(records)

    def _list_commit(self):
        if self._open:
            self._open = False
            self._ledger.commit()
            self.lists += 1
            self._timefloor.learn(self._ledger.newest_changed_unix_s)

    def _list_abort(self, code):
        self.lists_aborted += 1
        self.last_refusal = "list: " + code
        self._log("cloud: token list refused: " + code)
        self._close()

    def _close(self):
        if self._open:
            self._open = False
            self._put_away(self._ledger.abort)

    def _put_away(self, end):
        try:
            end()
        except _REFUSED:
            # The next list begins by aborting this one again.
            self._log("cloud: a list could not be put away")

    def _time(self, _unix_s, _source):
        self._timefloor.source_set()

    def _tls(self, _not_after_unix_s):
        self._timefloor.tls_checked()

    def _failed(self, kind, e):
        code = e.code if isinstance(e, LatchkeyError) else type(e).__name__
        self.last_refusal = kind + ": " + code
        self._log("cloud: %s failed: %s" % (kind, code))
        if kind.startswith("list"):
            self._open = False
            self._put_away(self._ledger.give_up)
