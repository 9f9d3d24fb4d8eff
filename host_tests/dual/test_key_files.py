"""PUT /v1/keys: a key set that the device missed comes in a file of the maker's, with presence and without a token."""

import json
import unittest

from fake_radio import FakeRadio
from keys import key
from ram_store import PowerCut
from setting_up import NOW, Board, Device, FakeClock, provisioned
from tables import load
from updating import SIGNED, Body, answered, driven

from latchkey import jwk
from latchkey.api.request import parse_head
from latchkey.errors import LatchkeyError, StoreError, TokenError
from latchkey.keystore import KeyStore
from latchkey.update import record
from latchkey.verifier import Verifier

TABLE = load("key_sets.json")
MAKER = [jwk.parse_key(members) for members in TABLE["keys"]]
DAY = 86400


def file(name):
    line, of = TABLE["files"][name]
    return (line + "\n" + TABLE["sets"][of]).encode()


class Shelved(Device):
    """It had the cloud's old keys by cable and was in its network; somebody has just pressed its button."""

    def __init__(self, store=None, maker=MAKER):
        if store is None:
            store = provisioned("Old")
            KeyStore(store).replace([key(1, "old")], None, TABLE["heard_unix_s"])
            record.set_over_cable(store, maker)
        Device.__init__(self, board=Board(store, FakeRadio(), FakeClock(NOW)), verifier=Verifier)
        self.pairing.pressed()

    def send(self, data, peer="192.168.4.2", length=None, media="application/octet-stream", token=""):
        """(status, code or None)"""
        length = len(data) if length is None else length
        lines = ["PUT /v1/keys HTTP/1.1", "Host: lamp.local", f"Content-Length: {length}", "Content-Type: " + media]
        head = bytearray("\r\n".join(lines + [token, ""] if token else lines + [""]).encode())
        request = parse_head(memoryview(head), len(head), head)
        request.channel, request.peer = "lan", peer
        self.body = Body(data[:length])
        response = answered(self.api, request, self.body)
        self.answer = json.loads(response.body)
        return response.status, self.answer.get("code")

    def kept_counter(self):
        return record.load(self.store)["set_counter"]

    def kids(self):
        return [one.kid for one in self.keystore.keys]

    def refusal_of_new_token(self):
        """The code, "" if it is accepted."""
        try:
            self.verifier.verify(TABLE["token"].encode(), "192.168.4.9")
            return ""
        except TokenError as exc:
            self.board.clock.pass_s(20)  # V9: whoever showed a forgery waits
            return exc.code


class TestKeyFiles(unittest.TestCase):
    def test_a_device_that_lay_on_a_shelf_for_a_year_accepts_new_tokens_again(self):
        device = Shelved()
        self.assertEqual(device.refusal_of_new_token(), "bad_signature")
        self.assertEqual(device.send(file("good")), (200, None))
        self.assertEqual(device.answer, {"keys": 1})
        self.assertEqual(device.refusal_of_new_token(), "")
        again = Shelved(device.store)
        self.assertEqual((again.kids(), again.keystore.source), (["new"], "flash"))
        self.assertEqual(again.refusal_of_new_token(), "")
        self.assertEqual(record.load(device.store)["set_counter"], 3)

    def test_an_older_set_and_the_same_again_are_refused(self):
        device = Shelved()
        self.assertEqual(device.send(file("two keys")), (200, None))
        for name in ("good", "lower counter", "two keys"):
            self.assertEqual(device.send(file(name)), (409, "counter_low"), name)
        self.assertEqual(device.kids(), ["new", "second"])

    def test_a_set_that_is_not_newer_than_the_last_one_heard_is_refused(self):
        self.assertEqual(Shelved().send(file("as old as heard")), (409, "key_set_old"))
        self.assertEqual(Shelved().send(file("a second later than heard")), (200, None))

    def test_a_set_that_is_not_newer_than_the_last_one_by_cable_is_refused(self):
        device = Shelved()
        made = TABLE["heard_unix_s"] + 300 * DAY  # "good" was
        for heard, told in ((made, (409, "key_set_old")), (made - 1, (200, None))):
            device.keystore.replace([key(1, "by cable")], None, heard)
            self.assertEqual(device.send(file("good")), told)
            self.assertEqual((device.kids(), device.kept_counter()), (["by cable"], 0) if told[1] else (["new"], 3))

    def test_a_newer_set_of_the_broker_stays_and_a_file_does_not_hide_it(self):
        device = Shelved()
        device.floor._floor = TABLE["heard_unix_s"] + 300 * DAY
        device.updates.apply(("keys", [key(5, "of the broker")], 0), device.link)
        self.assertEqual(device.send(file("good")), (409, "key_set_old"))
        self.assertEqual(device.kids(), ["of the broker"])
        device = Shelved()
        self.assertEqual(device.send(file("good")), (200, None))
        device.updates.apply(("keys", [key(5, "of the broker")], 0), device.link)
        self.assertEqual(device.kids(), ["of the broker"])

    def test_a_set_that_the_broker_brings_while_a_file_arrives_counts(self):
        device = Shelved()

        def between(_turn):
            device.floor._floor = TABLE["heard_unix_s"] + 400 * DAY
            device.updates.apply(("keys", [key(5, "of the broker")], 0), device.link)

        taken = _taken(device, file("good"), between)
        with self.assertRaises(LatchkeyError) as caught:
            device.api.answer(*taken)
        self.assertEqual(caught.exception.code, "key_set_old")
        self.assertEqual(device.kids(), ["of the broker"])

    def test_what_is_for_others_or_by_others_changes_nothing(self):
        for name, status, code in (
            ("another slug", 409, "wrong_cloud"),
            ("another issuer", 409, "wrong_cloud"),
            ("any issuer", 409, "wrong_cloud"),
            ("by the recovery key", 403, "manifest_signature"),
            ("by the cloud", 403, "manifest_signature"),
            ("a token", 400, "manifest_refused"),
            ("of another set", 400, "payload_refused"),
            ("of the simulator", 400, "payload_refused"),
            ("empty", 400, "payload_refused"),
            ("no set", 400, "payload_refused"),
        ):
            device = Shelved()
            files = dict(device.store.files)
            self.assertEqual(device.send(file(name)), (status, code), name)
            self.assertEqual((device.kids(), device.store.files == files), (["old"], True), name)

    def test_a_release_and_a_release_key_are_no_key_set(self):
        device = Shelved()
        for name in ("release", "release key 1"):
            data = (SIGNED["good"][name] + "\n").encode()
            self.assertEqual(device.send(data), (400, "manifest_refused"), name)

    def test_without_presence_nothing_is_read_and_to_be_in_no_network_is_none(self):
        device = Shelved()
        device.pass_s(601)
        self.assertEqual(device.send(file("good")), (403, "presence_needed"))
        device.forget(True)
        self.assertTrue(device.pairing.present)
        self.assertEqual(device.send(file("good")), (403, "presence_needed"))
        self.assertEqual(device.body.at, 0)
        device.pairing.pressed()
        self.assertEqual(device.send(file("good")), (200, None))

    def test_a_flash_that_refuses_the_keys_later_is_logged_and_stops_no_turn(self):
        device = Shelved()
        device.keystore.replace([key(1, "new")], device.board.clock.now_ms(), TABLE["heard_unix_s"])
        device.store.readonly = True
        device.pass_s(3600)
        self.assertIn("flash: store_readonly", [line["text"] for line in device.log.lines()])
        device.store.readonly = False
        device.pass_s(3600)
        self.assertEqual(device.again().keystore.keys[0].kid, "new")

    def test_pinned_keys_stay(self):
        device = Shelved()
        device.updates.pinned = True
        self.assertEqual(device.send(file("good")), (403, "keys_pinned"))
        self.assertEqual(device.body.at, 0)

    def test_a_device_without_a_release_key_takes_none(self):
        self.assertEqual(Shelved(maker=[]).send(file("good")), (409, "no_update_key"))

    def test_a_body_of_another_kind_or_size_is_refused_before_it_is_read(self):
        device = Shelved()
        for more, status, code in (
            ({"length": 10242}, 413, "too_large"),
            ({"media": "application/json"}, 415, "media_type"),
            ({"length": 0}, 400, "manifest_refused"),
        ):
            self.assertEqual(device.send(file("good"), **more), (status, code), code)
            self.assertEqual(device.body.at, 0)

    def test_a_file_that_is_too_short_or_too_long_is_refused(self):
        device = Shelved()
        whole = file("good")
        self.assertEqual(device.send(whole[:-1]), (400, "payload_refused"))
        self.assertEqual(device.send(whole + b"\n"), (400, "payload_refused"))
        self.assertEqual(device.send(whole[:600]), (400, "manifest_refused"))
        self.assertEqual(device.send(b"A" * 4000), (400, "manifest_refused"))
        self.assertEqual(device.kids(), ["old"])

    def test_one_bit_flipped_in_any_byte_of_the_manifest_is_refused(self):
        device = Shelved()
        whole = file("good")
        for at in range(whole.index(b"\n")):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << at % 8
            status, code = device.send(damaged)
            self.assertIn((status, code), ((400, "manifest_refused"), (403, "manifest_signature")), at)
            device.board.clock.pass_s(17)
            device.pairing.pressed()
        self.assertEqual(device.kids(), ["old"])
        self.assertEqual(device.send(whole), (200, None))

    def test_one_bit_flipped_in_the_keys_is_refused(self):
        device = Shelved()
        whole = file("good")
        for at in range(whole.index(b"\n") + 1, len(whole), 7):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << at % 8
            self.assertEqual(device.send(damaged), (400, "payload_refused"), at)
            device.board.clock.pass_s(1)
        self.assertEqual(device.kids(), ["old"])

    def test_forged_files_of_one_peer_cost_others_nothing(self):
        device = Shelved()
        units = []
        for _ in range(40):
            device.send(file("by the cloud"), "192.168.4.66")
            units.append(device.verifier.budget._units)
        self.assertEqual(device.send(file("by the cloud"), "192.168.4.66"), (429, "verify_busy"))
        self.assertEqual(min(units), max(units))
        self.assertEqual(device.send(file("good")), (200, None))

    def test_forged_files_of_many_peers_leave_the_half_for_listed_tokens(self):
        device = Shelved()
        codes = [device.send(file("by the cloud"), "192.168.4.%d" % n)[1] for n in range(20)]
        self.assertEqual((codes.count("manifest_signature"), codes.count("verify_busy")), (8, 12))
        self.assertEqual(device.verifier.budget._units, 8)

    def test_flash_that_refuses_leaves_the_old_keys(self):
        device = Shelved()
        device.store.readonly = True
        self.assertEqual(device.send(file("good")), (507, "not_stored"))
        self.assertEqual(device.kids(), ["old"])
        device.store.readonly = False
        self.assertEqual(device.send(file("good")), (200, None))

    def test_a_counter_that_flash_refuses_is_no_failure_of_keys_that_are_in_force(self):
        device = Shelved()
        create = device.store.create

        def refusing(name):
            if name.startswith("update."):
                raise StoreError("store_full")
            return create(name)

        device.store.create = refusing
        self.assertEqual(device.send(file("good")), (200, None))
        self.assertEqual((device.kids(), record.load(device.store)["set_counter"]), (["new"], 0))
        device.store.create = create
        self.assertEqual(device.send(file("good")), (200, None))
        self.assertEqual(record.load(device.store)["set_counter"], 3)

    def test_a_power_cut_leaves_the_old_or_the_new_keys_and_the_same_file_ends_it(self):
        for cut in range(60):
            device = Shelved()
            device.store.cut_after = cut
            try:
                device.send(file("good"))
                self.assertGreater(cut, 5)
                return
            except PowerCut:
                device.store.cut_after = None
            again = Shelved(device.store)
            self.assertIn(again.kids(), (["old"], ["new"]))
            if again.kids() == ["old"] or record.load(device.store)["set_counter"] == 0:
                self.assertEqual(again.send(file("good")), (200, None), cut)
            self.assertEqual((again.kids(), record.load(device.store)["set_counter"]), (["new"], 3))
        self.fail("never finished")


def _taken(device, data, between):
    lines = ("PUT /v1/keys HTTP/1.1", "Host: lamp.local", f"Content-Length: {len(data)}")
    head = bytearray("\r\n".join(lines + ("Content-Type: application/octet-stream", "")).encode())
    request = device.api.admit(parse_head(memoryview(head), len(head), head))
    return request, driven(request.route[4](device.api, request, Body(data, between=between)))
