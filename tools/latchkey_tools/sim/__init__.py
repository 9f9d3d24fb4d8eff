"""The DRIVR simulator: a cloud on this machine that makes, lists, revokes and signs local API tokens.

simulator = Simulator(folder, slug, broker)      broker: a latchkey_tools.sim.broker.Broker
simulator.start()
token = simulator.create_token(system_uuid, "1D")         .jwt .uuid
simulator.revoke(token.uuid); simulator.rotate(); simulator.stop()
"""

from latchkey_tools.sim.client import Client, Simulator, SimulatorError, Token

__all__ = ["Client", "Simulator", "SimulatorError", "Token"]
