"""The failures that commands foresee: each has a text that says what to do next."""

from latchkey_tools.broker import BrokerError
from latchkey_tools.build import BuildError
from latchkey_tools.desk import DeskError
from latchkey_tools.sim.client import SimulatorError
from latchkey_tools.sim.cloud import CloudError
from latchkey_tools.sim.publisher import Refused

REFUSALS = (Refused,)
PROBLEMS = (BrokerError, BuildError, DeskError, SimulatorError, CloudError, ValueError, OSError)
