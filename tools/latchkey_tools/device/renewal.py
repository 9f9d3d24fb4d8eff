"""Renews the wallet's tokens before they end: one new token for each System whose tokens all end too soon. No terminal.

    results = make_new(wallet, systems, before_s, make)       the cloud is asked; old tokens stay
    settle(wallet, results, attempt)                          the old ones go where a device has accepted the new one

A new token is marked in the wallet with the uuids of those that it replaces. So a later run goes on where this one
stopped, whatever ended it. A token is removed for one of three reasons: the device accepted its successor, the user
said so, or it has ended. Each that is removed is in a Result.
"""

from latchkey_tools import problems
from latchkey_tools.cli import show
from latchkey_tools.device import access, answer_shapes
from latchkey_tools.device.cloud_api import CloudAway, CloudRefusal
from latchkey_tools.device.local_api import Refusal, Unreachable
from latchkey_tools.device.wallet import Unsafe, WalletError, claims_of, end_words, is_for, lives, roles_of, systems_of

# The possible results for a System.
LASTS, RENEWED, WAITING, REFUSED, FAILED = "lasts", "renewed", "waiting", "refused", "failed"
BAD = (REFUSED, FAILED)
# A device refuses a new token so until the cloud's list has arrived, or its clock has caught up.
_NOT_YET = ("unlisted", "ledger_unknown", "not_yet_valid")
# The exceptions of a wallet that cannot be written.
_UNKEPT = (WalletError, Unsafe, OSError)


class Result:
    """``state``: one of the above; ``new``: the Entry that lasts, or None; ``old``: Entries that stay beside it;
    ``gone``: Entries that were removed; ``words``, ``todo``: why it is so, and what the person can do, or ""."""

    def __init__(self, system, state, new=None, words="", todo=""):
        self.system, self.state, self.new, self.words, self.todo = system, state, new, words, todo
        self.old, self.gone = [], []

    def tell(self, state, words, todo=""):
        self.state, self.words, self.todo = state, words, todo


def make_new(wallet, systems, before_s, make, duration_s=None, tell=lambda words: None, first=False):
    """A Result for each System, after a new token was made where all tokens end within ``before_s``.

    ``make(system_uuid, duration_s, keep)`` has the cloud make a token and returns ``keep(its text)``; CloudRefusal.
    ``duration_s``: how long a new one lasts, by default as long as the one before. ``first``: also for Systems without
    a token. A failure that would come again for the next System stops the run.
    """
    until_unix_s, stop = wallet.clock() + before_s, None
    results = [_plan(system, held, until_unix_s) for system, held in wallet.fitting_each(systems).items()]
    for result in results:
        if result.state == LASTS:
            continue
        if stop:
            result.tell(FAILED, f"not tried, since {stop}", "run the same again")
            continue
        try:
            if result.old or first:
                _make(wallet, result, before_s, make, duration_s, tell)
        except (CloudAway, *_UNKEPT) as problem:
            stop = problems.words(problem)
            result.tell(FAILED, *_split(stop))
        except CloudRefusal as problem:
            result.tell(FAILED, *_split(problems.words(problem)))
    return results


def settle(wallet, results, attempt, confirmed=False):
    """Try each new token that replaces others; the old ones are removed where the device accepts it.

    ``attempt(system_uuid, token)`` returns if the device accepts it, else raises Refusal or Unreachable. ``confirmed``:
    the user says that old tokens may go where the device was not reached.
    """
    for result in results:
        if result.new is None or not result.new.replaces:
            continue
        try:
            # An ended token opens nothing, whatever the device thinks of the new one.
            _remove_old(wallet, result, lambda old: not lives(claims_of(old.token) or {}, wallet.clock()))
            if result.old:
                _try(wallet, result, attempt, confirmed)
            elif result.state == WAITING:
                result.tell(RENEWED, "the device has not tried the new token; the old one had ended")
        except _UNKEPT as problem:
            result.tell(FAILED, *_split(problems.words(problem)))


def pending(results):
    """Systems whose new token no device has accepted yet, while an old one stays."""
    return [result.system for result in results if result.new and result.new.replaces and result.old]


def as_data(result):
    """For scripts; never with a token."""
    return {
        "system": result.system,
        "state": result.state,
        "token": result.new and _facts(result.new),
        "kept": [_facts(old) for old in result.old],
        "removed": [_facts(old) for old in result.gone],
        "words": result.words,
        "todo": result.todo,
    }


def gone_words(entry, now_unix_s):
    """Of a token that was removed: its name, its uuid, and that the cloud still knows it."""
    claims = claims_of(entry.token) or {}
    words = f"{entry.name} ({entry.uuid}) is removed from the wallet; it {end_words(claims, now_unix_s)}"
    return f"{words}, and stays valid in the cloud until then" if lives(claims, now_unix_s) else words


def _plan(system, held, until_unix_s):
    """LASTS, with the token that does, or FAILED with the reason why there is none yet. ``held``: the best first."""
    tokens = [(claims_of(e.token) or {}, e) for e in held]
    lasting = [e for claims, e in tokens if lives(claims, until_unix_s)]
    if lasting:
        result = Result(system, LASTS, next((e for e in lasting if e.replaces), lasting[0]))
        result.old = [e for _claims, e in tokens if e.uuid in result.new.replaces]
        return result
    result = Result(system, FAILED)
    result.old = [e for _claims, e in tokens]
    if not tokens:
        result.tell(FAILED, "the wallet has no token for it", f"latchkey token create {system}")
    return result


def _make(wallet, result, before_s, make, duration_s, tell):
    """Ask the cloud for a successor of the System's tokens, and keep it."""
    duration_s = duration_s or _length_s(result.old[0])
    if duration_s is None or duration_s <= before_s:
        made_for = f"was made for {show.span(duration_s)}" if duration_s else "does not say how long it was made for"
        words = f"{result.old[0].name} {made_for}, so another like it would not last for --before"
        return result.tell(FAILED, words, "give --duration, such as 90D, or a smaller --before")
    wallet.check_writable()  # what could not be kept is not made
    tell(f"making a token for {result.system}")
    result.new = make(result.system, duration_s, lambda token: _keep(wallet, token, result.old))
    if not lives(claims_of(result.new.token), wallet.clock() + before_s):
        words = f"the cloud made a token that {end_words(claims_of(result.new.token), wallet.clock())}"
        return result.tell(FAILED, f"{words}, sooner than --before", "give a smaller --before")
    missing = _differences(result.new, result.old)
    result.old = [e for e in result.old if e.uuid in result.new.replaces]
    result.tell(WAITING if result.old else RENEWED, "; ".join(missing))


def _keep(wallet, token, old):
    """The Entry of a new token, which replaces those of ``old`` that it can stand in for. Without a name to take over
    it gets the first digits of its System, as the device's own name has them."""
    claims = claims_of(token)
    replaces = [e.uuid for e in old if not _lacks(claims, claims_of(e.token))]
    return wallet.add(token, old[0].name if old else systems_of(claims)[0][:8], replaces)


def _differences(new, old):
    lacks = ((e, _lacks(claims_of(new.token), claims_of(e.token))) for e in old)
    return [f"{e.name} stays in the wallet: the new token {why}" for e, why in lacks if why]


def _lacks(new, old):
    """The claims of an old token that a new one lacks, in words; "" if the new one can replace it."""
    if new.get("iss") != old.get("iss"):
        return "has another issuer"
    if new.get("sub") != old.get("sub"):
        return "is another person's"
    others = [system for system in systems_of(old) if not is_for(new, system)]
    if others:
        return f"does not open {', '.join(others)}"
    roles = [role for role in roles_of(old) if role not in roles_of(new)]
    return f"lacks the role {', '.join(roles)}" if roles else ""


def _try(wallet, result, attempt, confirmed):
    try:
        attempt(result.system, result.new.token)
    except Refusal as refusal:
        lasting = access.is_of_one_token(refusal) and refusal.code not in _NOT_YET
        state = REFUSED if lasting else WAITING
        return result.tell(state, f"the device answers {refusal.code}: {refusal.words}", refusal.todo)
    except Unreachable as problem:
        if not confirmed:
            words, todo = _split(problems.words(problem))
            return result.tell(WAITING, f"the device has not tried the new token: {words}", todo)
    _remove_old(wallet, result, lambda old: True)
    result.tell(RENEWED, "confirmed by you" if confirmed else "the device accepts the new token")


def _remove_old(wallet, result, may_go):
    gone = wallet.settle(result.new, may_go) if any(map(may_go, result.old)) else []
    if gone:
        result.gone += gone
        result.new = next(e for e in wallet.entries() if e.uuid == result.new.uuid)
        result.old = [old for old in result.old if old.uuid not in [one.uuid for one in gone]]


def _length_s(entry):
    """How long a token was made for; None where it does not say."""
    claims = claims_of(entry.token) or {}
    start, end = claims.get("iat"), claims.get("exp")
    return end - start if answer_shapes.time(start) and answer_shapes.time(end) and end > start else None


def _facts(entry):
    exp = (claims_of(entry.token) or {}).get("exp")
    return {"uuid": entry.uuid, "name": entry.name, "exp_unix_s": exp}


def _split(text):
    """(what happened, what to do) of a text that says both."""
    words, _, todo = text.rpartition("; ")
    return (words, todo) if words else (todo, "")
