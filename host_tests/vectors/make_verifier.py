"""Write verifier.json: tokens and the code each must be answered with.

    .venv/bin/python host_tests/vectors/make_verifier.py

The two keys are made for the tests alone and are in test_keys.json, so that a new run changes only what was meant.
Rows: [name, token, expected code or "" for a grant]. Every row is judged with the settings at the top of the file.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

HERE = Path(__file__).resolve().parent
SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
OTHER = "f3a20f70-3021-42f5-b9b9-9ea62e2eac2a"
ISSUER = "https://company-example.api.drivr.cloud"
OWNER = {"uuid": "8d86661d-985d-4878-a8f5-69723acfa364", "name": "Domain Owner"}
NOW = 1763900000
PAGE_HEADER = {"alg": "RS512", "typ": "JWT"}
DIGEST_INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def load_keys():
    """Three RSA-2048 private keys, the third a stranger's; made once and kept."""
    path = HERE / "test_keys.json"
    if not path.exists():
        made = [rsa.generate_private_key(65537, 2048) for _ in range(3)]
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.write_text(json.dumps([k.private_bytes(*pem).decode() for k in made], indent=1) + "\n")
    return [serialization.load_pem_private_key(p.encode(), None) for p in json.loads(path.read_text())]


KEY, SECOND, STRANGER = load_keys()


def claims(**changes):
    base = {
        "jti": "530886ea-da07-4927-ade0-b49c05d655f4",
        "sub": "1ad6fb1a-c38e-4d68-ad44-248b88d5fd13",
        "iss": ISSUER,
        "aud": SYSTEM,
        "exp": NOW + 86400,
        "nbf": NOW - 120,
        "iat": NOW - 60,
        "name": "Marie Curie",
        "typename": "USER",
        "roles": [OWNER],
    }
    base.update(changes)
    return {k: v for k, v in base.items() if v is not ...}


def text(value):
    return json.dumps(value, separators=(",", ":")).encode() if isinstance(value, dict | list) else value


def sign(data, key=KEY, hash_name="sha512"):
    return key.sign(data, padding.PKCS1v15(), getattr(hashes, hash_name.upper())())


def token(payload=None, header=PAGE_HEADER, key=KEY, hash_name="sha512", signer=None, prefix="CLOUD-"):
    payload = claims() if payload is None else payload
    signing_input = b64(text(header)) + "." + b64(text(payload))
    signature = signer(signing_input.encode()) if signer else sign(signing_input.encode(), key, hash_name)
    return f"{prefix}{signing_input}.{b64(signature)}"


def raw_power(block, key=KEY):
    """The private key's result for any block: the forms that padding attacks aim for."""
    n = key.public_key().public_numbers().n
    return pow(int.from_bytes(block, "big"), key.private_numbers().d, n).to_bytes(256, "big")


def block(data, info=None, fill=b"\xff", tail=b"", start=b"\x00\x01", separator=b"\x00", size=256, hash_name="sha512"):
    digest_info = (DIGEST_INFO[hash_name] if info is None else info) + hashlib.new(hash_name, data).digest()
    room = size - len(start) - len(separator) - len(digest_info) - len(tail)
    return start + fill * room + separator + digest_info + tail


def padded(**how):
    return lambda data: raw_power(block(data, **how))


def hmac_with(secret, hash_name="sha256"):
    return lambda data: hmac.new(secret, data, hash_name).digest()


def public_pem():
    return KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def embedded_jwk(key):
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "n": b64(numbers.n.to_bytes(256, "big")), "e": "AQAB"}


def plus_n(signature):
    n = KEY.public_key().public_numbers().n
    return (int.from_bytes(signature, "big") + n).to_bytes(257, "big")


def pss(data):
    return KEY.sign(data, padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512())


def flip(signature, bit):
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def accepted():
    yield "as on the page, RS512", token()
    yield "RS256", token(header={"alg": "RS256", "typ": "JWT"}, hash_name="sha256")
    yield "another token", token(claims(jti="b70f330a-c8d1-4bf8-8763-d59d455f9c1e", sub=OTHER))
    yield "no typ", token(header={"alg": "RS512"})
    yield "the second key, no kid", token(key=SECOND)
    yield "a kid we hold", token(header={**PAGE_HEADER, "kid": "second"}, key=SECOND)
    yield "a kid we do not hold: every key is tried", token(header={**PAGE_HEADER, "kid": "elsewhere"})
    yield "permanent, exp absent", token(claims(exp=...))
    yield "permanent, exp null", token(claims(exp=None))
    yield "aud in a list", token(claims(aud=[OTHER, SYSTEM]))
    yield "aud in upper case is the same UUID", token(claims(aud=SYSTEM.upper()))
    yield "nbf within the skew", token(claims(nbf=NOW + 59))
    yield "expired within the skew", token(claims(exp=NOW - 59))
    yield "no name, no typename", token(claims(name=..., typename=...))
    yield "an unknown role beside a known one", token(claims(roles=[{"uuid": OTHER, "name": "Cook"}, OWNER]))
    yield "unknown header members are not looked at", token(header={**PAGE_HEADER, "x": {"y": [1]}})
    yield "embedded key of our own is not looked at", token(header={**PAGE_HEADER, "jwk": embedded_jwk(SECOND)})


def refused_shapes():
    good = token()
    head, body, tail = good[6:].split(".")
    yield "empty", "", "token_malformed"
    yield "prefix alone", "CLOUD-", "token_malformed"
    yield "no prefix", good[6:], "token_malformed"
    yield "prefix in lower case", "cloud-" + good[6:], "token_malformed"
    yield "prefix twice", "CLOUD-" + good, "token_malformed"
    yield "space before", " " + good, "token_malformed"
    yield "newline after", good + "\n", "token_malformed"
    yield "two segments", f"CLOUD-{head}.{body}", "token_malformed"
    yield "four segments", good + ".AA", "token_malformed"
    yield "two thousand dots", "CLOUD-" + "." * 2000, "token_malformed"
    yield "empty header", f"CLOUD-.{body}.{tail}", "header_refused"
    yield "padded base64", f"CLOUD-{head}.{body}.{tail}==", "token_malformed"
    yield "standard alphabet", f"CLOUD-{head}.{body}.{tail[:-2]}+/", "token_malformed"
    yield "over 2,048 bytes", token(claims(x="x" * 2000)), "token_malformed"
    yield "header over 512 bytes", token(header={**PAGE_HEADER, "x": "x" * 500}), "token_malformed"
    # 256 bytes leave four unused bits in the last character; any of them set is a second spelling.
    yield "unused bits set", good[:-1] + chr(ord(good[-1]) + 1), "token_malformed"


def refused_headers():
    for alg in ("none", "None", "NONE", "nOnE", ""):
        yield f"alg {alg!r}", token(header={"alg": alg}, signer=lambda _: b"x"), "alg_refused"
    yield "alg none, empty signature", token(header={"alg": "none"}, signer=lambda _: b""), "alg_refused"
    with_pem = hmac_with(public_pem())
    yield "HS256 keyed with the public PEM", token(header={"alg": "HS256"}, signer=with_pem), "alg_refused"
    yield "HS512 keyed with n", token(header={"alg": "HS512"}, signer=hmac_with(b"n", "sha512")), "alg_refused"
    for alg in ("RS384", "PS256", "PS512", "ES256", "EdDSA", "rs512", "RS512 "):
        yield f"alg {alg!r}", token(header={"alg": alg}), "alg_refused"
    yield "alg missing", token(header={"typ": "JWT"}), "alg_refused"
    yield "alg a list", token(header={"alg": ["RS512"]}), "alg_refused"
    yield "alg null", token(header={"alg": None}), "alg_refused"
    yield "crit", token(header={**PAGE_HEADER, "crit": ["exp"]}), "header_refused"
    yield "b64 false", token(header={**PAGE_HEADER, "b64": False}), "header_refused"
    yield "zip", token(header={**PAGE_HEADER, "zip": "DEF"}), "header_refused"
    yield "typ of another kind", token(header={"alg": "RS512", "typ": "at+jwt"}), "header_refused"
    yield "kid a number", token(header={**PAGE_HEADER, "kid": 1}), "header_refused"
    yield "duplicate alg", token(header=b'{"alg":"RS512","alg":"RS512"}'), "header_refused"
    yield "duplicate by escape", token(header=b'{"alg":"RS512","\\u0061lg":"none"}'), "header_refused"
    yield "header an array", token(header=b'["RS512"]'), "header_refused"
    yield "header not JSON", token(header=b"RS512"), "header_refused"
    yield "header with a BOM", token(header=b'\xef\xbb\xbf{"alg":"RS512"}'), "header_refused"
    yield "header with bytes after", token(header=b'{"alg":"RS512"}x'), "header_refused"
    yield "header not UTF-8", token(header=b'{"alg":"RS512","x":"\xff"}'), "header_refused"
    yield "header nested deeply", token(header=b'{"alg":"RS512","x":' + b"[" * 99 + b"]" * 99 + b"}"), "header_refused"


def refused_signatures():
    bad = "bad_signature"
    yield "a stranger's key", token(key=STRANGER), bad
    for name in ("jwk", "jku", "x5u", "x5c"):
        value = {"jwk": embedded_jwk(STRANGER), "x5c": ["AAAA"]}.get(name, "https://evil.example/keys")
        short = {"alg": "RS512", name: value} if name != "jwk" else {"alg": "RS512", "jwk": value}
        yield f"a stranger's key with {name}", token(header=short, key=STRANGER), bad
    yield "first bit flipped", token(signer=lambda d: flip(sign(d), 7)), bad
    yield "last bit flipped", token(signer=lambda d: flip(sign(d), 2040)), bad
    yield "RS512 header on an RS256 signature", token(hash_name="sha256"), bad
    yield "RS256 header on an RS512 signature", token(header={"alg": "RS256"}), bad
    yield "a kid that names the other key", token(header={**PAGE_HEADER, "kid": "second"}), bad
    yield "signature empty", token(signer=lambda _: b""), bad
    yield "signature of zeros", token(signer=lambda _: bytes(256)), bad
    yield "signature one", token(signer=lambda _: bytes(255) + b"\1"), bad
    yield "signature n - 1", token(signer=lambda _: (KEY.public_key().public_numbers().n - 1).to_bytes(256, "big")), bad
    yield "s + n", token(signer=lambda d: plus_n(sign(d))), bad
    yield "a zero before", token(signer=lambda d: b"\0" + sign(d)), bad
    yield "one byte short", token(signer=lambda d: sign(d)[:-1]), bad
    yield "one byte long", token(signer=lambda d: sign(d) + b"\0"), bad
    yield "PSS for v1.5", token(signer=pss), bad
    yield "garbage after the digest", token(signer=padded(tail=b"garbage!")), bad
    yield "garbage fills the block", token(signer=padded(fill=b"\xff", tail=b"x" * 150)), bad
    yield "block type 2", token(signer=padded(start=b"\0\2")), bad
    yield "no zero before the block", token(signer=padded(start=b"\1\1")), bad
    yield "fill not all ones", token(signer=padded(fill=b"\xfe")), bad
    yield "separator not zero", token(signer=padded(separator=b"\1")), bad
    without_null = bytes.fromhex("304f300b0609608648016503040203" + "0440")
    yield "no NULL in the algorithm", token(signer=padded(info=without_null)), bad
    long_form = bytes.fromhex("308151300d060960864801650304020305000440")
    yield "a length in long form", token(signer=padded(info=long_form)), bad
    yield "SHA-256's name on a SHA-512 digest", token(signer=padded(info=DIGEST_INFO["sha256"])), bad
    yield "no DigestInfo", token(signer=padded(info=b"")), bad
    signed = token()
    yield "payload swapped", swap(signed, 1, claims(roles=[])), bad
    yield "header swapped", swap(signed, 0, {"typ": "JWT", "alg": "RS512"}), bad
    for name, payload in (("an array", b"[]"), ("not JSON", b"hello"), ("empty", b"")):
        yield f"payload {name}, unsigned", token(payload, signer=lambda _: bytes(256)), bad


def swap(signed, index, value):
    parts = signed[6:].split(".")
    parts[index] = b64(text(value))
    return "CLOUD-" + ".".join(parts)


def refused_claims():
    wrong = "claims_refused"
    good = json.dumps(claims(), separators=(",", ":")).encode()
    yield "another System", token(claims(aud=OTHER)), "wrong_system"
    yield "another System, unsigned", token(claims(aud=OTHER), signer=lambda _: bytes(256)), "wrong_system"
    yield "aud in a list without ours", token(claims(aud=[OTHER])), "wrong_system"
    yield "aud our UUID and more", token(claims(aud=SYSTEM + " ")), "wrong_system"
    yield "aud a wildcard", token(claims(aud="*")), "wrong_system"
    for name, value in (("missing", ...), ("null", None), ("a number", 7), ("empty", []), ("mixed", [SYSTEM, 1])):
        yield f"aud {name}", token(claims(aud=value)), wrong
    yield "another issuer", token(claims(iss="https://test.api.drivr.cloud")), "wrong_issuer"
    yield "issuer with a slash", token(claims(iss=ISSUER + "/")), "wrong_issuer"
    yield "issuer missing", token(claims(iss=...)), "wrong_issuer"
    yield "expired", token(claims(exp=NOW - 61, iat=NOW - 900)), "expired"
    yield "expired at the skew's last second", token(claims(exp=NOW - 60, iat=NOW - 900)), "expired"
    yield "expired, unsigned", token(claims(exp=NOW - 999, iat=1), signer=lambda _: bytes(256)), "expired"
    yield "not yet valid", token(claims(nbf=NOW + 3600)), "not_yet_valid"
    yield "not yet valid by a second", token(claims(nbf=NOW + 61)), "not_yet_valid"
    yield "exp before 1970", token(claims(exp=-1)), wrong
    for name, value in (
        ("a string", str(NOW + 999)),
        ("a float", NOW + 999.5),
        ("10**18", 10**18),
        ("true", True),
        ("false", False),
        ("a list", [NOW + 999]),
    ):
        yield f"exp {name}", token(claims(exp=value)), wrong
        yield f"nbf {name}", token(claims(nbf=value)), wrong
        yield f"iat {name}", token(claims(iat=value)), wrong
    yield "exp 10**30", token(claims(exp=10**30)), wrong
    yield "exp as 1e10", token(good.replace(b'"exp":%d' % (NOW + 86400), b'"exp":1e10')), wrong
    yield "iat later than exp", token(claims(iat=NOW + 90000)), wrong
    for name in ("jti", "sub"):
        yield f"{name} missing", token(claims(**{name: ...})), wrong
        yield f"{name} a number", token(claims(**{name: 1})), wrong
    yield "jti no UUID", token(claims(jti="530886ea-da07-4927-ade0")), wrong
    yield "jti in braces", token(claims(jti="{530886ea-da07-4927-ade0-b49c05d655f4}")), wrong
    yield "name of 129 characters", token(claims(name="x" * 129)), wrong
    yield "name a list", token(claims(name=["Marie"])), wrong
    yield "roles a string", token(claims(roles="Domain Owner")), wrong
    yield "a role as a string", token(claims(roles=["Domain Owner"])), wrong
    yield "a role without UUID", token(claims(roles=[{"name": "Domain Owner"}])), wrong
    yield "a role without name", token(claims(roles=[{"uuid": OWNER["uuid"]}])), wrong
    for name, changes in (
        ("no roles", {"roles": []}),
        ("roles absent", {"roles": ...}),
        ("roles null", {"roles": None}),
        ("a role nobody knows", {"roles": [{"uuid": OTHER, "name": "Visitor"}]}),
        ("a role that differs in case", {"roles": [{**OWNER, "name": "domain owner"}]}),
    ):
        yield name, token(claims(**changes)), "no_permission"
    yield "payload with a name twice", token(good[:-1] + b',"exp":1}'), wrong
    yield "payload with bytes after", token(good + b" x"), wrong
    yield "payload with a BOM", token(b"\xef\xbb\xbf" + good), wrong
    yield "payload not UTF-8", token(good.replace(b"Marie", b"Mari\xff")), wrong
    yield "payload with NaN", token(good[:-1] + b',"x":NaN}'), wrong
    yield "payload an array", token(b"[" + good + b"]"), wrong
    yield "payload empty", token(b""), wrong
    yield "payload nested deeply", token(good[:-1] + b',"x":' + b"[" * 60 + b"]" * 60 + b"}"), wrong
    yield "a lone surrogate", token(good.replace(b"Marie", b"\\ud800")), wrong


def main():
    rows = [[name, t, ""] for name, t in accepted()]
    for table in (refused_shapes, refused_headers, refused_signatures, refused_claims):
        rows += [list(row) for row in table()]
    names = [row[0] for row in rows]
    if len(set(names)) != len(names):
        raise SystemExit("two rows share a name")
    keys = [{"kty": "RSA", "kid": kid, **embedded_jwk(key)} for kid, key in (("first", KEY), ("second", SECOND))]
    table = {"system_uuid": SYSTEM, "issuer": ISSUER, "now_unix_s": NOW, "jwks": {"keys": keys}, "rows": rows}
    (HERE / "verifier.json").write_text(json.dumps(table, indent=0) + "\n")
    print(f"{len(rows)} rows")


if __name__ == "__main__":
    main()
