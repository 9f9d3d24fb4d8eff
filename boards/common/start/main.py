# Latchkey's starter, written by `latchkey board deploy`: runs the release whose folder boot.py put first on the path,
# and gives up one that is not proven at its third restart other than a power-on.
import sys
import time

import machine


def _count(path):
    """Whether this release is unproven; this start of it is written down."""
    with open(path) as file:
        words = file.read(24).split()
    if len(words) < 2:
        return False
    starts = int(words[1]) + (machine.reset_cause() != machine.PWRON_RESET) if words[1].isdigit() else 0
    try:
        with open(path, "w") as file:
            file.write("%s %d\n" % (words[0], starts) if starts < 3 else "0 crashed\n")
    except OSError as exc:
        print("Latchkey: this start was not counted:", exc)
    else:
        if starts > 2:
            print("Latchkey: this release crashed three times; the one before it starts")
            machine.reset()
    return True


def _run(unproven):
    if unproven:
        # For a release that hangs before it has a watchdog of its own.
        machine.WDT(timeout=60000)
    try:
        # The release's own boot, not the starter's: its folder comes first. Here, since boot.py counts no starts.
        __import__("boot")
        import main

        main.run()
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # SystemExit, too
        if not unproven:
            raise
        sys.print_exception(exc)
    if unproven:
        # Nobody is at the console: to end is as bad as to crash.
        time.sleep(2)
        machine.reset()


if sys.path[0][-2:] in ("/a", "/b"):
    _run(_count(sys.path[0] + "/release"))
else:
    print("Latchkey: no whole release is on this board; run `latchkey board deploy`")
