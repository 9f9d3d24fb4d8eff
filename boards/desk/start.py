"""The desk board's ROM: mounts the flash image at /flash and runs main from it, as a chip does after reset.

    micropython -i -X heapsize=320K start.py --image FILE --port N [--tls-port N] [--host 127.0.0.1]
        [--clock host|unset] [--product bulb|sensor] [--product-file FILE] [--battery] [--hurry N]
        [--air FILE] [--air-note FILE] [--uplink FILE] [--pins FILE] [--button FILE] [--nvs FILE] [--note FILE]
        [--sleep FILE] [--cause power|reset|soft|panic|sleep] [--wake timer|button] [--no-main]

Firmware finds the options as attributes of the module `desk_options`, and blocks (the block device), console (Console)
and reset() (ends this process; its owner starts it again, as a chip would) beside them. Ctrl-C ends main and leaves the
REPL. --no-main goes there at once, as a soft reset in the raw REPL does on a chip.

With --air the board has Wi-Fi: the module `network` of standins/, over which FILE says what is on air. Without, it has
the host's network, and --uplink cuts that. --pins: where simulated pins show their levels. --button: pressed while FILE
says "down".
--note: memory that outlives a reset; whoever cuts the power removes it. --sleep: where a deep sleep's length is left.
"""

import _thread
import os
import select
import sys
import time

import fileblocks
import vfs


class Console:
    """Ctrl-C as a byte that main looks for between two turns of its loop, where a chip raises it too. The terminal is
    line by line, which shows outside that a program runs. See tools/latchkey_tools/desk/serialport.py."""

    def __init__(self):
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def look(self, _turns=None):
        """KeyboardInterrupt if Ctrl-C was typed. Called as a chip's watchdog is, which it feeds."""
        WDT.feed()
        while self._poll.poll(0):
            typed = sys.stdin.buffer.read(1)
            if typed == b"\x03":
                raise KeyboardInterrupt
            if not typed:
                return


class WDT:
    """A chip's watchdog: resets a program that nobody has fed for ``timeout`` ms."""

    _timeout = _fed = None

    def __init__(self, id=0, timeout=5000):
        starts, WDT._timeout = WDT._timeout is None, timeout
        WDT.feed()
        if starts:
            _thread.start_new_thread(WDT._watch, ())

    @staticmethod
    def feed():
        WDT._fed = time.ticks_ms()

    @staticmethod
    def _watch():
        while time.ticks_diff(time.ticks_ms(), WDT._fed) < WDT._timeout:
            time.sleep_ms(100)
        desk_options.reset()


class desk_options:
    """Looks like a module; MicroPython has no way to make one at run time."""

    image = product_file = uplink = nvs = air = air_note = pins = button = note = sleep = wake = None
    host = "127.0.0.1"
    port = "0"
    tls_port = "0"
    hurry = "1"
    product = "bulb"
    battery = False
    clock = "host"
    cause = "power"
    run_main = True
    blocks = console = None

    @staticmethod
    def reset():
        """A hardware reset. The unix port cannot end a process that has -i and threads, so a shell does."""
        os.system("kill -9 $PPID")


def attribute(name):
    return name[2:].replace("-", "_")


def read_arguments(arguments):
    flags = {"--no-main": ("run_main", False), "--battery": ("battery", True)}
    while arguments:
        name = arguments.pop(0)
        if name in flags:
            setattr(desk_options, *flags[name])
        elif name.startswith("--") and hasattr(desk_options, attribute(name)) and arguments:
            setattr(desk_options, attribute(name), arguments.pop(0))
        else:
            raise SystemExit("start.py: unknown or incomplete option " + name)
    desk_options.port = int(desk_options.port)
    desk_options.tls_port = int(desk_options.tls_port)
    desk_options.hurry = int(desk_options.hurry)


def with_reset():
    """The `machine` of a board has what the port lacks and mpremote calls: reset, its cause, WDT, pins if asked for."""
    import machine as port_machine

    class machine:
        PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
        reset = staticmethod(desk_options.reset)
        WDT = WDT

        @staticmethod
        def reset_cause():
            return {"power": 1, "soft": 5, "sleep": 4}.get(desk_options.cause, 2)

    for name in dir(port_machine):
        if not name.startswith("__") and not hasattr(machine, name):
            setattr(machine, name, staticmethod(getattr(port_machine, name)))
    if desk_options.pins:
        import pins

        pins.bank.path = desk_options.pins
        machine.Pin, machine.PWM = pins.Pin, pins.PWM
    return machine


def put_on_air():
    import network

    network._air.follow(desk_options.air, desk_options.air_note, desk_options.uplink)
    network._air.join_ms = max(2000 // desk_options.hurry, network._air.join_ms)


def mount():
    desk_options.blocks = fileblocks.FileBlocks(desk_options.image)
    vfs.mount(vfs.VfsLfs2(desk_options.blocks), "/flash")
    os.chdir("/flash")


def is_file(name):
    try:
        return os.stat(name)[0] & 0x8000
    except OSError:
        return False


def run_script(name):
    """As a chip runs boot.py and main.py: not as a module. Returns its names."""
    names = {"__name__": "__main__"}
    with open(name) as file:
        exec(file.read(), names)
    return names


def run_main():
    try:
        run = run_script("main.py").get("run")
        if run:
            run()
    except KeyboardInterrupt:
        print("stopped")


read_arguments(sys.argv[1:])
desk_options.console = Console()
sys.path.append(sys.path[0] + "/standins")
sys.modules["machine"] = with_reset()
if desk_options.air:
    put_on_air()
mount()
sys.path[:] = [".frozen", "/flash/lib", "/flash"]
sys.modules["desk_options"] = desk_options
if is_file("boot.py"):
    run_script("boot.py")
if desk_options.run_main and is_file("main.py"):
    run_main()
