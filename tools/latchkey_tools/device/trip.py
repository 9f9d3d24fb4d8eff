"""The data that a technician needs where there is no internet. No terminal and no network here.

For each device: a token that lasts, the key set to check it with, the label's passphrase, and files such as a release
of the firmware.

    site = read_site(path)                     or Site(None, [Stop(system)])
    trip = packed(wallet, site, until_unix_s)  the files are copied into the wallet's folder
    rows = check(wallet, trip)                 what it holds of what the trip needs

A trip is a dict, kept in the wallet: {"until_unix_s", "stops": [dict of a Stop]}.
"""

import datetime
import hashlib
import tomllib
from collections import namedtuple
from pathlib import Path

from latchkey_tools import folders, reading, uuids
from latchkey_tools.cli import show
from latchkey_tools.device import offline_check, pasted
from latchkey_tools.device.wallet import WalletError, claims_of, end_words, lives, roles_of
from latchkey_tools.release import manifest
from latchkey_tools.sim import pki

# A file that a device may need: what a site file calls it, and what it is called here.
FILES = {"firmware": "firmware", "signed_keys": "signed key set"}
_TYPES = {"firmware": (manifest.RELEASE, manifest.RELEASE_KEY), "signed_keys": (manifest.KEYS,)}
_FORM = 'write until = 2026-12-24, and for each device [[device]] with system = "its UUID"'
_SITE_NAMES = {"until", "device", "roles", *FILES}
_STOP_NAMES = {"system", "name", "roles", *FILES}

# One device of a trip. roles: names that its token must carry; files: {a name of FILES: path}.
Stop = namedtuple("Stop", "system name roles files", defaults=("", (), {}))
# until: the last day (datetime.date), or None; stops: of the trip, in their order
Site = namedtuple("Site", "until stops")
# One part of what a device needs. good: whether it is there; todo: what the person can do if not.
Part = namedtuple("Part", "good seen todo", defaults=("",))
# stop: the Stop; parts: {"token", "roles", "key set", "label", "files": Part}
Row = namedtuple("Row", "stop parts")


def day(text):
    """The datetime.date in a text such as 2026-12-24; ValueError."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]} is not a day; write it as 2026-12-24") from None


def end_of(date):
    """Unix seconds of the end of a day, as clocks on this machine's wall have it."""
    return int(datetime.datetime.combine(date, datetime.time.max).timestamp())


def read_site(path):
    """The Site in a TOML file; ValueError names what is wrong in it."""
    try:
        content = tomllib.loads(pasted.decoded(reading.content(path), path))
    except tomllib.TOMLDecodeError as problem:
        raise ValueError(f"{path} is not TOML ({problem}); {_FORM}") from None
    _check_names(path, content, _SITE_NAMES)
    devices = content.get("device")
    if not isinstance(devices, list) or not devices or not all(isinstance(one, dict) for one in devices):
        raise ValueError(f"{path} names no device; {_FORM}")
    shared = {name: value for name, value in content.items() if name not in ("until", "device")}
    stops = [_stop(f"{path}, device {number}", path, shared, one) for number, one in enumerate(devices, 1)]
    return Site(_until(path, content.get("until")), stops)


def packed(wallet, site, until_unix_s):
    """The trip of a Site, kept in the wallet, with its files beside it. WalletError for a file that cannot be read."""
    folder = folders.make(wallet.folder / "trip")
    stops = [stop._replace(files=_copied(folder, stop.files))._asdict() for stop in site.stops]
    trip = {"until_unix_s": until_unix_s, "stops": stops}
    wallet.keep_trip(trip)
    named = {Path(path) for stop in stops for path in stop["files"].values()}
    for other in set(folder.iterdir()) - named:
        other.unlink()
    return trip


def kept(wallet):
    """The newest trip; WalletError if there was none."""
    trip = wallet.trip()
    try:
        stops_of(trip or {"stops": ()})
        if trip and type(trip["until_unix_s"]) is int:
            return trip
    except (KeyError, TypeError):
        raise WalletError(f"the trip in {wallet.path} is damaged; pack it again") from None
    raise WalletError("no trip was packed; pack one with `latchkey trip SYSTEM... --until DATE`")


def stops_of(trip):
    return [Stop(**stop) for stop in trip["stops"]]


def check(wallet, trip):
    """A Row for each device of a trip, by what the wallet and its folder hold now."""
    key_sets, labels, until_unix_s = wallet.key_sets(), wallet.labels(), trip["until_unix_s"]
    return [_row(wallet, stop, key_sets, labels, until_unix_s) for stop in stops_of(trip)]


def is_whole(rows):
    return all(part.good for row in rows for part in row.parts.values())


def _row(wallet, stop, key_sets, labels, until_unix_s):
    entry = token_for(wallet, stop, until_unix_s)
    parts = {"token": _token(wallet, stop.system, entry, until_unix_s)}
    if entry:
        parts |= {"roles": _roles(entry, stop.roles), "key set": _key_set(entry, key_sets)}
    else:
        parts |= {"roles": Part(False, "no token"), "key set": Part(False, "no token")}
    return Row(stop, parts | {"label": _label(stop.system, labels), "files": _files(stop.files)})


def token_for(wallet, stop, until_unix_s):
    """The Entry of the token to take along: one that lasts, and best one with all roles; or None."""
    lasting = [e for e in wallet.fitting(stop.system) if lives(claims_of(e.token), until_unix_s)]
    return next((e for e in lasting if not _missing_roles(e, stop.roles)), lasting[0] if lasting else None)


def _token(wallet, system, entry, until_unix_s):
    if entry:
        return Part(True, f"{entry.name}, {end_words(claims_of(entry.token), wallet.clock())}")
    todo = "while there is internet: latchkey trip with --slug; without it: latchkey token import FILE"
    for other in wallet.fitting(system):
        return Part(False, f"{other.name} {end_words(claims_of(other.token), wallet.clock())}", todo)
    return Part(False, "none", todo)


def _roles(entry, wanted):
    held, missing = roles_of(claims_of(entry.token)), _missing_roles(entry, wanted)
    if missing or not held:
        who = f"the role {', '.join(missing)}" if missing else "a role"
        return Part(False, ", ".join(held) or "none", f"ask the Domain's owner for {who}, then make a new token")
    return Part(True, ", ".join(held))


def _missing_roles(entry, wanted):
    return [role for role in wanted if role not in roles_of(claims_of(entry.token))]


def _key_set(entry, key_sets):
    try:
        verdict = offline_check.judge(entry.token, key_sets)
    except WalletError as problem:
        return Part(False, "not checked", str(problem))
    if verdict.signature == "good":
        return Part(True, verdict.key[0])
    seen = "none verifies the token" if key_sets else "none"
    return Part(False, seen, "take in your Domain's key set: latchkey token import JWKS.json")


def _label(system, labels):
    if system in labels:
        return Part(True, labels[system].access_point or "there")
    return Part(
        False, "none", "take in the label's passphrase: latchkey label import labels.csv; or take the label along"
    )


def _files(files):
    absent = [FILES[name] for name, path in files.items() if not _is_whole(path)]
    if absent:
        return Part(False, f"no {', no '.join(absent)}", "pack it again with its file there: latchkey trip --site FILE")
    return Part(True, ", ".join(f"{FILES[name]} {path}" for name, path in files.items()) or "-")


def _is_whole(path):
    """Whether a packed file is there and still has the hash that its name begins with."""
    try:
        return Path(path).name.startswith(_hash(Path(path).read_bytes()))
    except OSError:
        return False


def _copied(folder, files):
    """{name: path of the copy} of files; OSError names one that cannot be read, ValueError one that is not whole."""
    return {name: str(_copy(folder, manifest.whole(path, *_TYPES[name]))) for name, path in files.items()}


def _copy(folder, file):
    content = file.line + b"\n" + file.payload
    copy = folder / f"{_hash(content)}-{file.path.name}"
    pki.write_private(copy, content)
    return copy


def _hash(content):
    return hashlib.sha256(content).hexdigest()[:12]


def _stop(where, path, shared, content):
    _check_names(where, content, _STOP_NAMES)
    content = shared | content
    try:
        system = uuids.canonical(content.get("system"))
    except ValueError:
        raise ValueError(f"{where}: system must be the UUID of its System; correct it") from None
    roles = content.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise ValueError(f'{where}: roles must be a list, such as ["System Maintainer"]; correct it')
    for name in ("name", *FILES):
        if not isinstance(content.get(name, ""), str):
            raise ValueError(f"{where}: {name} must be a text in quotes; correct it")
    files = {name: str(Path(path).parent / content[name]) for name in FILES if content.get(name)}
    return Stop(system, content.get("name", ""), tuple(roles), files)


def _check_names(where, content, known):
    unknown = sorted(content.keys() - known)
    if unknown:
        names = ", ".join(show.plain(name)[:40] for name in unknown)
        raise ValueError(f"{where} has {names}, which means nothing here; there are {', '.join(sorted(known))}")


def _until(path, value):
    if isinstance(value, datetime.datetime):
        return value.date()
    if value is None or isinstance(value, datetime.date):
        return value
    if isinstance(value, str):
        return day(value)
    raise ValueError(f"{path}: until must be a day; {_FORM}")
