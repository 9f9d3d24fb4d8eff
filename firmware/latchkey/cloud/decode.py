"""From a payload stream to immutable messages for the loop: what the cloud thread does with a PUBLISH.

``("keys", jwk.KeySet, refused)`` or ``("keys_refused", code)``;
``("list_begin", retained)``, ``("list_records", (record, ...))``, then ``("list_commit",)`` or
``("list_abort", code)``. Touches no store: the loop alone writes.
A connection that fails meanwhile, or memory that is short, aborts the list and ends the connection; anything else costs
this one message.
"""

from latchkey import jwk, limits
from latchkey.cloud.reasons import LinkError
from latchkey.errors import LatchkeyError
from latchkey.stores import tokenlist


class Intake:
    """``put(message)`` hands over one message, waiting for room. ``dev``: whether the simulator's keys count (A10)."""

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
            message = _keys(payload, self._dev)
        except LinkError:
            raise
        except MemoryError:
            # Connecting again brings a retained message again, perhaps at a better moment.
            raise LinkError("no_memory")
        except Exception as e:
            message = ("keys_refused", _code(e))
        self._put(message)

    def _token_list(self, retained, payload):
        self._put(("list_begin", retained))
        try:
            self._records(payload)
        except LinkError as e:
            self._put(("list_abort", e.code))
            raise
        except MemoryError:
            self._put(("list_abort", "no_memory"))
            raise LinkError("no_memory")
        except Exception as e:
            self._put(("list_abort", _code(e)))
            return
        self._put(("list_commit",))

    def _records(self, payload):
        batch = []
        for record in tokenlist.parse_records(payload, self._system_uuid16):
            batch.append(record)
            if len(batch) == limits.CLOUD_BATCH:
                self._put(("list_records", tuple(batch)))
                batch = []
        if batch:
            self._put(("list_records", tuple(batch)))


def _keys(payload, dev):
    if payload.left > limits.KEY_SET_BYTES:
        return ("keys_refused", "key_set_too_large")
    keys = jwk.parse_key_set(payload, dev)
    return ("keys", keys, keys.refused)


def _code(e):
    return e.code if isinstance(e, LatchkeyError) else "unreadable"
