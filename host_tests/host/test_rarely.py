"""Code that few requests need is unloaded after each of them: its memory is free again."""

import on_desk
import pytest

SCRIPT = """
import gc
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
    done = on_desk.run(SCRIPT % {"module": module})
    borrowed, kept = map(int, done.stdout.split()) if done.returncode == 0 else pytest.fail(done.stderr)
    print(module, "borrows", borrowed)
    assert 1024 < borrowed < 20 * 1024 and kept < 512
