"""A device's local API, as a person at a laptop calls it: one device, one connection, clear failures.

``Device(host)`` finds out by /v1/info who answers and whether it serves HTTPS. A token goes only to the System it is
for, and where the device serves HTTPS only over a connection that was verified for that System's name: the name comes
from the token, not from whoever answers, nor from how it was called. Answers have the shapes of ``shapes``.
"""

import contextlib
import ipaddress
import os
import queue
import socket
import ssl
import threading
import time

import httpx

from latchkey_tools import reading, uuids
from latchkey_tools.cli import show
from latchkey_tools.cli.advice import advice, meaning
from latchkey_tools.device import answer_shapes
from latchkey_tools.device.wallet import claims_of, systems_of

ACCESS_POINT = "192.168.4.1"
# The device's own network, of a chip and of a desk board.
ACCESS_POINTS = (ACCESS_POINT, "127.4.0.1")
SOURCE_VARIABLE = "LATCHKEY_SOURCE"
# Where who uses a command has another way than who writes a client.
_TODO = {
    "token_missing": "make a token: latchkey token create; without internet take one in: latchkey token import FILE",
    "attempt_running": "wait for its end, and ask for it: latchkey pair --status",
    "invalid_field": "correct its name or value; `latchkey device state` and `latchkey device config` show the names",
    "plain_http": "join its access point with this machine; for HTTPS give it a certificate over the serial cable",
}
_ASLEEP = "a sensor on battery may be asleep: press its button"
# OpenSSL's word for an end, and that of a socket whose question nobody read.
_ENDED = ("UNEXPECTED_EOF", "reset by peer")
_SHORT = "without PSRAM a device that is connected to its broker has no memory for HTTPS (docs/boards.md)"
_LOOK = "check the address, or `latchkey device find`"
_MAX_ANSWER = 256 * 1024
_MAX_WAIT_S = 30
# Bytes that this machine holds back from a device: with more, an upload would look done long before it is.
_AHEAD = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)]
# A device ends a connection that is silent for a minute.
_SLOWEST_WRITE_S = 90


class Unreachable(Exception):
    """Nobody there, or not a Latchkey device; ``link`` says where it broke: "reach" or "tls". ``may_have_arrived``: the
    request was on its way, only the answer is missing."""

    def __init__(self, text, link="reach"):
        super().__init__(show.plain(text))
        self.link = link
        self.may_have_arrived = False


class Refusal(Exception):
    """The device's answer is an error: ``code`` is its stable word, ``status`` its number (0: not asked).

    ``words``: what it means, by default the table's; ``todo``: what to do, by default what ``todo_of`` knows.
    """

    def __init__(self, status, code, words=None, field=None, todo=None):
        self.status = status
        self.code, self.field = show.plain(code)[:40], show.plain(field or "")[:40]
        self.words = show.plain(words or meaning(self.code))
        self.todo = show.plain(todo or todo_of(self.code))
        said = f"{status} {self.code}" if status else self.code
        said += f" ({self.field})" if self.field else ""
        stop = "" if self.words.endswith((".", "?", "!")) else "."
        super().__init__(f"{said}: {self.words}{stop} What to do: {self.todo}.")


class Device:
    """``host``: name, address, with or without port or scheme, or a System UUID. ``ca``: PEM file that vouches for its
    HTTPS certificate; this machine's own store by default. ``timeout_s``: for the next byte, and with ``connect_s`` for
    a whole call. ``source``: the address of this machine to call from, by default the first of LATCHKEY_SOURCE.
    ``call`` and ``events`` take a token's text or None. ``certificate_end_unix_s``, ``ca_end_unix_s``: when the
    certificate that it showed ends, and the first of ``ca``; None where there is none."""

    def __init__(self, host, ca=None, timeout_s=15, connect_s=5, source=None):
        self.secure, self.host, self.port = parse_host(host)
        self._ca = ca
        self._source = source or sources()[0]
        self._timeout = httpx.Timeout(timeout_s, connect=connect_s)
        self._within_s = timeout_s + connect_s
        self._clients = {}
        self._probed = self.secure
        self._system = None
        self.certificate_end_unix_s = self.ca_end_unix_s = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for client in self._clients.values():
            client.close()
        self._clients = {}

    @property
    def url(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' * self.secure}://{host}:{self.port}"

    @property
    def is_private(self):
        """Whether nobody else in the network can read what is sent: HTTPS, the access point, or this machine."""
        return self.secure or self.host in (*ACCESS_POINTS, "localhost", "127.0.0.1", "::1")

    def info(self):
        """The dict of /v1/info; Unreachable if this is not a Latchkey device."""
        status, answer, _headers = self._exchange("GET", "/v1/info", None)
        _check(status, answer)
        if answer["system_uuid"]:
            answer["system_uuid"] = uuids.canonical(answer["system_uuid"])
        self._system = answer["system_uuid"]
        return answer

    def call(self, method, path, token, body=None, patient=True):
        """The answer's dict; Refusal or Unreachable. ``patient``: wait for Retry-After and try once more."""
        self.choose_channel()
        status, answer, headers = self._exchange(method, path, token, json=body)
        wait_s = _seconds(headers.get("retry-after"))
        if patient and status in (429, 503) and wait_s is not None and wait_s <= _MAX_WAIT_S:
            show.say(f"the device asks to wait {show.span(wait_s)} ({answer['code']}); trying once more then")
            time.sleep(wait_s)
            status, answer, _headers = self._exchange(method, path, token, json=body)
        _check(status, answer)
        return answer

    def send(self, path, token, content, length, answer_within_s):
        """The answer's dict of a PUT of ``length`` bytes, which the iterator ``content`` gives, however long they take;
        Refusal or Unreachable."""
        self.choose_channel()
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
        timeout = httpx.Timeout(answer_within_s, connect=5, write=_SLOWEST_WRITE_S)
        how = {"content": content, "headers": headers, "timeout": timeout}
        status, answer, _headers = self._exchange("PUT", path, token, limited=False, **how)
        _check(status, answer)
        return answer

    def choose_channel(self):
        """Change to HTTPS where the device serves it, before any token is on its way."""
        if self._probed:
            return
        _status, _answer, headers = self._exchange("GET", "/v1/info", None)
        if "tls" in headers.get("upgrade", "").lower():
            if self.port != 80:
                todo = f"call its HTTPS port: https://{self.host}:PORT (`latchkey vboard` prints it)"
                raise Refusal(426, "tls_required", f"This device serves HTTPS, and {self.url} is not that.", todo=todo)
            self.secure, self.port = True, 443
        self._probed = True

    def events(self, token):
        """Yields (event, dict) of the stream of server-sent events until the device ends it."""
        self.choose_channel()
        client, extensions = self._client(token)
        headers = _headers(token) | {"Accept": "text/event-stream"}
        timeout = httpx.Timeout(40, connect=5)  # the heartbeat comes every 15 s
        url = self.url + "/v1/events"
        request = client.build_request("GET", url, headers=headers, extensions=extensions, timeout=timeout)
        try:
            response = _within(self._within_s, lambda: client.send(request, stream=True))
            with contextlib.closing(response):
                if response.status_code != 200:
                    self._refuse_stream(response)
                yield from _events(response.iter_raw())
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _refuse_stream(self, response):
        body = _within(self._within_s, lambda: _body(self.url, response))
        answer = self._answer("/v1/events", response.status_code, body)
        _check(response.status_code, answer)
        raise Unreachable(_strange(self.url))

    def _exchange(self, method, path, token, headers=None, limited=True, **how):
        """(status, dict, headers) of an answer as devices give them. ``limited``: it may take ``timeout_s`` and
        ``connect_s`` in all; ``headers``, ``how``: further ones, as httpx takes them."""
        client, extensions = self._client(token)
        how |= {"headers": _headers(token) | (headers or {}), "extensions": extensions}

        def exchange():
            with client.stream(method, self.url + path, **how) as response:
                self._note_end(response)
                return response.status_code, _body(self.url, response), response.headers

        try:
            status, raw, headers = _within(self._within_s, exchange) if limited else exchange()
        except httpx.HTTPError as error:
            failure = self._unreachable(error)
            failure.may_have_arrived = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise failure from None
        return status, self._answer(path, status, raw), headers

    def _note_end(self, response):
        stream = response.extensions.get("network_stream")
        tls = stream and stream.get_extra_info("ssl_object")
        if tls:
            self.certificate_end_unix_s = _end_of(tls.getpeercert())

    def _answer(self, path, status, body):
        answer = answer_shapes.answer(path, status, body)
        if answer is None:
            raise Unreachable(_strange(self.url))
        return answer

    def _client(self, token):
        """The connection for a token, and whose name the device's certificate must carry on it."""
        name = self._certificate_name(token) if self.secure else None
        if name not in self._clients:
            # Plain HTTP needs none, and one with this machine's CAs takes 50 ms: this one trusts nobody.
            verify = self._context(name) if self.secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            limits = httpx.Limits(max_connections=1, keepalive_expiry=5)
            how = {"limits": limits, "local_address": self._source, "socket_options": _AHEAD}
            way = httpx.HTTPTransport(verify=verify, trust_env=False, **how)
            self._clients[name] = httpx.Client(transport=way, trust_env=False, timeout=self._timeout)
        return self._clients[name], {"sni_hostname": name} if name else {}

    def _certificate_name(self, token):
        """With a token the name of the System that it is for; of several, the one that the device says it is.

        None where only the chain can be verified: an address, and nothing secret to send.
        """
        if token:
            systems = systems_of(claims_of(token) or {})
            if not systems:
                raise _malformed()
            return local_name(self._system if self._system in systems else systems[0])
        return None if _is_address(self.host) else self.host

    def _context(self, name):
        try:
            context = ssl.create_default_context(cadata=self._ca and _pem_in(self._ca))
        except OSError as error:
            # OpenSSL's own words name its source file.
            why = "it has no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise ValueError(f"the CA file {self._ca} cannot be used: {why}; check which file it is") from None
        context.check_hostname = name is not None
        if self._ca:
            self.ca_end_unix_s = min(map(_end_of, context.get_ca_certs()), default=None)
        return context

    def _unreachable(self, error):
        text = f"{type(error).__name__} {error}"
        if "CERTIFICATE_VERIFY_FAILED" in text:
            reason = text.split("certificate verify failed: ")[-1].split(" (_ssl")[0].rstrip(".")
            words = f"the certificate of {self.url} is not to be trusted: {reason}"
            if "mismatch" in reason:
                todo = "call the device that is meant, or give this one a certificate for that name"
                return Unreachable(f"{words}; {todo}", "tls")
            return Unreachable(f"{words}; give the CA that signed it with --ca, and check the clock here", "tls")
        if self.secure and isinstance(error, httpx.ConnectError) and any(sign in text for sign in _ENDED):
            return Unreachable(f"{self.url} closed the connection before TLS began; {_SHORT}", "tls")
        if "SSL" in text or "TLS" in text:
            return Unreachable(f"{self.url} does not speak HTTPS; try http://", "tls")
        if isinstance(error, httpx.TimeoutException):
            words = f"{self.host} does not answer in time; is it powered, and on the same network as this machine?"
            return Unreachable(f"{words} {_ASLEEP.capitalize()}")
        if "Name or service" in text or "not known" in text or "resolution" in text or "getaddrinfo" in text:
            return Unreachable(f"the name {self.host} is not known here; give the device's IP address instead")
        if "assign requested address" in text:
            return Unreachable(f"this machine has no address {self._source}, which {SOURCE_VARIABLE} names; correct it")
        if isinstance(error, httpx.ConnectError):
            words = f"nothing answers at {self.url}; check address and port, or `latchkey device find`"
            return Unreachable(f"{words}; {_ASLEEP}")
        return Unreachable(f"{self.url} broke off ({type(error).__name__}); it may be restarting: try again")


def todo_of(code):
    """Advice about a device's code, for the user of a command."""
    return _TODO.get(code) or advice(code)


def parse_host(text):
    """(secure, host, port) of what a person writes; ValueError."""
    text = text.strip()
    with contextlib.suppress(ValueError):
        return False, local_name(uuids.canonical(text)), 80
    try:
        url = httpx.URL(_written_out(text))
        url.host.encode("idna")  # as the name look-up will
    except (ValueError, httpx.InvalidURL):
        url = httpx.URL()
    # httpx would look up a blank as %20.
    wrong = len(text.split()) > 1 or url.path.strip("/") or url.query or url.fragment or url.userinfo
    wrong = wrong or (url.port is not None and not 0 < url.port < 65536)
    if wrong or not url.host or url.scheme not in ("http", "https"):
        raise ValueError(f'"{show.plain(text)[:80]}" is not an address of a device; write a name or IP address')
    secure = url.scheme == "https"
    return secure, url.host, url.port or (443 if secure else 80)


def _written_out(text):
    """A URL of what may be a name or an address alone."""
    if "://" in text:
        return text
    return f"http://[{text}]" if text.count(":") > 1 and "[" not in text else f"http://{text}"


def sources():
    """Addresses of this machine to call from, best first; (None,) leaves the choice to the system. ValueError."""
    texts = [text.strip() for text in os.environ.get(SOURCE_VARIABLE, "").split(",") if text.strip()]
    try:
        return tuple(str(ipaddress.ip_address(text)) for text in texts) or (None,)
    except ValueError:
        words = f"{SOURCE_VARIABLE} is neither an IP address of this machine nor several with commas"
        raise ValueError(f"{words}; correct it") from None


def local_name(system_uuid):
    """The name by which a device announces itself."""
    return f"latchkey-{uuids.folded(system_uuid)[:8]}.local"


def _is_address(host):
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        return host == "localhost"


def _pem_in(path):
    """The text of a CA file as ssl takes it: in ASCII, and not empty, which would mean this machine's own CAs."""
    return reading.content(path).decode("ascii", "ignore") or " "


def _end_of(certificate):
    """Unix seconds at which a certificate ends, as the ssl module describes it."""
    return int(ssl.cert_time_to_seconds(certificate["notAfter"]))


def _headers(token):
    if not (token or "").isascii():
        raise _malformed()
    headers = {"Accept-Encoding": "identity"}
    return headers | {"Authorization": f"Bearer {token}"} if token else headers


def _within(seconds, work):
    """The result of ``work()``; httpx.ReadTimeout if it takes longer, even if busy: bytes may come one by one, and
    a name look-up cannot be interrupted, so the thread is left to itself."""
    ended = queue.Queue()

    def run():
        try:
            ended.put((work(), None))
        except Exception as error:
            ended.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = ended.get(timeout=seconds)
    except queue.Empty:
        raise httpx.ReadTimeout("not in time") from None
    if error:
        raise error
    return value


def _body(url, response):
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > _MAX_ANSWER:
            raise Unreachable(f"{url} answers far too much for a Latchkey device; {_LOOK}")
    return body


def _strange(what):
    return f"{what} answers, but not as a Latchkey device does; {_LOOK}"


def _malformed():
    return Refusal(0, "token_malformed")


def _check(status, answer):
    """Refusal for the answer of an error."""
    if status >= 400:
        raise Refusal(status, answer["code"], field=answer.get("field"))


def _seconds(text):
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else None


def _events(chunks):
    """(event, dict) of server-sent events (WHATWG HTML 9.2.6), as far as a device uses them."""
    event, data, line = "message", "", b""
    for chunk in chunks:
        line += chunk
        if len(line) > _MAX_ANSWER:
            raise Unreachable(_strange("the stream"))
        while b"\n" in line:
            text, _, line = line.partition(b"\n")
            name, _, value = text.decode("utf-8", "replace").rstrip("\r").partition(":")
            if name == "event":
                event = value.strip()
            elif name == "data":
                data = value.strip()
            elif not name and not value and data:
                answer = answer_shapes.parse(data)
                if not answer_shapes.fits(answer, answer_shapes.ERROR if event == "end" else {}):
                    raise Unreachable(_strange("the stream"))
                yield event, answer
                event, data = "message", ""
