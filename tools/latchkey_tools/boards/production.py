"""Provision boards over the serial cable: one, or a factory's line of several ports at once, resumable, with a report.

A device is a dict of FIELDS. A file of devices is CSV with a header or a JSON list; ``common`` gives what all share.
Secrets travel in a private file to the board alone; the report has none. Labels have one: they are glued to the device.
"""

import contextlib
import csv
import io
import json
import secrets
import signal
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import SimpleNamespace

from latchkey_tools import reading, uuids
from latchkey_tools.boards import provision
from latchkey_tools.boards.mpremote import LONG_WATCHDOG, CableError, SerialCable
from latchkey_tools.cli import show
from latchkey_tools.device import offline_check
from latchkey_tools.device.local_api import local_name
from latchkey_tools.device.wallet import WalletError
from latchkey_tools.release import keys
from latchkey_tools.sim.pki import write_private

# The fields of a device; those of PATHS are files, relative to the file that names them.
FIELDS = """system_uuid name slug issuer broker_host broker_port ca cert key https_cert https_key key_set factory_keys
release_key recovery_key wifi_ssid wifi_passphrase ap_passphrase config dev""".split()
_UPDATE_KEYS = ("release_key", "recovery_key")
PATHS = ("ca", "cert", "key", "https_cert", "https_key", "key_set", "factory_keys", "config", *_UPDATE_KEYS)
_NOT_TEXT = {"broker_port": (int, str), "dev": (bool, str)}
_FORMS = {"broker_port": "a number", "dev": "true or false", "config": "the path of a JSON file"}
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LABEL = ("system_uuid", "name", "host", "access_point", "ap_passphrase")
# Read off a label by hand: nothing that looks like something else.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"

# The passphrase comes masked by a pad that was made for this once: who keeps what a console says keeps no secret.
_STATUS = """
import gc, json, sys, cable
system = cable.status()["system_uuid"]
kept = cable.ap_passphrase() if system else None
masked = [a ^ b for a, b in zip((kept or "").encode(), %r)]
small = sys.platform == "esp32" and gc.mem_free() < 1 << 20
print(json.dumps({"now": system, "masked": masked, "small": small}))
"""
_NO_HTTPS = "it has too little memory for HTTPS while it is connected to its broker, and answers /v1/info only then"
_COMMIT = 'import cable; cable.provision("provision.json")'
_FACTORY = """
from board_config import Board
import os
try:
    with open("factory.json", "rb") as file:
        Board().keep_factory_keys(file.read())
finally:
    os.remove("factory.json")
"""
_CLEAR = """
import os
for name in %r:
    if name in os.listdir():
        os.remove(name)
"""


class LineError(Exception):
    """A device's facts are wrong or its board refused them; the text says which and why, never a secret."""


def read_devices(path, common=None, fill=lambda device: None):
    """Devices of the CSV or JSON file ``path``, each with the values of the JSON file ``common`` where it has none.

    ``fill(device)`` adds what none of them says, before a device is checked.
    """
    shared = _shared(Path(common)) if common else {}
    devices, names, free = [], {}, 0
    for where, row in _rows(Path(path)):
        with named(where):
            device = shared | _resolved(row, Path(path))
            fill(device)
            free += check(device).get("issuer") is None
            _take_name(names, device["system_uuid"], where)
            devices.append(device)
    if not devices:
        raise LineError(f"{path} names no device; add a row for each, as docs/boards.md shows")
    if free:
        show.say(f"{path}: {free} without an issuer take tokens of any issuer whose key they have")
    return devices


@contextlib.contextmanager
def named(where):
    """Errors in this block name ``where``: a file, or a place in one."""
    try:
        yield
    except (LineError, ValueError) as problem:
        raise LineError(f"{where}: {problem}") from None


def _shared(path):
    found = _object(path)
    with named(path):
        return _resolved(found, path)


def _take_name(names, system, where):
    """``names``: {name in a network: (System UUID, where it is)} so far."""
    other, there = names.setdefault(local_name(system), (system, where))
    if there is not where and other == system:
        raise LineError(f"System {system} is there twice; {there} has it too")
    _refuse_same_name(system, other, there)


def _refuse_same_name(system, other, where):
    """The first eight digits of a System's UUID are its name in a network."""
    if other.lower() != system:
        raise LineError(
            f"System {system} and System {other} ({where}) begin alike: both devices would be {local_name(system)}. "
            "Give one of them another System"
        )


def text_of(path):
    """The text of the file ``path``; LineError if it is not UTF-8. Excel and Notepad begin theirs with a mark."""
    try:
        return reading.content(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LineError(f"{path} is not UTF-8; save it as UTF-8, which Excel calls CSV UTF-8") from None


def _rows(path):
    """[(where it is, what was read)] for each device."""
    if path.suffix.lower() == ".csv":
        return _csv_rows(path)
    rows = _json(path)
    if not isinstance(rows, list):
        raise LineError(f"{path} is not a JSON list of devices")
    return [(f"{path}, device {number}", row) for number, row in enumerate(rows, 1)]


def _csv_rows(path):
    names, rows, numbers = _csv(path)
    strange = [str(number) for number, name in enumerate(names, 1) if name not in FIELDS]
    if strange or not names:
        # They are not shown: where there is no header, they are values, and a secret may be among them.
        which = f"; not so column {', '.join(strange)}" if strange else ""
        known = " ".join(FIELDS)
        raise LineError(f"the first line of {path} must name the columns, with commas{which}; known: {known}")
    places = [f"{path}, line {number}" for number in numbers]
    for where, row in zip(places, rows, strict=True):
        if None in row:
            raise LineError(f"{where}: it has more values than the first line has names")
    return list(zip(places, rows, strict=True))


def _csv(path):
    """(names in the first line, a dict for each line after it, the numbers of these lines)."""
    try:
        reader = csv.DictReader(io.StringIO(text_of(path)))
        numbered = [(row, reader.line_num) for row in reader]
        return reader.fieldnames or [], [row for row, _ in numbered], [number for _, number in numbered]
    except csv.Error as e:
        raise LineError(f"{path} is not CSV: {e}") from None


def _object(path):
    found = _json(path)
    if not isinstance(found, dict):
        raise LineError(f"{path} is not a JSON object; check which file it is")
    return found


def _json(path):
    try:
        return json.loads(text_of(path))
    except (ValueError, RecursionError) as e:
        raise LineError(f"{path} is not JSON: {e}; correct it, or check which file it is") from None


def _resolved(row, path):
    """The fields that ``row`` of the file ``path`` fills, paths made absolute."""
    if not isinstance(row, dict):
        raise LineError("a device is a JSON object")
    unknown = [name for name in row if name not in FIELDS]
    if unknown:
        raise LineError(f"no device has {', '.join(unknown)}; known are: {', '.join(FIELDS)}")
    filled = {name: value for name, value in row.items() if value not in ("", None)}
    for name, value in filled.items():
        if not isinstance(value, _NOT_TEXT.get(name, str)):
            form = "the path of a file" if name in PATHS else "a text"
            raise LineError(f"{name} must be {_FORMS.get(name, form)}")
    return {name: str(path.parent / value) if name in PATHS else value for name, value in filled.items()}


def check(device):
    """The configuration (dict) of ``device``; LineError or ValueError unless a device would take its ``document``.

    The UUID of its System is written as it goes to the device from now on.
    """
    config = document(device)[0]["config"]
    device["system_uuid"] = config["system_uuid"]
    return config


def document(device, ap_passphrase=None):
    """(document for the device, label) of ``device``; LineError or ValueError unless a device would take it.

    ``ap_passphrase``: of its access point, where the device names none; by default one is made.
    """
    need_files(device)
    config = _config(device)
    _check_complete(device, config)
    key_set = _key_sets(device, config.get("dev") is True)
    passphrase = device.get("ap_passphrase") or ap_passphrase or _new_passphrase()
    made = provision.document(
        config,
        SimpleNamespace(cert_der=device["ca"]),
        SimpleNamespace(cert_der=device["cert"], key_der=device["key"]),
        https=_https(device),
        key_set=key_set,
        wifi={"passphrase": device["wifi_passphrase"]} if "wifi_passphrase" in device else None,
        ap_passphrase=passphrase,
        update_keys=_update_keys(device),
    )
    with named(f"{device['config']} and what is given beside it") if "config" in device else contextlib.nullcontext():
        _judged(offline_check.check_document, json.dumps(made).encode())
    host = local_name(config["system_uuid"])
    label = (config["system_uuid"], config.get("name", ""), host, host.removesuffix(".local"), passphrase)
    return made, dict(zip(_LABEL, label, strict=True))


def need_files(device, called=str):
    """LineError, which names every field of ``device`` whose file is not there, as ``called(name)`` does."""
    absent = [name for name in PATHS if name in device and not Path(device[name]).is_file()]
    if absent:
        named = ", ".join(f"{device[name]} ({called(name)})" for name in absent)
        raise LineError(f"there is no file {named}; make it, or correct the name")


def _config(device):
    """The configuration in the device's file, and over it what the device says itself."""
    config = _object(Path(device["config"])) if "config" in device else {}
    config |= {name: device[name] for name in ("system_uuid", "slug", "issuer", "name") if name in device}
    with contextlib.suppress(KeyError, ValueError):
        config["system_uuid"] = uuids.canonical(config["system_uuid"])
    if "broker_host" in device:
        config["broker"] = {"host": device["broker_host"], "port": _port(device)}
    elif "broker_port" in device:
        raise LineError("broker_port is there, and broker_host is not: give both, or neither")
    if "wifi_ssid" in device:
        config["wifi"] = {"ssid": device["wifi_ssid"]}
    if "dev" in device:
        config["dev"] = _flag(device)
    return config


def _check_complete(device, config):
    missing = [name for name in ("system_uuid", "slug") if name not in config]
    if missing:
        raise LineError(f"{device.get('config', 'this device')} has no {' and no '.join(missing)}")
    missing = [name for name in ("ca", "cert", "key") if name not in device]
    if missing:
        raise LineError(f"this device has no {' and no '.join(missing)}: name the file in its row, or in --common")
    if ("https_cert" in device) != ("https_key" in device):
        raise LineError("https_cert and https_key go together: give both or none")
    if "wifi_passphrase" in device and not (config.get("wifi") or {}).get("ssid"):
        raise LineError("there is a Wi-Fi passphrase, and no network: give --wifi-ssid, in a line's file wifi_ssid")


def _key_sets(device, dev):
    """The key set to begin with, or None; a board would take any bytes for its factory keys, and have none."""
    if "factory_keys" in device:
        with named(device["factory_keys"]):
            _judged(offline_check.check_factory_keys, text_of(device["factory_keys"]).encode(), dev)
    if "key_set" not in device:
        return None
    with named(device["key_set"]):
        _judged(offline_check.usable_keys, text_of(device["key_set"]).encode(), dev)
    return _object(Path(device["key_set"]))


def _judged(verdict, *facts):
    try:
        verdict(*facts)
    except WalletError as e:
        raise LineError(str(e)) from None


def _update_keys(device):
    """The maker's public keys for updates, {"release", "recovery"}, or None where the device names none."""
    if "release_key" not in device:
        if "recovery_key" in device:
            raise LineError("there is a recovery_key and no release_key: give both, or the release key alone")
        return None
    found = {name.partition("_")[0]: _jwk(device.get(name)) for name in _UPDATE_KEYS}
    if found["release"] == found["recovery"]:
        raise LineError("release_key and recovery_key are the same key: make a second one, and keep it offline")
    return found


def _jwk(path):
    return keys.jwk(keys.public(path)) if path else None


def _https(device):
    if "https_cert" not in device:
        return None
    return SimpleNamespace(cert_der=device["https_cert"], key_der=device["https_key"])


def _port(device):
    try:
        return int(device.get("broker_port", 8883))
    except ValueError:
        raise LineError("broker_port must be a number, such as 8883") from None


def _flag(device):
    try:
        return _FLAGS[str(device["dev"]).lower()]
    except KeyError:
        raise LineError("dev must be true or false") from None


def _new_passphrase():
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


def provision_one(
    device, port, replace=False, quiet_s=None, ap_passphrase=None, keep=lambda label: None, new_passphrase=False
):
    """Provision the board at ``port`` as ``device``; returns its label. CableError, LineError, ValueError.

    ``replace``: also a board that is another System already. ``ap_passphrase``: as of ``document``; by default a board
    that is this System keeps the one it has, since its label has it, unless ``new_passphrase``. ``keep``: called with
    the label before its passphrase goes to the board, so that a board never has one that nobody knows.
    """
    cable = SerialCable(port, quiet_s)
    check(device)
    with cable.stopped(LineError):
        had = _refuse_another(cable, device, replace)
        made, label = document(device, ap_passphrase or (None if new_passphrase else had))
        keep(label)
        with cleared(cable, "provision.json", "factory.json"):
            _send(cable, made, device.get("factory_keys"))
    return label


@contextlib.contextmanager
def cleared(cable, *names):
    """Around what copies secrets to files of these names: if it broke off, none of them stays, as far as the board
    answers."""
    try:
        yield
    except (CableError, KeyboardInterrupt):
        with contextlib.suppress(CableError):
            cable.run("exec", _CLEAR % (names,))
        raise


def _refuse_another(cable, device, replace):
    """The passphrase of the board's access point if the board is this System already, or None."""
    system = device["system_uuid"]
    pad = secrets.token_bytes(64)
    status = next((one for one in cable.json_lines(LONG_WATCHDOG + _STATUS % pad) if "now" in one), {"now": None})
    now = status["now"] and status["now"].lower()
    if now and now != system and not replace:
        raise LineError(f"the board on {cable.port} is System {now} already; --replace makes it {system}")
    if status.get("small") and device.get("https_cert"):
        show.say(f"the board on {cable.port}: {_NO_HTTPS} (docs/boards.md)")
    return bytes(a ^ b for a, b in zip(status["masked"], pad, strict=False)).decode() if now == system else None


def _send(cable, made, factory_keys):
    """Copy and commit. The factory's keys go first: a device with a configuration has everything else."""
    with tempfile.TemporaryDirectory() as private:
        path = Path(private) / "provision.json"
        write_private(path, json.dumps(made).encode())
        if factory_keys:
            keys = Path(private) / "factory.json"
            keys.write_bytes(text_of(factory_keys).encode())
            cable.run("fs", "cp", "-f", keys, ":factory.json", "+", "exec", _FACTORY)
        cable.run("fs", "cp", "-f", path, ":provision.json")
        commit(cable, _COMMIT)


def commit(cable, script):
    """Let the board take what was copied to it. LineError if it refuses; CableError, also where it gives no report."""
    report = next((one for one in cable.json_lines(script) if "ok" in one), None)
    if report is None:
        raise CableError("silent", f"the board on {cable.port} gave no report; run the same again")
    if not report["ok"]:
        raise LineError(f"the board refused: {report.get('code')} {report.get('field') or ''}".strip())


class Line:
    """Many devices over a few ports. ``report`` and ``labels``: paths; what the report calls done is left out.

    LineError if either cannot be used, before any board is touched. A System that has a label already keeps its
    passphrase, even if the run that made it failed.
    """

    def __init__(self, devices, ports, report, labels, replace=False, quiet_s=None):
        self._ports = ports
        self._report = Path(report)
        self._labels = Path(labels)
        self._options = {"replace": replace, "quiet_s": quiet_s}
        self._systems = [device["system_uuid"] for device in devices]
        self._known = _results_in(self._report)
        self._lock = threading.Lock()
        labels = labels_in(self._labels)
        made = dict.fromkeys(self._known, self._report) | {str(row["system_uuid"]): self._labels for row in labels}
        names = {local_name(system): (system, where) for system, where in made.items()}
        for system in self._systems:
            _refuse_same_name(system, *names.get(local_name(system), (system, "")))
        self._write_report()
        self._write_labels(labels)
        self.left = [d for d in devices if self._known.get(d["system_uuid"], {}).get("state") != "done"]

    @property
    def results(self):
        """{System UUID: result} of this line's devices; the report may hold those of others."""
        return {system: self._known[system] for system in self._systems if system in self._known}

    def round(self, heard):
        """One device for every port, all at once; ``heard(device, result)`` as each ends, one call at a time.

        Ctrl-C waits for them: every result is kept, and no board stays stopped or half done.
        """
        batch, self.left = self.left[: len(self._ports)], self.left[len(self._ports) :]
        with ThreadPoolExecutor(len(self._ports), initializer=_out_of_reach) as pool:
            pairs = zip(batch, self._ports, strict=False)
            jobs = [pool.submit(self._one, device, port, heard) for device, port in pairs]
            try:
                for job in jobs:
                    job.result()
            except KeyboardInterrupt:
                show.say("the boards at work are finished first")
                with _deaf():
                    wait(jobs)
                raise

    def failed(self):
        """Systems of this line that were tried in vain."""
        left = {device["system_uuid"] for device in self.left}
        return [s for s, result in self.results.items() if result["state"] != "done" and s not in left]

    def _one(self, device, port, heard):
        result = {"state": "done", "port": port}
        try:
            given = self._label_of(device["system_uuid"]).get("ap_passphrase")
            provision_one(device, port, **self._options, ap_passphrase=given, keep=self._keep_label)
        except (CableError, LineError, OSError, ValueError) as problem:
            result |= {"state": "failed", "reason": str(problem)}
        with self._lock:
            self._known[device["system_uuid"]] = result | {"unix_s": int(time.time())}
            self._write_report()
            heard(device, result)

    def _label_of(self, system):
        with self._lock:
            return next((row for row in labels_in(self._labels) if row["system_uuid"] == system), {})

    def _keep_label(self, label):
        with self._lock:
            others = [row for row in labels_in(self._labels) if row["system_uuid"] != label["system_uuid"]]
            self._write_labels([*others, label])

    def _write_report(self):
        text = json.dumps({"devices": self._known}, indent=2) + "\n"
        _replace(self._report, Path.write_bytes, text.encode())

    def _write_labels(self, rows):
        text = io.StringIO()
        writer = csv.DictWriter(text, _LABEL)
        writer.writeheader()
        writer.writerows(rows)
        _replace(self._labels, write_private, text.getvalue().encode())


def _out_of_reach():
    """Keep the terminal's Ctrl-C from this thread's mpremote, which inherits what is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextlib.contextmanager
def _deaf():
    """A second Ctrl-C would leave the boards to themselves, stopped."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _results_in(path):
    if not path.exists():
        return {}
    found = _json(path)
    results = found.get("devices") if isinstance(found, dict) else None
    if not isinstance(results, dict) or not all(isinstance(r, dict) and "state" in r for r in results.values()):
        raise LineError(f"{path} is not the report of a line; move it away, or name another with --report")
    return results


def labels_in(path):
    """The rows of a file of labels (dicts of _LABEL), [] where there is no such file; LineError."""
    if not path.exists():
        return []
    names, rows, _ = _csv(path)
    if tuple(names) != _LABEL or any(None in row for row in rows):
        raise LineError(f"{path} has not the columns of labels; check which file it is")
    return rows


def _replace(path, write, data):
    """The whole of ``path`` or nothing."""
    part = path.with_name(path.name + ".part")
    try:
        write(part, data)
        part.replace(path)
    except OSError as e:
        raise LineError(f"{path} cannot be written: {e.strerror}") from None
