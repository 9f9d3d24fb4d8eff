"""The GraphQL calls by which DRIVR makes local API tokens and certificates, against its endpoint or the simulator.

The arguments are in the text of the query, as in DRIVR's guide: variables would need the names of their types in the
schema. Certificates: DRIVR's public schema (github.com/xcnt/drivr-certificate-client, api/schema.graphql).
The API key comes from LATCHKEY_CLOUD_KEY, the `keyring` package, or a prompt, never from argv.
"""

import asyncio
import json
import os
import re
from collections import namedtuple

import httpx

from latchkey_tools import uuids
from latchkey_tools.cli import ask, show
from latchkey_tools.device import pasted
from latchkey_tools.device.wallet import claims_of, holds_token, is_for, uuid_in
from latchkey_tools.sim import timespan

KEY_VARIABLE = "LATCHKEY_CLOUD_KEY"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.I)
_MAX_ANSWER = 64 * 1024
# For a whole call, however slowly its answer comes.
_WITHIN_S = 20
# The cloud may have done it, though its answer was lost.
_PERHAPS = "a token may have been made all the same: look for it among the System's tokens in the cloud"
_PERHAPS_SIGNED = "a certificate may have been made all the same: look for it in the cloud, or run the same again"
_NOTHING_LOST = "nothing was changed there: run the same again"
# So many characters of the key in a row give it away.
_TELLING = 8

# kept: whether it came from the keyring; keep: whether it goes there once the cloud has taken it.
Key = namedtuple("Key", "text source kept keep", defaults=(False, False))


class CloudRefusal(Exception):
    """The cloud did not make a token; the text says why and what to do, and holds neither key nor token."""


class CloudAway(CloudRefusal):
    """The same, for a reason that the next request would meet too: no connection, a wrong key, no GraphQL API."""


def endpoint(slug):
    """The GraphQL endpoint of a Domain."""
    return f"https://{checked_slug(slug)}.api.drivr.cloud/graphql"


def checked_slug(slug):
    """``slug`` if it can be a Domain's name; ValueError."""
    if not _LABEL.fullmatch(slug):
        raise ValueError(f"{show.plain(slug)[:80]} is not a Domain's name (slug): letters, digits and hyphens")
    return slug


def checked_endpoint(url):
    """``url`` if a key may be sent there: https, or this machine. It holds no secret, since errors repeat it."""
    url = url.strip()
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        raise ValueError("give the endpoint as https://host/graphql") from None
    if parts.userinfo or parts.query or parts.fragment:
        raise ValueError("the API key does not belong into the endpoint; give that as https://host/graphql alone")
    if parts.scheme not in ("https", "http") or not parts.host or len(url.split()) > 1:
        raise ValueError("give the endpoint as https://host/graphql")
    if parts.scheme == "http" and parts.host not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("the API key is not sent without TLS; give the endpoint as https://")
    return url


class Cloud:
    """``url``: GraphQL endpoint; ``key``: the Key to it."""

    def __init__(self, url, key):
        self.url = checked_endpoint(url)
        self._key = key
        self._said = bytearray()

    def made(self):
        """The uuid of the token that the newest answer shows to be made, whatever else it says; or None."""
        return uuid_in(bytes(self._said))

    def remember_key(self):
        """Into the keyring, if that was asked for: once the cloud has taken it."""
        if self._key.keep:
            _into_keyring(_host(self.url), self._key.text)

    def create(self, system_uuid, duration, device):
        """The text of a token that ends after ``duration`` (1D, P1D, PT1H or seconds)."""
        arguments = f"systemUuid: {_text(system_uuid)}, requestedDevice: {_text(device)}, duration: {_span(duration)}"
        return self._make("createLocalApiToken", arguments, system_uuid)

    def create_permanent(self, system_uuid, name):
        """The text of a token without an end."""
        arguments = f"systemUuid: {_text(system_uuid)}, name: {_text(name)}"
        return self._make("createPermanentLocalApiToken", arguments, system_uuid)

    def issuers(self):
        """[(uuid, name)] of the Domain's issuers, which sign certificates."""
        answer = self._ask("query { issuers(limit: 100) { items { uuid name } } }", _NOTHING_LOST)
        try:
            return [(str(one["uuid"]), str(one["name"])) for one in answer["issuers"]["items"]]
        except (KeyError, TypeError):
            raise CloudRefusal(f"{self.url} gave no list of issuers; is it DRIVR's GraphQL API?") from None

    def request_certificate(self, csr_pem, duration, system_uuid, issuer_uuid, name, usage):
        """The uuid under which ``certificate`` gives it once it is signed. ``usage``: CLIENT_AUTH or SERVER_AUTH."""
        arguments = f"csr: {_text(csr_pem)}, duration: {_span(duration)}, entityUuid: {_text(system_uuid)}, "
        arguments += f"issuerUuid: {_text(issuer_uuid)}, name: {_text(name)}, usages: [{usage}]"
        answer = self._ask(f"mutation {{ createCertificate({arguments}) {{ uuid }} }}", _PERHAPS_SIGNED)
        try:
            return uuids.canonical(answer["createCertificate"]["uuid"])
        except (KeyError, TypeError, ValueError):
            raise CloudRefusal(f"{self.url} answered without a uuid; {_PERHAPS_SIGNED}") from None

    def certificate(self, uuid):
        """The certificate as PEM, or None until it is signed."""
        answer = self._ask(f"query {{ certificate(uuid: {_text(uuid)}) {{ certificate }} }}", _NOTHING_LOST)
        try:
            pem = answer["certificate"]["certificate"]
        except (KeyError, TypeError):
            raise CloudRefusal(f"the cloud does not know the certificate {uuid}; run the command anew") from None
        return pem if isinstance(pem, str) and pem else None

    def _ask(self, query, perhaps):
        """The data of an answer without errors. ``perhaps``: what to say where nobody saw the answer."""
        status = self._post(query, perhaps)
        answer, errors = self._read(status, perhaps)
        if errors or status != 200 or not isinstance(answer.get("data"), dict):
            raise CloudRefusal(self._refused(status, errors))
        return answer["data"]

    def _make(self, mutation, arguments, system_uuid):
        status = self._post(f"mutation {{ {mutation}({arguments}) {{ jwt uuid }} }}")
        answer, errors = self._read(status)
        token = _jwt(answer, mutation)
        if token is None:
            if not errors and status == 200:
                raise CloudRefusal(f"{self.url} answered without a token; is it DRIVR's GraphQL API?")
            raise CloudRefusal(self._refused(status, errors))
        if not is_for(claims_of(token) or {}, system_uuid):
            raise CloudRefusal("the cloud's answer is not a token for this System; nothing was kept")
        if errors:
            show.say("the cloud made the token, and says: " + self._fit_to_show("; ".join(errors)))
        return token

    def _post(self, query, perhaps=_PERHAPS):
        """The status; the body is in ``_said``, as much of it as came."""
        self._said.clear()
        try:
            return asyncio.run(self._exchange(query))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.InvalidURL) as error:
            words = f"{self.url} does not answer ({type(error).__name__}); is this machine online?"
            raise CloudAway(words) from None
        except httpx.HTTPError as error:
            raise CloudAway(f"{self.url} broke off ({type(error).__name__}); {perhaps}") from None
        except TimeoutError:
            raise CloudAway(f"{self.url} gave no whole answer in {_WITHIN_S} s; {perhaps}") from None
        except KeyboardInterrupt:
            show.say(perhaps)
            raise

    async def _exchange(self, query):
        """The status; one deadline over everything, as an answer may drip."""
        headers = {"Authorization": f"Bearer {self._key.text}"}
        local = self.url.startswith("http://")
        async with asyncio.timeout(_WITHIN_S), httpx.AsyncClient(timeout=_WITHIN_S, trust_env=not local) as client:
            async with client.stream("POST", self.url, json={"query": query}, headers=headers) as response:
                async for chunk in response.aiter_bytes():
                    self._said += chunk
                    if len(self._said) > _MAX_ANSWER:
                        raise CloudAway(f"{self.url} answers far too much; is it DRIVR's GraphQL API?")
                return response.status_code

    def _read(self, status, perhaps=_PERHAPS):
        """(answer, texts of its errors)."""
        if status in (401, 403):
            raise CloudAway(self._unwanted(status))
        try:
            answer = json.loads(bytes(self._said))
            return answer, [str(e.get("message", "an error")) for e in answer.get("errors") or ()]
        except (ValueError, AttributeError, TypeError, RecursionError):
            todo = perhaps if status >= 500 else f"is it DRIVR's GraphQL API? If it is, {perhaps}"
            raise CloudAway(f"{self.url} answered {status}, not as GraphQL does; {todo}") from None

    def _refused(self, status, errors):
        return "the cloud refuses: " + self._fit_to_show("; ".join(errors) or f"status {status}")

    def _unwanted(self, status):
        words = f"the cloud does not take the API key {self._key.source} ({status})"
        if status == 401 and self._key.kept:
            _out_of_keyring(_host(self.url))
            words += ", which is forgotten now"
        return f"{words}; make a new one there, or check the Domain"

    def _fit_to_show(self, words):
        """Somebody else's words: they might repeat what was sent, or a token."""
        key, words = self._key.text.lower(), words[:_MAX_ANSWER]
        length = min(_TELLING, len(key))
        pieces = (key[at : at + length] for at in range(len(key) - length + 1))
        if holds_token(words) or any(piece in words.lower() for piece in pieces):
            return "its words repeat a secret, and are not shown; check the API key and the Domain"
        return show.plain(words[:500])


def find_key(url, remember=False):
    """The Key for an endpoint: environment, keyring, prompt; ``remember``: a typed one is kept once it was taken."""
    host = _host(checked_endpoint(url))
    given = pasted.bare(os.environ.get(KEY_VARIABLE, ""))
    if given:
        return _checked(Key(given, f"in {KEY_VARIABLE}"))
    kept = _from_keyring(host)
    if kept:
        return Key(kept, f"in the keyring (latchkey, {host})", kept=True)
    without = f"no API key: set {KEY_VARIABLE}, or run this at a terminal to be asked for it"
    typed = pasted.bare(ask.secret(f"API key of {host}", without))
    return _checked(Key(typed, "that was typed", keep=remember))


def _checked(key):
    """``key`` if a header can carry it; ValueError."""
    if not key.text.isascii() or not key.text.isprintable():
        raise ValueError(f"the API key {key.source} is not one line of ASCII text; give the key alone")
    return key


def _host(url):
    return httpx.URL(url).host


def _from_keyring(host):
    """None where the package is missing, has no backend, or is locked: a prompt is the way then."""
    try:
        import keyring

        return keyring.get_password("latchkey", host)
    except Exception:
        # Its backends raise whatever their desktop raises.
        return None


def _into_keyring(host, key):
    try:
        import keyring

        keyring.set_password("latchkey", host, key)
    except Exception as error:
        show.say(f"the key was not remembered: no keyring here takes it ({type(error).__name__})")


def _out_of_keyring(host):
    try:
        import keyring

        keyring.delete_password("latchkey", host)
    except Exception as error:
        show.say(f"the keyring does not delete the key of {host} ({type(error).__name__}); remove it by hand")


def _jwt(answer, mutation):
    """The text of the token in an answer, or None."""
    try:
        token = answer["data"][mutation]["jwt"]
    except (KeyError, TypeError):
        return None
    return token if isinstance(token, str) else None


def _span(duration):
    """A Timespan as an argument: 1D, P1D, PT1H or seconds; ValueError."""
    timespan.parse_s(duration)
    return duration if duration.isdigit() else _text(duration)


def _text(value):
    """A GraphQL string (October 2021, 2.9.4); JSON's escapes are among its own."""
    return json.dumps(value, ensure_ascii=False)
