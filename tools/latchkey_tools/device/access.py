"""Which token a call takes along: the one named, else the environment's, else those of the wallet that fit the device.

Of several that fit the newest live one is tried first; where a device refuses a token for what it is, the next one's
turn comes, and it is said.
"""

import os
import time
from collections import namedtuple
from pathlib import Path

from latchkey_tools.cli import show
from latchkey_tools.device import pasted
from latchkey_tools.device.local_api import Refusal
from latchkey_tools.device.wallet import Wallet, claims_of, is_for, lives, systems_of

TOKEN_VARIABLE = "LATCHKEY_TOKEN"
# Refusals of one token, which say nothing about another.
_OF_ONE_TOKEN = ("expired", "not_yet_valid", "revoked", "unlisted", "ledger_unknown", "ledger_full", "bad_signature")
_OF_ONE_TOKEN += ("wrong_issuer", "claims_refused", "no_permission", "insufficient_scope")

# label: what it is called, for people; token: its text; system: the System UUID of the device that it is for
Pass = namedtuple("Pass", "label token system")


def passes(info, token_file=None, name=None):
    """Passes that fit the device that gave ``info``, best first. Refusal where there is none, or a wrong one."""
    system = info.get("system_uuid")
    if system is None or info.get("state") == "unprovisioned":
        raise Refusal(0, "unprovisioned")
    named = _named(token_file, name)
    if named:
        label, token = named
        _check_system(label, token, system)
        if token_file:
            show.say_if_open(token_file)
        return [Pass(label, token, system)]
    fitting = [Pass(entry.name, entry.token, system) for entry in Wallet().fitting(system)]
    if not fitting:
        words = f"No token in the wallet is for this device ({system})."
        todo = f"latchkey token create {system}; without internet: latchkey token import FILE"
        raise Refusal(0, "token_missing", words, todo=todo)
    return fitting


def through(info, attempt, token_file=None, name=None):
    """(what ``attempt(Pass)`` gives, Pass) of the first Pass that opens; else the Refusal of ``telling``."""
    tries, refused = passes(info, token_file, name), []
    for here in tries:
        try:
            return attempt(here), here
        except Refusal as refusal:
            if not is_of_one_token(refusal):
                raise
            refused.append((here, refusal))
            following = f"; trying {tries[len(refused)].label}" if len(refused) < len(tries) else ""
            if len(tries) > 1:
                show.say(f"the token {here.label} is refused ({refusal.code}){following}")
    raise telling(refused)[1]


def telling(refused):
    """Of [(Pass, Refusal)] the pair to go by: a token that is known to have ended explains nothing."""
    now = time.time()
    live = (pair for pair in refused if lives(claims_of(pair[0].token) or {}, now))
    return next(live, refused[0])


def call(device, method, path, body=None, token_file=None, name=None):
    """(answer, Pass) of a call with the fitting token; Refusal as of ``through``."""
    device.choose_channel()
    return through(device.info(), lambda here: device.call(method, path, here.token, body), token_file, name)


def is_of_one_token(refusal):
    """Whether a Refusal is about the token that was shown, so that another may open."""
    return refusal.code in _OF_ONE_TOKEN


def read_token(word):
    """The token in a file, on standard input for "-", or of that name in the wallet."""
    path = Path(word)
    is_file = word == "-" or path.exists() and not path.is_dir()
    return pasted.token(pasted.read(word)) if is_file else Wallet().find(word).token


def _named(token_file, name):
    """(label, token) of the one that was named, or None."""
    if token_file:
        return _in_file(token_file)
    if name:
        entry = Wallet().find(name)
        return entry.name, entry.token
    text = pasted.token(os.environ.get(TOKEN_VARIABLE, ""))
    return (f"in {TOKEN_VARIABLE}", text) if text else None


def _in_file(file):
    label = "on standard input" if str(file) == "-" else f"in {file}"
    try:
        return label, pasted.token(pasted.read(file))
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error.strerror}); give a file with a token") from None


def _check_system(label, token, system):
    """A bearer is not shown to a device it is not for: whoever holds it has its roles."""
    claims = claims_of(token)
    if claims is None:
        raise Refusal(0, "token_malformed", f"The text {label} is not a CLOUD- token.")
    if not is_for(claims, system):
        theirs = ", ".join(systems_of(claims)) or "no System"
        words = f"The token {label} is for {theirs}, and this device is {system}; it was not sent."
        raise Refusal(0, "wrong_system", words)
