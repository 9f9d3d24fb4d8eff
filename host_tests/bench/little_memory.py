"""Every change over the API with K bytes of heap left, K in steps: `micropython little_memory.py STEP`.

A change that is answered as failed has not happened, in RAM and in flash; one that is answered as done has. Prints a
line of JSON for each change: the least K that succeeds, and what broke the rule.
"""

import json
import sys

import heaps
import setting_up

from latchkey.device import credentials, settings
from latchkey.errors import LatchkeyError

DER = "MIIB" + "A" * 40
EARLIER = b"an earlier pair that waits"
BODIES = {
    ("PATCH", "/v1/config"): ({"name": "Attic"}, {"ntp": ["time.example"]}, {"broker": {"host": "other.example"}}),
    ("PUT", "/v1/config/certificate"): ({"cert_der": DER, "key_der": DER},),
    ("PATCH", "/v1/state"): ({"on": True},),
    ("POST", "/v1/identify"): (None,),
    ("POST", "/v1/pairing"): ({"wifi": {"ssid": "Cellar", "passphrase": "a new secret"}},),
    ("DELETE", "/v1/pairing"): (None,),
    ("POST", "/v1/restart"): (None,),
}


def changes(api):
    """(method, path, body) of every route that changes something, but those that little_upload.py tries. KeyError: a
    new one needs its body above."""
    for path, method, _, _, most, _ in api.routes:
        if method != "GET" and not callable(most):
            for body in BODIES[method, path]:
                yield method, path, body


class Device(setting_up.Device):
    """``blinks``: how often it showed itself. A pair of certificates waits already."""

    def __init__(self, store=None):
        if store is None:
            store = setting_up.provisioned("Home")
            credentials.save(store, {"new_cert_der": EARLIER, "new_key_der": EARLIER})
        setting_up.Device.__init__(self, store)
        self.blinks = 0
        self.product._light.blink = self._blink
        self.pairing.pressed()

    def _blink(self):
        self.blinks += 1


def facts(device):
    """The content of RAM, the content of flash, and the actions."""
    # An attempt's record may be in RAM alone; the part of it in flash counts only there.
    ram = kept_of(device.settings, device.credentials)
    flash = kept_of(settings.load(device.store)[0], credentials.load(device.store))
    started = device.pairing._attempt is not None
    did = [device.product.state()["on"], started, device.stale, device.blinks, device.board.restarts]
    return ram, flash, did


def kept_of(document, secrets):
    config = document["config"]
    found = [config["name"], config["wifi"]["ssid"], config["ntp"], document["trust"]["changes"]]
    return found + [str(document["wifi_passphrase"]), str(secrets["new_cert_der"]), str(secrets["new_key_der"])]


def request_of(method, path, body):
    """(request, bytes of its body)"""
    data = json.dumps(body).encode() if body else b""
    return setting_up._request(method, path, data, setting_up.OWNER), data


def tried(method, path, body, free_bytes):
    """(status or None where no answer was possible, facts before, facts after)."""
    device = Device()
    request, data = request_of(method, path, body)
    request = device.api.admit(request)
    before = facts(device)
    status = None
    heaps.fill(free_bytes)
    try:
        response = device.api.answer(request, data)
        status = response.status
        if response.after:
            response.after()
    except MemoryError:  # A tuple of both would take memory.
        status = status or 500
    except LatchkeyError:
        status = 500
    heaps.give_back()
    return status, before, facts(device)


def broken(status, before, after):
    """The part of the rule that is broken, or None."""
    if after[0] != after[1]:
        return "RAM is not flash"
    if status == 500 and after != before:
        return "failed and happened"
    if status != 500 and after == before:
        return "done and not kept"


def sweep(method, path, body, step):
    wrong, free_bytes = [], 0
    while True:
        status, before, after = tried(method, path, body, free_bytes)
        found = broken(status, before, after)
        if found:
            wrong.append((free_bytes, found, before, after))
        if status != 500 or free_bytes > 60000:
            return {"route": method + " " + path, "status": status, "least": free_bytes, "wrong": wrong}
        free_bytes += step


if __name__ == "__main__":
    for change in changes(Device().api):
        print(json.dumps(sweep(*change, int(sys.argv[1]))))
