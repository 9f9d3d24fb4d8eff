"""RSA keys of a maker: public ones from files, and signatures by a private key or by a program of the maker's.

A signer is ``sign(data) -> bytes``: RSASSA-PKCS1-v1_5 with SHA-256 or SHA-512 (RFC 7518 section 3.3).
"""

import contextlib
import hashlib
import json
import os
import select
import shlex
import subprocess
import time

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from latchkey_tools import reading
from latchkey_tools.cli import ask, show
from latchkey_tools.sim.signing import b64url, b64url_int, unb64url

HASHES = {"RS256": hashes.SHA256(), "RS512": hashes.SHA512()}
# The keys that a device verifies with (firmware/latchkey/jwk.py).
_LEAST_BITS, _MOST_BITS = 2048, 4096
# Somebody may have to type a PIN, or to touch a device.
_SIGN_WITHIN_S = 300
_CALL = "it reads what is to be signed on standard input, and writes the bare signature to standard output"


def public(path):
    """The RSA public key in ``path``: PEM, a certificate in PEM, or a JWK."""
    content = reading.content(path)
    if b"PRIVATE KEY" in content:
        todo = f"openssl pkey -in {shlex.quote(str(path))} -pubout -out FILE"
        raise ValueError(f"{path} is a private key; make its public one: {todo}")
    key = _of_jwk(path, content) if content.lstrip()[:1] == b"{" else _of_pem(path, content)
    _check(path, key)
    return key


def jwk(key):
    """The members of a JWK (RFC 7518 section 6.3.1) for a public key, as a device is given them."""
    numbers = key.public_numbers()
    return {"kty": "RSA", "n": b64url_int(numbers.n), "e": b64url_int(numbers.e)}


def thumbprint(members):
    """The SHA-256 thumbprint (RFC 7638) of a JWK's members, to be compared by eye."""
    text = json.dumps({"e": members["e"], "kty": "RSA", "n": members["n"]}, separators=(",", ":"))
    return b64url(hashlib.sha256(text.encode()).digest())


def by_key(path, alg):
    """A signer with the private key in the PEM file ``path``; an encrypted one is asked for its passphrase."""
    key = _private(path, reading.content(path))
    _check(path, key)
    show.say_if_open(path)
    return signer(key, alg)


def signer(key, alg):
    """A signer with a private key (of ``cryptography``)."""
    return lambda data: key.sign(data, padding.PKCS1v15(), HASHES[alg])


def by_command(command, alg):
    """A signer that runs ``command``, words as a shell has them but without a shell."""
    try:
        words = shlex.split(command)
    except ValueError as problem:
        raise ValueError(f"--sign-command {command[:40]}: {problem}; write its words as in a shell") from None
    if not words:
        raise ValueError(f"--sign-command names no program; {_CALL}")

    def sign(data):
        status, signature = _answer(words, data)
        long = len(signature) * 8 > _MOST_BITS
        if status and not long:
            ended = f"ended with exit status {status}" if status > 0 else f"was ended by signal {-status}"
            raise ValueError(f"the signing command {words[0]} {ended}; {_CALL}")
        if long or len(signature) * 8 < _LEAST_BITS:
            count = f"over {_MOST_BITS // 8}" if long else len(signature)
            wrote = f"wrote {count} bytes, which is not a signature by {alg}"
            raise ValueError(f"the signing command {words[0]} {wrote}; {_CALL}")
        return signature

    return sign


def fits(key, alg, data, signature):
    """Whether a public key's owner has signed ``data``."""
    try:
        key.verify(signature, data, padding.PKCS1v15(), HASHES[alg])
    except InvalidSignature:
        return False
    return True


def _answer(words, data):
    """(exit status, the first bytes written, one more than a signature has at most) of a program that gets ``data``."""
    deadline = time.monotonic() + _SIGN_WITHIN_S
    try:
        program = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as problem:
        raise ValueError(f"--sign-command {words[0]}: {problem.strerror}; check how it is written") from None
    try:
        with contextlib.suppress(BrokenPipeError), program.stdin as given:
            given.write(data)
        found = _first_bytes(program, deadline)
        # One that writes without end ends.
        program.stdout.close()
        return program.wait(max(deadline - time.monotonic(), 1)), found
    except subprocess.TimeoutExpired:
        late = f"the signing command {words[0]} did not end within {_SIGN_WITHIN_S // 60} minutes"
        raise ValueError(f"{late}; see what it waits for, and run the same again") from None
    finally:
        program.kill()
        program.stdout.close()
        program.wait()


def _first_bytes(program, deadline):
    """Until it ends: a program that it started may keep its output open."""
    found = b""
    while len(found) <= _MOST_BITS // 8:
        ended = program.poll() is not None
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(program.args, _SIGN_WITHIN_S)
        if select.select([program.stdout], [], [], 0 if ended else 0.1)[0]:
            part = os.read(program.stdout.fileno(), _MOST_BITS // 8 + 1 - len(found))
            if not part:
                break
            found += part
        elif ended:
            break
    return found


def _of_pem(path, content):
    try:
        if b"-----BEGIN CERTIFICATE" in content:
            return x509.load_pem_x509_certificate(content).public_key()
        return serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{path} has no public key in PEM, nor is it a JWK; check which file it is") from None


def _of_jwk(path, content):
    try:
        members = json.loads(content)
        n, e = (int.from_bytes(unb64url(members[name]), "big") for name in ("n", "e"))
        return rsa.RSAPublicNumbers(e, n).public_key()
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{path} is not a JWK of an RSA key; give a PEM file, or one JWK with n and e") from None


def _private(path, content):
    try:
        return serialization.load_pem_private_key(content, None)
    except TypeError:
        without = f"{path} is encrypted, and there is no terminal to ask at; call this at one, or give --sign-command"
        passphrase = ask.secret(f"Passphrase of {path}", without)
    except (ValueError, UnsupportedAlgorithm):
        only = ", only a public one" if b"PUBLIC KEY" in content else ""
        raise ValueError(f"{path} has no private key in PEM{only}; check which file it is") from None
    try:
        return serialization.load_pem_private_key(content, passphrase.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"the passphrase does not open {path}; type it again") from None


def _check(path, key):
    if not isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        raise ValueError(f"{path} is not an RSA key; devices verify only RSA, of {_LEAST_BITS} to {_MOST_BITS} bits")
    numbers = key.public_numbers() if isinstance(key, rsa.RSAPublicKey) else key.public_key().public_numbers()
    if not _LEAST_BITS <= key.key_size <= _MOST_BITS or not 65537 <= numbers.e < 1 << 32:
        words = f"devices take {_LEAST_BITS} to {_MOST_BITS} bits, and e from 65537 on"
        raise ValueError(f"{path} is an RSA key of {key.key_size} bits with e {numbers.e}; {words}")
