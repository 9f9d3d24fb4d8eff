"""Two program slots of an ESP32, as ESP-IDF's bootloader and its app_update component keep them, on a flash whose power
goes on demand. It takes the place of esp32.Partition, for both interpreters.

Sources: ESP-IDF 5.5, components/bootloader_support/src/bootloader_utility.c and components/app_update/esp_ota_ops.c;
MicroPython, ports/esp32/esp32_partition.c. `otadata` has two sectors; the valid one with the higher number counts. A
state that changes is written in place: erased, then programmed.
"""

import binascii
import hashlib
import struct

from cut_flash import BLOCK_BYTES, CutFlash

_NEW, _PENDING, _VALID, _INVALID, _ABORTED = range(5)
_NONE = 0xFFFFFFFF
_ENTRY = "<I20sII"  # number, label, state, checksum of the number
_ADDRESS = 0x10000


def program(size, seed=1):
    """A program of ``size`` bytes (a multiple of 16) as the ESP-IDF lays it out: header, one segment, checksum byte,
    SHA-256. ``seed`` tells one from another."""
    length = size - 24 - 8 - 16 - 32
    data = bytes([(n * seed + (n >> 8)) & 0xFF for n in range(length)])
    head = b"\xe9\x01" + bytes(21) + b"\x01" + struct.pack("<II", 0x3F400020, length)
    whole = head + data + bytes(16)
    return whole + hashlib.sha256(whole).digest()


def is_program(data):
    """Whether ``data`` begins with a whole program: its magic, segments, and the SHA-256 at its end."""
    if data[0] != 0xE9:
        return False
    at = 24
    for _ in range(data[1]):
        if at + 8 > len(data):
            return False
        at += 8 + struct.unpack_from("<I", data, at + 4)[0]
    at = (at + 16) & ~15
    return at + 32 <= len(data) and hashlib.sha256(data[:at]).digest() == bytes(data[at : at + 32])


class Chip:
    """``blocks``: of each slot. ``first``: the program in ota_0. ``data``: what is on flash, instead.

    ``.flash``: the CutFlash. ``.running``: 0, 1, or None before ``start``, and where nothing starts.
    """

    def __init__(self, blocks=4, first=b"", data=None):
        self.blocks = blocks
        self.flash = CutFlash(2 + 2 * blocks, data)
        self.running = None
        self.flash.view[2 * BLOCK_BYTES : 2 * BLOCK_BYTES + len(first)] = first

    def start(self):
        """The bootloader's steps at every reset; returns ``running``."""
        for sector in (0, 1):
            number, state, _ = self._raw(sector)
            if state == _PENDING:
                self._write(sector, number, _ABORTED)
        sector = self.active()
        slot = 0 if sector is None else (self._raw(sector)[0] - 1) % 2
        if sector is not None and self._raw(sector)[1] == _NEW:
            self._write(sector, self._raw(sector)[0], _PENDING)
        whole = [one for one in (slot, 1 - slot) if is_program(self.view(one))]
        self.running = whole[0] if whole and not self.flash.dead else None
        if self._raw(0)[0] == self._raw(1)[0] == _NONE and self.running is not None:
            self._write(0, self.running + 1, _VALID)
        return self.running

    def view(self, slot):
        at = (2 + slot * self.blocks) * BLOCK_BYTES
        return self.flash.view[at : at + self.blocks * BLOCK_BYTES]

    def active(self):
        """The sector of otadata that counts, or None."""
        found = []
        for sector in (0, 1):
            number, state, checked = self._raw(sector)
            if checked and number != _NONE and state not in (_INVALID, _ABORTED):
                found.append((number, -sector))
        return -max(found)[1] if found else None

    def choose(self, slot):
        """esp_ota_set_boot_partition."""
        if not is_program(self.view(slot)):
            raise OSError(-5379, "ESP_ERR_OTA_VALIDATE_FAILED")
        active = self.active()
        number = slot + 1
        while active is not None and number < self._raw(active)[0]:
            number += 2
        self._write(0 if active is None else 1 - active, number, _NEW)

    def mark(self):
        """esp_ota_mark_app_valid_cancel_rollback."""
        active = self.active()
        if active is None:
            raise OSError(-1, "ESP_FAIL")
        number, state, _ = self._raw(active)
        if state != _VALID:
            self._write(active, number, _VALID)

    def _raw(self, sector):
        """(number, state, whether the checksum holds)"""
        number, _, state, checksum = struct.unpack_from(_ENTRY, self.flash.data, sector * BLOCK_BYTES)
        return number, state, checksum == _checksum(number)

    def _write(self, sector, number, state):
        self.flash.ioctl(6, sector)
        done = self.flash.writeblocks(sector, struct.pack(_ENTRY, number, b"\xff" * 20, state, _checksum(number)), 0)
        if done:
            raise OSError(5)


def _checksum(number):
    return binascii.crc32(struct.pack("<I", number))


class Partition:
    """``chip``: of all of them."""

    RUNNING = 1
    _chip = None

    def __init__(self, id, block_size=4096):
        if id not in (Partition.RUNNING, "ota_0", "ota_1"):
            raise OSError(2)
        self._slot = Partition._chip.running if id == Partition.RUNNING else int(id[-1])

    def info(self):
        """(type, subtype, address, size, label, encrypted)"""
        size = self._chip.blocks * BLOCK_BYTES
        return (0, 0x10 + self._slot, _ADDRESS + self._slot * size, size, f"ota_{self._slot}", False)

    def get_next_update(self):
        return Partition(f"ota_{1 - self._slot}")

    def readblocks(self, block_num, buf, offset=0):
        at = block_num * BLOCK_BYTES + offset
        buf[:] = self._chip.view(self._slot)[at : at + len(buf)]

    def writeblocks(self, block_num, buf, offset=None):
        """Without ``offset`` whole blocks, which are erased first."""
        if offset is None and len(buf) % BLOCK_BYTES or block_num * BLOCK_BYTES + len(buf) > self.info()[3]:
            raise OSError(-260, "ESP_ERR_INVALID_SIZE")
        for at in range(0, len(buf), BLOCK_BYTES):
            block = block_num + at // BLOCK_BYTES
            if offset is None:
                self.ioctl(6, block)
            self._tell(self._chip.flash.writeblocks(self._block(block), buf[at : at + BLOCK_BYTES], offset or 0))

    def ioctl(self, op, arg=0):
        if op == 6:
            self._tell(self._chip.flash.ioctl(6, self._block(arg)))
        return {4: self._chip.blocks, 5: BLOCK_BYTES}.get(op, 0)

    def set_boot(self):
        self._chip.choose(self._slot)

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        cls._chip.mark()

    def _block(self, block):
        return 2 + self._slot * self._chip.blocks + block

    def _tell(self, result):
        if result:
            raise OSError(5)
