"""The local API: which request may do what, and the answers. No sockets, no waiting.

The order of the checks is the contract: Host and Origin (A4), a token in the URL, an unprovisioned
device, route and method, HTTPS (A2), the cap on plain HTTP (A2), the token, its permission, and only
then the body. A server calls, for each request:

    api.admit(request)                                     # before the body is read; raises LatchkeyError
    response = api.answer(request, body)                   # body: bytes or view, empty if none; raises LatchkeyError
    response = api.refusal(exc)                            # for an exception of either or of the parser
"""

from latchkey import strictjson
from latchkey.api import codes
from latchkey.api.request import host_name, unescaped
from latchkey.api.response import Response, as_json
from latchkey.device import lazy
from latchkey.errors import ConfigError, LatchkeyError, TokenError
from latchkey.limits import const
from latchkey.policy import PERMISSIONS
from latchkey.stores.slots import ROOM

# A product may leave these out (firmware/features): the route then answers `not_found`.
try:
    from latchkey.api import events
except ImportError:
    events = None
try:
    from latchkey.api import firmware
except ImportError:
    firmware = None
try:
    from latchkey.api import page
except ImportError:
    page = None
try:
    from latchkey.api import renewal
except ImportError:
    renewal = None
try:
    from latchkey.api import tokens
except ImportError:
    tokens = None
try:
    from latchkey.api import uses
except ImportError:
    uses = None

_BODY_BYTES = const(1024)
_BODY_DEPTH = const(5)
_PAIRING_BODY_BYTES = const(1024)
_CONFIG_BODY_BYTES = const(2048)
_STREAMED = b"application/octet-stream"

ANY = ""  # any valid token, whatever it permits
OPEN = None  # no token
_BEFORE_PROVISIONING = ("/v1/info", "/")
# RFC 9110 section 7.8: HTTPS is to be had, on the port of its own.
_UPGRADE = ("Upgrade: TLS/1.2, HTTP/1.1", "Connection: Upgrade")


class Api:
    """The routes of one device.

    ``device``: latchkey.device.app.Device; ``verifier``: latchkey.verifier.Verifier, None while unprovisioned;
    ``product``: ``.name .state() .patch(dict) .identify() .on_change`` (products/*.py).

    ``.routes``: rows as of _ROUTES, all that this device serves. ``.refusals``: dict of how often each code was
    answered since start. ``.changes`` of the product's state; ``.streams`` of events that are open. ``.visitor``: peer
    on the access point that requested /v1/info last.
    """

    def __init__(self, device, verifier, product):
        self.device = device
        self.verifier = verifier
        self.product = product
        self.changes = self.streams = 0
        product.on_change = self.changed
        self.uses = uses.Uses() if uses else None
        self.refusals = {}
        self.visitor = None
        self.routes = _ROUTES + (_WIRELESS if device.wireless else ())
        for feature in (events, firmware, page, renewal, tokens, uses):
            if feature:
                self.routes += feature.ROUTES

    def changed(self):
        """To be called by the product after every change of its state."""
        self.changes += 1

    def admit(self, request):
        """``request``, a parsed head of which everything but the body is judged now; raises LatchkeyError."""
        if host_name(request.host) in self.device.hosts():
            _check_source(request)
            if self.verifier is None and request.path not in _BEFORE_PROVISIONING:
                raise LatchkeyError("unprovisioned")
            request.route = self._route(request)
        elif page and page.leads(request):
            request.route = page.LEAD
        else:
            raise LatchkeyError("wrong_host")
        permission, _handler, body_bytes, body_needed = request.route[2:]
        grant = None
        if permission is not OPEN:
            if request.tls_serves and request.channel not in ("tls", "ap"):
                raise LatchkeyError("tls_required")
            if permission and request.channel == "lan":
                if PERMISSIONS.index(permission) > PERMISSIONS.index(self.device.plain_http(request.path)):
                    raise LatchkeyError("plain_http")
            grant = self.ask(request, permission)
        _check_framing(request, body_bytes, body_needed)
        request.grant = grant
        return request

    def answer(self, request, body=b""):
        """Response of the route's handler; raises LatchkeyError (json_refused, invalid_field...)."""
        handler, body_bytes, body_needed = request.route[3:]
        if callable(body_bytes):
            request.body = body
        elif len(body) or body_needed:
            parsed = strictjson.parse(body, _BODY_DEPTH)
            if not isinstance(parsed, dict):
                raise ConfigError("invalid_field", "")
            if parsed and not body_needed:
                raise ConfigError("invalid_field", next(iter(parsed)))
            request.body = parsed
        # A change that is made has to be answered: this reserve is free memory for its answer.
        room = request.route[1] != "GET" and list(map(bytearray, ROOM))
        if callable(handler):
            result = handler(self, request)
        else:
            with lazy.setup as setup:
                result = getattr(setup, handler)(self.device, request)
        room = None  # noqa: F841
        if isinstance(result, tuple):
            return as_json(*result)
        return result if isinstance(result, Response) else as_json(200, result)

    def ask(self, request, permission):
        """The Grant for the request's token if it opens ``permission`` (or ANY) now; raises TokenError."""
        if request.token is None:
            raise TokenError("token_missing")
        grant = self.verifier.verify(request.token, caller=request.peer)
        if permission and permission not in grant.permissions:
            raise TokenError("insufficient_scope", permission)
        return grant

    def refusal(self, exc):
        """Response for an exception; counted by code. An unknown code is a server error."""
        if not isinstance(exc, LatchkeyError):
            # Nobody expected it. Its kind is logged; its text may quote input and is not.
            self.device.log.failed("request", exc)
            exc = LatchkeyError("no_memory" if isinstance(exc, MemoryError) else "server_error")
        code, status = exc.code, codes.status(exc.code)
        if status is None:
            code, status = "server_error", 500
        answer = {"code": code}
        if isinstance(exc, ConfigError):
            answer["field"] = exc.field
        self.refusals[code] = self.refusals.get(code, 0) + 1
        if code == "claims_refused":
            # The cloud signed this token: the log names the claim to its owner; the answer names it to nobody.
            self.device.log.add("token refused, claim: " + exc.message)
        response = as_json(status, answer)
        response.code = code
        response.lines = _lines(code, status, exc)
        return response

    def _route(self, request):
        name = "GET" if request.method == "HEAD" else request.method
        allowed = []
        for route in self.routes:
            if route[0] == request.path:
                if route[1] == name:
                    return route
                allowed.append(route[1])
        if not allowed:
            raise LatchkeyError("not_found")
        allowed = sorted(allowed) + (["HEAD"] if "GET" in allowed else [])
        raise LatchkeyError("method_not_allowed", ", ".join(allowed))


def _lines(code, status, exc):
    """Header lines that belong to an error: RFC 6750 3, RFC 9110 10.2.3."""
    bearer = "WWW-Authenticate: Bearer"
    if status == 401:
        return (bearer if code == "token_missing" else bearer + ' error="invalid_token"',)
    if code in ("insufficient_scope", "no_permission"):
        scope = ', scope="%s"' % exc.message if exc.message else ""
        return (bearer + ' error="insufficient_scope"' + scope,)
    if status == 429 or code in ("full_house", "no_memory"):
        return ("Retry-After: %d" % (exc.retry_after_s or 1),)
    if code == "method_not_allowed":
        return ("Allow: " + exc.message,)
    return _UPGRADE if code == "tls_required" else ()


def _check_source(request):
    """The page that sends this is ours: its Origin is scheme and authority of the request (A4, RFC 6454). No token is
    in the URL (A2)."""
    scheme = b"https://" if request.channel == "tls" else b"http://"
    if request.origin is not None and request.origin.lower() != scheme + request.host.lower():
        raise LatchkeyError("origin_refused")
    text = unescaped((request.path + "&" + request.query + "&").encode()).replace(b"=", b"&")
    if b"cloud-" in text or b"&token&" in text or b"&access_token&" in text:
        raise LatchkeyError("token_in_url")


def _check_framing(request, body_bytes, body_needed):
    length = request.length
    if length is None and body_needed:
        raise LatchkeyError("length_required")
    if not length:
        return
    streamed = callable(body_bytes)
    if not streamed and length > body_bytes:
        raise LatchkeyError("too_large")
    media = request.media.partition(b";")[0].strip(b" \t").lower()
    if media != (_STREAMED if streamed else b"application/json") or request.encoded:
        raise LatchkeyError("media_type")


def _get_info(api, request):
    if request.channel == "ap":
        api.visitor = request.peer
    response = as_json(200, api.device.info())
    if request.tls_serves and request.channel != "tls":
        response.lines = _UPGRADE
    return response


def _get_whoami(api, request):
    grant = request.grant
    return {
        "jti": grant.jti,
        "sub": grant.sub,
        "name": grant.name,
        "typename": grant.typename,
        "roles": [{"uuid": uuid, "name": name} for uuid, name in grant.roles],
        "permissions": list(grant.permissions),
        "exp_unix_s": grant.exp_unix_s,
    }


def _get_state(api, _request):
    return api.product.state()


def _patch_state(api, request):
    return api.product.patch(request.body)


def _post_identify(api, _request):
    answer = as_json(202, {"accepted": True})
    api.product.identify()
    return answer


def _get_diagnostics(api, _request):
    facts = api.device.diagnostics()
    facts["refusals"] = api.refusals
    return facts


def _get_pairing(api, _request):
    return api.device.pairing.status()


def _get_log(api, _request):
    return {"lines": api.device.log.lines()}


def _post_restart(api, request):
    api.device.log.add("restart asked by " + request.grant.jti)
    response = as_json(202, {"accepted": True})
    response.after = api.device.restart
    return response


# Path, method, permission (OPEN, ANY or its name), handler, most bytes of a body (JSON object), whether one must come;
# one that need not has no members.
# A handler is a function of the Api and the request, or the name of one in latchkey.api.setup, which is loaded for one
# request: a tenth of a small heap. It answers a dict, (status, dict) or Response. In place of the most bytes there may
# be a coroutine of Api, request and connection: it takes the body in pieces and returns ``request.body``.
_ROUTES = (
    ("/v1/info", "GET", OPEN, _get_info, 0, False),
    ("/v1/whoami", "GET", ANY, _get_whoami, 0, False),
    ("/v1/state", "GET", "read", _get_state, 0, False),
    ("/v1/state", "PATCH", "control", _patch_state, _BODY_BYTES, True),
    ("/v1/identify", "POST", "control", _post_identify, _BODY_BYTES, False),
    ("/v1/diagnostics", "GET", "configure", _get_diagnostics, 0, False),
    ("/v1/log", "GET", "configure", _get_log, 0, False),
    ("/v1/restart", "POST", "configure", _post_restart, _BODY_BYTES, False),
    ("/v1/config", "GET", "configure", "get_config", 0, False),
    ("/v1/config", "PATCH", "configure", "patch_config", _CONFIG_BODY_BYTES, True),
    ("/v1/pairing", "GET", "configure", _get_pairing, 0, False),
)
# The same of a device that joins networks itself.
_WIRELESS = (
    ("/v1/pairing", "POST", "configure", "post_pairing", _PAIRING_BODY_BYTES, True),
    ("/v1/pairing", "DELETE", "configure", "delete_pairing", 0, False),
    ("/v1/pairing/networks", "GET", "configure", "get_networks", 0, False),
)
