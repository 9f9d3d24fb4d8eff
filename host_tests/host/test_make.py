"""What `make` says on a machine that lacks something: one sentence that names it."""

import os
import subprocess
import sys

import pytest

from latchkey_tools.boards import build

OLD = """#!/bin/sh
exec {python} -c "import sys; sys.version_info = (3, 10, 12, 'final', 0); exec(sys.argv[1])" "$2"
"""
# Makes a venv whose pip finds no network.
OFFLINE = """#!/bin/sh
[ "$2" = venv ] || exec {python} "$@"
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho "ERROR: No matching distribution found for x" >&2\\nexit 1\\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""


@pytest.mark.parametrize(
    "script, said",
    [
        (OLD, "This needs Python 3.11 or later; {python} is 3.10.12.\n"),
        (OFFLINE, "Packages were not installed. The first set-up needs a network, for pip and npm. "),
    ],
)
def test_a_machine_that_lacks_something_reads_what_it_needs(tmp_path, script, said):
    python = tmp_path / "python3"
    python.write_text(script.format(python=sys.executable))
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "setup", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"],
        cwd=build.ROOT,
        env={name: text for name, text in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and said.format(python=python) in done.stdout + done.stderr
    assert "ERROR: No matching" not in done.stdout + done.stderr
