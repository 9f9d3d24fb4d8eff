"""PUT /v1/config/certificate: a new client certificate, which the link to the cloud tries next."""

from latchkey.device import lazy
from latchkey.limits import const

_BODY_BYTES = const(6144)


def _put_certificate(api, request):
    """Accepted once it is stored; the log says whether the broker took it. It carries a key, so only with presence."""
    with lazy.setup as setup:
        setup.check_may_try(api.device)
        setup.check_present(api.device)
        pair = setup.provision.renewal_of(request.body)
        setup.stored(keep, api.device, pair)
    return 202, {"accepted": True}


def keep(device, pair):
    """Store a new pair, which the link tries at the next turn. ConfigError, StoreError."""
    with lazy.credentials as credentials:
        device.credentials = credentials.begin(device.board.store, pair)
    device.stale = True


ROUTES = (("/v1/config/certificate", "PUT", "configure", _put_certificate, _BODY_BYTES, True),)
