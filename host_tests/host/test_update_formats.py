"""A revocation that a release receives before it is proven still counts when the one before it comes back."""

import types

import pytest
from fake_carrier import FakeCarrier
from fake_radio import FakeRadio
from lists import BASE, SYSTEM16, ingest, jti16, record, text
from setting_up import NOW, Board, FakeClock, provisioned
from streams import Bytes
from updating import Updated

from latchkey_tools.boards import build


def earlier_release():
    """The Ledger of a release that knows format version 1 of the stores alone."""
    made = {}
    for name, changes in (("slots", {"_VERSION = const(2)": "_VERSION = const(1)"}), ("ledger", {})):
        path = build.FIRMWARE / "latchkey" / ("stores/slots.py" if name == "slots" else "ledger.py")
        source = path.read_text()
        for now, then in changes.items():
            assert source.count(now) == 1
            source = source.replace(now, then)
        made[name] = types.ModuleType(name)
        exec(compile(source, name, "exec"), made[name].__dict__)
    made["ledger"].Slots = made["slots"].Slots
    return made["ledger"].Ledger


@pytest.mark.parametrize("unproven", [True, False])
def test_a_revocation_that_was_received_while_unproven_survives_going_back(unproven):
    """Once it is proven there is no way back, and the newer format may be written: the control."""
    before, store = earlier_release(), provisioned("Old")
    ingest(before(store, SYSTEM16), Bytes(text([record(0), record(1)])), False, BASE)
    assert states(before(store, SYSTEM16)) == ["listed", "listed"]
    board = Board(store, FakeRadio(), FakeClock(NOW))
    board.fitted = FakeCarrier()
    board.fitted.new = unproven
    device = Updated(board)
    assert bool(device.proof) == unproven
    assert states(device.ledger) == ["listed", "listed"]
    ingest(device.ledger, Bytes(text([record(0, status="DEACTIVATED"), record(1)])), True, BASE + 100)
    assert states(device.ledger) == ["revoked", "listed"]
    assert (states(before(store, SYSTEM16)) == ["revoked", "listed"]) == unproven


def test_once_it_is_good_the_next_change_is_written_in_the_newer_format():
    store = provisioned("Old")
    ingest(earlier_release()(store, SYSTEM16), Bytes(text([record(0)])), False, BASE)
    board = Board(store, FakeRadio(), FakeClock(NOW))
    board.fitted = FakeCarrier()
    board.fitted.new = True
    device = Updated(board)
    ingest(device.ledger, Bytes(text([record(1)])), True, BASE + 100)
    assert versions(store) == {1}
    device.link.state = "online"
    device.turn()
    assert not device.proof
    ingest(device.ledger, Bytes(text([record(2, created=BASE + 200)])), True, BASE + 200)
    ingest(device.ledger, Bytes(text([record(3, created=BASE + 300)])), True, BASE + 300)
    assert versions(store) == {2}


def states(ledger):
    return [ledger.standing(jti16(n), BASE)[0] for n in (0, 1)]


def versions(store):
    return {data[3] for name, data in store.files.items() if name.startswith("ledger.")}
