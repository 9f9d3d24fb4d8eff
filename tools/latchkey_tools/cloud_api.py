"""The two GraphQL mutations by which DRIVR makes local API tokens, against its endpoint or the simulator.

The arguments stand in the text as DRIVR's guide shows them: with variables one would have to know what the schema
calls their types. The API key comes from LATCHKEY_CLOUD_KEY, the `keyring` package, or a prompt, never from argv.
"""

import getpass
import json
import os
import re
import sys
import urllib.parse
import uuid
from collections import namedtuple

import httpx

from latchkey_tools import show
from latchkey_tools.sim import timespan
from latchkey_tools.wallet import claims_of, is_for

KEY_VARIABLE = "LATCHKEY_CLOUD_KEY"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.I)
_MAX_ANSWER = 64 * 1024
_TIMEOUT_S = 20

Key = namedtuple("Key", "text source")


class CloudRefusal(Exception):
    """The cloud did not make a token; the text says why and what to do, and holds neither key nor token."""


def endpoint(slug):
    """The GraphQL endpoint of a Domain."""
    if not _LABEL.fullmatch(slug):
        raise ValueError(f"{show.plain(slug)} is not a Domain's name (slug): letters, digits and hyphens")
    return f"https://{slug}.api.drivr.cloud/graphql"


def checked_endpoint(url):
    """``url`` if a key may be sent there: https, or this machine."""
    parts = urllib.parse.urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username:
        raise ValueError("give the endpoint as https://host/graphql")
    if parts.scheme == "http" and not local:
        raise ValueError("the API key is not sent without TLS; give the endpoint as https://")
    return url


class Cloud:
    """``url``: GraphQL endpoint; ``key``: the Key to it."""

    def __init__(self, url, key):
        self.url = checked_endpoint(url)
        self._key = key

    def create(self, system_uuid, duration, device):
        """The text of a token that ends after ``duration`` (1D, P1D, PT1H or seconds)."""
        timespan.parse_s(duration)
        span = duration if duration.isdigit() else _text(duration)
        arguments = f"systemUuid: {_text(_uuid(system_uuid))}, requestedDevice: {_text(device)}, duration: {span}"
        return self._make("createLocalApiToken", arguments, system_uuid)

    def create_permanent(self, system_uuid, name):
        """The text of a token without an end."""
        arguments = f"systemUuid: {_text(_uuid(system_uuid))}, name: {_text(name)}"
        return self._make("createPermanentLocalApiToken", arguments, system_uuid)

    def _make(self, mutation, arguments, system_uuid):
        answer = self._post(f"mutation {{ {mutation}({arguments}) {{ jwt uuid }} }}")
        try:
            token = answer["data"][mutation]["jwt"]
            claims = claims_of(token) or {}
        except (KeyError, TypeError, AttributeError):
            raise CloudRefusal(f"{self.url} answered without a token; is it DRIVR's GraphQL API?") from None
        if not is_for(claims, system_uuid):
            raise CloudRefusal("the cloud's answer is no token for this System; nothing was kept")
        return token

    def _post(self, query):
        headers = {"Authorization": f"Bearer {self._key.text}"}
        local = self.url.startswith("http://")
        try:
            with httpx.Client(timeout=_TIMEOUT_S, trust_env=not local) as client:
                with client.stream("POST", self.url, json={"query": query}, headers=headers) as response:
                    return self._read(response)
        except httpx.HTTPError as error:
            words = f"{self.url} does not answer ({type(error).__name__}); is this machine online?"
            raise CloudRefusal(words) from None
        except UnicodeEncodeError:
            raise CloudRefusal(f"the API key {self._key.source} is not ASCII text") from None

    def _read(self, response):
        if response.status_code in (401, 403):
            words = f"the cloud does not take the API key {self._key.source} ({response.status_code})"
            raise CloudRefusal(f"{words}; make a new one there, or check the Domain")
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MAX_ANSWER:
                raise CloudRefusal(f"{self.url} answers far too much; is it DRIVR's GraphQL API?")
        return self._judged(response.status_code, body)

    def _judged(self, status, body):
        try:
            answer = json.loads(body)
            errors = [str(e.get("message", "an error")) for e in answer.get("errors") or ()]
        except (ValueError, AttributeError, TypeError):
            raise CloudRefusal(f"{self.url} answered {status}, and no JSON; is it DRIVR's GraphQL API?") from None
        if errors or status != 200:
            # Somebody else's words: they might repeat what was sent.
            words = "; ".join(errors) or f"status {status}"
            raise CloudRefusal("the cloud refuses: " + show.plain(words.replace(self._key.text, "...")[:500]))
        return answer


def find_key(url, remember=False):
    """The Key for an endpoint: environment, keyring, prompt; ``remember`` puts a typed one into the keyring."""
    host = urllib.parse.urlsplit(checked_endpoint(url)).hostname
    if os.environ.get(KEY_VARIABLE):
        return Key(os.environ[KEY_VARIABLE].strip(), f"in {KEY_VARIABLE}")
    kept = _from_keyring(host)
    if kept:
        return Key(kept, f"in the keyring (latchkey, {host})")
    if not sys.stdin.isatty():
        raise ValueError(f"no API key: set {KEY_VARIABLE}, or run this at a terminal to be asked for it")
    typed = getpass.getpass(f"API key of {host} (not shown): ").strip()
    if not typed:
        raise ValueError("no API key was given")
    if remember:
        _into_keyring(host, typed)
    return Key(typed, "that was typed")


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


def _text(value):
    """A GraphQL string (October 2021, 2.9.4); JSON's escapes are among its own."""
    return json.dumps(value, ensure_ascii=False)


def _uuid(text):
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError(f"{show.plain(text)} is not a System UUID") from None
