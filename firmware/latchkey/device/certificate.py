"""A new client certificate: kept beside the old one until the broker has taken it, or has not.

The pair is in force only when it stands in the old one's place, and leaves its own place last, so a power cut at any
moment leaves a pair that works: the old one, or the new one to be tried again.
"""

from latchkey.errors import ConfigError


def begin(store, pair):
    """Keep a new pair (dict: ``new_cert_der new_key_der``) to be tried; the credentials. ``store``: a CredentialStore.

    ConfigError for the certificate in force, which no broker could tell from the new one; StoreError: an earlier pair
    still waits.
    """
    held = store.load()
    if held["cert_der"] == pair["new_cert_der"]:
        raise ConfigError("invalid_field", "cert_der")
    if attempt(held) and held["cert_der"] == held["new_cert_der"]:
        # Half of it is in the old one's place: the other half follows.
        settle(store, False)
        held = store.load()
    store.save(pair)
    held.update(pair)
    return held


def attempt(credentials):
    """The credentials to try first (dict), or None if no whole new pair waits. ``credentials``: as a CredentialStore
    loads them."""
    if not (credentials["new_cert_der"] and credentials["new_key_der"]):
        return None
    return {
        "ca_der": credentials["ca_der"],
        "cert_der": credentials["new_cert_der"],
        "key_der": credentials["new_key_der"],
    }


def settle(store, kept):
    """The broker has taken the new pair (``kept``) or refused it. ``store``: a CredentialStore. StoreError."""
    credentials = store.load()
    # A power cut may have put the certificate in the old one's place already: there is no way back then. It goes first,
    # since the key may be the old one again.
    kept = kept or credentials["cert_der"] == credentials["new_cert_der"]
    if kept and attempt(credentials):
        store.save({"cert_der": credentials["new_cert_der"]})
        store.save({"key_der": credentials["new_key_der"]})
    drop(store)


def drop(store):
    """Forget the pair being tried, whatever became of it. StoreError."""
    store.erase("new_pair")
