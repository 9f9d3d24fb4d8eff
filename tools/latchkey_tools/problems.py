"""The failures that commands foresee: each has a text that says what to do next."""

import errno

from latchkey_tools.boards.build import BuildError
from latchkey_tools.boards.catalog import BoardError
from latchkey_tools.boards.deploy import DeployError
from latchkey_tools.boards.flash import FlashError
from latchkey_tools.boards.manifest import ManifestError
from latchkey_tools.boards.mpremote import CableError
from latchkey_tools.boards.production import LineError
from latchkey_tools.boards.selftest import SelftestError
from latchkey_tools.cli import show
from latchkey_tools.desk.unix_board import DeskError
from latchkey_tools.device.cloud_api import CloudRefusal
from latchkey_tools.device.local_api import Refusal, Unreachable
from latchkey_tools.device.wallet import Unsafe, WalletError
from latchkey_tools.image import Refused as ImageRefused
from latchkey_tools.sim.broker import BrokerError
from latchkey_tools.sim.client import SimulatorError
from latchkey_tools.sim.cloud import CloudError
from latchkey_tools.sim.publisher import Refused

REFUSALS = (Refused, Unsafe)
PROBLEMS = (BrokerError, BuildError, DeskError, SimulatorError, CloudError, ValueError, OSError)
PROBLEMS += (CloudRefusal, Refusal, Unreachable, WalletError)
PROBLEMS += (BoardError, DeployError, FlashError, ImageRefused, LineError, ManifestError, SelftestError)
PROBLEMS += (CableError,)

_TODO = {
    errno.ENOENT: "check how it is written",
    errno.EEXIST: "name one that is not there yet",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "name another folder",
    errno.ENOSPC: "make room",
    errno.EFBIG: "check which file it is",
    errno.EACCES: "check whose it is, and who may use it",
    errno.EPERM: "check whose it is, and who may use it",
    errno.EROFS: "name a place that can be written to",
    errno.EBADF: "start the command with it open",
}
# Where the system's words do not say enough.
_SAID = {errno.ENOTDIR: "a file is in the place of a folder"}


def words(problem):
    """The text for a problem: it ends with what to do, and has no control characters."""
    if isinstance(problem, OSError) and problem.strerror:
        return _of_the_system(problem)
    if isinstance(problem, UnicodeError):
        return _of_letters(problem)
    return "\n".join(map(show.plain, str(problem).split("\n")))


def _of_letters(problem):
    """Of a UnicodeError, whose own words repeat what was given."""
    if isinstance(problem, UnicodeDecodeError):
        return "what was given to read is not a UTF-8 text; check which file it is"
    if "idna" in str(problem):
        return "what was given has letters that names on the network cannot have; check how it is written"
    return "what was given holds bytes or letters that are not text here; check how it is written"


def _of_the_system(problem):
    """Of an OSError, which has only the system's words and perhaps a path."""
    what = f"{show.plain(problem.filename)}: " if problem.filename else ""
    todo = _TODO.get(problem.errno, "check what was given, and try again")
    return f"{what}{_SAID.get(problem.errno, problem.strerror)}; {todo}"
