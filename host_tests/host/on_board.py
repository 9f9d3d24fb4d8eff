"""Make a chip's Board over the shims; the working folder is its file system."""

import types

import esp32
import machine
import network

from latchkey_tools.boards import catalog


def load(name):
    """A fresh module of boards/NAME/board_config.py. An import would leave bytecode in that folder, which is copied for
    a new board."""
    path = catalog.folder(name) / "board_config.py"
    module = types.ModuleType("board_config_" + name.replace("-", "_"))
    exec(compile(path.read_text(), path, "exec"), vars(module))
    return module


def board(name, cause=machine.PWRON_RESET):
    """A Board of ``name`` that was started for ``cause``."""
    machine._bench.update(cause=cause, i2c={}, adc_uv={}, calls=[], wake=0, pins={})
    esp32._wakes.update(pins=(), level=None)
    network._air.power_cut()
    return load(name).Board()
