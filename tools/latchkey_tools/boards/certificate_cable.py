"""Certificates of a provisioned board, by serial cable: which it has, and new ones in their place.

A new client certificate is tried at the next start and kept only if the broker takes it. A new one for HTTPS is in
force at the next start. Nothing else on the device changes.
"""

import base64
import contextlib
import json
import tempfile
from pathlib import Path

from latchkey_tools.boards.mpremote import LONG_WATCHDOG, SerialCable
from latchkey_tools.boards.production import LineError, cleared, commit
from latchkey_tools.sim.pki import write_private

_FILE = "certificate.json"
# Certificates are public; the keys beside them stay on the board.
_HELD = """
import binascii, json, cable
store = cable.Board().store
kept = cable.credentials.load(store)
kept.update(cable.credentials.https(store))
text = lambda der: der and binascii.b2a_base64(der).decode().strip()
held = {name: text(kept[name]) for name in ("ca_der", "cert_der", "https_cert_der")}
print(json.dumps({"system": cable.status()["system_uuid"], "held": held}))
"""
_CLIENT = f'import cable; cable.renew("{_FILE}")'
_HTTPS = f"""
import binascii, json, os, cable
try:
    with open("{_FILE}") as file:
        pair = json.load(file)
    cable.credentials.save(cable.Board().store, {{name: binascii.a2b_base64(pair[name]) for name in pair}})
    print(json.dumps({{"ok": True}}))
finally:
    os.remove("{_FILE}")
"""


class Cable:
    """The board at ``port``, its program stopped; used in ``with``, after which it restarts."""

    def __init__(self, port, quiet_s=None):
        self._cable = SerialCable(port, quiet_s)
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        self._stack.enter_context(self._cable.stopped(LineError))
        return self

    def __exit__(self, *end):
        return self._stack.__exit__(*end)

    def held(self):
        """(System UUID, {"ca_der", "cert_der", "https_cert_der": bytes or None}); LineError for a board without one."""
        found = next((one for one in self._cable.json_lines(LONG_WATCHDOG + _HELD) if "held" in one), None)
        if found is None or not found["system"]:
            port = self._cable.port
            raise LineError(f"the board on {port} is not provisioned; `latchkey board provision` gives it certificates")
        held = {name: text and base64.b64decode(text) for name, text in found["held"].items()}
        return found["system"].lower(), held

    def put(self, pair):
        """Give the board a pair, as of boards.certificate: a client's or one for HTTPS. LineError, CableError."""
        script = _HTTPS if "https_cert_der" in pair else _CLIENT
        with cleared(self._cable, _FILE):
            with tempfile.TemporaryDirectory() as private:
                path = Path(private) / _FILE
                write_private(path, json.dumps(pair).encode())
                self._cable.run("fs", "cp", "-f", path, f":{_FILE}")
            commit(self._cable, script)
