"""The parts of the build that pyproject.toml cannot describe: the version is the firmware's, and a wheel holds the
sources that the tools put onto boards, as one archive in latchkey_tools."""

import re
import shutil
import zipfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
# latchkey_tools/project.py unpacks these, and finds them where they are in a checkout.
PROJECT = ("firmware", "boards", "constraints.txt", "host_tests/vectors/selftest.json")


class WithProject(build_py):
    def run(self):
        if not self.editable_mode:
            # Files of an earlier build would be in the wheel.
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            self._write(Path(self.build_lib) / "latchkey_tools" / "project.zip")

    def _write(self, target):
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for name in PROJECT for path in (HERE / name, *(HERE / name).rglob("*"))):
                if path.is_file() and path.suffix != ".pyc":
                    # Without its date: the same sources are the same archive.
                    archive.writestr(zipfile.ZipInfo(path.relative_to(HERE).as_posix()), path.read_bytes())


VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "firmware/latchkey/__init__.py").read_text(), re.M)[1]

setup(version=VERSION, cmdclass={"build_py": WithProject})
