"""GET /v1/uses of a full ring with K bytes of heap left, K in steps: prints the least K that suffices for the answer
and for sending it: `micropython full_uses.py STEP`."""

import sys

from heaps import fill, give_back
from setting_up import OWNER, Device, _request


class Grant:
    jti = "530886ea-da07-4927-ade0-b49c05d655f4"

    def __init__(self, name):
        self.name = name


def send(api, request):
    """The number of bytes that were sent, as net/connection.py sends them."""
    response = api.answer(request, b"")
    return sum(map(len, response.pieces or (response.body,)))


def tried(free_bytes):
    device = Device(ssid="Home")
    for i in range(40):
        device.api.uses.used(i, Grant(f"A name of twenty {i}"), "System Maintainer", i % 8, i % 2, 200)
        device.api.uses.refused(i, f"192.168.178.{i}")
    request = device.api.admit(_request("GET", "/v1/uses", b"", OWNER))
    fill(free_bytes)
    size = 0
    try:
        size = send(device.api, request)
    except MemoryError:
        pass
    give_back()
    return size


free_bytes = size = 0
while not size and free_bytes < 60000:
    free_bytes += int(sys.argv[1])
    size = tried(free_bytes)
print(free_bytes, size)
