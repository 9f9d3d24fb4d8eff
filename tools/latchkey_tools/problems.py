"""The failures that commands foresee: each has a text that says what to do next."""

from latchkey_tools.boards import BoardError
from latchkey_tools.broker import BrokerError
from latchkey_tools.build import BuildError
from latchkey_tools.cloud_api import CloudRefusal
from latchkey_tools.deploy import DeployError
from latchkey_tools.desk import DeskError
from latchkey_tools.device_api import Refusal, Unreachable
from latchkey_tools.flash import FlashError
from latchkey_tools.line import LineError
from latchkey_tools.overwire import WireError
from latchkey_tools.selftest import SelftestError
from latchkey_tools.sim.client import SimulatorError
from latchkey_tools.sim.cloud import CloudError
from latchkey_tools.sim.publisher import Refused
from latchkey_tools.wallet import Unsafe, WalletError

REFUSALS = (Refused, Unsafe)
PROBLEMS = (BrokerError, BuildError, DeskError, SimulatorError, CloudError, ValueError, OSError)
PROBLEMS += (CloudRefusal, Refusal, Unreachable, WalletError)
PROBLEMS += (BoardError, DeployError, FlashError, LineError, SelftestError, WireError)
