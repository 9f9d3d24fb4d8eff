"""Messages from the cloud: what decodes them in the link's thread, and what they do on the loop.

| message (a tuple) | decoded by | what it does |
|---|---|---|
| ``("keys", jwk.KeySet, refused)`` | Intake, topic of the key set | replaces the keys (K2) |
| ``("keys_refused", code)`` | the same | is counted by the key store; the keys held stay |
| ``("list_begin", retained)`` | Intake, topic of the token list | begins a new list beside the one in force |
| ``("list_records", (record, ...))`` | the same | adds records to it |
| ``("list_commit",)`` | the same | puts the new list in force (L5) |
| ``("list_abort", code)`` | the same | drops it |
| ``("attempt", kept, reason)`` | session.Keeper | keeps or drops a new client certificate |
| ``("tls", unix_s or None)`` | the same | trusts the clock (T1); end of the broker's certificate |
| ``("time",)`` | the same | the clock has been set |
| ``("state", state, reason, detail)`` | the same | changes what diagnostics show |

Each has a method ``on_..`` of ``Updates``. The thread touches no store: the loop alone writes. A connection that
fails in a message, or memory that is short, aborts the list and ends the connection; any other failure costs that
message alone, and leaves what was in force in force. It is logged.
"""

from latchkey import jwk
from latchkey.cloud.reasons import LinkError
from latchkey.errors import LatchkeyError
from latchkey.limits import KEY_SET_BYTES, const
from latchkey.stores import tokenlist

_BATCH = const(8)  # list records in one message
_KEEP_NOTHING = ("tls", "time", "state")  # change nothing that is kept


class Intake:
    """From a payload to messages, in the link's thread. ``put(message)`` waits for room. ``dev``: whether the
    simulator's keys count (A10)."""

    def __init__(self, system_uuid16, put, dev=True):
        self._system_uuid16 = system_uuid16
        self._put = put
        self._dev = dev

    def serve(self, topic_index, retained, payload):
        """``topic_index`` 0 is the key set, 1 the token list; ``payload`` has ``readinto`` and ``left``."""
        if topic_index:
            self._token_list(retained, payload)
        else:
            self._key_set(payload)

    def _key_set(self, payload):
        try:
            if payload.left > KEY_SET_BYTES:
                return self._put(("keys_refused", "key_set_too_large"))
            keys = jwk.parse_key_set(payload, self._dev)
            message = ("keys", keys, keys.refused)
        except LinkError:
            raise
        except MemoryError:
            # Connecting again brings a retained message again, perhaps at a better moment.
            raise LinkError("no_memory")
        except Exception as exc:
            message = ("keys_refused", _code(exc))
        self._put(message)

    def _token_list(self, retained, payload):
        self._put(("list_begin", retained))
        batch = []
        try:
            for record in tokenlist.parse_records(payload, self._system_uuid16):
                batch.append(record)
                if len(batch) == _BATCH:
                    self._put(("list_records", tuple(batch)))
                    batch = []
            if batch:
                self._put(("list_records", tuple(batch)))
        except LinkError as exc:
            self._put(("list_abort", exc.code))
            raise
        except MemoryError:
            self._put(("list_abort", "no_memory"))
            raise LinkError("no_memory")
        except Exception as exc:
            self._put(("list_abort", _code(exc)))
            return
        self._put(("list_commit",))


def _code(exc):
    return exc.code if isinstance(exc, LatchkeyError) else "unreadable"


class Updates:
    """Applies messages, on the loop. ``settle(kept)``: callable for the end of an attempt of a new client certificate.
    ``log``: callable of one text. ``pinned`` (may be set later too): policy ``keys: pinned`` (K4), key sets are
    dropped."""

    def __init__(self, keystore, ledger, timefloor, settle, log, pinned=False):
        self._keystore = keystore
        self._ledger = ledger
        self._timefloor = timefloor
        self._settle = settle
        self._log = log
        self.pinned = pinned

    def apply(self, message, link, distrusted=False):
        """Do what one message of ``link`` says. False if memory was too short for it: it is worth having again.

        ``distrusted``: whether the broker is only tried; what it sends then changes nothing that is kept."""
        if distrusted and message[0] not in _KEEP_NOTHING:
            return True
        try:
            getattr(self, "on_" + message[0])(link, *message[1:])
        except Exception as exc:
            # The one cloud message that fails must not take the local API with it.
            code = exc.code if isinstance(exc, LatchkeyError) else type(exc).__name__
            self._log("cloud: %s failed: %s" % (message[0], code))
            if message[0].startswith("list"):
                self._ledger.give_up()
            return not isinstance(exc, MemoryError)
        return True

    def on_keys(self, _link, keys, refused):
        if refused:
            self._log("cloud: %d keys of the set cannot be used here" % refused)
        if not self.pinned:
            self._keystore.replace(keys, self._timefloor.now_ms(), self._timefloor.floor_unix_s)

    def on_keys_refused(self, _link, code):
        self._keystore.refuse(code)
        self._log("cloud: key set refused: " + code)

    def on_list_begin(self, _link, retained):
        self._ledger.begin(retained, self._timefloor.heard_unix_s(), self._timefloor.latest_unix_s())

    def on_list_records(self, _link, records):
        self._ledger.add(records)

    def on_list_commit(self, _link):
        self._ledger.commit()
        self._timefloor.learn(self._ledger.newest_changed_unix_s)

    def on_list_abort(self, _link, code):
        self._log("cloud: token list refused: " + code)
        self._ledger.abort()

    def on_attempt(self, link, kept, reason):
        link.attempt = "kept" if kept else reason
        self._settle(kept)

    def on_tls(self, link, not_after_unix_s):
        link.broker_not_after = not_after_unix_s
        self._timefloor.tls_checked()

    def on_time(self, _link):
        self._timefloor.source_set()

    def on_state(self, link, state, reason, detail):
        if not link.stopping:
            link.change(state, reason, detail)
