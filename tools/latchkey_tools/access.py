"""Which token a call takes along: the one named, else the environment's, else those of the wallet that fit the device.

Of several that fit the newest live one is tried first; where a device refuses a token for what it is, the next one's
turn comes, and it is said.
"""

import os
import sys
from collections import namedtuple
from pathlib import Path

from latchkey_tools import show
from latchkey_tools.device_api import Refusal
from latchkey_tools.wallet import PREFIX, Unsafe, Wallet, claims_of, is_for, systems_of

TOKEN_VARIABLE = "LATCHKEY_TOKEN"
# Refusals of one token, which say nothing about another.
_OF_ONE_TOKEN = ("expired", "not_yet_valid", "revoked", "unlisted", "ledger_unknown", "bad_signature", "wrong_issuer")
_OF_ONE_TOKEN += ("claims_refused", "no_permission", "insufficient_scope")
_MOST_TRIES = 3

Pass = namedtuple("Pass", "label token")


def passes(info, token_file=None, name=None):
    """Passes to try on the device that gave ``info``, best first. Refusal where there is none, or a wrong one."""
    system = info.get("system_uuid")
    named = _named(token_file, name)
    if named:
        _check_system(named, system)
        return [named]
    if info.get("state") == "unprovisioned":
        raise Refusal(0, "unprovisioned", "The device has not been provisioned.")
    fitting = [Pass(entry.name, entry.token) for entry in Wallet().fitting(system)]
    if not fitting:
        words = f"No token in the wallet is for this device ({system})."
        raise Refusal(0, "token_missing", words, todo=f"latchkey token create {show.plain(system)}")
    return fitting[:_MOST_TRIES]


def call(device, method, path, body=None, token_file=None, name=None):
    """(answer, Pass) of a call with the fitting token; Refusal of the last one tried."""
    device.choose_channel()
    tries = passes(device.info(), token_file, name)
    for here, following in zip(tries, tries[1:] + [None], strict=True):
        try:
            return device.call(method, path, here.token, body), here
        except Refusal as refusal:
            if not is_of_one_token(refusal) or following is None:
                raise
            show.say(f"the token {here.label} is refused ({refusal.code}); trying {following.label}")


def is_of_one_token(refusal):
    """Whether a Refusal is about the token that was shown, so that another may open."""
    return refusal.code in _OF_ONE_TOKEN


def read_token(word):
    """The token in a file, on standard input for "-", or of that name in the wallet."""
    refuse_in_arguments(word)
    if word == "-":
        return sys.stdin.read(8192).strip()
    path = Path(word)
    return path.read_text().strip() if path.is_file() else Wallet().find(word).token


def refuse_in_arguments(word):
    """Raises Unsafe for a token on the command line, where the shell's history and `ps` show it."""
    if word and PREFIX.lower() in word.lower() and "." in word:
        raise Unsafe("a token on the command line is seen by others; give a file, or - for standard input")


def _named(token_file, name):
    if token_file:
        refuse_in_arguments(str(token_file))
        if Path(token_file).stat().st_mode & 0o077:
            show.say(f"others can read {token_file}: chmod 600 {token_file}")
        return Pass(f"in {token_file}", Path(token_file).read_text().strip())
    if name:
        refuse_in_arguments(name)
        entry = Wallet().find(name)
        return Pass(entry.name, entry.token)
    text = os.environ.get(TOKEN_VARIABLE, "").strip()
    return Pass(f"in {TOKEN_VARIABLE}", text) if text else None


def _check_system(named, system):
    """A bearer is not shown to a device it is not for: whoever holds it has its roles."""
    claims = claims_of(named.token)
    if claims is None:
        raise Refusal(0, "token_malformed", f"What is {named.label} is not a CLOUD- token.")
    if system and not is_for(claims, system):
        theirs = ", ".join(systems_of(claims)) or "no System"
        words = f"The token {named.label} is for {theirs}, and this device is {system}; it was not sent."
        raise Refusal(0, "wrong_system", words)
