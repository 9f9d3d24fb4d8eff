"""Starts the device: the radio before anything large, and a clear end where memory is too short.

    import main; main.run()        until the power goes or the console interrupts

On ESP32 the radio, the link's thread and TLS live in the memory that MicroPython's heap has not taken, and the heap
does not give any back (docs/image.md). Nobody imports this but the start of the board.
"""

import sys

from board_config import Board

from latchkey.device.start import Boots
from latchkey.hw import memory
from latchkey.limits import const

_CRASH_PAUSE_MS = const(2000)


def run():
    """Build and serve. A console interrupt leaves nothing running but the REPL; a fault starts the board anew (A9)."""
    board = Board()
    boots = Boots(board.note, board.store, board.reset_cause, board.button is None, board.wake() == "timer")
    try:
        sleep_ms = live(board, boots)
    except KeyboardInterrupt:
        boots.end()
        raise
    except Exception as exc:
        sys.print_exception(exc)
        boots.end(crashed=True)
        if memory.was_short(exc):
            found = ", ".join(["%s %d" % pair for pair in sorted(memory.heap().items())])
            board.say("Latchkey: memory is too short to start. " + found)
            board.say("What to do: use a frozen image (latchkey board image), or a board with PSRAM.")
            if boots.safe:  # The next start would end so too, for ever.
                return board.say("Latchkey: stopped. The serial cable works; a power cycle tries again.")
        board.clock.sleep_ms(_CRASH_PAUSE_MS)
        board.restart()
    else:
        board.sleep(sleep_ms)


def live(board, boots):
    """Until it is time to sleep: returns for how long, in ms."""
    awake = None
    if board.sleep_s:
        from latchkey.device.sleep import Awake

        awake = Awake(board.sleep_s, board.wake() == "timer", boots.wakes, board.hurry)
    if awake and not awake.opens and not boots.safe:
        import program

        return program.glance(board, boots, awake)
    board.radio  # noqa: B018  made when it is first asked for: here, while memory is whole
    import program

    return program.live(board, boots, awake)
