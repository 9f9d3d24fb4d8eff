"""Latchkey: a device decides offline whom to obey."""

__version__ = "0.1.0"
