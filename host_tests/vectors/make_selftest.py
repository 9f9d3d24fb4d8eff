"""Write selftest.json: the table that CPython, the unix port and a board walk (firmware/selftest.py).

    .venv/bin/python host_tests/vectors/make_selftest.py

A line for each row, under 4 KB, so that a board reads it as a stream. Keys come from test_keys.json, made for the tests
alone; PKCS1-v1_5 signatures are deterministic, so a new run changes only what was meant.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

HERE = Path(__file__).resolve().parent
HASHES = {"RS256": hashes.SHA256(), "RS512": hashes.SHA512()}
NAMES = {"RS256": "sha256", "RS512": "sha512"}
INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
PAYLOAD = b'{"hello":"world"}'
ROWS = []


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def load_keys():
    texts = json.loads((HERE / "test_keys.json").read_text())
    return [serialization.load_pem_private_key(text.encode(), None) for text in texts]


KEY, SECOND, STRANGER = load_keys()
N = KEY.public_key().public_numbers().n
D = KEY.private_numbers().d
SIZE = 256


def row(op, name, **fields):
    ROWS.append({"op": op, "name": name, **fields})


def public_jwk(key, kid, **more):
    return {
        "kty": "RSA",
        "n": b64(key.public_key().public_numbers().n.to_bytes(SIZE, "big")),
        "e": "AQAB",
        "kid": kid,
        **more,
    }


def text_header(header):
    return header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()


def signing_input(header, payload=PAYLOAD):
    return b64(text_header(header)) + "." + b64(payload)


def token(header, payload=PAYLOAD, key=KEY, alg=None):
    alg = alg or header["alg"]
    text = signing_input(header, payload)
    return text + "." + b64(key.sign(text.encode(), padding.PKCS1v15(), HASHES[alg]))


def raw_token(make_block, alg="RS256"):
    """A token whose signature opens to the block that ``make_block(digest)`` gives, by the real key."""
    text = signing_input({"alg": alg})
    block = make_block(hashlib.new(NAMES[alg], text.encode()).digest())
    assert len(block) == SIZE, len(block)
    return text + "." + b64(pow(int.from_bytes(block, "big"), D, N).to_bytes(SIZE, "big"))


def jws(name, text, want="", keys="A B", **more):
    row("jws", name, keys=keys, token=text, want=want, **more)


def published():
    jws("RFC 7515 A.2", RFC7515, keys="rfc7515", payload=b64(unb64(RFC7515.split(".")[1])))
    jws("RFC 7520 4.1", RFC7520, keys="rfc7520")
    jws("RFC 7520 4.1, the signature's last character changed", RFC7520[:-1] + "Q", "bad_signature", keys="rfc7520")
    jws("the cloud's printed sample, whose key is not published", DRIVR, "bad_signature")


def accepted():
    for alg in ("RS256", "RS512"):
        jws("good " + alg, token({"alg": alg, "typ": "JWT"}))
    jws("good, the second key held", token({"alg": "RS512"}, key=SECOND))
    jws("good, kid names its key", token({"alg": "RS512", "kid": "B"}, key=SECOND))
    jws("good, kid is not held", token({"alg": "RS512", "kid": "C"}))
    jws("good, empty payload", token({"alg": "RS256"}, b""))
    jws("good, unknown header members", token({"alg": "RS256", "x": [1, {"y": None}]}))
    jws("good, header with white space", token(b' {"alg" :\r\n"RS256"}\t', alg="RS256"))
    jws("good, header members escaped", token(b'{"\\u0061lg":"RS\\u0032\\u0035\\u0036"}', alg="RS256"))
    for name in ("jku", "x5u"):
        jws(f"good, {name} is not looked at", token({"alg": "RS256", name: "https://example.invalid/"}))


def algorithms():
    text = signing_input({"alg": "none"})
    jws("alg none without signature", text + ".", "alg_refused")
    jws("alg none with a signature", token({"alg": "none"}, alg="RS256"), "alg_refused")
    for alg in ("None", "rs256", "RS256 ", "RS384", "PS256", "ES256", "HS512", "RS256\0", ""):
        jws("alg " + repr(alg), token({"alg": alg}, alg="RS256"), "alg_refused")
    for value in (None, True, 256, ["RS256"], {"RS256": 1}):
        jws("alg as " + json.dumps(value), token({"alg": value}, alg="RS256"), "alg_refused")
    jws("no alg", token({"typ": "JWT"}, alg="RS256"), "alg_refused")
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = signing_input({"alg": "HS256"})
    jws(
        "HS256 with the public key as secret",
        text + "." + b64(hmac.digest(pem, text.encode(), "sha256")),
        "alg_refused",
    )
    jws("RS512 in the header, signed by RS256", token({"alg": "RS512"}, alg="RS256"), "bad_signature")
    jws("RS256 in the header, signed by RS512", token({"alg": "RS256"}, alg="RS512"), "bad_signature")
    jws("the key is for RS512 only", token({"alg": "RS256"}), "bad_signature", keys="only512")
    jws("the key is for RS512 only, and so it is", token({"alg": "RS512"}), keys="only512")
    jws("kid names a key for RS512 only", token({"alg": "RS256", "kid": "only512"}), "bad_signature", keys="only512 A")
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    text = signing_input({"alg": "RS256"})
    jws("PSS under the name of v1.5", text + "." + b64(KEY.sign(text.encode(), pss, hashes.SHA256())), "bad_signature")


def headers():
    def refused(name, header, code="header_refused"):
        jws(name, token(header, alg="RS256"), code)

    for member, value in (
        ("crit", ["exp"]),
        ("crit", []),
        ("b64", False),
        ("b64", True),
        ("zip", "DEF"),
        ("crit", None),
    ):
        refused(f"{member} {json.dumps(value)}", {"alg": "RS256", member: value})
    for value in ("jwt", "JOSE", "at+jwt", None, 1, ["JWT"]):
        refused("typ " + json.dumps(value), {"alg": "RS256", "typ": value})
    for value in (1, None, ["A"]):
        refused("kid " + json.dumps(value), {"alg": "RS256", "kid": value})
    refused("header is a list", b'["RS256"]')
    refused("header is empty", b"")
    refused("header is null", b"null")
    refused("alg twice", b'{"alg":"RS256","alg":"RS256"}')
    refused("alg twice, once escaped", b'{"alg":"none","\\u0061lg":"RS256"}')
    refused("bytes after the header", b'{"alg":"RS256"} x')
    refused("byte order mark", b'\xef\xbb\xbf{"alg":"RS256"}')
    refused("UTF-16", '{"alg":"RS256"}'.encode("utf-16-le"))
    refused("bad UTF-8 beside alg", b'{"alg":"RS256","x":"\xff"}')
    refused("overlong UTF-8 beside alg", b'{"alg":"RS256","x":"\xc0\xaf"}')
    refused("NaN beside alg", b'{"alg":"RS256","x":NaN}')
    refused("huge number beside alg", b'{"alg":"RS256","x":' + b"9" * 400 + b"}")
    refused("huge exponent beside alg", b'{"alg":"RS256","x":1e999999999}')
    refused("nested deeply", b'{"alg":"RS256","x":' + b"[" * 200 + b"]" * 200 + b"}")
    refused("comma before the end", b'{"alg":"RS256",}')
    refused("single quotes", b"{'alg':'RS256'}")
    jws("header of 512 bytes", token({"alg": "RS256", "x": "y" * 490}))
    jws("header of 513 bytes", token({"alg": "RS256", "x": "y" * 491}), "token_malformed")
    mine = public_jwk(STRANGER, "A")
    for member, value in (
        ("jwk", mine),
        ("jku", "https://example.invalid/jwks"),
        ("x5c", ["MIIB"]),
        ("x5u", "https://a.invalid"),
    ):
        jws(f"forger's {member}", token({"alg": "RS256", member: value}, key=STRANGER), "bad_signature")
    jws("forger's kid is ours", token({"alg": "RS256", "kid": "A"}, key=STRANGER), "bad_signature")
    jws("kid names another key than signed", token({"alg": "RS256", "kid": "B"}), "bad_signature")
    jws("kid is a path", token({"alg": "RS256", "kid": "../../dev/null"}, key=STRANGER), "bad_signature")


def shapes():
    good = token({"alg": "RS256"})
    head, body, signature = good.split(".")
    for name, text in (
        ("empty", ""),
        ("no dot", good.replace(".", "")),
        ("one dot", head + "." + body),
        ("three dots", good + "."),
        ("four segments", good + "." + signature),
        ("five segments", ".".join([head, "", "", body, signature])),
        ("two thousand dots", "." * 2000),
        ("a dot in front", "." + good),
        ("a token of 2,049 bytes", token({"alg": "RS256"}, b"x" * 1262)[:2049].ljust(2049, "A")),
        ("padding after the signature", good + "=="),
        ("padding after the header", head + "=." + body + "." + signature),
        ("white space behind", good + "\n"),
        ("white space in front", " " + good),
        ("white space inside", head + "." + body + " ." + signature),
        ("the CLOUD- prefix", "CLOUD-" + good),
        ("standard base64", good.replace("-", "+").replace("_", "/")),
        ("unused bits set in the signature", good[:-1] + chr(ord(good[-1]) + 1)),
        ("one character beyond a group", head + "." + body + "A" * (1 - len(body) % 4 + 4) + "." + signature),
        ("no ASCII", good[:-2] + "\u00e9\u00e9"),
        ("NUL inside", good[:40] + "\0" + good[41:]),
        ("a signature of 513 bytes", head + "." + body + "." + b64(bytes(513))),
    ):
        jws(name, text, "token_malformed")
    jws("no signature", head + "." + body + ".", "bad_signature")
    jws("payload changed", head + "." + b64(PAYLOAD + b" ") + "." + signature, "bad_signature")
    jws("payload dropped", head + ".." + signature, "bad_signature")
    jws("header changed", b64(b'{"alg": "RS256"}') + "." + body + "." + signature, "bad_signature")
    jws("header dropped", "." + body + "." + signature, "header_refused")


def leading_zero_token():
    """A token whose signature begins with a zero byte: the first of a counted series."""
    for i in range(10000):
        text = token({"alg": "RS256"}, b"%d" % i)
        if unb64(text.split(".")[2])[0] == 0:
            return text
    raise AssertionError


def numbers():
    """Signatures that are other numbers, or the right number in another form."""
    good = token({"alg": "RS256"})
    start = good.rsplit(".", 1)[0] + "."
    signature = unb64(good.rsplit(".", 1)[1])
    s = int.from_bytes(signature, "big")
    for name, data in (
        ("one zero byte in front", b"\0" + signature),
        ("256 zero bytes in front", bytes(256) + signature),
        ("one byte behind", signature + b"\0"),
        ("the first byte gone", signature[1:]),
        ("the last byte gone", signature[:-1]),
        ("twice", signature + signature),
        ("reversed", signature[::-1]),
        ("of zeros", bytes(SIZE)),
        ("of ones", b"\xff" * SIZE),
        ("one", (1).to_bytes(SIZE, "big")),
        ("n", N.to_bytes(SIZE, "big")),
        ("n - 1", (N - 1).to_bytes(SIZE, "big")),
        ("n + 1", (N + 1).to_bytes(SIZE, "big")),
        ("n - s", (N - s).to_bytes(SIZE, "big")),
        ("s with its lowest bit flipped", (s ^ 1).to_bytes(SIZE, "big")),
        ("s with its highest bit flipped", (s ^ 1 << 2047).to_bytes(SIZE, "big")),
        ("s + n in 257 bytes", (s + N).to_bytes(SIZE + 1, "big")),
    ):
        jws("signature " + name, start + b64(data), "bad_signature")
    jws("signature s + n in 256 bytes", plus_n_token(), "bad_signature")
    zero = leading_zero_token()
    start = zero.rsplit(".", 1)[0] + "."
    jws("signature that begins with zero", zero)
    jws("signature without the zero it begins with", start + b64(unb64(zero.rsplit(".", 1)[1])[1:]), "bad_signature")


def plus_n_token():
    """s + n that still has 256 bytes: the same number modulo n."""
    for i in range(10000):
        text = token({"alg": "RS256"}, b"%d" % i)
        start, last = text.rsplit(".", 1)
        s = int.from_bytes(unb64(last), "big") + N
        if s < 1 << 2048:
            return start + "." + b64(s.to_bytes(SIZE, "big"))
    raise AssertionError


def blocks():
    """Blocks that lax parsers take (BERserk and its kin), signed by the real key."""
    info = INFO["sha256"]

    def block(tail, kind=b"\x01", fill=b"\xff", first=b"\0", stop=b"\0"):
        return first + kind + fill * (SIZE - 2 - len(stop) - len(tail)) + stop + tail

    def behind(tail, fill):
        return lambda d: b"\0\1" + b"\xff" * fill + b"\0" + tail(d) + bytes(SIZE - 3 - fill - len(tail(d)))

    no_null = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20"
    long_form = bytes.fromhex("3081313 00d0609608648016503040201050004 20".replace(" ", ""))
    garbage = bytes.fromhex("3081b5300d06096086480165030402010500048180")
    sha1 = bytes.fromhex("3021300906052b0e03021a05000414")
    for name, make in (
        ("block as it must be, by hand", None),
        ("garbage behind the digest", behind(lambda d: info + d, 8)),
        ("garbage behind the digest, long padding", behind(lambda d: info + d, SIZE - 3 - 51 - 1)),
        ("no padding at all", behind(lambda d: info + d, 0)),
        ("parameters without NULL", lambda d: block(no_null + d)),
        ("a length in long form", lambda d: block(long_form + d)),
        ("a digest longer than a digest", lambda d: block(garbage + d + bytes(96))),
        ("digest without DigestInfo", lambda d: block(d)),
        ("digest cut by a byte", lambda d: block(info + d[:-1])),
        ("digest moved to the left", lambda d: block(info + d + b"\0")),
        ("SHA-512's DigestInfo", lambda d: block(INFO["sha512"] + d + d)),
        ("SHA-1's DigestInfo", lambda d: block(sha1 + d[:20])),
        ("block type 2", lambda d: block(info + d, kind=b"\x02")),
        ("block type 0", lambda d: block(info + d, kind=b"\x00", fill=b"\x00")),
        ("one padding byte is not FF", lambda d: block(info + d)[:9] + b"\xfe" + block(info + d)[10:]),
        ("padding without its end", lambda d: block(info + d, stop=b"")),
        ("padding with two ends", lambda d: block(info + d, stop=b"\0\0")),
        ("first byte not zero", lambda d: block(info + d, first=b"\x01")),
    ):
        if make is None:
            jws(name, raw_token(lambda d: block(info + d)))
        else:
            jws(name, raw_token(make), "bad_signature")


def cube_root(n):
    low, high = 0, 1 << (n.bit_length() // 3 + 1)
    while low < high:
        mid = (low + high + 1) // 2
        low, high = (mid, high) if mid**3 <= n else (low, mid - 1)
    return low


def small_exponents():
    """Bleichenbacher's forgery against e = 3: no private key is needed where garbage behind a digest is let through."""
    message = b"forged"
    for name in ("sha256", "sha384", "sha512"):
        want = b"\0\1" + b"\xff" * 8 + b"\0" + INFO[name] + hashlib.new(name, message).digest()
        s = cube_root(int.from_bytes(want.ljust(SIZE, b"\xff"), "big"))
        # SHA-512's 94 bytes leave too little room for a root in 2,048 bits.
        assert (s**3).to_bytes(SIZE, "big").startswith(want) or name == "sha512"
        fields = {"n": N.to_bytes(SIZE, "big").hex(), "hash": name, "message": message.hex()}
        row(
            "rsa",
            "cube root against e = 3, " + name,
            e=3,
            signature=s.to_bytes(SIZE, "big").hex(),
            want="bad_signature",
            **fields,
        )
        good = KEY.sign(message, padding.PKCS1v15(), getattr(hashes, name.upper())())
        row("rsa", "good " + name, e=65537, signature=good.hex(), want="", **fields)
        row(
            "rsa",
            "good " + name + " for another message",
            e=65537,
            signature=good.hex(),
            want="bad_signature",
            **{**fields, "message": "00"},
        )


def one_key():
    good = public_jwk(KEY, "A")

    def key(name, want="key_refused", drop=(), **changes):
        row("jwk", name, jwk={k: v for k, v in {**good, **changes}.items() if k not in drop}, want=want)

    key("key as the cloud publishes it", "")
    key("no kid", "", drop=("kid",))
    key("use sig", "", use="sig")
    key("use enc", use="enc")
    key("use null", use=None)
    key("key_ops verify", "", key_ops=["verify"])
    key("key_ops encrypt", key_ops=["encrypt", "wrapKey"])
    key("key_ops a string", key_ops="verify")
    key("alg RS256", "", alg="RS256")
    key("alg RS512", "", alg="RS512")
    for alg in ("RS384", "PS256", "RSA-OAEP", "none", None):
        key("alg " + str(alg), alg=alg)
    for member in ("d", "p", "q", "dp", "dq", "qi", "oth", "k"):
        key("private member " + member, **{member: "AQAB"})
    for kty in ("EC", "oct", "rsa", None):
        key("kty " + str(kty), kty=kty)
    key("no kty", drop=("kty",))
    key("no n", drop=("n",))
    key("no e", drop=("e",))
    key("a kid of 128 characters", "", kid="k" * 128)
    key("a kid of 129 characters", kid="k" * 129)
    key("a kid that is a number", kid=1)
    key("the placeholder of the cloud's page", n="1", kid="1")
    key("n of 2,047 bits", n=b64((N >> 1 | 1).to_bytes(SIZE, "big")))
    key("n of 1,024 bits", n=b64((N >> 1024 | 1).to_bytes(128, "big")))
    key("n of 4,096 bits", "", n=b64(((N << 2048) + 1).to_bytes(512, "big")))
    key("n of 4,097 bits", n=b64(((N << 2049) + 1).to_bytes(513, "big")))
    key("n even", n=b64((N - 1).to_bytes(SIZE, "big")))
    key("n with a zero byte in front", "", n=b64(N.to_bytes(SIZE + 1, "big")))
    key("n padded", n=good["n"] + "==")
    key("n in hexadecimal", n=N.to_bytes(SIZE, "big").hex() * 2)
    key("n a number", n=3)
    key("n empty", n="")
    for e in (0, 1, 2, 3, 17, 65535, 65536, 65538, 1 << 32, (1 << 32) + 1, (1 << 64) + 1):
        key(f"e = {e}", e=b64(e.to_bytes(9, "big").lstrip(b"\0")))
    key("e = 65539", "", e=b64((65539).to_bytes(3, "big")))
    key("e = 2**32 - 1", "", e=b64(b"\xff" * 4))
    key("e a number", e=65537)


def key_sets():
    a, b = public_jwk(KEY, "A"), public_jwk(SECOND, "B")

    def keys(name, document, want, refused=0):
        text = document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))
        row("set", name, text=text, want=want, refused=refused)

    keys("two keys", {"keys": [a, b]}, "A B")
    keys("other members beside keys", {"x": {"keys": [1]}, "keys": [a], "y": 1}, "A")
    keys("a bad one beside a good one", {"keys": [{"kty": "EC"}, a]}, "A", 1)
    keys("members that are no objects", {"keys": [1, None, "x", [], a]}, "A", 4)
    keys("one kid twice", {"keys": [a, b, public_jwk(SECOND, "A")]}, "B", 2)
    keys("one kid three times", {"keys": [a, public_jwk(SECOND, "A"), b, public_jwk(STRANGER, "A")]}, "B", 3)
    keys("one kid twice and nothing else", {"keys": [a, a]}, "no_usable_key")
    keys("two keys without kid", {"keys": [{k: v for k, v in x.items() if k != "kid"} for x in (a, b)]}, "- -")
    keys("a name twice in a key", {"keys": [b]}, "B")
    keys("a name twice in one key", '{"keys":[' + json.dumps(a)[:-1] + ',"kty":"RSA"},' + json.dumps(b) + "]}", "B", 1)
    keys(
        "a set of the placeholder alone",
        {"keys": [{"n": "1", "e": "AQAB", "kty": "RSA", "kid": "1"}]},
        "no_usable_key",
    )
    keys("no key", {"keys": []}, "no_usable_key")
    for name, text in (
        ("empty text", ""),
        ("an empty object", "{}"),
        ("a list", "[]"),
        ("keys is an object", '{"keys":{}}'),
        ("keys is null", '{"keys":null}'),
        ("keys twice", '{"keys":[],"keys":[]}'),
        ("bytes behind", json.dumps({"keys": [a]}) + "x"),
        ("a byte order mark", "\ufeff" + json.dumps({"keys": [a]})),
    ):
        keys(name, text, "json_refused")
    keys("a set cut short", json.dumps({"keys": [a]})[:-2], "truncated")


def small_parts():
    for text, value in (("", ""), ("AA", "00"), ("AAA", "0000"), ("-_-_", "fbffbf"), ("Zm9vYmFy", "666f6f626172")):
        row("b64url", "base64url " + text, text=text, want=value)
    for text in (
        "A",
        "AB",
        "AAB",
        "AA=",
        "AA==",
        "+/AA",
        "A A",
        "AA\n",
        "AAAAA",
        "\u00e9AAA",
        "AA.A",
        "=",
        "A===",
        "A" * 256 + "\n",
    ):
        row("b64url", "base64url " + repr(text[-9:]), text=text, want="refused")
    for name in ("sha384", "sha512"):
        for text, times in (
            ("", 1),
            ("abc", 1),
            ("a", 111),
            ("a", 112),
            ("a", 127),
            ("a", 128),
            ("a", 129),
            ("0123456789", 500),
        ):
            want = hashlib.new(name, (text * times).encode()).hexdigest()
            row("sha2", f"{name} of {times} times {text!r}", hash=name, text=text, times=times, want=want)


def some_number(bits, name):
    """The same for everybody, and looks random."""
    text = b"".join(hashlib.sha512(f"{name} {i}".encode()).digest() for i in range(8))
    return int.from_bytes(text, "big") >> 512 * 8 - bits


def powers():
    """Whole powers, which the bignum kernel does where there is one."""

    def power(name, n, s, e=65537):
        size = (n.bit_length() + 7) // 8
        want = pow(s, e, n).to_bytes(size, "big").hex() if s < n else "refused"
        numbers = {"n": f"{n:0{2 * size}x}", "s": f"{s:0{2 * size}x}"}
        row("power", f"power of {n.bit_length()} bits, {name}", e=e, want=want, **numbers)

    for bits in (2048, 2049, 2303, 3072, 4095, 4096):
        n = some_number(bits, "n") | 1 << bits - 1 | 1
        power("e = 65537", n, some_number(bits, "s") % n)
    n = some_number(2048, "m") | 1 << 2047 | 1
    for e in (3, (1 << 32) - 1):
        power(f"e = {e}", n, some_number(2048, "t") % n, e)
    power("ones, of n - 1", (1 << 4096) - 1, (1 << 4096) - 2)
    power("ones, of its half", (1 << 2048) - 1, 1 << 2047)
    power("one bit and 1, of one bit", (1 << 2047) + 1, 1 << 2047)
    power("of 0", n, 0)
    power("of n", n, n)


RFC7515 = (
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZ"
    "cAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-e"
    "OkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
RFC7515_N = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs"
    "D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV"
    "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
)
RFC7520 = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kb"
    "ywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJ"
    "lzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKt"
    "ainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrU"
    "CTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZ"
    "Dnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"
)
RFC7520_N = (
    "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYO"
    "YL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8"
    "lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"
)
DRIVR = (
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiI1MzA4ODZlYS1kYTA3LTQ5MjctYWRlMC1iNDljMDVkNjU1ZjQiLCJzdWIiOiIxYWQ2ZmIxYS"
    "1jMzhlLTRkNjgtYWQ0NC0yNDhiODhkNWZkMTMiLCJpc3MiOiJodHRwczovL2FkYW0uYXBpLmRyaXZyLmNsb3VkIiwiYXVkIjoiZjNhMjBmNzAtMzAyMS00M"
    "mY1LWI5YjktOWVhNjJlMmVhYzJhIiwiZXhwIjoxNzMwOTEzNDk4LCJuYmYiOjE3MzA3NDA2MzgsImlhdCI6MTczMDc0MDY5OCwibmFtZSI6Ik1hcmllIEN1"
    "cmllIiwidHlwZW5hbWUiOiJVU0VSIiwicm9sZXMiOlt7InV1aWQiOiIyZmFhNjg3MC05MWIwLTRiM2EtODRlOC04YmJiZDhiZWNiZDAiLCJuYW1lIjoiU3l"
    "zdGVtIE1haW50YWluZXIifV19.kaIIr5Jn25hvG-kHB2yiJlggpaJ7OUHfCjXK5_wJZeMsgC3I3w_8FXc4_n7C1730T55Ze6Awsq_28d-Cdxmokv5Gh3WP"
    "nDoFCGtqqnDK-VEChtl6UwNvc6a4cHHKVFapRjvdRklCtqWL__mpU5D41hVqU9ROrmdZvu-Vh7pyezzNGwRPPNeWcczBtSQ7NtWdLxYzpIcGPOiM8NCck5H"
    "4CcL7qE5ly95Ns_gZvV15iYOlKe53XqB8IGCg9ImLFOKsXruuCzWZKTzFNP-PqRHPgOCB0LdYIxg16uFKCZuEG2U2bIyFG0UHwMmtBy7tDy7Hivsl_j_QTh"
    "OGeErOFS3lGQ"
)


def main():
    row("key", "A", jwk=public_jwk(KEY, "A"))
    row("key", "B", jwk=public_jwk(SECOND, "B"))
    row("key", "only512", jwk=public_jwk(KEY, "only512", alg="RS512"))
    row("key", "rfc7515", jwk={"kty": "RSA", "n": RFC7515_N, "e": "AQAB"})
    row(
        "key",
        "rfc7520",
        jwk={"kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "n": RFC7520_N, "e": "AQAB"},
    )
    for part in (
        small_parts,
        powers,
        published,
        accepted,
        algorithms,
        headers,
        shapes,
        numbers,
        blocks,
        small_exponents,
        one_key,
        key_sets,
    ):
        part()
    names = [r["name"] for r in ROWS]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    lines = [json.dumps(r, separators=(",", ":")) for r in ROWS]
    assert max(map(len, lines)) < 4096
    (HERE / "selftest.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(len(ROWS), "rows")


if __name__ == "__main__":
    main()
