"""The data of the simulated cloud: keys, tokens, the subject, and how to write the two messages. No network.

Everything is in one file of mode 0600, written after every change, so that a restart continues where it stopped.
Times are kept in Unix seconds and written out only in the messages.
"""

import json
import re
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from latchkey_tools import uuids
from latchkey_tools.sim import pki, signing

ACTIVATED = "ACTIVATED"
MAINTAINER = {"uuid": "2faa6870-91b0-4b3a-84e8-8bbbd8becbd0", "name": "System Maintainer"}
SETTINGS = {
    "algorithm": "RS512",
    "retainedLists": True,
    "createdAtOffset": 0.0,
    "omitUpdatedAt": False,
    "mixedZones": False,
    "dropExpired": True,
    "permanentExp": "NULL",
    "emptyList": "ARRAY",
    "certificateDelay": 0.0,
}
_MEMBERS = {"slug", "issuer", "subject", "tokens", "systems", "settings", "kids_ever", "keys"}
_NBF_MARGIN_S = 60
# A device whose clock lags a little must still find its certificate valid.
_CERTIFICATE_MARGIN_S = 3600
_CERTIFICATE_S = 365 * 86400
_CERTIFICATE_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_ZONES = (None, UTC, timezone(timedelta(hours=2)))


class CloudError(Exception):
    """A request the cloud refuses; the text is for the one who asked."""


class Cloud:
    """One Domain: ``slug``, its issuer, keys and tokens, kept in ``path``. ``clock`` gives Unix seconds.

    ``authority``: the Identity (latchkey_tools.sim.pki) that signs certificates, or None.
    """

    def __init__(self, path, slug, issuer=None, clock=time.time, read_only=False, authority=None):
        self.path = Path(path)
        self.authority = authority
        self.slug = slug
        self.clock = clock
        self._data = self._load() or self._fresh(issuer or f"https://{slug}.api.drivr.cloud")
        if self._data["slug"] != slug:
            raise CloudError(f"{self.path} belongs to slug {self._data['slug']}; give another folder or that slug")
        if issuer:
            self._data["issuer"] = issuer
        # The file of an older simulator lacks these.
        self._data["settings"] = SETTINGS | self._data["settings"]
        self._data.setdefault("certificates", [])
        self._data.setdefault("authority_uuid", signing.new_uuid())
        self._load_keys()
        if not read_only:
            self.save()

    @property
    def settings(self):
        return self._data["settings"]

    @property
    def subject(self):
        return self._data["subject"]

    @property
    def systems(self):
        return list(self._data["systems"])

    @property
    def kids(self):
        """The kids of the key set, the signing one first."""
        return [kid for kid, _ in self._keys]

    def published(self, kid):
        """True if this simulator ever had a key of that name."""
        return kid in self._data["kids_ever"]

    def add_system(self, system_uuid):
        """Know a System, so that its list is published even while it is empty."""
        if system_uuid not in self.systems:
            self._data["systems"].append(system_uuid)
            self.save()

    def create(self, system_uuid, duration_s=None, **overrides):
        """Make a token for a System; without ``duration_s`` it is permanent. Returns its record."""
        now = self.clock()
        record = {
            "uuid": signing.new_uuid(),
            "systemUuid": system_uuid,
            "created": now + self.settings["createdAtOffset"],
            "start": int(now),
            "end": None if duration_s is None else now + duration_s,
            "status": ACTIVATED,
            "roles": [dict(role) for role in self.subject["roles"]],
        }
        record["token"] = self._sign(record, **overrides)
        record["updated"] = record["created"] + max(0.0, self.clock() - now)
        self._data["tokens"].append(record)
        if system_uuid not in self.systems:
            self._data["systems"].append(system_uuid)
        self.save()
        return record

    def revoke(self, token_uuid, leave=False, status="DEACTIVATED"):
        """Revoke a token by ``status`` in the list, or by its leaving the list."""
        record = self.find(token_uuid)
        if status == ACTIVATED:
            raise CloudError("ACTIVATED does not revoke")
        if leave:
            self._data["tokens"].remove(record)
        else:
            record["status"] = status
        return self._changed(record)

    def extend(self, token_uuid, duration_s):
        """Move a token's end to ``duration_s`` from now; the uuid stays, the jwt is signed anew."""
        record = self.find(token_uuid)
        record["end"] = self.clock() + duration_s
        record["token"] = self._sign(record)
        return self._changed(record)

    def set_token_roles(self, token_uuid, roles):
        record = self.find(token_uuid)
        record["roles"] = roles
        return self._changed(record)

    def set_subject_roles(self, roles):
        self.subject["roles"] = roles
        self.save()
        return roles

    def set(self, **settings):
        """Change some of SETTINGS."""
        self.settings.update(settings)
        self.save()

    def rotate(self, keep_old=False):
        """Sign with a fresh key from now on; returns its kid."""
        self._keys = [signing.new_key()] + (self._keys if keep_old else [])
        self._remember_keys(self._data)
        self.save()
        return self.kids[0]

    def drop_expired(self):
        """Delete tokens that ended, as the cloud does; returns the Systems whose lists changed."""
        now = self.clock()
        gone = [r for r in self._data["tokens"] if r["end"] is not None and r["end"] <= now]
        if not self.settings["dropExpired"] or not gone:
            return []
        self._data["tokens"] = [r for r in self._data["tokens"] if r not in gone]
        self.save()
        return sorted({r["systemUuid"] for r in gone})

    def find(self, word):
        """The record of the token with that UUID, or whose UUID begins so."""
        found = [record for record in self._data["tokens"] if uuids.begins(record["uuid"], word)]
        if len(found) > 1:
            raise CloudError(f"{len(found)} tokens begin with {word[:80]}; write more of the uuid")
        if not found:
            raise CloudError(f"no token {word[:80]}; it may have been revoked by leaving, or have expired")
        return found[0]

    def tokens(self, system_uuid):
        """Records as in the list message, newest first."""
        mine = [r for r in reversed(self._data["tokens"]) if r["systemUuid"] == system_uuid]
        return [self._as_message(i, r) for i, r in enumerate(mine)]

    def as_listed(self, record):
        """A record with the fields of the list message."""
        return self._as_message(0, record)

    def issuers(self):
        """The one issuer of certificates, as DRIVR's schema lists them."""
        return [{"uuid": self._data["authority_uuid"], "name": "simulator"}]

    def create_certificate(self, csr, duration_s, entity_uuid, issuer_uuid, name, usages):
        """Sign a request; returns its record. CloudError for what DRIVR refuses too, as far as it is documented."""
        if self.authority is None:
            raise CloudError("this simulator has no authority to sign with: start it without --broker")
        if issuer_uuid != self._data["authority_uuid"]:
            raise CloudError(f"no issuer {issuer_uuid}; ask for the issuers")
        if not _CERTIFICATE_NAME.fullmatch(name) or name in [one["name"] for one in self._data["certificates"]]:
            raise CloudError(f"a certificate cannot have the name {name[:80]}: it is taken, or has other characters")
        record = {"uuid": signing.new_uuid(), "name": name, "systemUuid": entity_uuid, "made": self.clock()}
        record["certificate"] = self._sign_certificate(csr, duration_s or _CERTIFICATE_S, "SERVER_AUTH" in usages)
        self._data["certificates"].append(record)
        self.save()
        return record

    def certificate(self, uuid):
        """(name, PEM) of a certificate; the PEM is None until ``certificateDelay`` has passed. CloudError."""
        record = next((one for one in self._data["certificates"] if one["uuid"] == uuid), None)
        if record is None:
            raise CloudError(f"no certificate {uuid}")
        signed = self.clock() >= record["made"] + self.settings["certificateDelay"]
        return record["name"], record["certificate"] if signed else None

    def _sign_certificate(self, csr, duration_s, for_server):
        try:
            names = pki.names_in(csr)
            if for_server and not (names and all(name.endswith(".local") for name in names)):
                raise CloudError("a SERVER_AUTH certificate is only for names that end in .local")
            start = datetime.fromtimestamp(self.clock() - _CERTIFICATE_MARGIN_S, UTC)
            end = datetime.fromtimestamp(self.clock() + duration_s, UTC)
            return pki.sign(self.authority, csr, start, end, for_server)
        except ValueError as problem:
            raise CloudError(f"this is not a signing request in PEM ({problem})") from None

    def key_set_message(self):
        return json.dumps({"keys": [signing.jwk(kid, key) for kid, key in self._keys]}).encode()

    def list_message(self, system_uuid):
        """Payload of a System's list; None where the settings say that nothing is published."""
        tokens = self.tokens(system_uuid)
        if not tokens and self.settings["emptyList"] != "ARRAY":
            return b"" if self.settings["emptyList"] == "PAYLOAD" else None
        return json.dumps(tokens, ensure_ascii=False).encode()

    def claims(self, system_uuid, start_unix_s, end_unix_s, token_uuid, roles):
        """The payload of a token, with the claims of DRIVR's guide in its order."""
        return {
            "jti": token_uuid,
            "sub": self.subject["uuid"],
            "iss": self._data["issuer"],
            "aud": system_uuid,
            "exp": end_unix_s,
            "nbf": start_unix_s - _NBF_MARGIN_S,
            "iat": start_unix_s,
            "name": self.subject["name"],
            "typename": self.subject["type"],
            "roles": roles,
        }

    def sign(self, claims, algorithm=None, header=None):
        """A token over any claims at all, by the key in use; for tests of what a device must refuse."""
        return signing.token(claims, self._keys[0][1], algorithm or self.settings["algorithm"], header)

    def save(self):
        """OSError where it cannot be written. Then nothing has changed: what is answered as failed made no token."""
        try:
            pki.write_private(self.path, json.dumps(self._data).encode())
        except OSError:
            self._data = self._load() or self._data
            self._load_keys()
            raise

    def _load_keys(self):
        self._keys = [(kid, signing.load(pem)) for kid, pem in self._data["keys"]]

    def _sign(self, record):
        end = None if record["end"] is None else int(record["end"])
        claims = self.claims(record["systemUuid"], record["start"], end, record["uuid"], record["roles"])
        if end is None and self.settings["permanentExp"] == "ABSENT":
            del claims["exp"]
        return self.sign(claims)

    def _changed(self, record):
        # Later than before whatever the clock says: a change that looks no newer would be lost on a device.
        record["updated"] = max(self.clock() + self.settings["createdAtOffset"], record["updated"] + 0.001)
        self.save()
        return record

    def _as_message(self, index, record):
        zone = _ZONES[index % len(_ZONES)] if self.settings["mixedZones"] else None
        message = {
            "uuid": record["uuid"],
            "createdAt": _text(record["created"], zone),
            "updatedAt": _text(record["updated"], zone),
            "status": record["status"],
            "expiresAt": None if record["end"] is None else _text(record["end"], zone),
            "notBefore": _text(record["start"], zone or UTC),
            "systemUuid": record["systemUuid"],
            "roles": record["roles"],
            "token": record["token"],
            "subject": {key: self.subject[key] for key in ("uuid", "name", "type")},
        }
        if self.settings["omitUpdatedAt"]:
            del message["updatedAt"]
        return message

    def _load(self):
        if not self.path.exists():
            return None
        try:
            data = json.loads(self.path.read_bytes())
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict) or not _MEMBERS <= data.keys():
            raise CloudError(f"{self.path} is damaged; remove it to start with a new cloud")
        return data

    def _fresh(self, issuer):
        subject = {"uuid": signing.new_uuid(), "name": "Marie Curie", "type": "USER", "roles": [dict(MAINTAINER)]}
        data = {"version": 1, "slug": self.slug, "issuer": issuer, "subject": subject, "tokens": [], "systems": []}
        data |= {"settings": dict(SETTINGS), "kids_ever": []}
        self._keys = [signing.new_key()]
        self._remember_keys(data)
        return data

    def _remember_keys(self, data):
        data["keys"] = [(kid, signing.pem(key)) for kid, key in self._keys]
        data["kids_ever"] += [kid for kid in self.kids if kid not in data["kids_ever"]]


def published_key_set(path):
    """The key set (bytes of JSON) that the simulator over the state in ``path`` publishes."""
    try:
        slug = json.loads(Path(path).read_bytes())["slug"]
    except FileNotFoundError:
        raise CloudError(f"no simulator has run over {Path(path).parent}; start one with `latchkey sim run`") from None
    except (ValueError, KeyError, TypeError):
        raise CloudError(f"{path} is damaged; remove it to start with a new cloud") from None
    return Cloud(path, slug, read_only=True).key_set_message()


def _text(unix_s, zone):
    """A time as DRIVR writes it: without a zone (UTC is meant) or with one; a fraction only where there is one."""
    text = datetime.fromtimestamp(unix_s, zone or UTC).isoformat()
    return text if zone else text.removesuffix("+00:00")
