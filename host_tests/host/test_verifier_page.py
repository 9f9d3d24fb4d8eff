"""docs/verifier.md: its program over the files of the mip package alone, on both interpreters, and its codes."""

import json
import os
import shutil
import subprocess
import sys
import time

import pages
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pages import table_rows
from tables import load

from latchkey import jwk, simple
from latchkey.errors import KeySetError, TokenError
from latchkey_tools.boards import build
from latchkey_tools.dev import bench

PAGE = build.ROOT / "docs/verifier.md"
INTERPRETERS = {"cpython": (sys.executable, "PYTHONPATH"), "micropython": (build.micropython(), "MICROPYPATH")}
ISSUER = "https://company-example.api.drivr.cloud"
KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder as `mip install` leaves it."""
    folder = tmp_path_factory.mktemp("lib")
    for target, source in json.loads((build.FIRMWARE / "package.json").read_text())["urls"]:
        (folder / target).parent.mkdir(exist_ok=True)
        shutil.copy(build.FIRMWARE / source, folder / target)
    return folder


def said(folder, installed, interpreter, **claims):
    """The output of the page's program for a token that is valid for an hour but for ``claims``."""
    now = int(time.time())
    members = {**bench.claims(1), "iss": ISSUER, "iat": now - 60, "nbf": now - 60, "exp": now + 3600, **claims}
    (folder / "token.txt").write_text(bench.signed(KEY, "RS256", members) + "\n")
    (folder / "check_token.py").write_text(pages.files(PAGE)["check_token.py"])
    program, path = INTERPRETERS[interpreter]
    env = {**os.environ, path: f"{installed}:.frozen"}
    command = [program, "check_token.py"]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_the_program_runs_over_the_mip_package_alone(tmp_path, installed, interpreter):
    jwks = bench.make_case(2048, "RS256", key=KEY)["jwks"]
    (tmp_path / "jwks.json").write_text(json.dumps(jwks))
    past = int(time.time()) - 7200
    for claims, words in (
        ({}, "1ad6fb1a-c38e-4d68-ad44-248b88d5fd13 may configure"),
        ({"iat": past, "nbf": past, "exp": past + 60}, "refused: expired"),
        ({"aud": "11111111-2222-4333-8444-555555555555"}, "refused: wrong_system"),
        ({"iss": "https://elsewhere.example"}, "refused: wrong_issuer"),
        ({"roles": []}, "refused: no_permission"),
    ):
        done = said(tmp_path, installed, interpreter, **claims)
        assert (done.returncode, done.stdout.strip()) == (0, words), done
    jwks["keys"][0]["kid"] = "SIM-1"
    (tmp_path / "jwks.json").write_text(json.dumps(jwks))
    done = said(tmp_path, installed, interpreter)
    assert done.returncode == 1 and "jwks.json: no_usable_key" in done.stdout + done.stderr


def codes_of(header):
    text = PAGE.read_text()
    return {code.strip("` ") for row in table_rows(text, header) for code in row[0].split(",")}


def test_its_codes_are_those_that_a_call_can_raise():
    table = load("verifier.json")
    keys = jwk.parse_key_set(json.dumps(table["jwks"]).encode())
    seen = set()
    for (_name, token, *_), now in [(row, now) for row in table["rows"] for now in (table["now_unix_s"], 0)]:
        try:
            simple.check(token, keys, table["system_uuid"], now, table["issuer"], {"Domain Owner": "read"})
        except TokenError as refusal:
            seen.add(refusal.code)
    assert seen == codes_of("| code | the token |")


def test_its_codes_of_key_sets_are_those_that_parsing_can_raise():
    long = {"kty": "RSA", "n": "A" * 5000, "e": "AQAB"}
    seen = set()
    for data in (b"{", b"[1]", b" " * 40000, json.dumps({"keys": [long]}).encode(), b'{"keys": []}'):
        with pytest.raises(KeySetError) as refused:
            jwk.parse_key_set(data)
        seen.add(refused.value.code)
    assert seen == codes_of("| code | the key set |")


def test_it_counts_the_files_of_the_package():
    files = len(json.loads((build.FIRMWARE / "package.json").read_text())["urls"])
    assert files == 16 and "copies sixteen `.py` files" in PAGE.read_text()
