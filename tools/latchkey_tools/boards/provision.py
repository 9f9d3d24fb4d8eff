"""The document that provisions a device over the serial cable, and its building from PEM files.

    document = provision.document(config, credentials=pki.device, ca=pki.ca, key_set=..., time_unix_s=...)
    desk.provision(document)

``config`` is the configuration (docs/config.schema.json); the rest are secrets and facts that are kept apart from it.
"""

import time

from latchkey_tools.boards import certificate
from latchkey_tools.device.local_api import local_name


def document(
    config, ca, credentials, key_set=None, wifi=None, ap_passphrase=None, time_unix_s=None, https=None, update_keys=None
):
    """One JSON-able document. ``ca``, ``credentials`` and ``https``: Identity objects of latchkey_tools.sim.pki; the
    last for the local API, or None. Their ``cert_der`` and ``key_der`` may be PEM files too; ValueError as of
    latchkey_tools.boards.certificate.

    ``key_set``: a JWKS (dict) for the factory keys, None for a device that learns them from its broker. ``wifi``:
    {"ssid", "passphrase"} or None. ``time_unix_s``: the technician's time, by default this machine's. ``update_keys``:
    {"release": JWK, "recovery": JWK or None}, or None for the keys that the device has.
    """
    secrets = {"ca_der": certificate.authority(ca.cert_der)}
    secrets |= certificate.pair(credentials.cert_der, credentials.key_der)
    if https:
        secrets |= certificate.https_pair(https.cert_der, https.key_der, local_name(str(config["system_uuid"])))
    made = {
        "config": config,
        "credentials": secrets,
        "time_unix_s": int(time.time()) if time_unix_s is None else time_unix_s,
    }
    optional = {"key_set": key_set, "wifi": wifi, "ap_passphrase": ap_passphrase, "update_keys": update_keys}
    return made | {name: value for name, value in optional.items() if value is not None}


def config(system_uuid, slug, broker_host, broker_port, issuer, **others):
    """The smallest configuration that makes a device ready; ``others`` are further members of the document."""
    made = {"system_uuid": system_uuid, "slug": slug, "issuer": issuer}
    return made | {"broker": {"host": broker_host, "port": broker_port}} | others
