"""Measure the verifier on CPython and on the MicroPython unix port: one table for each. `make bench`.

    python -m latchkey_tools.dev.bench [--turns 40]

Times are the least of all turns, which alternate. A desk is not timed like a chip: integers have 32-bit
digits here and 16-bit ones there (docs/measurements.md).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from rich.console import Console
from rich.table import Table

from latchkey_tools.boards import build
from latchkey_tools.sim.signing import b64url

SCRIPTS = build.ROOT / "host_tests" / "bench"
SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
NOW = 1763900000
HASHES = {"RS256": hashes.SHA256(), "RS512": hashes.SHA512()}
SIZES = (2048, 3072, 4096)


def claims(roles):
    return {
        "jti": "530886ea-da07-4927-ade0-b49c05d655f4",
        "sub": "1ad6fb1a-c38e-4d68-ad44-248b88d5fd13",
        "iss": "https://company-example.api.drivr.cloud",
        "aud": SYSTEM,
        "exp": NOW + 86400,
        "nbf": NOW - 120,
        "iat": NOW - 60,
        "name": "",
        "typename": "USER",
        "roles": [{"uuid": f"8d86661d-985d-4878-a8f5-69723acfa3{i:02x}", "name": "Domain Owner"} for i in range(roles)],
    }


def signed(key, algorithm, members):
    text = ".".join(
        b64url(json.dumps(part, separators=(",", ":")).encode()) for part in ({"alg": algorithm, "typ": "JWT"}, members)
    )
    return "CLOUD-" + text + "." + b64url(key.sign(text.encode(), padding.PKCS1v15(), HASHES[algorithm]))


def make_case(bits, algorithm, token_bytes=None, key=None):
    """A key set and a good token, of about ``token_bytes`` (up to 4 more) or of one role, with what judges it."""
    key = key or rsa.generate_private_key(65537, bits)
    n = key.public_key().public_numbers().n
    roles = 1
    while token_bytes and len(signed(key, algorithm, claims(roles + 1))) <= token_bytes:
        roles += 1
    members = claims(roles)
    while len(signed(key, algorithm, members)) < (token_bytes or 0):
        members["name"] += "x"
    return {
        "bits": bits,
        "alg": algorithm,
        "jwks": {"keys": [{"kty": "RSA", "n": b64url(n.to_bytes((bits + 7) // 8, "big")), "e": "AQAB", "kid": "k"}]},
        "system_uuid": SYSTEM,
        "now_unix_s": NOW,
        "token": signed(key, algorithm, members),
    }


def make_cases():
    keys = {bits: rsa.generate_private_key(65537, bits) for bits in SIZES}
    return [make_case(bits, algorithm, None, keys[bits]) for bits in SIZES for algorithm in HASHES]


def run_cpython(path, turns):
    source = os.pathsep.join([str(build.FIRMWARE), str(SCRIPTS)])
    command = [sys.executable, SCRIPTS / "verify.py", path, turns]
    return _output(command, {**os.environ, "PYTHONPATH": source})


def run_port(script, *args, heapsize="4M"):
    """Output of a script of host_tests/bench/ on the unix port with the compiled firmware; BenchError if it fails."""
    source = ":".join([".frozen", str(build.compile_firmware()), str(SCRIPTS), str(SCRIPTS.parent / "fakes")])
    command = [build.micropython(), "-X", f"heapsize={heapsize}", SCRIPTS / script, *args]
    return _output(command, {**os.environ, "MICROPYPATH": source})


class BenchError(Exception):
    """A measurement did not run to its end; the text is what it printed."""


def _output(command, env):
    done = subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(done.stdout + done.stderr)
    return done.stdout


def least_free_bytes(case, how, start=24576, step=512):
    """The least free heap, in steps from ``start`` down to the first failure, on which a verification succeeds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.json"
        path.write_text(json.dumps(case))
        free = start
        while free > 0:
            try:
                run_port("memory.py", path, free - step, how, heapsize="1M")
            except BenchError:
                break
            free -= step
    return free


def measure(turns):
    """{interpreter: rows of (what, value, unit)}"""
    cases = make_cases()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.json"
        path.write_text(json.dumps(cases))
        found = {
            "CPython": json.loads(run_cpython(path, turns)),
            "MicroPython, unix port": json.loads(run_port("verify.py", path, turns)),
        }
    for bits in SIZES:
        case = next(c for c in cases if c["bits"] == bits and c["alg"] == "RS512")
        for how in ("jws", "verifier"):
            row = [f"RS512 {bits}: free heap that suffices ({how})", least_free_bytes(case, how), "bytes"]
            found["MicroPython, unix port"].append(row)
    return found


def print_tables(found):
    console = Console()
    for interpreter, rows in found.items():
        table = Table(title=interpreter)
        for column, justify in (("what", "left"), ("value", "right"), ("unit", "left")):
            table.add_column(column, justify=justify)
        for what, value, unit in rows:
            table.add_row(what, f"{value:,.1f}" if isinstance(value, float) else f"{value:,}", unit)
        console.print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=40)
    print_tables(measure(parser.parse_args().turns))


if __name__ == "__main__":
    main()
