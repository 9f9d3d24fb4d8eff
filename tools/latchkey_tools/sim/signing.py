"""Signing keys and tokens of the simulator: RFC 7515 compact JWS behind `CLOUD-`, signed by `cryptography`.

Every kid begins with `SIM-`, which firmware refuses unless it was provisioned for development.
"""

import base64
import json
import os
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PREFIX = "CLOUD-"
KID_PREFIX = "SIM-"
HASHES = {"RS256": hashes.SHA256(), "RS512": hashes.SHA512()}


def new_key(bits=2048):
    """A fresh kid and private key."""
    return KID_PREFIX + b64url(os.urandom(18)), rsa.generate_private_key(65537, bits)


def pem(key):
    """A private key as text."""
    how = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, *how).decode()


def load(text):
    """The private key of a ``pem`` text."""
    # Made here: a check of the primes would take longer than a signature.
    return serialization.load_pem_private_key(text.encode(), None, unsafe_skip_rsa_key_validation=True)


def jwk(kid, key):
    """The key set's member for a key, with the members of DRIVR's message and no others."""
    numbers = key.public_key().public_numbers()
    return {"n": b64url_int(numbers.n), "e": b64url_int(numbers.e), "kty": "RSA", "kid": kid}


def token(claims, key, algorithm="RS512", header=None):
    """``CLOUD-`` token over ``claims`` (a dict, or finished bytes); the header has no kid, as in DRIVR's samples."""
    header = header or {"alg": algorithm, "typ": "JWT"}
    payload = claims if isinstance(claims, bytes) else _compact_json(claims)
    signed = f"{b64url(_compact_json(header))}.{b64url(payload)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), HASHES[algorithm])
    return f"{PREFIX}{signed}.{b64url(signature)}"


def new_uuid():
    return str(uuid.uuid4())


def b64url(data):
    """Unpadded base64url text of bytes (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    """The bytes of an unpadded base64url text; ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64url_int(number):
    """A number as a JWK has it (RFC 7518 section 2)."""
    return b64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _compact_json(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
