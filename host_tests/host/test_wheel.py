"""The tools as a wheel, in an environment of their own and outside of a checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import latchkey
import latchkey_tools
from latchkey_tools.boards import build, umqtt
from latchkey_tools.dev import wheel

COMPILE = """
from latchkey_tools.boards import catalog, selftest
from latchkey_tools.boards.release import release
assert selftest.TABLE.is_file()
files = release(catalog.board("esp32c3-bulb-rgb"), "rv32imc")
print(files["latchkey/verifier.mpy"].is_file(), files["latchkey/verifier.mpy"])
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return wheel.make(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(made, tmp_path_factory):
    """(folder of an environment that has the wheel, environment variables for its programs). Packages that it needs are
    those of this environment, which has the tools themselves by a path of setuptools that does not count there."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    options = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", folder / "env/bin/python", *options, made]
    subprocess.run([str(word) for word in pip], check=True, capture_output=True)
    paths = os.pathsep.join([str(folder / "env/bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return folder, {"PATH": paths, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "80"}


def run(installed, *command, **more):
    folder, env = installed
    command = [str(folder / "env/bin" / command[0]), *command[1:]]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, **more)


def test_the_version_is_written_in_one_place(made):
    assert latchkey_tools.__version__ == latchkey.__version__, "run `make setup`"
    assert f"-{latchkey.__version__}-" in made.name
    for name in ("pyproject.toml", "setup.py", "firmware/package.json"):
        assert f'"{latchkey.__version__}"' not in (build.ROOT / name).read_text(), name


def test_a_wheel_holds_what_goes_onto_boards_and_nothing_that_was_built(made):
    with zipfile.ZipFile(made) as whole:
        names = whole.namelist()
        whole.extract("latchkey_tools/project.zip", made.parent)
    assert not [name for name in names if not name.startswith("latchkey_tools")]
    with zipfile.ZipFile(made.parent / "latchkey_tools/project.zip") as project:
        held = set(project.namelist())
    listed = subprocess.check_output(["git", "ls-files", "firmware", "boards"], cwd=build.ROOT, text=True).split()
    assert set(listed) - held == set()
    assert not [name for name in held if re.search(r"__pycache__|\.pyc$|^build/", name)]


def test_outside_of_a_checkout_the_command_is_there_and_compiles_a_board(installed):
    assert run(installed, "latchkey", "--version").stdout == f"{latchkey.__version__}\n"
    assert "esp32-bulb" in run(installed, "latchkey", "board", "list").stdout
    (project,) = (installed[0] / "cache/latchkey").iterdir()
    # The only part that a network is needed for.
    shutil.copytree(umqtt.fetch(), project / "build" / umqtt.fetch().name)
    done = run(installed, "python", "-c", COMPILE)
    assert done.stdout.startswith(f"True {project}/build/"), done.stderr


def test_outside_of_a_checkout_a_device_runs_on_the_desk(installed):
    done = run(installed, "latchkey", "vboard", "--folder", "lamp", input="pins\nquit\n")
    assert done.returncode == 0 and "local API:   http://127.0.0.1:" in done.stdout, done.stderr
    assert "pins: power is on" in done.stdout
