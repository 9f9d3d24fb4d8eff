"""``ustruct`` for umqtt 1.3.4."""

from struct import pack, pack_into  # noqa: F401
