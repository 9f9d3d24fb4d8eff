"""RSASSA-PKCS1-v1_5 verification (RFC 8017 section 8.2.2) with SHA-256, SHA-384 and SHA-512.

Every byte of the block is compared with what it must be; nothing of a signature is ever searched or parsed. Moduli of
2,048 to 4,096 bits, odd exponents from 3 to below 2**32. Does not sign, encrypt, or do PSS. All inputs are public: time
depends on them.
"""

import hashlib

from latchkey import sha512
from latchkey.bignum import Modulus
from latchkey.errors import KeySetError, TokenError
from latchkey.limits import RSA_MAX_BITS, const

_RSA_MIN_BITS = const(2048)
# RFC 8017 section 9.2, note 1: DER of DigestInfo up to the digest; hashes differ in a length, the OID's
# last byte (1, 2, 3), and the digest's length.
_DIGEST_INFO = const(b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20")
_HASHES = {
    "sha256": hashlib.sha256,
    "sha384": sha512.sha384,
    "sha512": sha512.sha512,
}


class PublicKey:
    """``n_be``: big-endian modulus, odd, 2,048 to 4,096 bits; ``e``: odd, 3 <= e < 2**32. Else KeySetError.

    ``.bits`` of the modulus; ``.n_be``: it, without leading zeros; ``.size``: bytes of it and of a signature; ``.e``;
    ``.power(s_be)``: that of bignum.Modulus.
    """

    def __init__(self, n_be: bytes, e: int):
        n_be = bytes(n_be).lstrip(b"\x00") if isinstance(n_be, (bytes, bytearray, memoryview)) else b""
        self.size = len(n_be)
        self.bits = self.size * 8 - 10 + len(bin(n_be[0])) if n_be else 0
        if not _RSA_MIN_BITS <= self.bits <= RSA_MAX_BITS or not n_be[-1] & 1:
            raise KeySetError("key_refused", "modulus")
        if type(e) is not int or not 3 <= e < 1 << 32 or not e & 1:
            raise KeySetError("key_refused", "exponent")
        self.n_be = n_be
        self.e = e
        self.power = Modulus(n_be, e).power


def verify_pkcs1v15(key: PublicKey, hash_name: str, message, signature: bytes) -> None:
    """None if ``signature`` (bytes-like, ``key.size`` long) is ``key``'s over ``message``; else TokenError.

    ``hash_name``: "sha256", "sha384" or "sha512"; ``message``: bytes-like, or an iterable of such chunks.
    The code is always "bad_signature".
    """
    if (
        hash_name not in _HASHES
        or not isinstance(signature, (bytes, bytearray, memoryview))
        or not fits(key, bytes(signature), digest_info(hash_name, message))
    ):
        raise TokenError("bad_signature")


def digest_info(hash_name: str, message) -> bytes:
    """DER of DigestInfo for ``message``, as a signature holds it: hash once, then ask ``fits`` of many keys."""
    hasher = _HASHES[hash_name]()
    for chunk in (message,) if isinstance(message, (bytes, bytearray, memoryview)) else message:
        hasher.update(chunk)
    digest = hasher.digest()
    info = bytearray(_DIGEST_INFO)
    info[1] = 17 + len(digest)
    info[14] = len(digest) // 16 - 1
    info[18] = len(digest)
    return bytes(info) + digest


def fits(key: PublicKey, signature: bytes, info: bytes) -> bool:
    """Whether ``signature`` (bytes or bytearray) is ``key``'s over the message of ``info``: RFC 8017 8.2.2, 1 to 4."""
    power = key.power(signature)
    if power is None:
        return False
    # 00 01 FF ... FF 00 and ``info``. To build that would take pieces of heap as long as n.
    block = memoryview(power)
    end = len(block) - len(info) - 1
    return block[:2] == b"\x00\x01" and min(block[2:end]) == 0xFF and block[end] == 0 and block[end + 1 :] == info
