"""Modules that are needed rarely: loaded for one call and let go, since code takes RAM on a board."""

import sys

import latchkey


class Rarely:
    """``names``: of modules in the package ``latchkey`` that nobody else keeps."""

    def __init__(self, *names):
        self._names = names
        self._depth = 0

    def loader(self, load):
        """A callable that takes a function and calls it with the module that ``load()`` imports and returns."""

        def lend(use):
            self._depth += 1
            try:
                return use(load())
            finally:
                self._depth -= 1
                if not self._depth:
                    self._forget()

        return lend

    def _forget(self):
        for name in self._names:
            sys.modules.pop("latchkey." + name, None)
            if hasattr(latchkey, name):
                delattr(latchkey, name)
