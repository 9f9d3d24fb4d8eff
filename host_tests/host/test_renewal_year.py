"""A year of a wallet of fifty tokens: devices come and go, the cloud fails, the disk is full, the keys change.

Time is a number that the test moves. The cloud is the simulator's; the devices judge with the firmware's own verifier,
ledger and key store. Every day somebody runs the renewal, and calls whatever device can be reached.
"""

import io
import random

import lists
import pytest
from ram_store import RamStore

import counts
from latchkey import jwk, uuids
from latchkey.errors import TokenError
from latchkey.keystore import KeyStore
from latchkey.ledger import Ledger
from latchkey.policy import Policy
from latchkey.verifier import Verifier
from latchkey_tools.device import renewal
from latchkey_tools.device.cloud_api import CloudAway, CloudRefusal
from latchkey_tools.device.local_api import Refusal, Unreachable
from latchkey_tools.device.wallet import Wallet, claims_of, lives
from latchkey_tools.sim.cloud import Cloud

DAY_S = 86400
# As a device has them (docs/protocol.md, L and T2).
HEARD_MARGIN_S, CLOCK_AHEAD_S = 120, 60
BEFORE_S = 14 * DAY_S
BEGIN_UNIX_S = 1_800_000_000
SYSTEMS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1, 51)]
LASTS_D = (30, 60, 90, 180, 365)
# Days on which nobody gets a token, shorter than what BEFORE_S leaves.
CLOUD_AWAY = range(100, 110)
DISK_FULL = range(150, 155)
ROTATED = 200


class Year:
    """The clock of everybody in this test."""

    def __init__(self):
        self.day = 0
        self.unix_s = BEGIN_UNIX_S
        self.trusted = True

    def tomorrow(self):
        self.day += 1
        self.unix_s += DAY_S

    def now(self):
        return self.unix_s

    # As the firmware asks

    def now_unix_s(self, _iat_unix_s=None):
        return self.unix_s

    def now_ms(self):
        return (self.unix_s - BEGIN_UNIX_S) * 1000

    def learn(self, unix_s):
        return unix_s <= self.unix_s


class Lamp:
    """A device with the firmware's judgement. ``habit``: when it is at its broker, and when it can be reached."""

    def __init__(self, system, habit, year, cloud):
        self.system, self.habit = system, habit
        self.keys, self.ledger = KeyStore(RamStore()), Ledger(RamStore(), system)
        self.verifier = Verifier(self.keys, self.ledger, year, Policy(system))
        self.accepted, self.heard = set(), None
        self.hear(cloud)

    def hear(self, cloud):
        """The retained messages, as far as they are new; so the mark ``heard`` moves less than on a device."""
        messages = cloud.key_set_message(), cloud.list_message(self.system)
        if messages == self.heard:
            return
        self.keys.replace(jwk.parse_key_set(messages[0]))
        now = int(cloud.clock())
        system16 = uuids.to_bytes(self.system)
        lists.ingest(self.ledger, io.BytesIO(messages[1]), True, now - HEARD_MARGIN_S, now + CLOCK_AHEAD_S, system16)
        self.heard = messages

    def take_keys_by_cable(self, cloud, year):
        assert year.day >= ROTATED and self.habit == "cellar", (year.day, self.habit)
        self.keys.replace(jwk.parse_key_set(cloud.key_set_message()))

    def is_online(self, day):
        if self.habit == "gone":
            return day < 60
        return self.habit != "cellar" and (self.habit != "season" or not 120 <= day < 290)

    def is_reached(self, day):
        visits = {"office": 1, "rounds": 30, "cellar": 45, "season": 7}
        every = visits.get(self.habit)
        return every is not None and day % every == 0 and (self.habit == "cellar" or self.is_online(day))

    def opens(self, token):
        try:
            self.verifier.verify(token.encode())
        except TokenError as refused:
            return refused.code
        self.accepted.add(claims_of(token)["jti"])
        return None


# rounds: visited once a month; cellar: visited, and never online; season: off for half a year; gone: sold after two
# months; remote: online, and never reached.
HABITS = ("office", "rounds", "cellar", "season", "gone", "remote")


class Wayward:
    """The cloud as the renewal sees it, with its bad days. ``lost``: uuids that it made and whose answer nobody saw."""

    def __init__(self, cloud, year, chance):
        self.cloud, self.year, self.chance = cloud, year, chance
        self.lost, self.made = set(), set()

    def make(self, system, duration_s, keep):
        mood = self.chance.random()
        if self.year.day in CLOUD_AWAY:
            raise CloudAway("the cloud does not answer; is this machine online?")
        if mood < 0.02:
            raise CloudRefusal("the cloud refuses: not now")
        record = self.cloud.create(system, duration_s)
        self.made.add(record["uuid"])
        if mood < 0.05:
            self.lost.add(record["uuid"])
            raise CloudAway("the cloud broke off; a token may have been made all the same")
        try:
            return keep(record["token"])
        except OSError:
            self.lost.add(record["uuid"])
            raise


@pytest.mark.parametrize("seed", range(1, 6) if counts.SOAK else [1])
def test_in_a_year_no_device_is_without_a_token_and_none_is_lost_unnamed(tmp_path, monkeypatch, seed):
    chance, year = random.Random(seed), Year()
    cloud = Cloud(tmp_path / "cloud.json", "company-example", clock=year.now)
    wayward, wallet = Wayward(cloud, year, chance), Wallet(tmp_path / "wallet", year.now)
    for number, system in enumerate(SYSTEMS):
        record = cloud.create(system, LASTS_D[number % len(LASTS_D)] * DAY_S)
        wayward.made.add(record["uuid"])
        wallet.add(record["token"], f"lamp {number}")
    lamps = [Lamp(system, HABITS[number % len(HABITS)], year, cloud) for number, system in enumerate(SYSTEMS)]
    write = Wallet._write

    def write_if_there_is_room(self, data):
        if year.day in DISK_FULL:
            raise OSError(28, "No space left on device", str(self.path))
        write(self, data)

    monkeypatch.setattr(Wallet, "_write", write_if_there_is_room)
    gone, renewed = set(), 0
    while year.day < 365:
        year.tomorrow()
        cloud.drop_expired()
        if year.day == ROTATED:
            cloud.rotate(keep_old=True)
        for lamp in lamps:
            if lamp.is_online(year.day):
                lamp.hear(cloud)
        results = run(wallet, wayward, lamps, year)
        renewed += sum(result.state == renewal.RENEWED for result in results)
        removed = [old for result in results for old in result.gone]
        check_removed(removed, results, lamps, year)
        cure(results, lamps, cloud, year)
        gone |= {old.uuid for old in removed}
        check_day(wallet, wayward, lamps, year, gone)
    assert renewed > 100 and {e.name for e in wallet.entries() if not e.replaces} <= {f"lamp {n}" for n in range(50)}
    assert max(len(cloud.tokens(system)) for system in SYSTEMS) < 8


def run(wallet, wayward, lamps, year):
    """`latchkey token renew --all`, every day."""
    by_system = {lamp.system: lamp for lamp in lamps}

    def attempt(system, token):
        if not by_system[system].is_reached(year.day):
            raise Unreachable("it does not answer; run the same again")
        code = by_system[system].opens(token)
        if code:
            raise Refusal(401, code, "")

    try:
        results = renewal.make_new(wallet, SYSTEMS, BEFORE_S, wayward.make)
    except OSError:
        assert year.day in DISK_FULL
        return []
    renewal.settle(wallet, results, attempt)
    return results


def cure(results, lamps, cloud, year):
    """A device that is never online misses the new keys. The renewal says so, and the keys come by serial cable."""
    refused = {result.system: result for result in results if result.state == renewal.REFUSED}
    for lamp in lamps:
        if lamp.system in refused:
            assert "bad_signature" in refused[lamp.system].words and "key rotation" in refused[lamp.system].todo
            lamp.take_keys_by_cable(cloud, year)


def check_removed(removed, results, lamps, year):
    """A token is removed once it has ended, or once the device has accepted its successor, and only so."""
    by_system = {lamp.system: lamp for lamp in lamps}
    new = {old.uuid: result for result in results for old in result.gone}
    for old in removed:
        claims, result = claims_of(old.token), new[old.uuid]
        assert not lives(claims, year.unix_s) or result.new.uuid in by_system[result.system].accepted, old.name


def check_day(wallet, wayward, lamps, year, gone):
    held = {entry.uuid for entry in wallet.entries()}
    # Every token that the cloud ever made is in the wallet, was named when it left, or was said to be perhaps made.
    assert wayward.made == held | gone | wayward.lost
    assert len(held) <= 2 * len(SYSTEMS)
    tokens = wallet.fitting_each(SYSTEMS)
    for lamp in lamps:
        texts = [entry.token for entry in tokens[lamp.system]]
        assert texts and lives(claims_of(texts[0]), year.unix_s), (year.day, lamp.habit)
        if lamp.is_reached(year.day) and lamp.opens(texts[0]) and None not in map(lamp.opens, texts):
            lamp.take_keys_by_cable(wayward.cloud, year)
            assert lamp.opens(texts[0]) is None, (year.day, lamp.habit, lamp.system)
