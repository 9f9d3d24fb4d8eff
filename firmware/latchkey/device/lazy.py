"""Modules that are needed rarely: loaded by ``with lazy.setup as setup:`` and unloaded again, since code takes RAM.

One ``with`` may lie inside another; all of them are unloaded when the outermost ends.
"""

import sys

# Module, its package, its name there. Whole, since unloading must not take memory. A feature adds its own.
rare = [
    ("latchkey.api.setup", "latchkey.api", "setup"),
    ("latchkey.device.config", "latchkey.device", "config"),
    ("latchkey.device.credentials", "latchkey.device", "credentials"),
    ("latchkey.device.migration", "latchkey.device", "migration"),
    ("latchkey.device.provision", "latchkey.device", "provision"),
]


class Rare:
    """``name``: of a module."""

    depth = 0  # how many are in use, of all

    def __init__(self, name):
        self._name = name

    def __enter__(self):
        Rare.depth += 1
        try:
            __import__(self._name)
            return sys.modules[self._name]
        except Exception:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, _type, _exc, _trace):
        Rare.depth -= 1
        if not Rare.depth:
            for name, package, last in rare:
                sys.modules.pop(name, None)
                if hasattr(sys.modules.get(package), last):
                    delattr(sys.modules[package], last)


setup = Rare("latchkey.api.setup")
config = Rare("latchkey.device.config")
credentials = Rare("latchkey.device.credentials")
migration = Rare("latchkey.device.migration")
