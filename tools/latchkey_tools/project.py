"""The folder that has firmware/ and boards/: the checkout, or the unpacked archive of an installed wheel.

A wheel's files are unpacked into the user's cache folder, since builds go beside them, into build/, and the folder of
the packages may belong to another user.
"""

import hashlib
import tempfile
import zipfile
from pathlib import Path

import platformdirs

ARCHIVE = Path(__file__).with_name("project.zip")


def root():
    """Path of the project's folder."""
    if not ARCHIVE.exists():
        return Path(__file__).resolve().parents[2]
    # By content, so that two versions do not meet, nor two builds of one version.
    digest = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()[:16]
    folder = platformdirs.user_cache_path("latchkey", appauthor=False) / digest
    if not folder.is_dir():
        _unpack(folder)
    return folder


def _unpack(folder):
    """Whole or not at all: another process may do the same at this moment."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "project"
        with zipfile.ZipFile(ARCHIVE) as archive:
            archive.extractall(made)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
