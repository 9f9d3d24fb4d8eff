"""The main job from end to end, as a story: real broker, DRIVR simulator, and the firmware on the unix port.

    latchkey demo            seven steps: checks passed, slowest check; exit status 1 if one failed
    latchkey demo -v         each check: expected, seen, how long it took
    latchkey demo --keep     the same, then everything stays up, with lines to try by hand

The story is a test too (host_tests/host/test_story.py), also with the clock unset.
"""

import base64
import hashlib
import hmac
import json
import shlex
import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console
from rich.markup import escape

from latchkey_tools.cli import show
from latchkey_tools.desk import children
from latchkey_tools.desk.unix_board import Desk
from latchkey_tools.sim import Simulator, pki
from latchkey_tools.sim.broker import Broker
from latchkey_tools.sim.signing import b64url, unb64url

SLUG = "company-example"
SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
OTHER_SYSTEM = "11111111-2222-4333-8444-555555555555"
OWNER = {"uuid": "8d86661d-985d-4878-a8f5-69723acfa364", "name": "Domain Owner"}
VISITOR = {"uuid": "5d1f7f3c-96d2-4a6a-9a6e-0f3a3c9b7a10", "name": "Visitor"}

# The whole sample token that DRIVR's documentation prints: a real one, long expired, whose key nobody published.
PAGE_SAMPLE = (
    "CLOUD-eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJqdGkiOiI1MzA4ODZlYS1kYTA3LTQ5MjctYWRlMC1iNDljMDVkNjU1ZjQiLCJzdWIiOiIxYWQ2ZmIxYS1jMzhlLTRkNjgtYWQ0NC0yNDhiODhkNWZk"
    "MTMiLCJpc3MiOiJodHRwczovL2FkYW0uYXBpLmRyaXZyLmNsb3VkIiwiYXVkIjoiZjNhMjBmNzAtMzAyMS00MmY1LWI5YjktOWVhNjJlMmVhYzJhIiwi"
    "ZXhwIjoxNzMwOTEzNDk4LCJuYmYiOjE3MzA3NDA2MzgsImlhdCI6MTczMDc0MDY5OCwibmFtZSI6Ik1hcmllIEN1cmllIiwidHlwZW5hbWUiOiJVU0VS"
    "Iiwicm9sZXMiOlt7InV1aWQiOiIyZmFhNjg3MC05MWIwLTRiM2EtODRlOC04YmJiZDhiZWNiZDAiLCJuYW1lIjoiU3lzdGVtIE1haW50YWluZXIifV19."
    "kaIIr5Jn25hvG-kHB2yiJlggpaJ7OUHfCjXK5_wJZeMsgC3I3w_8FXc4_n7C1730T55Ze6Awsq_28d-Cdxmokv5Gh3WPnDoFCGtqqnDK-VEChtl6UwNv"
    "c6a4cHHKVFapRjvdRklCtqWL__mpU5D41hVqU9ROrmdZvu-Vh7pyezzNGwRPPNeWcczBtSQ7NtWdLxYzpIcGPOiM8NCck5H4CcL7qE5ly95Ns_gZvV15"
    "iYOlKe53XqB8IGCg9ImLFOKsXruuCzWZKTzFNP-PqRHPgOCB0LdYIxg16uFKCZuEG2U2bIyFG0UHwMmtBy7tDy7Hivsl_j_QThOGeErOFS3lGQ"
)

SHORT_LIVED = """mutation LApiToken {
  createLocalApiToken(systemUuid: "%s", requestedDevice: "smart-bulb", duration: "1D") { jwt uuid }
}"""
PERMANENT = """mutation createPermanentLocalApiTokenPermanent {
  createPermanentLocalApiToken(systemUuid: "%s", name: "permanent-token-smart-light") { jwt uuid }
}"""


@dataclass
class Row:
    """One thing that was tried: what should have been seen, and what was."""

    step: int
    what: str
    expected: str
    seen: str
    seconds: float

    @property
    def ok(self):
        return self.expected == self.seen


# A token made in the very second of the list before it is known only once its own list has come: moments later.
JUST_MADE_S = 5

EVERYTHING_ELSE = (
    ("GET", "/v1/whoami"),
    ("GET", "/v1/state"),
    ("PATCH", "/v1/state"),
    ("GET", "/v1/events"),
    ("POST", "/v1/identify"),
    ("GET", "/v1/diagnostics"),
    ("GET", "/v1/log"),
    ("POST", "/v1/restart"),
    ("GET", "/anything"),
)

# Tokens that must not work


def flip_a_signature_bit(token):
    head, _, signature = token.rpartition(".")
    raw = bytearray(unb64url(signature))
    raw[100] ^= 0x10
    return f"{head}.{b64url(bytes(raw))}"


def with_header(token, header, signature):
    """``token`` under another header; ``signature`` maps the new signing input to bytes."""
    payload = token.split(".")[1]
    signing_input = b64url(json.dumps(header, separators=(",", ":")).encode()) + "." + payload
    return f"CLOUD-{signing_input}.{b64url(signature(signing_input.encode()))}"


def keyed_with_public_key(token, jwk):
    """The classic confusion: HS256 with the RSA modulus, which everybody knows, as its secret."""
    secret = unb64url(jwk["n"])
    return with_header(token, {"alg": "HS256", "typ": "JWT"}, lambda data: hmac.digest(secret, data, hashlib.sha256))


def re_aimed(token, **changes):
    """``token`` with other claims and its old signature."""
    head, payload, signature = token.split(".")
    claims = json.loads(unb64url(payload)) | changes
    return f"{head}.{b64url(json.dumps(claims, separators=(',', ':')).encode())}.{signature}"


def credentials(made):
    """The credentials of a provisioning document, from certificates (pki.Pki)."""
    paths = {"ca_der": made.ca.cert_der, "cert_der": made.device.cert_der, "key_der": made.device.key_der}
    return {name: base64.b64encode(path.read_bytes()).decode() for name, path in paths.items()}


class Technician:
    """Talks to the device as a phone would, and waits after a 429."""

    def __init__(self, url):
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)
        self.waits = 0

    def close(self):
        self._http.close()

    def send(self, method, path, token=None, body=None):
        """The response; a 429 is tried again after its Retry-After, as its code asks."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for _ in range(8):
            # One connection each: the device reboots in this story, and a kept one would be dead.
            response = self._http.request(method, path, headers=headers | {"Connection": "close"}, json=body)
            if response.status_code != 429:
                break
            self.waits += 1
            time.sleep(int(response.headers["Retry-After"]))
        return response

    def answer(self, method, path, token=None, body=None):
        """One short text: "200", or status and code, or the kind of failure."""
        try:
            response = self.send(method, path, token, body)
        except httpx.HTTPError as exc:
            return type(exc).__name__
        if response.status_code < 400:
            return str(response.status_code)
        return f"{response.status_code} {response.json()['code']}"

    def diagnostics(self, token):
        """The dict of /v1/diagnostics, or None while the device does not give it."""
        try:
            response = self.send("GET", "/v1/diagnostics", token)
        except httpx.HTTPError:
            return None
        return response.json() if response.status_code == 200 else None


class Story:
    """The steps in order, over parts that live in ``folder``; ``rows`` are their results."""

    def __init__(self, folder, broker_kind=None, clock="host", say=print):
        self.folder = Path(folder)
        self.rows = []
        self.say = say
        self._step = 0
        self.pki = pki.make(self.folder / "pki", SLUG, SYSTEM)
        self.broker = Broker(self.pki.folder, broker_kind)
        self.sim = Simulator(self.folder / "sim", SLUG, self.broker, systems=[SYSTEM])
        self.desk = Desk(self.folder / "desk", clock=clock)
        self.tech = None

    def start(self):
        self.broker.start()
        self.sim.start()
        self.desk.power_on()
        self.tech = Technician(self.desk.url)

    def stop(self):
        if self.tech:
            self.tech.close()
        self.desk.close()
        self.sim.stop()
        self.broker.stop()

    def run(self, begin=lambda number, claim: None, end=lambda rows: None):
        """Do all steps; True if every check passed. ``begin`` and ``end`` are called around each step."""
        for self._step, step in enumerate(STEPS, 1):
            begin(self._step, step.__doc__)
            step(self)
            end([row for row in self.rows if row.step == self._step])
        return all(row.ok for row in self.rows)

    def expect(self, what, expected, call, within_s=0):
        """Call until it returns ``expected`` or ``within_s`` is over; note and say what was seen."""
        start = time.monotonic()
        waits_before = self.tech.waits
        seen = call()
        while seen != expected and time.monotonic() - start < within_s:
            time.sleep(0.1)
            seen = call()
        what += " (after a wait for 429)" if self.tech.waits > waits_before else ""
        row = Row(self._step, what, str(expected), str(seen), time.monotonic() - start)
        self.rows.append(row)
        self.say(check_line(row))
        return row.ok

    def state(self, token, body=None):
        return self.tech.answer("PATCH" if body else "GET", "/v1/state", token, body)

    # The steps

    def unboxed(self):
        """Unboxed, the device says what it is and refuses the rest."""
        self.expect("GET /v1/info", "200", lambda: self.tech.answer("GET", "/v1/info"))
        self.expect("state in /v1/info", "unprovisioned", lambda: self.desk.info()["state"])
        for method, path in EVERYTHING_ELSE:
            self.expect(f"{method} {path}", "503 unprovisioned", lambda m=method, p=path: self.tech.answer(m, p))
        self.expect("GET /v1/state with a token", "503 unprovisioned", lambda: self.state(PAGE_SAMPLE))

    def provisioned(self):
        """Provisioned by cable, it gets the cloud's keys by MQTT."""
        self.say(f"   broker: [cyan]{self.broker.kind}[/cyan], TLS, port {self.broker.port}")
        self.expect("a client without a certificate", "refused", self.without_certificate)
        self.desk.provision(self.provisioning())
        self.expect("state in /v1/info", "ready", lambda: self.desk.info()["state"], within_s=20)
        self.installer = self.make(SHORT_LIVED, "createLocalApiToken")
        self.expect("the keys in flash", self.published_keys(), lambda: self.keys_held(self.installer), within_s=20)

    def opened(self):
        """A token signed by the cloud turns the bulb on."""
        # It reaches flash within ten seconds; the power may be cut before.
        self.pass_the_mark()
        self.day = self.make(SHORT_LIVED, "createLocalApiToken")
        self.expect("PATCH /v1/state on", "200", lambda: self.state(self.day, {"on": True}), JUST_MADE_S)
        self.expect("the state read back", "on", self.state_read_back)
        self.expect("the light itself", "on", lambda: "on" if "on=True" in self.desk.log_text() else "off", 2)

    def refused(self):
        """Bad tokens are refused: forged, expired, another's."""
        now = int(time.time())
        jwk = self.sim.key_set()["keys"][0]
        other_system = self.sim.create_token(OTHER_SYSTEM).jwt
        expired = self.sim.make_token(SYSTEM, iat=now - 7200, nbf=now - 7260, exp=now - 3600)
        early = self.sim.make_token(SYSTEM, iat=now - 5, nbf=now + 3600, exp=now + 7200)
        self.sim.set_subject_roles([VISITOR])
        powerless = self.sim.create_token(SYSTEM).jwt
        self.sim.set_subject_roles([OWNER])
        for what, token, expected in (
            ("no token at all", None, "401 token_missing"),
            ("one bit of the signature flipped", flip_a_signature_bit(self.day), "401 bad_signature"),
            ("alg none", with_header(self.day, {"alg": "none", "typ": "JWT"}, lambda _: b""), "401 alg_refused"),
            ("HS256 keyed with the public key", keyed_with_public_key(self.day, jwk), "401 alg_refused"),
            ("another System's token", other_system, "401 wrong_system"),
            ("expired an hour ago", expired, "401 expired"),
            ("valid from an hour on", early, "401 not_yet_valid"),
            ("the sample token of DRIVR's guide", PAGE_SAMPLE, "401 wrong_system"),
            ("the same, changed to this System", re_aimed(PAGE_SAMPLE, aud=SYSTEM), "401 expired"),
            (
                "the same, and its end put off",
                re_aimed(PAGE_SAMPLE, aud=SYSTEM, iss=self.sim.issuer, exp=now + 3600),
                "401 bad_signature",
            ),
            ("roles that permit nothing", powerless, "403 no_permission"),
        ):
            self.expect(what, expected, lambda t=token: self.state(t), JUST_MADE_S)
        self.expect("the good token, still", "200", lambda: self.state(self.day))

    def offline(self):
        """Offline, and after a power cut, the token still works."""
        self.permanent = self.make(PERMANENT, "createPermanentLocalApiToken")
        self.to_revoke = self.sim.create_token(SYSTEM)
        self.to_vanish = self.sim.create_token(SYSTEM)
        listed = len(self.sim.tokens(SYSTEM))
        self.expect("tokens of the list on the device", listed, self.tokens_held, within_s=20)
        self.broker.stop()
        self.desk.cut_uplink()
        self.expect("the cloud link", "waiting", self.link_state, within_s=20)
        self.expect("the cloud still makes tokens", "a token", self.cloud_answers)
        self.expect("the token, offline", "200", lambda: self.state(self.day, {"on": False}))
        self.desk.power_cut()
        self.desk.power_on()
        self.expect("the token, offline, after a power cut", "200", lambda: self.state(self.day, {"on": True}))

    def signature_alone(self):
        """Still offline, a token made in the meantime works too."""
        self.expect("the permanent token", "200", lambda: self.state(self.permanent))
        self.pass_the_mark()
        away = self.make(SHORT_LIVED, "createLocalApiToken")
        self.expect("a token made while the device was offline", "200", lambda: self.state(away, {"on": False}))

    def back_online(self):
        """Online again, revoked tokens and old keys are refused."""
        self.broker.start()
        self.desk.restore_uplink()
        self.expect("the cloud link", "online", self.link_state, within_s=40)
        self.expect("a token about to be revoked", "200", lambda: self.state(self.to_revoke.jwt), within_s=20)
        self.expect("another one", "200", lambda: self.state(self.to_vanish.jwt))
        self.sim.revoke(self.to_revoke.uuid)
        self.expect("revoked by status", "401 revoked", lambda: self.state(self.to_revoke.jwt), within_s=10)
        self.sim.revoke(self.to_vanish.uuid, leave=True)
        gone = self.to_vanish.jwt
        self.expect("revoked by leaving the list", "401 revoked", lambda: self.state(gone), within_s=10)
        self.rotation()

    def rotation(self):
        old = self.permanent
        self.sim.rotate()
        new = self.make(SHORT_LIVED, "createLocalApiToken")
        self.expect("the new key set in flash", self.published_keys(), lambda: self.keys_held(new), within_s=20)
        self.expect("a token of the new key", "200", lambda: self.state(new, {"on": True}), within_s=10)
        self.expect("a token of the old key", "401 bad_signature", lambda: self.state(old))
        self.day = new

    # Seen by the steps

    def provisioning(self):
        """The document for the serial cable: configuration, credentials, the time; no key set, that comes by MQTT."""
        return {
            "config": {
                "system_uuid": SYSTEM,
                "slug": SLUG,
                "issuer": self.sim.issuer,
                "broker": {"host": "localhost", "port": self.broker.port},
                "name": "Cellar light",
                "wifi": {"ssid": "desk"},
                "dev": True,
            },
            "wifi": {"ssid": "desk", "passphrase": "a passphrase of the desk"},
            "credentials": credentials(self.pki),
            "time_unix_s": int(time.time()),
        }

    def make(self, mutation, name):
        """A token by GraphQL, exactly as the guide shows it."""
        return self.sim.graphql(mutation % SYSTEM)[name]["jwt"]

    def without_certificate(self):
        return "refused" if self.broker.proves_refusal() else "accepted"

    def state_read_back(self):
        return "on" if self.tech.send("GET", "/v1/state", self.day).json()["on"] else "off"

    def cloud_answers(self):
        return "a token" if self.make(SHORT_LIVED, "createLocalApiToken").startswith("CLOUD-") else "nothing"

    def published_keys(self):
        keys = self.sim.key_set()["keys"]
        return ", ".join(key_text(len(unb64url(k["n"])) * 8, int.from_bytes(unb64url(k["e"])), k["kid"]) for k in keys)

    def keys_held(self, token):
        seen = self.tech.diagnostics(token)
        if not seen:
            return self.tech.answer("GET", "/v1/diagnostics", token)
        if seen["keys"]["source"] != "flash":
            return f"in {seen['keys']['source']}"
        return ", ".join(key_text(k["bits"], k["e"], k["kid"]) for k in seen["keys"]["keys"])

    def tokens_held(self):
        seen = self.tech.diagnostics(self.day)
        return seen["ledger"]["tokens"] if seen else "no answer"

    def pass_the_mark(self):
        """The list's newest `updatedAt` is a mark in whole seconds; a token of that very second would have to wait."""
        newest = max(t["updatedAt"] or t["createdAt"] for t in self.sim.tokens(SYSTEM))
        changed_unix_s = datetime.fromisoformat(newest).replace(tzinfo=UTC).timestamp()
        time.sleep(max(0, changed_unix_s + 2.1 - time.time()))

    def link_state(self):
        seen = self.tech.diagnostics(self.day)
        return seen["cloud"]["state"] if seen else "no answer"


STEPS = (
    Story.unboxed,
    Story.provisioned,
    Story.opened,
    Story.refused,
    Story.offline,
    Story.signature_alone,
    Story.back_online,
)


def key_text(bits, e, kid):
    return f"{bits} bits, e {e}, {kid[:12]}..."


def duration(seconds):
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def check_line(row):
    verdict = "[green]as expected[/green]" if row.ok else f"[red]expected was {escape(row.expected)}[/red]"
    return f"   {escape(row.what)}: [cyan]{escape(row.seen)}[/cyan], {verdict} [dim]{duration(row.seconds)}[/dim]"


# With the two columns behind it a claim fits a terminal of 80 columns.
CLAIM_WIDTH = 60


class Teller:
    """Prints the story: a line for each step, or with ``verbose`` one for each check too."""

    def __init__(self, console, verbose):
        self._console, self._verbose = console, verbose
        self._moving = console.status("")

    def say(self, text):
        if self._verbose:
            self._console.print(text)

    def begin(self, number, claim):
        self._claim = f"{number}. {claim}"
        if self._verbose:
            return self._console.print(f"\n[bold]{self._claim}[/bold]")
        if number == 1:
            self._console.print(f"[dim]{'':{CLAIM_WIDTH}}{'checks':>10}{'slowest':>10}[/dim]")
        self._moving.update(self._claim)
        self._moving.start()

    def end(self, rows):
        self._moving.stop()
        passed = sum(row.ok for row in rows)
        colour = "green" if passed == len(rows) else "red"
        count, slowest = f"{passed} of {len(rows)}", duration(max(row.seconds for row in rows))
        claim = "   passed, and the slowest" if self._verbose else self._claim
        self._console.print(f"{claim:{CLAIM_WIDTH}}[{colour}]{count:>10}[/{colour}]{slowest:>10}")
        for row in () if self._verbose else rows:
            if not row.ok:
                self._console.print(check_line(row))

    def close(self):
        self._moving.stop()


# An answer has no newline at its end; the shell's prompt would follow it on the same line.
CURL = r"curl -sS --noproxy '*' -w '\n'"


def header(path, bearer):
    """Keep a bearer in a private file; returns it as curl takes it, quoted for a shell."""
    pki.write_private(path, f"Authorization: Bearer {bearer}\n".encode())
    return shlex.quote(f"@{path}")


def hints(story):
    """Lines that work when pasted into another terminal."""
    url, sim = story.desk.url, story.sim
    token = story.folder / "token.txt"
    pki.write_private(token, f"{story.day}\n".encode())
    device = f"{CURL} -H {header(story.folder / 'token', story.day)}"
    cloud = f"{CURL} -H {header(story.folder / 'cloud', sim.bearer)}"
    graphql = json.dumps({"query": " ".join((SHORT_LIVED % SYSTEM).split())})
    return f"""
Everything is running, in {story.folder}.
Ctrl-C stops and removes it. In another terminal:

{show.latchkey()} doctor {url} --token-file {shlex.quote(str(token))}
{CURL} {url}/v1/info
{device} {url}/v1/state
{device} -X PATCH -H 'Content-Type: application/json' -d '{{"on": false}}' {url}/v1/state
{device} {url}/v1/diagnostics
{cloud} -H 'Content-Type: application/json' -d '{graphql}' {sim.url}
tail -f {shlex.quote(str(story.desk.log_path))}
"""


def main(keep=False, broker_kind=None, verbose=False):
    """Run the story in a folder of its own; returns the exit status."""
    # Nothing may stay behind, however it is stopped; a shell starts background jobs with Ctrl-C ignored.
    children.stop_on_any_signal()
    console = Console(highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="latchkey-demo-"))
    teller = Teller(console, verbose)
    story = None
    try:
        story = Story(folder, broker_kind, say=teller.say)
        good = tell(story, teller, console)
        if keep:
            print(hints(story), flush=True)
            wait_for_ctrl_c()
        return 0 if good else 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    finally:
        children.clean_up_undisturbed()
        teller.close()
        if story:
            story.stop()
        shutil.rmtree(folder, ignore_errors=True)


def tell(story, teller, console):
    """The whole story, from the first line to the next step; whether every check passed."""
    start = time.monotonic()
    console.print(f"A simulated cloud, an MQTT broker ({story.broker.kind}) and the firmware of a bulb start.")
    story.start()
    good = story.run(teller.begin, teller.end)
    passed = sum(row.ok for row in story.rows)
    console.print(f"\n{passed} of {len(story.rows)} checks passed, in {time.monotonic() - start:.0f} s.")
    console.print(f"Next step, ten minutes, by hand: {show.latchkey()} practice")
    return good


def wait_for_ctrl_c():
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()
