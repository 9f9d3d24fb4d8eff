"""latchkey.bignum and latchkey.rsa, imported anew with a kernel: by default its specification in its place."""

import sys

import montgomery_plain

import latchkey

_ANEW = ("bignum", "rsa")


def load(kernel=montgomery_plain, uctypes=montgomery_plain):
    """(bignum, rsa); the modules that everybody else has stay as they are."""
    kept = {name: sys.modules.pop("latchkey." + name, None) for name in _ANEW}
    standins = {"latchkey.montgomery": kernel, "uctypes": uctypes}
    before = {name: sys.modules.get(name) for name in standins}
    sys.modules.update(standins)
    try:
        __import__("latchkey.rsa")
        return tuple([sys.modules["latchkey." + name] for name in _ANEW])
    finally:
        _restore({"latchkey." + name: kept[name] for name in _ANEW})
        _restore(before)
        for name in _ANEW:
            if kept[name]:
                setattr(latchkey, name, kept[name])


def _restore(modules):
    for name, module in modules.items():
        if module:
            sys.modules[name] = module
        else:
            sys.modules.pop(name, None)
