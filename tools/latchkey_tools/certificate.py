"""A client certificate and its key, read from files for PUT /v1/config/certificate. No content is in any message."""

import base64
import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from latchkey_tools import show

# What a device takes (firmware/latchkey/limits.py, DER_BYTES).
_MOST_BYTES = 4096


def body(cert_path, key_path):
    """The body of the request; ValueError where the two do not fit each other or a device."""
    cert, key = read(cert_path, key_path)
    _warn_if_open(key_path)
    _check_dates(cert, cert_path)
    return {"cert_der": _text(cert.public_bytes(serialization.Encoding.DER)), "key_der": _text(_key_der(key))}


def read(cert_path, key_path):
    """(certificate, private key), objects of cryptography; ValueError where one is neither or they are no pair."""
    cert = _load(cert_path, "certificate", x509.load_pem_x509_certificate, x509.load_der_x509_certificate)
    key = _load(key_path, "private key", _pem_key, _der_key)
    if cert.public_key() != key.public_key():
        raise ValueError(f"the key in {key_path} is not that of the certificate in {cert_path}")
    return cert, key


def _load(path, what, from_pem, from_der):
    content = Path(path).read_bytes()
    try:
        return from_pem(content) if b"-----BEGIN" in content else from_der(content)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{path} has no {what} in PEM or DER") from None
    except TypeError:
        raise ValueError(f"the key in {path} is encrypted, and a device cannot ask; write it out plain first") from None


def _pem_key(content):
    return serialization.load_pem_private_key(content, None)


def _der_key(content):
    return serialization.load_der_private_key(content, None)


def _key_der(key):
    """The traditional form, which every mbedtls build reads."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    try:
        return key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
    except ValueError:
        raise ValueError("a device takes RSA and EC keys; this one is of another kind") from None


def _check_dates(cert, path):
    now = datetime.datetime.now(datetime.UTC)
    if cert.not_valid_after_utc <= now:
        raise ValueError(f"the certificate in {path} has expired")
    if cert.not_valid_before_utc > now:
        show.say(f"the certificate in {path} is not valid yet, by the clock of this machine")


def _warn_if_open(path):
    if Path(path).stat().st_mode & 0o077:
        show.say(f"others can read {path}: chmod 600 {path}")


def _text(der):
    if len(der) > _MOST_BYTES:
        raise ValueError(f"a device takes {_MOST_BYTES} bytes of DER each for certificate and key; this is more")
    return base64.b64encode(der).decode()
