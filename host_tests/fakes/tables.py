"""The tables of host_tests/vectors/ on every interpreter, wherever the tests were started."""

import json


def load(name):
    """The document in ``vectors/`` that has this file name."""
    for folder in ("vectors/", __file__.rsplit("/", 2)[0] + "/vectors/"):
        try:
            with open(folder + name) as file:
                return json.load(file)
        except OSError:
            continue
    raise OSError(name)
