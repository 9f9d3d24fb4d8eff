"""Certificates and keys as a device takes them, read from PEM or DER files. No content is in any message.

The checked parts are sent: the DER is made from the very objects that were looked at. ValueError where a file is
not what it should be, two do not fit each other, or a device would not take them.
"""

import base64
import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from latchkey_tools import reading
from latchkey_tools.cli import show

# The limit of a device (firmware/latchkey/device/credentials.py, DER_BYTES).
_MOST_BYTES = 4096
# The least that mbedtls accepts (its default profile).
_LEAST_RSA_BITS = 2048
_DER = serialization.Encoding.DER


def body(cert_path, key_path):
    """The body of PUT /v1/config/certificate: ``pair``, and a word if others can read the key."""
    made = pair(cert_path, key_path)
    show.say_if_open(key_path)
    return made


def pair(cert_path, key_path):
    """The client's certificate and its private key: {"cert_der", "key_der"}, DER in base64."""
    cert, key = _read_pair(cert_path, key_path)
    # RFC 5280, 4.2.1.12: a certificate without this extension is for everything.
    _check_purpose(cert, cert_path, "client", Purpose.CLIENT_AUTH, Purpose.ANY_EXTENDED_KEY_USAGE)
    return _pair(cert, cert_path, key, key_path)


def _pair(cert, cert_path, key, key_path):
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return {
        "cert_der": _text(cert.public_bytes(_DER), cert_path),
        # The traditional form is what every mbedtls build reads.
        "key_der": _text(key.private_bytes(_DER, form, serialization.NoEncryption()), key_path),
    }


def https_pair(cert_path, key_path, host):
    """The same for the local API, whose certificate names ``host``: ECDSA on P-256, since RSA signatures would hold a
    chip for seconds (A2)."""
    cert, key = _read_pair(cert_path, key_path)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{key_path}: HTTPS on a device takes an ECDSA key on P-256; have such a pair made")
    # OpenSSL, which clients use, does not count "any purpose" as a server's.
    _check_purpose(cert, cert_path, "server", Purpose.SERVER_AUTH)
    _check_host(cert, cert_path, host)
    return {f"https_{name}": text for name, text in _pair(cert, cert_path, key, key_path).items()}


def authority(path):
    """The certificate of the authority that the broker's is from: its DER in base64."""
    cert = _load(path, "single certificate", _only_certificate, x509.load_der_x509_certificate)
    _check_kind(_public_key(cert, path), path)
    _check_may_sign(cert, path)
    _check_dates(cert, path)
    return _text(cert.public_bytes(_DER), path)


def _read_pair(cert_path, key_path):
    """(certificate, private key), objects of cryptography."""
    cert = _load(cert_path, "certificate", x509.load_pem_x509_certificate, x509.load_der_x509_certificate)
    key = _load(key_path, "private key", _pem_key, _der_key)
    if _public_key(cert, cert_path) != key.public_key():
        words = f"the key in {key_path} is not that of the certificate in {cert_path}"
        raise ValueError(f"{words}; give the two that belong together")
    _check_kind(key.public_key(), key_path)
    _check_dates(cert, cert_path)
    return cert, key


def _load(path, what, from_pem, from_der):
    content = reading.content(path)
    try:
        return from_pem(content) if b"-----BEGIN" in content else from_der(content)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{path} has no {what} in PEM or DER; check which file it is") from None
    except TypeError:
        raise ValueError(f"the key in {path} is encrypted, and a device cannot ask; write it out plain first") from None


def _only_certificate(content):
    """A bundle does not say which certificate a device is to trust."""
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
        words = f"the certificate in {path} is for a kind of key that a device does not take"
        raise ValueError(f"{words}; it takes RSA and EC") from None


def _check_kind(public_key, path):
    if not isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise ValueError(f"{path}: a device takes RSA and EC keys; this one is of another kind")
    if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size < _LEAST_RSA_BITS:
        raise ValueError(f"{path}: an RSA key of {public_key.key_size} bits; a device takes {_LEAST_RSA_BITS} or more")


def _check_may_sign(cert, path):
    """As mbedtls has it, but for one thing: it also trusts a certificate of version 1 that another one signed. Nothing
    tells such an authority from a leaf."""
    basic = _extension(cert, path, x509.BasicConstraints)
    if cert.version is x509.Version.v1:
        if not _signed_itself(cert):
            raise ValueError(
                f"the certificate in {path} is X.509 version 1 and not self-signed, so it may be a server's. "
                "Give the certificate of the authority that signed the broker's"
            )
    elif not basic or not basic.ca:
        raise ValueError(
            f"the certificate in {path} is not that of an authority (CA:TRUE). "
            "Give the certificate of the authority that signed the broker's"
        )
    usage = _extension(cert, path, x509.KeyUsage)
    if usage and not usage.key_cert_sign:
        raise ValueError(
            f"the certificate in {path} may not sign others (its keyUsage has no keyCertSign): have one made with it"
        )


def _signed_itself(cert):
    try:
        cert.verify_directly_issued_by(cert)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _check_purpose(cert, path, side, *purposes):
    """ValueError unless a TLS ``side`` ("client" or "server") may show it; one without these extensions may."""
    extended, usage = _extension(cert, path, x509.ExtendedKeyUsage), _extension(cert, path, x509.KeyUsage)
    if extended and not set(extended) & set(purposes):
        raise ValueError(
            f"the certificate in {path} is not for a TLS {side} (its extendedKeyUsage has no {side}Auth): "
            f"have one made with {side}Auth"
        )
    if usage and not usage.digital_signature:
        raise ValueError(
            f"the certificate in {path} is not for TLS (its keyUsage has no digitalSignature): have one made with it"
        )


def _check_host(cert, path, host):
    """Clients look at the names in subjectAltName alone (RFC 9525, 6.3); the subject's CN does not count."""
    names = _extension(cert, path, x509.SubjectAlternativeName)
    found = names.get_values_for_type(x509.DNSName) if names else []
    if host not in [name.lower() for name in found]:
        has = f"it has {', '.join(map(show.plain, found[:3]))}" if found else "it has none"
        raise ValueError(
            f"the certificate in {path} is not for {host}: its subjectAltName must have that DNS name ({has}). "
            f"Have one made with DNS:{host}"
        )


def _extension(cert, path, kind):
    """The value of an extension, or None where the certificate has none."""
    try:
        return cert.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension):
        raise ValueError(f"the certificate in {path} has extensions that cannot be read") from None


def _check_dates(cert, path):
    now = datetime.datetime.now(datetime.UTC)
    if cert.not_valid_after_utc <= now:
        raise ValueError(f"the certificate in {path} has expired: have a new one made")
    if cert.not_valid_before_utc > now:
        raise ValueError(f"the certificate in {path} is not valid yet, by this machine's clock: check the clock")


def _text(der, path):
    if len(der) > _MOST_BYTES:
        raise ValueError(f"{path} has {len(der)} bytes as DER, and a device takes {_MOST_BYTES}")
    return base64.b64encode(der).decode()
