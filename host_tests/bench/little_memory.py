"""Every change over the API with K bytes of heap left, K in steps: `micropython little_memory.py STEP`.

What is answered as failed has not happened, in RAM and in flash; what is answered as done has. Prints a line of JSON
for each route: the least K that succeeds, and what broke the rule.
"""

import gc
import json
import sys

import setting_up

from latchkey import settings
from latchkey.errors import LatchkeyError

DER = "MIIB" + "A" * 400
ROUTES = (
    ("PATCH", "/v1/config", {"name": "Attic"}),
    ("PUT", "/v1/config/certificate", {"cert_der": DER, "key_der": DER}),
    ("PATCH", "/v1/state", {"on": True}),
    ("POST", "/v1/pairing", {"wifi": {"ssid": "Cellar", "passphrase": "a new secret"}}),
    ("DELETE", "/v1/pairing", None),
)


def fill(free_bytes):
    """Keep blocks until ``free_bytes`` are left, in one piece."""
    kept = [None] * 6000
    gc.collect()
    hole = bytearray(free_bytes)
    n = 0
    for size in (4096, 1024, 256, 64, 24):
        try:
            while n < 6000:
                kept[n] = bytearray(size)
                n += 1
        except MemoryError:
            pass
    hole = None  # noqa: F841
    gc.collect()
    return kept


def facts(device):
    """What RAM and flash hold, each as text."""
    ours = device.installation
    ram = kept_of(ours.config, ours.credentials)
    started = device.pairing._trial is not None
    return ram, kept_of(*settings.load(device.store)[:2]), device.api.product.state()["on"], started


def kept_of(config, credentials):
    certificate = credentials["new_key_der"] and credentials["new_cert_der"]
    return config["name"], config["wifi"]["ssid"], credentials["wifi_passphrase"], certificate


def tried(method, path, body, free_bytes):
    """(status or None where no answer was possible, facts before, facts after)."""
    device = setting_up.Device(ssid="Home")
    device.pairing.pressed()
    data = json.dumps(body).encode() if body else b""
    request = setting_up._request(method, path, data, setting_up.OWNER)
    exchange = device.api.admit(request)
    before = facts(device)
    status = None
    kept = fill(free_bytes)
    try:
        status = device.api.answer(exchange, data).status
    except (LatchkeyError, MemoryError):
        status = 500
    del kept
    gc.collect()
    return status, before, facts(device)


def sweep(method, path, body, step):
    wrong, free_bytes = [], 0
    while True:
        status, before, after = tried(method, path, body, free_bytes)
        if status == 500 and after != before:
            wrong.append((free_bytes, "failed and happened"))
        if status != 500 and (after == before or after[0] != after[1]):
            wrong.append((free_bytes, "done and not kept"))
        if status != 500 or free_bytes > 60000:
            return {"route": method + " " + path, "status": status, "least": free_bytes, "wrong": wrong}
        free_bytes += step


for route in ROUTES:
    print(json.dumps(sweep(*route, int(sys.argv[1]))))
