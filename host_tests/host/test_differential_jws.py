"""Mutated tokens against ``cryptography`` and ``joserfc``: we never accept what either refuses.

A token that we refuse though one of them accepts it has a reason on the list REFUSED_BEYOND; a refusal without a reason
fails, and so does a reason that no token of a run needed.
"""

import base64
import json
import os
import random
import re
from collections import Counter
from pathlib import Path

import on_port
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jws as joserfc_jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.registry import HeaderParameter
from strict_reference import Loose, fits, integer, loose, number, pairs

import counts
from latchkey import jwk, jws
from latchkey.errors import TokenError

HASHES = {"RS256": hashes.SHA256(), "RS512": hashes.SHA512()}
INFO = {
    "RS256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "RS512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
PEMS = json.loads((Path(__file__).parent.parent / "vectors" / "test_keys.json").read_text())
PRIVATE = [serialization.load_pem_private_key(pem.encode(), None) for pem in PEMS]
HELD = {"A": PRIVATE[0], "B": PRIVATE[1]}  # the third is a stranger's
ALG_OF_B = "RS512"
SIZE = 256


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def public_jwk(kid):
    n = HELD[kid].public_key().public_numbers().n
    return {"kty": "RSA", "n": b64(n.to_bytes(SIZE, "big")).decode(), "e": "AQAB", "kid": kid}


JWKS = json.dumps({"keys": [public_jwk("A"), {**public_jwk("B"), "alg": ALG_OF_B}]})
KEYS = jwk.parse_key_set(JWKS.encode())


# The references. Each says with which of the keys it accepts a token; a key's own "alg" is left to us.


class Registry(joserfc_jws.JWSRegistry):
    max_header_length = 4096


def anything(_value):
    """Rule V2 never looks at these members, so their types are not what is compared here."""


IGNORED = {name: HeaderParameter(name, anything) for name in ("jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "cty")}
REGISTRY = Registry(header_registry=IGNORED, algorithms=["RS256", "RS512"], strict_check_header=False)
JOSERFC_KEYS = {kid: RSAKey.import_key(public_jwk(kid)) for kid in HELD}


def joserfc_accepts(token, kid):
    try:
        return joserfc_jws.deserialize_compact(token, JOSERFC_KEYS[kid], registry=REGISTRY).payload
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def lenient(segment):
    return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))


def cryptography_accepts(token, kid):
    """As plain a verifier as one would write with Python's own base64 and json."""
    try:
        head, body, signature = token.split(b".")
        algorithm = HASHES[json.loads(lenient(head))["alg"]]
        HELD[kid].public_key().verify(lenient(signature), head + b"." + body, padding.PKCS1v15(), algorithm)
        return lenient(body)
    except (InvalidSignature, ValueError, KeyError, TypeError, RecursionError):
        return None


REFERENCES = {"joserfc": joserfc_accepts, "cryptography": cryptography_accepts}


# The written list: what we refuse though a reference accepts.


def strictly_encoded(token):
    return all(
        re.fullmatch(rb"[A-Za-z0-9_-]*", s) and len(s) % 4 != 1 and b64(lenient(s)) == s for s in token.split(b".")
    )


def strict_json(data):
    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=loose, parse_int=integer, parse_float=number)
        json.dumps(value, ensure_ascii=False).encode()
    except (Loose, ValueError, RecursionError):
        return False
    return fits(value)


def header_of(token):
    try:
        return json.loads(lenient(token.split(b".")[0]))
    except (ValueError, RecursionError):
        return {}


def other_kid(token, kid):
    named = header_of(token).get("kid")
    return named in list(HELD) and named != kid


REFUSED_BEYOND = {
    "a token over 2,048 bytes": lambda t, kid: len(t) > 2048,
    "a header over 512 bytes": lambda t, kid: len(lenient(t.split(b".")[0])) > 512,
    "base64url with padding, stray characters or unused bits": lambda t, kid: not strictly_encoded(t),
    "a header that is not strict JSON": lambda t, kid: not strict_json(lenient(t.split(b".")[0])),
    "a typ other than JWT": lambda t, kid: header_of(t).get("typ", "JWT") != "JWT",
    "crit, whatever it names": lambda t, kid: "crit" in header_of(t),
    "b64, even true": lambda t, kid: "b64" in header_of(t),
    "zip": lambda t, kid: "zip" in header_of(t),
    "a kid that is not a string": lambda t, kid: not isinstance(header_of(t).get("kid", ""), str),
    "a kid that names another key held": other_kid,
    "a key published for the other algorithm": lambda t, kid: kid == "B" and header_of(t).get("alg") != ALG_OF_B,
}


# Mutations


def sign(head, body, key, algorithm):
    text = b64(head) + b"." + b64(body)
    return text + b"." + b64(key.sign(text, padding.PKCS1v15(), HASHES[algorithm]))


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def good(rng):
    algorithm = rng.choice(("RS256", "RS512"))
    header = {"alg": algorithm, **rng.choice(({}, {"typ": "JWT"}, {"kid": "A"}, {"kid": "B"}, {"kid": "C"}))}
    body = rng.randbytes(rng.choice((0, 1, 2, 3, 40, 200)))
    return sign(compact(header), body, rng.choice(PRIVATE[:2]), algorithm)


def cut_paste(rng, data, alphabet):
    """One to three small edits of a text."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[at : at + 1] = bytes([rng.choice(alphabet)])
        elif kind == 1:
            data[at:at] = bytes([rng.choice(alphabet)]) * rng.choice((1, 1, 2, 4))
        elif kind == 2:
            del data[at : at + rng.choice((1, 1, 2, 4, 30))]
        elif kind == 3:
            data[at:at] = data[at : at + 8]
        elif kind == 4:
            data[at : at + 2] = data[at : at + 2][::-1]
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(7)
    return bytes(data)


def mutated_text(rng):
    return cut_paste(rng, good(rng), b"AEIMQgw0_-.=+/ \n\r\x00\xff")


def mutated_last_segment(rng):
    """Where lax decoders let things pass: the signature is not part of what is signed."""
    head, _, signature = good(rng).rpartition(b".")
    kind = rng.randrange(4)
    if kind == 0:
        signature += rng.choice((b"=", b"==", b"===", b"\n", b" ", b"!", b"A", b"AA", b"AAAA"))
    elif kind == 1:
        at = rng.randrange(len(signature))
        signature = signature[:at] + rng.choice((b"\n", b" ", b"!", b"=", b"\t", b".", b"\xc3\xa9")) + signature[at:]
    elif kind == 2:
        signature = signature[:-1] + bytes([signature[-1] + rng.choice((1, 2, 3))])
    else:
        signature = signature.replace(b"-", b"+").replace(b"_", b"/")
    return head + b"." + signature


def mutated_number(rng):
    head, _, signature = good(rng).rpartition(b".")
    s = int.from_bytes(lenient(signature), "big")
    n = int.from_bytes(rng.choice(KEYS).public_key.n_be, "big")
    s = rng.choice(
        (s + n, n - s if n > s else s, s ^ 1 << rng.randrange(2048), s * 2 % n, 0, 1, n, n - 1, n + 1, s >> 8)
    )
    size = rng.choice((SIZE, SIZE, SIZE, SIZE + 1, SIZE - 1, SIZE + 8))
    return head + b"." + b64((s % (1 << 8 * size)).to_bytes(size, "big"))


def mutated_block(rng):
    """Any block that a careless parser might take, signed by a key we hold."""
    algorithm = rng.choice(("RS256", "RS512"))
    key = rng.choice(PRIVATE[:2])
    text = b64(compact({"alg": algorithm})) + b"." + b64(rng.randbytes(8))
    hasher = hashes.Hash(HASHES[algorithm])
    hasher.update(text)
    tail = INFO[algorithm] + hasher.finalize()
    block = b"\0\1" + b"\xff" * (SIZE - 3 - len(tail)) + b"\0" + tail
    kind = rng.randrange(5)
    if kind == 0:
        at = rng.randrange(1, SIZE)
        block = block[:at] + bytes([block[at] ^ 1 << rng.randrange(8)]) + block[at + 1 :]
    elif kind == 1:
        fill = rng.randrange(0, SIZE - 3 - len(tail))
        block = (b"\0\1" + b"\xff" * fill + b"\0" + tail + rng.randbytes(SIZE))[:SIZE]
    elif kind == 2:
        block = (b"\0" + cut_paste(rng, block[1:], bytes(range(256))) + rng.randbytes(99))[:SIZE]
    elif kind == 3:
        info = cut_paste(rng, INFO[algorithm], bytes(range(256))) + tail[len(INFO[algorithm]) :]
        block = (b"\0\1" + b"\xff" * (SIZE - 3 - len(info)) + b"\0" + info)[:SIZE]
    s = private_power(int.from_bytes(block, "big"), key.private_numbers())
    return text + b"." + b64(s.to_bytes(SIZE, "big"))


def private_power(number, key):
    """RFC 8017 section 5.1.2, by the Chinese remainder theorem: a quarter of the time of ``pow(number, d, n)``."""
    at_p, at_q = pow(number, key.dmp1, key.p), pow(number, key.dmq1, key.q)
    return at_q + key.q * ((at_p - at_q) * key.iqmp % key.p)


VALUES = (
    "JWT",
    "jwt",
    "JOSE",
    "RS256",
    "RS512",
    "none",
    "HS256",
    "A",
    "B",
    "C",
    "",
    None,
    True,
    1,
    1.5,
    [],
    ["exp"],
    {},
)
MEMBERS = ("alg", "typ", "kid", "crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "x5t", "cty", "x")
LOOSE = (
    b'"alg":"RS256"', b'"typ":"JWT"', b'"x":NaN', b'"x":-Infinity', b'"x":1e400', b'"x":' + b"9" * 25, b'"x":01',
    b'"x":"\\ud800"', b'"x":"\xff"', b'"x":"\xc0\x80"', b'"x":' + b"[" * 9 + b"]" * 9, b'"x":"\t"',
    b'"\\u0061lg":"RS256"',
    b'"x":"' + b"y" * 500 + b'"', b'"x":1e-5', b'"x":0.1', b'"x":"\\ud83d\\ude00"', b'"x":"\xc3\xa9"',
)  # fmt: skip


def mutated_header(rng):
    """A header that is not what it should be, under a good signature."""
    algorithm = rng.choice(("RS256", "RS512"))
    header = {"alg": algorithm}
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        header[rng.choice(MEMBERS)] = rng.choice(VALUES)
    text = compact(header)
    kind = rng.randrange(4)
    if kind == 0:
        text = text[:-1] + b"," + rng.choice(LOOSE) + b"}"
    elif kind == 1:
        text = cut_paste(rng, text, b'{}[]:,"\\ \n\t0eE+-.\x00\xc3\xef')
    elif kind == 2:
        text = (
            rng.choice((b"\xef\xbb\xbf", b" ", b"\n", b"\0", b"[", b""))
            + text
            + rng.choice((b" ", b"\n", b"x", b"{}", b""))
        )
    return sign(text, rng.randbytes(9), rng.choice(PRIVATE), algorithm)


def long_token(rng):
    algorithm = rng.choice(("RS256", "RS512"))
    body = rng.randbytes(rng.randrange(1230, 1290))
    return sign(compact({"alg": algorithm}), body, rng.choice(PRIVATE[:2]), algorithm)


MUTATIONS = (
    (good, 1),
    (mutated_text, 6),
    (mutated_last_segment, 4),
    (mutated_number, 4),
    (mutated_block, 5),
    (mutated_header, 9),
    (long_token, 1),
)


@pytest.fixture(scope="module")
def tokens():
    rng = random.Random(int(os.environ.get("LATCHKEY_SEED", "1")))
    makers = [make for make, weight in MUTATIONS for _ in range(weight)]
    return [rng.choice(makers)(rng) for _ in range(counts.get("mutated_tokens"))]


def ours(token):
    """(payload, kid) or the code of the refusal."""
    try:
        _, payload, key = jws.verify_compact(token, KEYS)
    except TokenError as exc:
        return exc.code
    return payload, key.kid


def reasons(token, kid):
    return {name for name, applies in REFUSED_BEYOND.items() if applies(token, kid)}


def test_we_accept_nothing_that_another_refuses(tokens):
    accepted = 0
    for token in tokens:
        result = ours(token)
        if isinstance(result, tuple):
            accepted += 1
            for name, accepts in REFERENCES.items():
                assert accepts(token, result[1]) == result[0], (name, token)
    assert len(tokens) >= 2000
    # The run must be significant: both results occur often.
    assert len(tokens) / 20 < accepted < len(tokens) * 3 / 4


def test_what_we_refuse_beyond_the_others_is_on_the_list(tokens):
    used = Counter()
    for token in tokens:
        if isinstance(ours(token), tuple):
            continue
        for kid in HELD:
            for name, accepts in REFERENCES.items():
                if accepts(token, kid) is not None:
                    why = reasons(token, kid)
                    assert why, (name, kid, ours(token), token)
                    used.update(why)
    assert set(used) == set(REFUSED_BEYOND)


def test_every_token_comes_out_alike_on_the_unix_port(tokens, tmp_path):
    rows = tmp_path / "rows"
    with rows.open("w") as file:
        file.write(JWKS + "\n")
        for token in tokens:
            result = ours(token)
            file.write(json.dumps([token.decode("latin-1"), "" if isinstance(result, tuple) else result]) + "\n")
    assert on_port.run("tokens.py", rows) == f"{len(tokens)}\n"
