"""GET and PUT /v1/firmware: which release runs, and a new one (latchkey.update.upload, loaded for each request)."""

from latchkey.device import lazy


def get_firmware(api, _exchange):
    """Which release runs, whether it is good, and how far an upload is."""
    with lazy.upload as upload:
        return upload.status(api.device)


async def put_firmware(api, exchange, body):
    """A release, or a new release key. An upload takes minutes, in which other modules must be let go: it holds its
    own by itself."""
    with lazy.upload as upload:
        receive = upload.receive
    return await receive(api.device, exchange.request, body)


ROUTES = (
    ("/v1/firmware", "GET", "read", get_firmware, 0, False),
    ("/v1/firmware", "PUT", "configure", put_firmware, None, True),
)
