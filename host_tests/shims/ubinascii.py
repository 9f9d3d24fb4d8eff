"""``ubinascii`` for umqtt 1.3.4."""

from binascii import hexlify  # noqa: F401
