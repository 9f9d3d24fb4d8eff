"""A token that was verified once costs next to nothing, however long the cloud's list is (V8)."""

import json
import os
import subprocess
from pathlib import Path

from latchkey.ledger import LEDGER_TOKENS
from latchkey_tools.boards import build

HERE = Path(__file__).resolve().parents[1]


def measure(folder, turns=31):
    path = [".frozen", build.compile_firmware(), HERE / "fakes"]
    done = subprocess.run(
        [build.micropython(), "-X", "heapsize=32M", HERE / "bench" / "remembered.py", folder, str(turns)],
        env={**os.environ, "MICROPYPATH": ":".join(map(str, path))},
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_remembered_token_costs_a_twentieth_of_a_new_one_at_most(tmp_path):
    seen = measure(tmp_path)
    print(seen)
    assert seen["tokens"] == LEDGER_TOKENS
    assert seen["remembered_us"] * 20 <= seen["new_us"], seen
