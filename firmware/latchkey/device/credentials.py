"""Certificates and keys, each in slots of its own, and the change of the client certificate.

``ca_der cert_der key_der`` for the broker, ``https_cert_der https_key_der`` for the local API, ``new_cert_der
new_key_der`` while they are tried: bytes of DER. A new pair is kept beside the one in force until the broker has taken
it or refused it. It leaves its own place last, so a power cut at any moment leaves a pair that works: the old one, or
the new one to be tried again.
"""

import struct

from latchkey.errors import ConfigError
from latchkey.limits import const
from latchkey.stores.slots import Slots

DER_BYTES = const(4096)
_LINK = ("ca_der", "cert_der", "key_der")
# A new certificate and its key share a slot, so that neither is ever kept without the other.
_PAIR = "new_pair"


def load(store):
    """Those of the link by name (dict of bytes); None for one that is not there."""
    found = {name: _read(store, name) for name in _LINK}
    pair = _read(store, _PAIR)
    end = 2 + struct.unpack("<H", pair[:2])[0] if pair else 0
    found["new_cert_der"], found["new_key_der"] = (pair[2:end], pair[end:]) if pair else (None, None)
    return found


def https(store):
    """Those of the local API, likewise."""
    return {name: _read(store, name) for name in ("https_cert_der", "https_key_der")}


def save(store, secrets, alone=False):
    """Keep those of ``secrets`` (dict of bytes) that are not None. ``alone``: neither slot holds another afterwards;
    else what did not change is not written. ConfigError, StoreError."""
    secrets = dict(secrets)
    cert, key = secrets.pop("new_cert_der", None), secrets.pop("new_key_der", None)
    if cert and key:
        secrets[_PAIR] = struct.pack("<H", len(cert)) + cert + key
    for name, data in secrets.items():
        if data is not None and (alone or data != _read(store, name)):
            if len(data) > _most(name):
                raise ConfigError("invalid_field", name)
            _slots(store, name).write(data, both=alone)


def begin(store, pair):
    """Keep a new pair (dict: ``new_cert_der new_key_der``) to be tried; all of ``load`` with it.

    ConfigError for the certificate in force, which no broker could tell from the new one; StoreError: an earlier pair
    still waits.
    """
    held = load(store)
    if held["cert_der"] == pair["new_cert_der"]:
        raise ConfigError("invalid_field", "cert_der")
    if held["new_cert_der"] and held["cert_der"] == held["new_cert_der"]:
        # Half of it is in the old one's place: the other half follows.
        settle(store, False)
        held = load(store)
    save(store, pair)
    held.update(pair)  # Stored: this must not fail, and takes no memory.
    return held


def settle(store, kept):
    """The broker has taken the new pair (``kept``) or refused it. StoreError."""
    held = load(store)
    if not held["new_cert_der"]:
        return  # Flash cannot read it now: the next start tries it again.
    # A power cut may have put the certificate in the old one's place already: there is no way back then. It goes first,
    # since the key may be the old one again.
    if kept or held["cert_der"] == held["new_cert_der"]:
        save(store, {"cert_der": held["new_cert_der"]})
        save(store, {"key_der": held["new_key_der"]})
    drop(store)


def drop(store):
    """Forget the pair being tried, whether it worked or not. StoreError."""
    slots = _slots(store, _PAIR)
    if slots.ever_written:
        slots.write(b"", both=True)


def _slots(store, name):
    return Slots(store, name, b"s")


def _read(store, name):
    data = _slots(store, name).read(_most(name))
    return bytes(data) if data else None


def _most(name):
    return 2 * DER_BYTES + 2 if name == _PAIR else DER_BYTES
