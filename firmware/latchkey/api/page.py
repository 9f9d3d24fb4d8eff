"""The page for a phone (docs/page.md), its routes, and how phones on the access point are led to it.

A feature: a device without this module answers `/` with not_found. The page itself is one gzip file, made by
latchkey_tools.boards.page: bytes of a frozen module, which stay in flash, or a file beside this one. It is sent in
pieces and never held whole.
"""

# pyright: reportAttributeAccessIssue=false

from latchkey.api.request import host_name
from latchkey.api.response import Response, file_pieces
from latchkey.errors import LatchkeyError

_HEADERS = (
    "Content-Encoding: gzip",
    # The rest of the policy is in the page, with the hash of its script. A page cannot forbid its own framing.
    "Content-Security-Policy: frame-ancestors 'none'",
    "X-Frame-Options: DENY",
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: no-referrer",
)
# The answers by which a phone, a tablet or a laptop decides that it has internet, by path. ``None``: status 204.
_ONLINE = {
    "/generate_204": None,  # Android, ChromeOS
    "/gen_204": None,
    "/hotspot-detect.html": b"<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>",  # iOS, macOS
    "/connecttest.txt": b"Microsoft Connect Test",  # Windows
    "/success.txt": b"success\n",  # Firefox
}


def opened():
    """The page, a file to read."""
    import io

    try:
        from latchkey.api import page_gz  # made by the build

        return io.BytesIO(page_gz.DATA)
    except ImportError:
        return open(__file__[: __file__.rfind("/") + 1] + "page.gz", "rb")


def leads(request):
    """Whether a request by a name that is not ours is led to the page: on the access point, outside of /v1."""
    return request.channel == "ap" and request.method in ("GET", "HEAD") and (request.path + "/")[:4] != "/v1/"


def _lead(api, request):
    """Answer such a request: an address to go to, or what the phone takes for the internet. Once a page runs in it, a
    phone that finds no internet here would leave."""
    if request.peer == api.visitor and request.path in _ONLINE:
        body = _ONLINE[request.path]
        media = "text/html" if request.path[-1] == "l" else "text/plain"
        return Response(204 if body is None else 200, body, (), media)
    return _moved("http", api.device.board.radio.ap_address, api.device.board.listen[1], 80)


def _get_page(api, request):
    """The page; where HTTPS serves, plain HTTP from the owner's network is led there (A2)."""
    if request.tls_serves and request.channel in ("lan", "loopback"):
        return _moved("https", host_name(request.host), api.device.board.listen[2], 443)
    response = Response(200, b"", _HEADERS, "text/html; charset=utf-8")
    response.pieces = file_pieces(opened())
    response.length = next(response.pieces)
    return response


def _get_fields(api, _request):
    """The product's description of the fields of its state, for a program that draws them."""
    fields = getattr(api.product, "fields", None)
    if fields is None:
        raise LatchkeyError("not_found")
    return Response(200, fields.encode())


def _moved(scheme, host, port, usual):
    place = "%s://%s" % (scheme, host) + ("/" if port == usual else ":%d/" % port)
    return Response(302, b"", ("Location: " + place,), "text/plain")


LEAD = (None, "GET", None, _lead, 0, False)
ROUTES = (
    ("/", "GET", None, _get_page, 0, False),
    ("/v1/state/fields", "GET", "read", _get_fields, 0, False),
)
