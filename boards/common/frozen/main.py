"""The start of a frozen build. Frozen, a main.py is executed and not imported: ours is firmware.main."""

try:
    import latchkey_image  # frozen in by `latchkey board image`

    print(latchkey_image.MADE_FROM)
except ImportError:
    pass

from firmware import main

main.run()
