"""A key, a signing request, and the certificate that the cloud makes of it. The next run continues a broken one.

    request = Request(folder, system_uuid, CLIENT)
    request.fulfil(cloud, "P365D", lambda: issuer_uuid)    waits until the cloud has signed
    request.cert_path, request.key_path                    PEM files, mode 0600

The key never leaves ``folder``, but for the device. The cloud sees the request alone.
"""

import contextlib
import json
import time
from collections import namedtuple
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from latchkey_tools import folders
from latchkey_tools.boards import certificate
from latchkey_tools.device.cloud_api import CloudRefusal
from latchkey_tools.device.local_api import local_name
from latchkey_tools.sim.pki import write_private

POLL_S = 2
WAIT_S = 120
_PEM = serialization.Encoding.PEM

# word: in names of files; usage: as DRIVR calls it
Kind = namedtuple("Kind", "word usage")
CLIENT, HTTPS = Kind("client", "CLIENT_AUTH"), Kind("https", "SERVER_AUTH")


class Request:
    """One certificate of a System, in files of ``folder``: the key, what was asked for, and the certificate."""

    def __init__(self, folder, system_uuid, kind):
        self.folder, self.system, self.kind = Path(folder), system_uuid, kind
        self.key_path, self.cert_path, self._asked_path = (
            self.folder / f"{system_uuid}.{kind.word}.{end}" for end in ("key.pem", "cert.pem", "asked.json")
        )

    @property
    def is_fulfilled(self):
        return self.cert_path.exists() and self.key_path.exists()

    def fulfil(self, cloud, duration, issuer_uuid, until_unix_s=0, wait_s=WAIT_S, sleep=time.sleep):
        """Have the certificate signed, unless one that lasts until then lies here already.

        CloudRefusal; ValueError if a device would refuse it. A request that a run left unanswered is waited for again,
        not made twice. ``issuer_uuid()`` is called where it is needed.
        """
        if self.is_fulfilled and self._is_usable(until_unix_s):
            return
        folders.make(self.folder)
        uuid = self._asked(cloud.url) or self._ask(cloud, duration, issuer_uuid())
        write_private(self.cert_path, self._await(cloud, uuid, wait_s, sleep).encode())
        try:
            self.pair()
        except ValueError:
            self.cert_path.unlink()
            self._asked_path.unlink()
            raise
        self._asked_path.unlink()

    def pair(self):
        """The checked files for a device: {"cert_der", "key_der"} in base64, for HTTPS {"https_cert_der", ...}."""
        if self.kind == HTTPS:
            return certificate.https_pair(self.cert_path, self.key_path, local_name(self.system))
        return certificate.pair(self.cert_path, self.key_path)

    def forget(self):
        """Remove all files, the key too: once a device has them."""
        for path in (self.key_path, self.cert_path, self._asked_path):
            path.unlink(missing_ok=True)

    def _is_usable(self, until_unix_s):
        try:
            self.pair()
            return end_of(x509.load_pem_x509_certificate(self.cert_path.read_bytes())) > until_unix_s
        except ValueError:
            return False

    def _asked(self, url):
        """The uuid that a run before this one got of the same cloud, or None."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            asked = json.loads(self._asked_path.read_bytes())
            if asked["url"] == url and self.key_path.exists():
                return asked["uuid"]
        return None

    def _ask(self, cloud, duration, issuer_uuid):
        key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.TraditionalOpenSSL
        write_private(self.key_path, key.private_bytes(_PEM, form, serialization.NoEncryption()))
        # Unique in the Domain; DRIVR takes no white space and no special characters.
        name = f"latchkey{self.system.replace('-', '')}{self.kind.word}{time.time_ns()}"
        uuid = cloud.request_certificate(
            signing_request(key, self.system, self.kind), duration, self.system, issuer_uuid, name, self.kind.usage
        )
        write_private(self._asked_path, json.dumps({"url": cloud.url, "uuid": uuid}).encode())
        return uuid

    def _await(self, cloud, uuid, wait_s, sleep):
        waited_s = 0
        while (pem := cloud.certificate(uuid)) is None:
            if waited_s >= wait_s:
                raise CloudRefusal(f"the cloud has not signed the certificate {uuid} yet; run the same again later")
            sleep(POLL_S)
            waited_s += POLL_S
        return pem


def signing_request(key, system_uuid, kind):
    """The request (PEM text) for a System: PKCS #10 (RFC 2986), signed by its own key."""
    host = local_name(system_uuid)
    name = host if kind == HTTPS else system_uuid
    builder = x509.CertificateSigningRequestBuilder()
    builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    if kind == HTTPS:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(_PEM).decode()


def end_of(cert):
    """Unix seconds at which a certificate of cryptography ends."""
    return int(cert.not_valid_after_utc.timestamp())


def choose_issuer(issuers, wanted=None):
    """The uuid of the issuer that is ``wanted`` (a name or uuid), or of the only one. ``issuers``: [(uuid, name)]."""
    found = [uuid for uuid, name in issuers if wanted is None or wanted in (uuid, name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(name for _uuid, name in issuers[:10]) or "none"
    what = f"no issuer {wanted}" if wanted else f"{len(found)} issuers"
    raise CloudRefusal(f"the Domain has {what}; give --issuer with one of these: {names}")
