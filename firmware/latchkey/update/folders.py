"""Releases as folders ``a`` and ``b`` of a file system; boards/common/start/ starts the newest that is whole.

A payload is a list and then what it names, in that order::

    SHA256HEX SIZE NAME\\n  for each file,  \\n,  the contents, with nothing between them

``release`` in a folder says what the starter does with it: ``N`` good, ``N new`` switched to and never started, ``N 0``
to ``N 2`` unproven, ``0`` or ``0 WORD`` not to be started. The highest N starts.
"""

# pyright: reportArgumentType=false
import hashlib
import os
import sys
from binascii import hexlify

from latchkey.errors import LatchkeyError
from latchkey.hw.flash import store_error, tried
from latchkey.limits import const

_PIECE_BYTES = const(1024)
_BLOCK_BYTES = const(4096)
_NAME_BYTES = const(64)
_LINE_BYTES = const(139)  # 64 of the hash, 8 digits, the name, two spaces, the end
_FILES = const(200)
_DEEP = const(4)  # names in a path: each folder on the way takes memory when a release is removed
_SPARE_BLOCKS = const(24)  # settings and token list can be stored beside a release; the list of files takes up to 7
_LIST = const("/list")  # is there while a release arrives; no payload can name it
_LETTERS = const(b"abcdefghijklmnopqrstuvwxyz0123456789_./-")


def running():
    """The Folders of the release that runs; None if it is not in one of the two."""
    return Folders(sys.path[0]) if sys.path[0][-2:] in ("/a", "/b") else None


class Folders:
    """``path``: of the folder that runs, sys.path[0]. StoreError where flash refuses."""

    kind = "files"

    def __init__(self, path):
        self._own = path
        self._other = path[:-1] + ("b" if path[-1] == "a" else "a")
        self._lines = self._file = self._line = None  # _line: a bytearray while the list arrives
        self._left = self._count = self._blocks = self._number = 0

    @property
    def running(self):
        """Place and number of the release that runs."""
        return self._own[-1] + str(_mark(self._own)[0])

    def unproven(self, _sent):
        """Whether the release that runs was not good yet."""
        return _mark(self._own)[1] is not None

    def why(self):
        """Word why the other release went back, or None."""
        number, word = _mark(self._other)
        return None if number else word

    def room(self):
        """Bytes for a release: what is free, and what the other folder gives up."""
        space = os.statvfs(self._own)
        freed = -_SPARE_BLOCKS
        if self._file:
            freed -= -self._file.tell() // _BLOCK_BYTES  # its size is 0 until it is closed
        try:
            # Not a list of them: that takes 1 KB at once.
            for _, size in _walk(self._other):
                freed -= -(size or 0) // _BLOCK_BYTES
        except OSError:
            pass  # There was never another release.
        return space[0] * space[3] + freed * _BLOCK_BYTES

    def begin(self, manifest):
        """The other folder no longer starts. Returns the name of the place as ``running`` will say."""
        self._close()
        self._line = bytearray()
        self._left = self._count = 0
        self._blocks = manifest["room"] // _BLOCK_BYTES
        self._number = max(_mark(self._own)[0], _mark(self._other)[0]) + 1
        _make(self._other)
        _keep(self._other, "0")
        tried(_put, self._other + _LIST, "")
        return self._other[-1] + str(self._number)

    def clear(self):
        """Generator: removes a file or folder of the other release at each step."""
        try:
            for path, size in _walk(self._other):
                if path not in (self._other + "/release", self._other + _LIST):
                    (os.rmdir if size is None else os.remove)(path)
                yield
        except OSError as exc:
            raise store_error(exc)

    def write(self, piece):
        """The next bytes of the payload; LatchkeyError "payload_refused" for wrong ones. An error closes the files."""
        try:
            tried(self._write, memoryview(piece))
        except Exception:
            self._close()
            raise

    def _write(self, piece):
        at = 0 if self._line is None else self._take_list(piece)
        while at < len(piece):
            if not self._left:
                self._next()
            part = piece[at : at + self._left]
            self._file.write(part)
            self._left -= len(part)
            at += len(part)

    def _take_list(self, piece):
        """Keep the lines of the list that ``piece`` has; returns how many bytes of it they are."""
        with open(self._other + _LIST, "ab") as file:
            for at in range(len(piece)):
                self._line.append(piece[at])
                if len(self._line) > _LINE_BYTES:
                    raise LatchkeyError("payload_refused")
                if piece[at] == 10:
                    file.write(self._line)
                    if len(self._line) == 1:
                        self._line = None
                        return at + 1
                    self._count += 1
                    _judge(bytes(self._line), self._count)
                    self._line = bytearray()
        return len(piece)

    def _next(self):
        """Begin the next file of the list."""
        if self._file:
            self._file.close()
        self._lines = self._lines or open(self._other + _LIST, "rb")
        line = self._lines.readline()
        if line == b"\n":
            raise LatchkeyError("payload_refused")
        _, size, name = _parts(line)
        folder = self._other
        for part in name.split("/")[:-1]:
            folder += "/" + part
            self._blocks -= 2 * _make(folder)  # LittleFS keeps a folder in a pair of blocks
        self._blocks -= -(-size // _BLOCK_BYTES)
        if self._blocks < 0:
            raise LatchkeyError("payload_refused")  # Other bytes than the maker's can be sent with a manifest.
        self._file = open(self._other + "/" + name, "wb")
        self._left = size

    def pieces(self):
        """Generator: the payload as flash has it, in pieces that are valid until the next. LatchkeyError
        "payload_refused" if it does not hold what its list says."""
        try:
            whole = self._left < 0 or self._lines and not self._left and self._lines.readline() == b"\n"
            self._close()
            if not whole:
                raise LatchkeyError("payload_refused")
            self._left = -1  # It is read again if the token was refused before the switch.
            buffer = memoryview(bytearray(_PIECE_BYTES))
            yield from _read(self._other + _LIST, buffer)
            with open(self._other + _LIST, "rb") as lines:
                line = lines.readline()
                while line != b"\n":
                    digest, _, name = _parts(line)
                    hasher = hashlib.sha256()
                    for piece in _read(self._other + "/" + name, buffer):
                        hasher.update(piece)
                        yield piece
                    if hexlify(hasher.digest()) != digest:
                        raise LatchkeyError("payload_refused")
                    line = lines.readline()
        except OSError as exc:
            raise store_error(exc)

    def switch(self):
        """The next start runs the other folder, unproven."""
        tried(os.remove, self._other + _LIST)
        _keep(self._other, "%d new" % self._number)

    def good(self):
        """The release that runs stays."""
        _keep(self._own, str(_mark(self._own)[0]))

    def back(self, reason):
        """The next start runs the other release, if there is one."""
        if _mark(self._other)[0]:
            _keep(self._own, "0 " + reason)

    def _close(self):
        """Let the files go."""
        files = self._lines, self._file
        self._lines = self._file = None
        for file in files:
            if file:
                tried(file.close)


def _mark(path):
    """(number, word or None) of the file ``release`` in the folder ``path``; 0 where there is none."""
    try:
        with open(path + "/release") as file:
            words = file.read(24).split()
        return int(words[0]), words[1] if words[1:] else None
    except (OSError, ValueError, IndexError):
        return 0, None


def _make(folder):
    """Whether it was made."""
    try:
        os.mkdir(folder)
        return True
    except OSError:
        return False  # It is there, or who opens a file in it says why not.


def _keep(path, text):
    tried(_put, path + "/release", text + "\n")


def _put(path, text):
    with open(path, "w") as file:
        file.write(text)


def _walk(path):
    """(path, bytes) of all in the folder ``path``, what a folder holds before itself; of folders None."""
    for name in os.listdir(path):
        name = path + "/" + name
        found = os.stat(name)
        if found[0] & 0x4000:
            yield from _walk(name)
            yield name, None
        else:
            yield name, found[6]


def _read(path, buffer):
    with open(path, "rb") as file:
        count = file.readinto(buffer)
        while count:
            yield buffer[:count]
            count = file.readinto(buffer)


def _parts(line):
    """(hash, size, name) of a line that was judged."""
    digest, size, name = line.split()
    return digest, int(size), name.decode()


def _judge(line, number):
    """A hash, a size and a name that stays inside its folder; everything else is refused."""
    parts = line[:-1].split(b" ")
    # A tab in the hash would split the line again.
    if number > _FILES or len(parts) != 3 or len(parts[0]) != 64 or parts[0].strip(b"0123456789abcdef"):
        raise LatchkeyError("payload_refused")
    _, size, name = parts
    folders = name.split(b"/")
    bad = not size.isdigit() or len(size) > 8 or int(size) == 0 or len(name) > _NAME_BYTES
    bad = bad or len(folders) > _DEEP or any([folder in (b"", b".", b"..") for folder in folders])
    if bad or name.strip(_LETTERS) or folders[-1].rsplit(b".", 1)[-1] not in (b"mpy", b"gz"):
        raise LatchkeyError("payload_refused")
