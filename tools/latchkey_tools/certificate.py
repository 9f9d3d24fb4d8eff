"""Certificates and keys as a device takes them, read from PEM or DER files. No content is in any message.

What was checked is what is sent: the DER is made from the very objects that were looked at. ValueError where a file is
not what it should be, two do not fit each other, or a device would not take them.
"""

import base64
import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from latchkey_tools import show

# What a device takes (firmware/latchkey/limits.py, DER_BYTES).
_MOST_BYTES = 4096
_DER = serialization.Encoding.DER


def body(cert_path, key_path):
    """The body of PUT /v1/config/certificate: ``pair``, and a word if others can read the key."""
    made = pair(cert_path, key_path)
    if Path(key_path).stat().st_mode & 0o077:
        show.say(f"others can read {key_path}: chmod 600 {key_path}")
    return made


def pair(cert_path, key_path):
    """A certificate and its private key: {"cert_der", "key_der"}, DER in base64."""
    cert, key = _read_pair(cert_path, key_path)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return {
        "cert_der": _text(cert.public_bytes(_DER), cert_path),
        # The traditional form is what every mbedtls build reads.
        "key_der": _text(key.private_bytes(_DER, form, serialization.NoEncryption()), key_path),
    }


def https_pair(cert_path, key_path):
    """The same for the local API: ECDSA on P-256, since RSA signatures would hold a chip for seconds (A2)."""
    made = pair(cert_path, key_path)
    key = serialization.load_der_private_key(base64.b64decode(made["key_der"]), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{key_path}: HTTPS on a device takes an ECDSA key on P-256")
    return {f"https_{name}": text for name, text in made.items()}


def authority(path):
    """The certificate of the authority that the broker's is from: its DER in base64."""
    cert = _load(path, "single certificate", _only_certificate, x509.load_der_x509_certificate)
    _check_kind(_public_key(cert, path), path)
    if not _may_sign(cert):
        raise ValueError(f"the certificate in {path} is not that of an authority (CA:TRUE)")
    _check_dates(cert, path)
    return _text(cert.public_bytes(_DER), path)


def _read_pair(cert_path, key_path):
    """(certificate, private key), objects of cryptography."""
    cert = _load(cert_path, "certificate", x509.load_pem_x509_certificate, x509.load_der_x509_certificate)
    key = _load(key_path, "private key", _pem_key, _der_key)
    if _public_key(cert, cert_path) != key.public_key():
        raise ValueError(f"the key in {key_path} is not that of the certificate in {cert_path}")
    _check_kind(key.public_key(), key_path)
    _check_dates(cert, cert_path)
    return cert, key


def _load(path, what, from_pem, from_der):
    content = Path(path).read_bytes()
    try:
        return from_pem(content) if b"-----BEGIN" in content else from_der(content)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{path} has no {what} in PEM or DER") from None
    except TypeError:
        raise ValueError(f"the key in {path} is encrypted, and a device cannot ask; write it out plain first") from None


def _only_certificate(content):
    """Of a bundle nobody knows which one a device is to trust."""
    (cert,) = x509.load_pem_x509_certificates(content)
    return cert


def _pem_key(content):
    return serialization.load_pem_private_key(content, None)


def _der_key(content):
    return serialization.load_der_private_key(content, None)


def _public_key(cert, path):
    try:
        return cert.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"the certificate in {path} is for a kind of key that a device does not take") from None


def _check_kind(public_key, path):
    if not isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise ValueError(f"{path}: a device takes RSA and EC keys; this one is of another kind")


def _may_sign(cert):
    """As mbedtls has it: certificates older than extensions may."""
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return cert.version is x509.Version.v1
    except (ValueError, x509.DuplicateExtension):
        return False


def _check_dates(cert, path):
    now = datetime.datetime.now(datetime.UTC)
    if cert.not_valid_after_utc <= now:
        raise ValueError(f"the certificate in {path} has expired")
    if cert.not_valid_before_utc > now:
        raise ValueError(f"the certificate in {path} is not valid yet, by the clock of this machine")


def _text(der, path):
    if len(der) > _MOST_BYTES:
        raise ValueError(f"{path} has {len(der)} bytes as DER, and a device takes {_MOST_BYTES}")
    return base64.b64encode(der).decode()
