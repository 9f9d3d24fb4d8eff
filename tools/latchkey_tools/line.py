"""Provision boards over the wire: one, or a factory's line with several ports at once, resumable, with a report.

A device is a dict of FIELDS. A file of devices is CSV with a header or a JSON list; ``common`` gives what all share.
Secrets travel in a private file to the board alone; the report has none. Labels have one: they are glued to the device.
"""

import csv
import io
import json
import secrets
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric import ec

from latchkey_tools import certificate, judge, provision
from latchkey_tools.overwire import LONG_WATCHDOG, Wire, WireError
from latchkey_tools.pki import write_private
from latchkey_tools.wallet import WalletError

# What a device may have; those of PATHS are files, relative to the file that names them.
FIELDS = """system_uuid name slug issuer broker_host broker_port ca cert key https_cert https_key key_set factory_keys
wifi_ssid wifi_passphrase ap_passphrase config dev""".split()
PATHS = ("ca", "cert", "key", "https_cert", "https_key", "key_set", "factory_keys", "config")
_NEEDED = ("system_uuid", "slug", "issuer", "ca", "cert", "key")
_LABEL = ("system_uuid", "name", "host", "access_point", "ap_passphrase")
# Read off a label by hand: nothing that looks like something else.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"

_STATUS = 'import json, wire; print(json.dumps({"now": wire.status()["system_uuid"]}))'
_COMMIT = 'import wire; wire.provision("provision.json")'
_FACTORY = """
from board_config import Board
import os
with open("factory.json", "rb") as file:
    Board().keep_factory_keys(file.read())
os.remove("factory.json")
"""


class LineError(Exception):
    """A device's facts are wrong or its board refused them; the text says which and why, never a secret."""


def read_devices(path, common=None):
    """Devices of the CSV or JSON file ``path``, each with the values of the JSON file ``common`` where it has none."""
    path = Path(path)
    rows = _rows(path)
    shared = _resolved(_object(Path(common)), Path(common).parent) if common else {}
    devices = [shared | _resolved(row, path.parent) for row in rows]
    seen = set()
    for device in devices:
        check(device)
        if device["system_uuid"].lower() in seen:
            raise LineError(f"{path}: System {device['system_uuid']} is there twice")
        seen.add(device["system_uuid"].lower())
    if not devices:
        raise LineError(f"{path} names no device")
    return devices


def _rows(path):
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(path.read_text())))
    rows = _json(path)
    if not isinstance(rows, list):
        raise LineError(f"{path} is not a JSON list of devices")
    return rows


def _object(path):
    found = _json(path)
    if not isinstance(found, dict):
        raise LineError(f"{path} is not a JSON object")
    return found


def _json(path):
    try:
        return json.loads(path.read_text())
    except ValueError as e:
        raise LineError(f"{path} is not JSON: {e}") from None


def _resolved(row, folder):
    """The fields that ``row`` fills, paths made absolute."""
    unknown = [str(name) for name in row if name not in FIELDS]
    if unknown:
        raise LineError(f"no device has {', '.join(unknown)}; known are: {', '.join(FIELDS)}")
    filled = {name: value for name, value in row.items() if value not in ("", None)}
    return {name: str(folder / value) if name in PATHS else value for name, value in filled.items()}


def check(device):
    """LineError or ValueError unless ``device`` has what every device needs, and its files are what they should be."""
    absent = [device[name] for name in PATHS if name in device and not Path(device[name]).is_file()]
    if absent:
        raise LineError(f"there is no {absent[0]}")
    known = _object(Path(device["config"])) if "config" in device else {}
    missing = [name for name in _NEEDED if name not in device and name not in known]
    if missing:
        raise LineError(f"{device.get('system_uuid', 'a device')} has no {', '.join(missing)}")
    certificate.read(device["cert"], device["key"])
    _check_https(device)
    dev = _true(device["dev"]) if "dev" in device else known.get("dev") is True
    for name in ("key_set", "factory_keys"):
        if name in device:
            _check_keys(Path(device[name]), dev)
    device.setdefault("system_uuid", known.get("system_uuid"))


def _check_https(device):
    """HTTPS has a certificate of its own, ECDSA P-256: RSA signatures would hold a chip for seconds (A2)."""
    if ("https_cert" in device) != ("https_key" in device):
        raise LineError("https_cert and https_key go together")
    if "https_cert" in device:
        key = certificate.read(device["https_cert"], device["https_key"])[1]
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise LineError(f"{device['https_key']}: HTTPS on a device takes an ECDSA key on P-256")


def _check_keys(path, dev):
    """The board would take any bytes for its factory keys, and have none."""
    try:
        judge.usable_keys(path.read_bytes(), dev)
    except WalletError as e:
        raise LineError(f"{path}: {e}") from None


def document(device):
    """(document for the wire, label) of a checked ``device``; its access point gets a passphrase if none is given."""
    config = _object(Path(device["config"])) if "config" in device else {}
    for name in ("system_uuid", "slug", "issuer", "name"):
        if name in device:
            config[name] = device[name]
    if "broker_host" in device:
        config["broker"] = {"host": device["broker_host"], "port": int(device.get("broker_port", 8883))}
    if "wifi_ssid" in device:
        config["wifi"] = {"ssid": device["wifi_ssid"]}
    if "dev" in device:
        config["dev"] = _true(device["dev"])
    passphrase = device.get("ap_passphrase") or "".join(secrets.choice(_ALPHABET) for _ in range(12))
    made = provision.document(
        config,
        SimpleNamespace(cert_der=device["ca"]),
        SimpleNamespace(cert_der=device["cert"], key_der=device["key"]),
        https=_https(device),
        key_set=_object(Path(device["key_set"])) if "key_set" in device else None,
        wifi={"passphrase": device["wifi_passphrase"]} if "wifi_passphrase" in device else None,
        ap_passphrase=passphrase,
    )
    host = "latchkey-" + config["system_uuid"][:8].lower()
    label = (config["system_uuid"], config.get("name", ""), host + ".local", host, passphrase)
    return made, dict(zip(_LABEL, label, strict=True))


def _https(device):
    if "https_cert" not in device:
        return None
    return SimpleNamespace(cert_der=device["https_cert"], key_der=device["https_key"])


def _true(text):
    return str(text).lower() in ("true", "1", "yes")


def provision_one(device, port, replace=False, quiet_s=None):
    """Provision the board at ``port`` as ``device``; returns its label. WireError, LineError.

    ``replace``: also a board that is another System already.
    """
    wire = Wire(port, **({"quiet_s": quiet_s} if quiet_s else {}))
    made, label = document(device)
    with wire.stopped(LineError):
        _refuse_another(wire, label["system_uuid"], replace)
        _send(wire, made, device.get("factory_keys"))
    return label


def _refuse_another(wire, system, replace):
    now = next((one["now"] for one in wire.json_lines(LONG_WATCHDOG + _STATUS) if "now" in one), None)
    if now and now.lower() != system.lower() and not replace:
        raise LineError(f"the board on {wire.port} is System {now} already; --replace makes it {system}")


def _send(wire, made, factory_keys):
    """Copy and commit. The factory's keys go first: a device with a configuration has everything else."""
    with tempfile.TemporaryDirectory() as private:
        path = Path(private) / "provision.json"
        write_private(path, json.dumps(made).encode())
        if factory_keys:
            wire.run("fs", "cp", "-f", factory_keys, ":factory.json", "+", "exec", _FACTORY)
        wire.run("fs", "cp", "-f", path, ":provision.json")
        reports = wire.json_lines(_COMMIT)
    report = next((one for one in reports if "ok" in one), None)
    if report is None:
        raise WireError("silent", f"the board on {wire.port} gave no report; run the same again")
    if not report["ok"]:
        raise LineError(f"the board refused: {report.get('code')} {report.get('field') or ''}".strip())


class Line:
    """Many devices over a few ports. ``report`` and ``labels``: paths; what the report calls done is left out."""

    def __init__(self, devices, ports, report, labels, replace=False, quiet_s=None):
        self._ports = ports
        self._report = Path(report)
        self._labels = Path(labels)
        self._options = {"replace": replace, "quiet_s": quiet_s}
        self.results = json.loads(self._report.read_text())["devices"] if self._report.exists() else {}
        self.left = [d for d in devices if self.results.get(d["system_uuid"], {}).get("state") != "done"]

    def round(self, heard):
        """One device for every port, all at once; ``heard(device, result)`` in the order in which they end."""
        batch, self.left = self.left[: len(self._ports)], self.left[len(self._ports) :]
        with ThreadPoolExecutor(len(self._ports)) as pool:
            jobs = [pool.submit(self._one, device, port) for device, port in zip(batch, self._ports, strict=False)]
            for device, job in zip(batch, jobs, strict=True):
                self._keep(device, job.result())
                heard(device, self.results[device["system_uuid"]])

    def failed(self):
        return [uuid for uuid, result in self.results.items() if result["state"] != "done"]

    def _one(self, device, port):
        try:
            return {"state": "done", "port": port, "label": provision_one(device, port, **self._options)}
        except (WireError, LineError, OSError, ValueError) as problem:
            return {"state": "failed", "port": port, "reason": str(problem)}

    def _keep(self, device, result):
        """The label before the report: done means that its passphrase is not lost."""
        label = result.pop("label", None)
        if label:
            self._add_label(label)
        self.results[device["system_uuid"]] = result | {"unix_s": int(time.time())}
        part = self._report.with_suffix(".part")
        part.write_text(json.dumps({"devices": self.results}, indent=2) + "\n")
        part.replace(self._report)

    def _add_label(self, label):
        rows = list(csv.DictReader(io.StringIO(self._labels.read_text()))) if self._labels.exists() else []
        rows = [row for row in rows if row["system_uuid"] != label["system_uuid"]] + [label]
        text = io.StringIO()
        writer = csv.DictWriter(text, _LABEL)
        writer.writeheader()
        writer.writerows(rows)
        part = self._labels.with_suffix(".part")
        write_private(part, text.getvalue().encode())
        part.replace(self._labels)
