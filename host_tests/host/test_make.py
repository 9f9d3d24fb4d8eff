"""The output of `make` on a machine that lacks something: one sentence that names it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pages
import pytest
import yaml

from latchkey_tools.boards import build, catalog

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
# Makes a venv whose pip is killed in the middle, with make; a pip that finds what that one left would take it.
CUT_OFF = """#!/bin/sh
[ "$2" = venv ] || exec {python} "$@"
mkdir -p "$3/bin"
printf '#!/bin/sh\\ntrue\\n' > "$3/bin/python"
printf '#!/bin/sh\\n[ ! -e "%s/half" ] || exit 1\\n[ ! -e "%s" ] || exit 0\\ntouch "%s" "%s/half"\\nkill -9 0\\n' \\
    "$3" "$3.cut" "$3.cut" "$3" > "$3/bin/pip"
chmod +x "$3/bin/pip" "$3/bin/python"
"""


def dry_run(*options):
    """The commands of `make firmware`."""
    env = {name: text for name, text in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "-n", "-o", "kernel", "firmware", "BOARD=esp32-bulb", *options]
    done = subprocess.run(command, cwd=build.ROOT, env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_an_image_is_built_alike_here_and_in_a_container():
    here, there = dry_run("MICROPYTHON=../mp"), dry_run("MICROPYTHON=../mp", "CONTAINER=podman")
    path = build.ROOT.parent / "mp"
    made = [line for line in here.splitlines() if line.strip().startswith("make -C")]
    assert len(made) == 3 and f'BOARD_DIR="{build.ROOT}/boards/esp32-bulb"' in made[1]
    inside = [line for line in there.splitlines() if line.startswith("podman run")]
    assert [line.split("espressif/idf:v5.5.2 ")[1] for line in inside] == [line.strip() for line in made]
    assert all(f'-v "{folder}":"{folder}"' in inside[0] for folder in (build.ROOT, path))
    assert "docker run" in dry_run("MICROPYTHON=mp", "CONTAINER=1")


def test_the_release_workflow_builds_every_board_by_targets_that_exist():
    text = (build.ROOT / ".github/workflows/release.yml").read_text()
    flow = yaml.safe_load(text)
    assert flow["jobs"]["image"]["strategy"]["matrix"]["board"] == "${{ fromJSON(needs.boards.outputs.names) }}"
    (listing,) = re.findall(r"names=\$\((ls .*? cut -d/ -f2)", text)
    found = subprocess.check_output(listing, shell=True, cwd=build.ROOT, text=True).split()
    assert found == [name for name in catalog.names() if name != "desk"]
    for line in re.findall(r"run: make (.*)", text):
        dry_run(*line.replace("${{ matrix.board }}", found[0]).split()[1:])


def test_targets_and_files_that_contributors_are_sent_to_exist():
    targets = set(re.findall(r"^([a-z-]+):.*##", (build.ROOT / "Makefile").read_text(), re.M))
    typed = [line for page in pages.pages() for line in pages.commands(page)]
    typed += [line for page in pages.pages() for line in re.findall(r"`(make [^`]*)`", page.read_text())]
    for path in build.ROOT.glob(".github/workflows/*"):
        typed += re.findall(r"(?:run: |' }} )(make [a-z -]+)", path.read_text())
    lines = [line.split()[1:] for line in typed if line.startswith("make ")]
    named = {word for words in lines for word in words if re.fullmatch("[a-z][a-z-]*", word)}
    assert {"demo", "test", "setup", "soak"} <= named <= targets, named - targets
    quick = re.search(r"^QUICK := (.*?[^\\])\n", (build.ROOT / "Makefile").read_text(), re.M | re.S)[1]
    for name in quick.split(",")[-1].strip("\\\n )").split():
        assert (build.ROOT / f"host_tests/host/test_{name}.py").is_file(), name


def test_the_example_of_a_test_passes(tmp_path):
    example = re.search(r"```python\n(.*?)```", (build.ROOT / "host_tests/README.md").read_text(), re.S)[1]
    (tmp_path / "test_example.py").write_text(example)
    env = os.environ | {"PYTHONPATH": str(build.FIRMWARE)}
    subprocess.run([sys.executable, "-m", "unittest", "test_example"], cwd=tmp_path, env=env, check=True)


def test_forms_and_hooks_are_read_and_clone_nothing():
    for path in (build.ROOT / ".github").rglob("*.yml"):
        assert isinstance(yaml.safe_load(path.read_text()), dict), path
    hooks = yaml.safe_load((build.ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]
    installed = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks["repos"][0]["hooks"]}
    assert all((Path(sys.executable).parent / program).exists() for program in installed)


def set_up(folder, script):
    """(the stand-in of Python, the finished `make setup`)."""
    python = folder / "python3"
    python.write_text(script.format(python=sys.executable))
    python.chmod(0o755)
    env = {name: text for name, text in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "setup", f"PYTHON={python}", f"VENV={folder / 'venv'}"]
    how = {"cwd": build.ROOT, "env": env, "capture_output": True, "text": True, "start_new_session": True}
    return python, subprocess.run(command, **how)


@pytest.mark.parametrize(
    "script, said",
    [
        (OLD, "This needs Python 3.11 or later; {python} is 3.10.12.\n"),
        (OFFLINE, "Packages were not installed. The first set-up needs a network, for pip and npm. "),
    ],
)
def test_a_machine_that_lacks_something_reads_what_it_needs(tmp_path, script, said):
    python, done = set_up(tmp_path, script)
    assert done.returncode == 2 and said.format(python=python) in done.stdout + done.stderr
    assert "ERROR: No matching" not in done.stdout + done.stderr


def test_a_set_up_that_was_killed_begins_anew_and_one_that_failed_does_not(tmp_path):
    assert set_up(tmp_path, CUT_OFF)[1].returncode == -9 and (tmp_path / "venv/half").exists()
    again = set_up(tmp_path, CUT_OFF)[1]
    assert again.returncode == 0 and "Ready." in again.stdout and not (tmp_path / "venv/half").exists(), again
    (tmp_path / "venv/.ready").unlink()
    assert set_up(tmp_path, OFFLINE)[1].returncode == 2 == set_up(tmp_path, OFFLINE)[1].returncode
    assert (tmp_path / "venv/bin/python").exists()
