"""The routes of pairing and configuration; all need `configure`.

Their handlers are in latchkey.api.setup, whose code is loaded for one request and let go: a tenth of a small heap.
"""

from latchkey import limits
from latchkey.api.handlers import Route

# path, method, handler in setup.py, body bytes, whether a body must come
_SETUP = (
    ("/v1/config", "GET", "get_config", 0, False),
    ("/v1/config", "PATCH", "patch_config", limits.CONFIG_BODY_BYTES, True),
    ("/v1/config/certificate", "PUT", "put_certificate", limits.CERTIFICATE_BODY_BYTES, True),
)
_RADIO = (
    ("/v1/pairing", "POST", "post_pairing", limits.PAIRING_BODY_BYTES, True),
    ("/v1/pairing", "DELETE", "delete_pairing", 0, False),
    ("/v1/pairing/networks", "GET", "get_networks", 0, False),
)


def add(api, device, load, radio):
    """Give ``api`` the routes of ``device``. ``load``: called with a function, gives it latchkey.api.setup for that one
    call. ``radio``: whether the device joins networks itself."""
    api.add("/v1/pairing", "GET", Route("configure", lambda _exchange: device.pairing.status()))
    for path, method, name, body_bytes, body_needed in _SETUP + (_RADIO if radio else ()):
        api.add(path, method, Route("configure", _handler(device, load, name), body_bytes, body_needed))


def _handler(device, load, name):
    def handle(exchange):
        return load(lambda setup: getattr(setup, name)(device, exchange))

    return handle
