"""GET and PUT /v1/firmware: which release runs, and a new one; PUT /v1/keys: a key set that was missed. The working
modules are loaded for each request."""

from latchkey.device import lazy


def proof(device):
    """The latchkey.update.proof.Proof of a release that is not proven, None of a good one."""
    with lazy.Rare("latchkey.update.proof") as module:
        return module.begin(device)


def get_firmware(api, _request):
    """Which release runs, whether it is good, and how far an upload is."""
    with lazy.Rare("latchkey.update.judge") as module:
        return module.status(api.device)


def take_release(api, request, body):
    """The coroutine of latchkey.update.upload, which keeps that module alone: it takes minutes, in which others must
    be unloaded."""
    request.token = None  # its RAM is needed
    with lazy.Rare("latchkey.update.upload") as module:
        return module.receive(api.device, request, body)


def put_firmware(_api, request):
    """A release, or a new release key: the answer to what was taken."""
    return request.body


def take_keys(api, request, body):
    """The coroutine that takes a signed key set (K4)."""
    with lazy.Rare("latchkey.api.keys") as module:
        return module.take(api.device, request, body)


def put_keys(api, request):
    """The answer to it, once it is stored."""
    with lazy.Rare("latchkey.api.keys") as module:
        return module.keep(api.device, request.body)


lazy.rare.extend(
    (
        ("latchkey.api.keys", "latchkey.api", "keys"),
        ("latchkey.update.finish", "latchkey.update", "finish"),
        ("latchkey.update.folders", "latchkey.update", "folders"),
        ("latchkey.update.judge", "latchkey.update", "judge"),
        ("latchkey.update.manifest", "latchkey.update", "manifest"),
        ("latchkey.update.programs", "latchkey.update", "programs"),
        ("latchkey.update.proof", "latchkey.update", "proof"),
        ("latchkey.update.record", "latchkey.update", "record"),
        ("latchkey.update.upload", "latchkey.update", "upload"),
    )
)
ROUTES = (
    ("/v1/firmware", "GET", "read", get_firmware, 0, False),
    ("/v1/firmware", "PUT", "configure", put_firmware, take_release, True),
    ("/v1/keys", "PUT", None, put_keys, take_keys, True),
)
