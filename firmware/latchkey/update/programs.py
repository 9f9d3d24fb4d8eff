"""Releases as programs in two slots of an ESP32's flash; the chip's bootloader starts one of them.

A program that was switched to is unproven: at any reset before ``good`` the bootloader goes back to the other one
(ESP-IDF, "Over The Air Updates", App rollback). ``set_boot`` reads the whole program and checks its SHA-256.
"""

from latchkey.errors import LatchkeyError
from latchkey.hw.flash import store_error, tried
from latchkey.limits import const

_PIECE_BYTES = const(1024)
_BLOCK_BYTES = const(4096)
_SLOTS = range(0x10, 0x20)  # subtypes of partitions: ota_0 to ota_15; 0 is a program without a second one
_ERASE = const(6)  # of ioctl
_NOT_VALID = const(-5379)  # ESP_ERR_OTA_VALIDATE_FAILED, what set_boot says of a program that is not whole


def running():
    """The Programs of the program that runs; None if the chip has no two slots."""
    from esp32 import Partition

    partition = Partition(Partition.RUNNING)  # pyright: ignore[reportArgumentType]
    return Programs(partition) if partition.info()[1] in _SLOTS else None


class Programs:
    """``partition``: the esp32.Partition that runs. StoreError where flash refuses."""

    kind = "image"

    def __init__(self, partition):
        self._own = partition
        self._other = partition.get_next_update()
        self._at = self._size = 0

    @property
    def running(self):
        """Name of the slot that runs."""
        return self._own.info()[4]

    def unproven(self, sent):
        """``sent``: whether the program in this slot came over the local API and was not good yet."""
        return sent

    def why(self):
        """None: the bootloader keeps no word."""

    def room(self):
        """Bytes of the other slot."""
        return self._other.info()[3]

    def begin(self, manifest):
        """The other slot no longer starts. Returns its name."""
        self._at, self._size = 0, manifest["size"]
        tried(self._other.ioctl, _ERASE, 0)
        return self._other.info()[4]

    def clear(self):
        """Nothing to remove: a block is erased before its first byte is written."""
        return ()

    def write(self, piece):
        """The next bytes of the program, all of one block."""
        block, at = divmod(self._at, _BLOCK_BYTES)
        if not at:
            tried(self._other.ioctl, _ERASE, block)
        tried(self._other.writeblocks, block, piece, at)
        self._at += len(piece)

    def pieces(self):
        """Generator: the program as flash has it, in pieces that are valid until the next."""
        buffer = memoryview(bytearray(_PIECE_BYTES))
        for at in range(0, self._size, _PIECE_BYTES):
            piece = buffer[: self._size - at]
            tried(self._other.readblocks, at // _BLOCK_BYTES, piece, at % _BLOCK_BYTES)
            yield piece

    def switch(self):
        """The next start runs the other slot; LatchkeyError "payload_refused" if what is in it is not a program."""
        try:
            self._other.set_boot()
        except OSError as exc:
            raise LatchkeyError("payload_refused") if exc.errno == _NOT_VALID else store_error(exc)

    def good(self):
        """The program that runs stays."""
        tried(self._own.mark_app_valid_cancel_rollback)

    def back(self, _reason):
        """Nothing to do: without ``good`` the next start runs the other slot."""
