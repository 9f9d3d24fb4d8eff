"""NIST's vectors (all in `make soak`): SigVer15_186-3, SHA-512 and SHA-384, on both interpreters, all kernels."""

import json
import re
from pathlib import Path

import cryptography_vectors
import on_port
import pytest

import counts
from latchkey import rsa, sha512, sha512_plain
from latchkey.errors import KeySetError, TokenError

VECTORS = Path(cryptography_vectors.__file__).parent
SIGNATURES = VECTORS / "asymmetric" / "RSA" / "FIPS_186-2" / "SigVer15_186-3.rsp"
OURS = {"SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}


def signature_cases():
    """(modulus bits, hash name, n, e, message, signature, accepted) of the whole file."""
    cases = []
    bits, field = 0, {}
    for line in SIGNATURES.read_text().splitlines():
        if size := re.match(r"\[mod = (\d+)\]", line):
            bits = int(size[1])
        elif pair := re.match(r"(\w+) = (\S+)", line):
            field[pair[1]] = pair[2]
            if pair[1] == "Result":
                n, e, message, signature = (field[k] for k in ("n", "e", "Msg", "S"))
                cases.append((bits, field["SHAAlg"], n, int(e, 16), message, signature, pair[2] == "P"))
    return cases


CASES = signature_cases()
FITTING = [(OURS[c[1]], *c[2:]) for c in CASES if c[0] >= 2048 and c[1] in OURS]


def accepts(name, n, e, message, signature):
    try:
        rsa.verify_pkcs1v15(rsa.PublicKey(bytes.fromhex(n), e), name, bytes.fromhex(message), bytes.fromhex(signature))
    except TokenError as exc:
        assert exc.code == "bad_signature"
        return False
    return True


def test_the_file_holds_what_we_think():
    assert len(CASES) == 450
    assert len(FITTING) == 162
    assert sum(case[-1] for case in FITTING) == 27


def test_every_signature_is_judged_as_nist_does_on_cpython():
    for *case, accepted in FITTING:
        assert accepts(*case) == accepted


def test_every_signature_is_judged_as_nist_does_on_the_unix_port(tmp_path):
    rows = tmp_path / "rows"
    rows.write_text("".join(json.dumps(case) + "\n" for case in FITTING))
    assert on_port.run("signature_vectors.py", rows) == "162\n"


def test_smaller_moduli_are_refused_and_other_hashes_too():
    refused = 0
    for bits, algorithm, n, e, message, signature, _ in CASES:
        if bits < 2048:
            with pytest.raises(KeySetError):
                rsa.PublicKey(bytes.fromhex(n), e)
        elif algorithm not in OURS:
            assert not accepts(algorithm.lower(), n, e, message, signature)
        else:
            continue
        refused += 1
    assert refused == 450 - 162


def messages(bits):
    found = []
    for kind in ("Short", "Long"):
        text = (VECTORS / "hashes" / "SHA2" / f"SHA{bits}{kind}Msg.rsp").read_text()
        for size, data, want in re.findall(r"Len = (\d+)\s+Msg = (\w+)\s+MD = (\w+)", text):
            found.append(("message", bits, data[: int(size) // 4], want))
    return found


def chain(bits):
    text = (VECTORS / "hashes" / "SHA2" / f"SHA{bits}Monte.rsp").read_text()
    return ("chain", bits, re.search(r"Seed = (\w+)", text)[1], re.findall(r"MD = (\w+)", text))


MESSAGES = messages(512) + messages(384)
CHAINS = [chain(512), chain(384)]


def test_there_are_all_messages_and_links():
    assert len(MESSAGES) == 2 * (129 + 128)
    assert [len(c[3]) for c in CHAINS] == [100, 100]


def chosen(kernel):
    """The plain kernel is a hundred times slower, and takes some of them."""
    return MESSAGES[:: counts.get("nist_stride")] if kernel == "plain" else MESSAGES


@pytest.mark.parametrize("kernel", ["public", "plain"])
def test_every_message_has_its_digest_on_cpython(kernel):
    public = {512: sha512.sha512, 384: sha512.sha384}
    for _, bits, data, want in chosen(kernel):
        data = bytes.fromhex(data)
        hasher = public[bits](data) if kernel == "public" else sha512.Hash(sha512_plain.block, bits, data)
        assert hasher.hexdigest() == want


@pytest.mark.parametrize("kernel", ["viper", "plain"])
def test_every_message_has_its_digest_on_the_unix_port(kernel, tmp_path):
    rows = tmp_path / "rows"
    rows.write_text("".join(json.dumps(row) + "\n" for row in chosen(kernel)))
    assert on_port.run("sha_vectors.py", kernel, rows) == f"{len(chosen(kernel))}\n"


@pytest.mark.parametrize("row", CHAINS, ids=["512", "384"])
def test_the_viper_kernel_survives_the_monte_carlo_chains(row, tmp_path):
    rows = tmp_path / "rows"
    kind, bits, seed, wants = row
    rows.write_text(json.dumps((kind, bits, seed, wants[: counts.get("nist_links")])) + "\n")
    assert on_port.run("sha_vectors.py", "viper", rows) == "1\n"
