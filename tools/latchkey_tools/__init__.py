"""Tools for Latchkey: builds, the DRIVR simulator, the desk device and the `latchkey` command."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("latchkey-tools")
except PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0"
