"""A technician's day at the keyboard: the firmware on the unix port, a real broker, the simulator as the cloud.

Cloud in the morning, a cellar without it in the afternoon, wrong and expired tokens, a power cut, and back online. In
the end nothing secret was in argv, output, log or a file that others can read.
"""

import base64
import re
import stat
import time

from technician import OTHER_SYSTEM, SYSTEM, Keyboard

from latchkey_tools.cli import advice
from latchkey_tools.desk import demo
from latchkey_tools.sim import pki


class Day:
    def __init__(self, folder):
        self.folder = folder
        self.story = demo.Story(folder / "world", broker_kind="amqtt", say=lambda _text: None)
        self.url = self.story.desk.url
        self.tech = Keyboard(folder / "laptop", LATCHKEY_SIM=str(self.story.sim.folder))
        self.tech.folder.mkdir()

    def start(self):
        self.story.start()
        document = self.story.provisioning()
        self.story.desk.provision(document)
        self.tech.secrets += [self.story.sim.bearer, document["wifi"]["passphrase"]]
        self.tech.secrets += [document["credentials"]["key_der"][-40:]]

    def make(self, name, *words):
        """A token by `latchkey token create`; its uuid."""
        uuid = self.tech.data("token", "create", SYSTEM, "--sim", "--name", name, *words)["uuid"]
        self.plant()
        return uuid

    def plant(self):
        """Signatures of all tokens that exist are secrets."""
        tokens = self.story.sim.tokens(SYSTEM) + self.story.sim.tokens(OTHER_SYSTEM)
        self.tech.secrets += [record["token"].split(".")[2] for record in tokens]

    def until(self, *words, status=0, telling="", within_s=20):
        """Run until it ends with ``status`` and says ``telling``: what the cloud does takes a moment to arrive."""
        deadline = time.monotonic() + within_s
        while True:
            done = self.tech.run(*words)
            if done.status == status and telling in " ".join((done.out + done.err).split()):
                return done
            assert time.monotonic() < deadline, done
            time.sleep(0.2)


def morning(day):
    """In the morning tokens are made and the chain is whole."""
    day.make("bulb")
    day.make("cellar", "--permanent", "cellar")
    day.tech.ok("token", "import", "-", given=day.tech.ok("sim", "keys"))
    assert "signature is good" in day.tech.ok("token", "inspect", "cellar")
    found = day.tech.ok("device", "find", "--host", day.url)
    assert SYSTEM in found and "Cellar light" in found
    day.until("device", "state", day.url)
    assert day.tech.data("device", "set", day.url, "on", "brightness_pct=40")["brightness_pct"] == 40
    whole = day.until("doctor", day.url)
    assert "No link is broken" in whole.out and "online" in whole.out


def following(day):
    """A change shows in a terminal that follows, and Ctrl-C ends it."""
    with day.tech.terminal("device", "events", day.url) as screen:
        screen.expect("brightness_pct 40")
        day.tech.ok("device", "set", day.url, "brightness_pct=55", apart=True)
        screen.expect("brightness_pct 55")
        screen.sendintr()
    assert screen.exitstatus == 130 and "Traceback" not in day.tech.seen[-1]


def cellar(day):
    """In the cellar the token of the morning works and the cloud link is to blame."""
    day.story.broker.stop()
    day.story.desk.cut_uplink()
    remedy = advice.link_advice("no_wifi")[1]
    broken = day.until("doctor", day.url, status=1, telling=f"cloud link: {remedy}.", within_s=40)
    assert "Local calls work. Broken: cloud link." in broken.out
    assert day.tech.data("device", "set", day.url, "off")["on"] is False
    day.tech.ok("device", "identify", day.url)
    advised = day.tech.run("device", "diagnostics", day.url)
    assert advised.status == 0 and "What to do: check the Wi-Fi" in advised.err


def power_cut(day):
    """A power cut in the middle is reported, and afterwards the token works."""
    day.story.desk.power_cut()
    gone = day.tech.run("device", "state", day.url)
    assert gone.status == 1 and "nothing answers" in gone.err
    assert "Broken: reachable" in day.tech.run("doctor", day.url).out
    day.story.desk.power_on()
    assert day.tech.data("device", "set", day.url, "on")["on"] is True


def refused(day):
    """Wrong forged and expired tokens are refused with what to do."""
    sim, now = day.story.sim, int(time.time())
    elsewhere = sim.create_token(OTHER_SYSTEM).jwt
    expired = sim.make_token(SYSTEM, iat=now - 7200, nbf=now - 7260, exp=now - 3600)
    good = sim.make_token(SYSTEM)
    forged = demo.flip_a_signature_bit(good)
    day.plant()
    day.tech.secrets += [token.split(".")[2] for token in (expired, good, forged)]
    refusals = day.tech.data("device", "diagnostics", day.url)["refusals"]
    for token, code in ((elsewhere, "wrong_system"), (expired, "expired"), (forged, "bad_signature")):
        done = day.tech.run("device", "state", day.url, LATCHKEY_TOKEN=token)
        assert done.status == 1 and f"{code}: " in done.err and advice.advice(code) in done.err, done
    after = day.tech.data("device", "diagnostics", day.url)["refusals"]
    for waits in ("token_missing", "verify_busy"):
        after.pop(waits, None)
    new = {code: count - refusals.get(code, 0) for code, count in after.items()}
    assert {code: count for code, count in new.items() if count} == {"expired": 1, "bad_signature": 1}
    assert "Broken: token" in day.tech.run("doctor", day.url, LATCHKEY_TOKEN=expired).out
    assert "expired" in day.tech.run("token", "inspect", "-", given=expired).out


def back_online(day):
    """Back online the permanent token is used instead of a revoked one."""
    day.story.broker.start()
    day.story.desk.restore_uplink()
    newest = day.make("evening")
    day.until("doctor", day.url, within_s=40)
    day.tech.ok("sim", "revoke", newest)
    day.until("device", "state", day.url, telling="the token evening is refused (revoked); trying ")
    alone = day.tech.run("device", "state", day.url, "--token", "evening")
    assert alone.status == 1 and "401 revoked" in alone.err
    lines = day.tech.ok("device", "log", day.url)
    assert re.search(r"cloud: online", lines)


def terminal(day):
    """Output on a terminal has colour and fits it."""
    with day.tech.terminal("doctor", day.url):
        pass
    shown = day.tech.seen[-1]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x1b[32mok" in shown and "Local calls work" in plain
    assert max(len(line) for line in plain.splitlines()) <= 80


def over_https(day):
    """Provisioned with a certificate, the device gets the token over HTTPS alone, under the name of its System."""
    world = day.story.pki
    name = f"latchkey-{SYSTEM[:8]}.local"
    document = day.story.provisioning()
    identity = pki.server(world.folder, world.ca, "local-api", [name])
    for part, path in (("https_cert_der", identity.cert_der), ("https_key_der", identity.key_der)):
        document["credentials"][part] = base64.b64encode(path.read_bytes()).decode()
    day.story.desk.provision(document)
    url, ca = day.story.desk.tls_url, str(world.ca.cert_pem)
    refused = day.tech.run("device", "state", day.url)
    assert refused.status == 1 and "426 tls_required" in refused.err
    assert "not to be trusted" in day.tech.run("device", "state", url).err
    # The restart has left it off, as a power cut does.
    assert day.tech.data("device", "set", url, "on", "--ca", ca)["on"] is True
    whole = day.until("doctor", url, "--ca", ca, telling="No link is broken")
    assert "HTTPS, its certificate is verified" in whole.out
    day.url, day.tech.env["LATCHKEY_CA"] = url, ca


def nothing_spilt(day):
    """After all that no secret was seen or left where others read."""
    tech = day.tech
    tech.ok("token", "show", "cellar", "--out", tech.folder / "handed-out")
    tech.seen += [day.story.desk.log_text(), day.story.sim.log_path.read_text()]
    tech.seen.append(tech.ok("device", "log", day.url, "--json") + tech.ok("device", "diagnostics", day.url, "--json"))
    assert len(tech.secrets) > 6 and tech.spilt() == []
    assert tech.open_files() == []
    holders = [p for p in tech.folder.rglob("*") if p.is_file() and any(s in p.read_text() for s in tech.secrets)]
    assert {p.name for p in holders} == {"wallet.json", "handed-out"}
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in holders)


def search_finds(day):
    """The search for secrets finds one that is spilt."""
    probe = Keyboard(day.tech.folder, LATCHKEY_SIM=str(day.story.sim.folder))
    probe.secrets = day.tech.secrets
    probe.ok("token", "show", "cellar", "--out", "-")
    assert len(set(probe.spilt())) == 1


def test_a_technician_s_day(tmp_path):
    day = Day(tmp_path)
    try:
        day.start()
        for step in (
            morning,
            following,
            cellar,
            power_cut,
            refused,
            back_online,
            terminal,
            over_https,
            nothing_spilt,
            search_finds,
        ):
            step(day)
    finally:
        day.story.stop()
