"""Code that few requests need is let go after each of them: what it took is free again."""

import os
import subprocess

import pytest

from latchkey_tools.boards import build, catalog, deploy

SCRIPT = """
import gc, sys
class desk_options:
    uplink = nvs = note = button = air = pins = sleep = None
    host, port, tls_port, clock, cause, product = "127.0.0.1", 0, 0, "host", "power", "bulb"
    hurry, battery, reset = 1, False, None
sys.modules["desk_options"] = desk_options
import main
from latchkey.device import lazy
def used():
    gc.collect(); gc.collect()
    return gc.mem_alloc()
with lazy.%(module)s:
    pass  # names stay in RAM once met
before, kept = used(), []
for _ in range(3):
    with lazy.%(module)s:
        held = used()
    kept.append(used() - before)  # a stale pointer on the stack may keep something once
print(held - before, min(kept))
"""


@pytest.mark.parametrize("module", ["credentials", "migration", "setup"])
def test_what_a_rare_request_borrows_it_gives_back(module):
    deploy.release(catalog.board("desk"), "x64")
    folders = (".frozen", build.BUILD / "board" / "x64", build.BUILD / "board" / "x64-desk")
    done = subprocess.run(
        [str(build.micropython()), "-X", "heapsize=2M", "-c", SCRIPT % {"module": module}],
        env={**os.environ, "MICROPYPATH": ":".join(map(str, folders))},
        capture_output=True,
        text=True,
    )
    borrowed, kept = map(int, done.stdout.split()) if done.returncode == 0 else pytest.fail(done.stderr)
    print(module, "borrows", borrowed)
    assert 2 * 1024 < borrowed < 20 * 1024 and kept < 512
