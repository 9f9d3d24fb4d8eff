"""What a frozen build runs at the start. Frozen, a main.py is executed and not imported: ours is firmware.main."""

from firmware import main

main.run()
