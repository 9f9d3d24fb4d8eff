"""Keys that hold no secret: odd numbers of the right size, distinguished by a number."""

from latchkey.jwk import Key
from latchkey.rsa import PublicKey


def key(n, kid="", alg=None, bits=2048):
    """A ``jwk.Key``; ``kid``: text, None for none, empty for one made of ``n``."""
    size = bits // 8
    n_be = b"\xc5" + bytes([(n * 7 + i * 13) & 0xFF for i in range(size - 2)]) + bytes([n * 2 & 0xFF | 1])
    return Key(kid if kid != "" else f"key-{n}", PublicKey(n_be, 65537), alg)
