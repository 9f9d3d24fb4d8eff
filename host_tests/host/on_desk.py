"""Run a script on the unix port with all that a desk's flash has, as .mpy, and the options of desk/start.py."""

import functools
import os
import subprocess

from latchkey_tools.boards import build, catalog, deploy

OPTIONS = """
import sys
class desk_options:
    uplink = nvs = product_file = note = button = air = pins = sleep = wake = console = None
    host, port, tls_port, clock, cause, product = "127.0.0.1", 0, 0, "host", "power", "bulb"
    hurry, battery, reset = 1, False, None
sys.modules["desk_options"] = desk_options
"""


def run(script, *words, timeout_s=60):
    """subprocess.CompletedProcess; ``words``: its sys.argv from 1 on."""
    return subprocess.run(
        [str(build.micropython()), "-X", "heapsize=2M", "-c", OPTIONS + script, *map(str, words)],
        env={**os.environ, "MICROPYPATH": ":".join(_path())},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


@functools.cache
def _path():
    deploy.release(catalog.board("desk"), "x64")
    return [".frozen", *(str(build.BUILD / "board" / name) for name in ("x64", "x64-desk"))]
