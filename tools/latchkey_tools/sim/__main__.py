"""Runs the simulator: see latchkey_tools.sim.server."""

from latchkey_tools.sim.server import main

main()
