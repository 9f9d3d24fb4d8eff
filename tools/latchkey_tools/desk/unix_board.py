"""The desk board: Latchkey's firmware on the MicroPython unix port, with flash, power switch and serial port.

    desk = Desk(folder)
    desk.power_on()                    waits until its local API answers
    desk.info(); desk.url; desk.tls_url (once HTTPS is provisioned); desk.serial (for `mpremote connect`)
    desk.provision(document); desk.power_cut(); desk.cut_uplink()

With ``air`` (a dict, see boards/desk/standins/network.py) it has Wi-Fi instead of the host's network, over loopback
addresses: ``desk.ap_url`` is its access point, ``desk.lan_url`` itself in the network it joined. Linux only.

The flash is a LittleFS in an image file that survives everything here. The process is started again whenever it ends
by itself, as a chip starts again after a reset or a deep sleep; a soft reset from the raw REPL does not run main, as on
a chip.
"""

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import httpx

from latchkey_tools import folders
from latchkey_tools.boards import build, catalog, mpremote_call
from latchkey_tools.boards.catalog import STARTER
from latchkey_tools.boards.release import release
from latchkey_tools.desk.serialport import Bridge
from latchkey_tools.sim.broker import free_port
from latchkey_tools.sim.client import NO_TLS
from latchkey_tools.sim.pki import write_private

BOARD = build.BOARDS / "desk"
# As a chip of 4 MB has it: room for what was on the flash first and two releases besides.
IMAGE_SIZE = 2 * 1024 * 1024
READY_WITHIN_S = 30
DOCUMENT = "/flash/provision.json"
# At the end of a console: the program has ended, and the prompt waits.
_BANNER = re.compile(r"^MicroPython .*\n.*\n>>> \Z", re.M)


class DeskError(Exception):
    """The desk board did not do what was asked; the text says why, never with secrets."""


def firmware_tree(folder):
    """Lay out in ``folder`` what goes onto a desk's flash, as a deploy leaves a chip's: the starter and a release."""
    folder = Path(folder)
    for path in STARTER.glob("*.py"):
        _link(path, folder / path.name)
    for name, path in release(catalog.board("desk"), "x64").items():
        _link(path, folder / "a" / name)
    (folder / "a" / "release").write_text("1\n")
    return folder


def make_image(path, tree, size=IMAGE_SIZE):
    """Make a LittleFS image of ``size`` bytes at ``path`` that holds the files of folder ``tree``."""
    write_private(path, b"\xff" * size)
    command = [build.micropython(), BOARD / "mkimage.py", path, tree]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise DeskError(f"no flash image was made: {(done.stderr or done.stdout).strip()}")


class Desk:
    """One desk board in ``folder``; ``tree`` replaces what is on its flash when the image is first made.

    ``clock``: "host", or "unset" (it starts in 2000 at every power-on). ``port``: of the local API, 0 for a free one;
    it stays the same over restarts. ``heapsize``: as the interpreter takes it; by default 320 KB, and 32 more for
    Wi-Fi or pins, whose stand-ins no chip has. ``air``: what is on air (a dict, or the path of a JSON file), or None
    for the host's network. ``hurry``: divides pauses and windows. ``product``: "bulb" or "sensor"; ``battery``: one
    that sleeps. ``product_file``: path of a Python file of the host that makes another product, read at every start.
    ``button``: whether it has one; None: all but a bulb with Wi-Fi. ``pins``: whether it drives some.
    """

    def __init__(
        self, folder, port=0, clock="host", heapsize=None, tree=None,
        air=None, hurry=1, product="bulb", battery=False, button=None, pins=False, product_file=None,
    ):  # fmt: skip
        # The device's process has another working directory.
        self.folder = Path(folder).resolve()
        folders.make(self.folder)
        self.port = port or free_port()
        self.tls_port = free_port()
        self.clock = clock
        self.heapsize = heapsize or ("320K" if air is None and not pins else "352K")
        self.hurry = hurry
        self.product = "sensor" if battery else product
        self.battery = battery
        self.product_file = product_file and Path(product_file).resolve()
        # Without one and without Wi-Fi it would count the power cycles of tests, and forget its settings at the tenth.
        self.has_button = (air is None or self.product == "sensor") if button is None else button
        self.pins = self.folder / "pins.json" if pins else None
        self.air = air if air is None or isinstance(air, Path) else self.folder / "air.json"
        self.air_note = self.folder / "radio.json"
        self.note = self.folder / "note"
        self.button = self.folder / "button"
        self.image = self.folder / "flash.img"
        self.uplink = self.folder / "uplink"
        self.log_path = self.folder / "console.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.tls_url = f"https://127.0.0.1:{self.tls_port}"
        self.ap_url = f"http://127.4.0.1:{self.port}"
        self.lan_url = f"http://127.7.0.7:{self.port}"
        self._make_image_once(tree)
        if isinstance(air, dict):
            self.set_air(air)
        self._release()
        self._sleep = _Sleep(self.folder / "sleep", self.button)
        self._bridge = Bridge(self._command, self.log_path, self._sleep)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def serial(self):
        """Path of the serial port, for mpremote; the same for the life of this object."""
        return self._bridge.path

    @property
    def running(self):
        return self._bridge.running

    @property
    def asleep(self):
        """Whether it is in deep sleep, with its power on."""
        return self._bridge.asleep

    @property
    def starts(self):
        """How often the process was started, by the power switch and by resets."""
        return self._bridge.starts

    @property
    def pid(self):
        """Process id of the device, or None while it has no power."""
        return self._bridge.pid

    def power_on(self, wait=True):
        """Give it power; ``wait`` until its local API answers. Returns self."""
        told = len(self.log_text())
        self._bridge.power_on()
        if wait:
            self.wait_ready(has_failed=lambda: self._has_failed(told))
        return self

    def power_cut(self):
        """Take its power away, at whatever it was doing (SIGKILL), and with it what its memory kept."""
        self._bridge.power_off()
        self.note.unlink(missing_ok=True)
        self.air_note.unlink(missing_ok=True)

    def restart(self, wait=True):
        """Power cut and power on."""
        self.power_cut()
        return self.power_on(wait)

    def close(self):
        """Power off for good; the serial port is gone, the image and the log stay."""
        self._bridge.close()

    def wait_ready(self, within_s=READY_WITHIN_S, has_failed=lambda: False):
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                return self.info()
            except httpx.HTTPError:
                if has_failed():
                    raise DeskError(f"the firmware did not start: {self.last_words()}") from None
                time.sleep(0.05)
        raise DeskError(f"the device did not answer within {within_s} s; its last words: {self.last_words()}")

    def info(self):
        """GET /v1/info."""
        return httpx.get(f"{self.url}/v1/info", timeout=5, trust_env=False, verify=NO_TLS).json()

    def log_text(self):
        """All that the device ever wrote to its console."""
        return self.log_path.read_text(errors="replace")

    def last_words(self):
        return " | ".join(_BANNER.sub("", self.log_text()).strip().splitlines()[-6:]) or "(none)"

    def _has_failed(self, told):
        """Whether the program has ended in a traceback since the console had ``told`` characters."""
        said = self.log_text()[told:]
        return "Traceback" in said and bool(_BANNER.search(said))

    def cut_uplink(self):
        """No Wi-Fi and no internet for the device; its local API stays reachable here."""
        self.uplink.write_text("down")

    def restore_uplink(self):
        self.uplink.unlink(missing_ok=True)

    def set_air(self, air):
        """From now on the dict ``air`` is what is on air; the device notices within a tenth of a second."""
        path = self._air_path()
        part = path.with_suffix(".part")
        part.write_text(json.dumps(air))
        part.replace(path)

    def on_air(self):
        """The networks that are on air, as a list of dicts."""
        return json.loads(self._air_path().read_text())["networks"]

    def radio_state(self):
        """The state of station and access point: joined, address, access_point, channel; None while nobody knows."""
        try:
            return json.loads(self.air_note.read_text())
        except (OSError, ValueError):
            return None

    def press(self, seconds=0.3, wait=True):
        """Hold the button for ``seconds``; with ``wait`` False return at once while it is held."""
        if not self.has_button:
            raise DeskError("this board has no button: start it with --button, or switch it on five times")
        if not 0 <= seconds <= threading.TIMEOUT_MAX:
            raise ValueError("a button is held for a number of seconds, such as 3")
        self.button.write_text("down")
        timer = threading.Timer(seconds, self._release)
        timer.daemon = True
        timer.start()
        if wait:
            timer.join()

    def button_state(self):
        """none, up or down."""
        if not self.has_button:
            return "none"
        return "down" if self.button.exists() else "up"

    def pin_levels(self):
        """Number to level of every simulated output."""
        return json.loads(self.pins.read_text()) if self.pins and self.pins.exists() else {}

    def mpremote(self, *arguments, timeout_s=60):
        """Run the real mpremote against the serial port; returns what it printed, DeskError if it failed."""
        return mpremote_call.mpremote(self.serial, arguments, timeout_s, DeskError)

    def provision(self, document, wait=True):
        """Provision over the serial cable, as at a factory: copy the document, let the device commit it, restart.

        Returns the device's report (dict); DeskError with code and field if the device refused the document. Secrets
        travel in a private file, not in any argument or output.
        """
        return self._over_cable("provision", document, wait)

    def renew(self, document, wait=True):
        """Bring a new client certificate over the serial cable, to be tried after the restart; like ``provision``."""
        return self._over_cable("renew", document, wait)

    def _over_cable(self, deed, document, wait):
        with tempfile.TemporaryDirectory(dir=self.folder) as private:
            path = Path(private) / "provision.json"
            write_private(path, json.dumps(document).encode())
            action = f"import cable; cable.{deed}({DOCUMENT!r})"
            output = self.mpremote("fs", "cp", path, f":{DOCUMENT}", "+", "exec", action)
        self.restart(wait)
        report = _last_json(output)
        if report.get("ok") is False:
            why = f"{report.get('code')} {report.get('field') or ''}".strip()
            raise DeskError(f"the device refused the document: {why}")
        return report

    def _air_path(self):
        if self.air is None:
            raise DeskError("this board has no Wi-Fi: start it with --air FILE")
        return self.air

    def _release(self):
        self.button.unlink(missing_ok=True)

    def _make_image_once(self, tree):
        if self.image.exists():
            self.image.chmod(0o600)
            return
        with tempfile.TemporaryDirectory() as scratch:
            part = self.folder / "flash.part"
            make_image(part, tree or firmware_tree(scratch))
            part.replace(self.image)

    def _command(self, cause, run_main):
        woken = cause in ("timer", "button")
        command = [build.micropython(), "-i", "-X", f"heapsize={self.heapsize}", BOARD / "start.py"]
        command += ["--image", self.image, "--port", self.port, "--tls-port", self.tls_port]
        command += ["--clock", self.clock, "--cause", "sleep" if woken else cause]
        command += ["--uplink", self.uplink, "--nvs", self.folder / "nvs.json", "--note", self.note]
        command += ["--sleep", self._sleep.path, "--product", self.product, "--hurry", self.hurry]
        # On air it has three addresses, all of them loopback's.
        command += ["--host", "0.0.0.0", "--air", self.air, "--air-note", self.air_note] if self.air else []
        command += ["--button", self.button] if self.has_button else []
        command += ["--pins", self.pins] if self.pins else []
        command += ["--product-file", self.product_file] if self.product_file else []
        command += ["--battery"] if self.battery else []
        command += ["--wake", cause] if woken else []
        return command + ([] if run_main else ["--no-main"])


class _Sleep:
    """A desk's deep sleep: the device leaves its length in the file ``path``, then ends; its button ends it sooner."""

    def __init__(self, path, button):
        self.path = path
        self._button = button
        self._until_s = 0.0

    def forget(self):
        self.path.unlink(missing_ok=True)

    def begins(self):
        try:
            self._until_s = time.monotonic() + int(self.path.read_text()) / 1000
        except (OSError, ValueError):
            return False
        self.forget()
        return True

    def over(self):
        if self._button.exists():
            return "button"
        return "timer" if time.monotonic() >= self._until_s else None


def _last_json(output):
    for line in reversed(output.strip().splitlines()):
        try:
            return json.loads(line)
        except ValueError:
            continue
    raise DeskError("the device gave no report of its provisioning")


def _link(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    os.symlink(source, target)
