"""Modules that are needed rarely: loaded by ``with lazy.setup as setup:`` and let go again, since code takes RAM.

One ``with`` may lie inside another; all of them are let go when the outermost ends.
"""

import sys

_NAMES = ("latchkey.api.setup", "latchkey.device.settings", "latchkey.device.config", "latchkey.device.provision")


class Rare:
    """``load()`` imports a module and returns it."""

    depth = 0  # how many are in use, of all

    def __init__(self, load):
        self._load = load

    def __enter__(self):
        Rare.depth += 1
        try:
            return self._load()
        except Exception:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, _type, _exc, _trace):
        Rare.depth -= 1
        if not Rare.depth:
            _forget()


def _forget():
    for name in _NAMES:
        sys.modules.pop(name, None)
        package, _, last = name.rpartition(".")
        package = sys.modules.get(package)
        if hasattr(package, last):
            delattr(package, last)


def _load_setup():
    from latchkey.api import setup

    return setup


def _load_settings():
    from latchkey.device import settings

    return settings


setup = Rare(_load_setup)
settings = Rare(_load_settings)
