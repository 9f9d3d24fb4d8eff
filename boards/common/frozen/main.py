"""The start of a frozen build. Frozen, a main.py is executed and not imported: ours is firmware.main."""

import sys
import time

import machine

try:
    import latchkey_image  # frozen in by `latchkey board image`

    print(latchkey_image.MADE_FROM)
except ImportError:
    pass

try:
    from firmware import main

    main.run()
except KeyboardInterrupt:
    raise
except BaseException as exc:
    # In a program slot an unproven release goes back at a reset, and nobody is at the prompt.
    sys.print_exception(exc)
    time.sleep(2)
    machine.reset()
