"""Which files a MicroPython manifest freezes, by MicroPython's rules (docs: reference/manifest).

    found = manifest.read(path)        found.files: name on the device -> path here
                                       found.required: names of packages of micropython-lib
                                       found.elsewhere: what lies in MicroPython's own tree

Paths are relative to the manifest that names them; ``$(MPY_DIR)`` and ``$(PORT_DIR)`` are MicroPython's, which need not
be here. Only what our manifests use is known; anything else is an error.
"""

import contextlib
import os
from pathlib import Path


class ManifestError(Exception):
    """A manifest names what is not there, or does what MicroPython would refuse."""


class Manifest:
    def __init__(self):
        self.files = {}
        self.required = set()
        self.elsewhere = set()
        self._visited = set()

    # Functions for manifests

    def include(self, path, **options):
        if _is_elsewhere(path):
            self.elsewhere.add(path)
            return
        path = Path(path).resolve()
        path = path / "manifest.py" if path.is_dir() else path
        if path in self._visited:
            return
        self._visited.add(path)
        if not path.is_file():
            raise ManifestError(f"{path} is not there")
        with contextlib.chdir(path.parent):
            names = ("include", "require", "package", "module", "freeze", "freeze_mpy", "metadata")
            calls = {name: getattr(self, name) for name in names}
            _run(path, calls | {"options": _Options(options)})

    def require(self, name):
        self.required.add(name)

    def metadata(self, **_facts):
        """Facts about a package; nothing is frozen by them."""

    def package(self, path, files=None, base_path=".", opt=None):
        root = Path(base_path).resolve()
        names = [Path(path) / name for name in files] if files else self._found(root, path)
        for name in names:
            self._add(root, name)

    def module(self, path, base_path=".", opt=None):
        if not str(path).endswith(".py"):
            raise ManifestError(f"{path}: a module is a .py file")
        self._add(Path(base_path).resolve(), Path(path))

    def freeze(self, path, script=None, opt=None):
        if _is_elsewhere(path):
            self.elsewhere.add(path)
            return
        root = Path(path).resolve()
        names = self._found(root, ".") if script is None else [script] if isinstance(script, str) else script
        for name in names:
            self._add(root, Path(name))

    def freeze_mpy(self, path):
        root = Path(path).resolve()
        for name in self._found(root, ".", "mpy"):
            self._add(root, name)

    def _found(self, root, path, kind="py"):
        folder = root / path
        found = sorted(name.relative_to(root) for name in folder.rglob(f"*.{kind}"))
        if not found:
            raise ManifestError(f"{folder} holds no .{kind} file")
        return found

    def _add(self, root, name):
        target = os.path.normpath(name)
        if not (root / name).is_file():
            raise ManifestError(f"{root / name} is not there")
        if target.startswith(".."):
            raise ManifestError(f"{target} would leave the image")
        if target in self.files:
            raise ManifestError(f"{target} is frozen twice")
        self.files[target] = root / name


class _Options:
    """The options of the including manifest, over this manifest's defaults."""

    def __init__(self, given):
        self._given, self._defaults = given, {}

    def defaults(self, **values):
        self._defaults = values

    def __getattr__(self, name):
        return self._given.get(name, self._defaults.get(name))


def _run(path, names):
    """Run the manifest at ``path``, a program of the board's maker; ManifestError for any mistake in it."""
    try:
        exec(compile(path.read_bytes(), path, "exec"), names)
    except ManifestError:
        raise
    except Exception as problem:
        raise ManifestError(f"{path}: {type(problem).__name__}: {problem}; correct it") from None


def _is_elsewhere(path):
    return str(path).startswith(("$(MPY_DIR)", "$(PORT_DIR)"))


def read(path):
    """The Manifest at ``path``, evaluated."""
    found = Manifest()
    found.include(path)
    return found
