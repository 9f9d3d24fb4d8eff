"""The example in README.md runs as it is printed, on CPython and on MicroPython, and refuses what it should."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from latchkey_tools.boards import build
from latchkey_tools.dev import bench

EXAMPLE = re.search(r"```python\n(.*?)```", (build.ROOT / "README.md").read_text(), re.DOTALL)[1]
INTERPRETERS = {"cpython": (sys.executable, "PYTHONPATH"), "micropython": (build.micropython(), "MICROPYPATH")}


def said(folder, interpreter, **claims):
    """What the example prints for a token with these claims, valid for an hour otherwise."""
    key = bench.rsa.generate_private_key(65537, 2048)
    now = int(time.time())
    case = bench.make_case(2048, "RS256", key=key)
    members = {**bench.claims(1), "iat": now - 60, "nbf": now - 60, "exp": now + 3600, **claims}
    (folder / "jwks.json").write_text(json.dumps(case["jwks"]))
    (folder / "token.txt").write_text(bench.signed(key, "RS256", members) + "\n")
    (folder / "example.py").write_text(EXAMPLE)
    program, path = INTERPRETERS[interpreter]
    done = subprocess.run(
        [program, "example.py"],
        env={**os.environ, path: f"{build.FIRMWARE}:.frozen"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_the_example_takes_a_good_token_and_refuses_others(tmp_path, interpreter):
    assert said(tmp_path, interpreter) == "1ad6fb1a-c38e-4d68-ad44-248b88d5fd13 may control"
    past = int(time.time()) - 7200
    assert said(tmp_path, interpreter, iat=past, nbf=past, exp=past + 60) == "refused: expired"
    foreign = "11111111-2222-4333-8444-555555555555"
    assert said(tmp_path, interpreter, aud=foreign) == "refused: wrong_system"
