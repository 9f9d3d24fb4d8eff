"""Uploads that break, lie or come at the wrong time: what failed has not happened, and the device lives."""

import unittest

from lists import BASE, ingest, text
from lists import record as listed
from ram_store import PowerCut
from setting_up import OWNER
from streams import Bytes
from tables import load
from updating import PAYLOAD, SIGNED, Body, Gone, Updated

from latchkey import jwk
from latchkey.device.pairing import Attempt
from latchkey.update import record
from latchkey.verifier import Verifier

GOOD = SIGNED["good"]
LINE = GOOD["release"]
WHOLE = (LINE + "\n").encode() + PAYLOAD


class Restarted(BaseException):
    """The board began anew."""


class HeldButton:
    """Held for a factory reset."""

    def look(self, _now_ms):
        return "reset"


class Late(Exception):
    """In place of asyncio's CancelledError."""


def code(device, line=LINE, payload=PAYLOAD, query="", **more):
    return device.put(line, payload, query, **more)[1]


def broken_off(device, sent, end=Gone):
    """An upload of which only ``sent`` bytes came."""
    try:
        device.put(LINE, body=Body(WHOLE[:sent], len(WHOLE), end))
    except (Gone, Late):
        return
    raise AssertionError("it did not break")


def unchanged(test, device, kept):
    """The release that runs is the one that will, and it takes another one."""
    test.assertEqual((device.carrier.next, device.carrier.running), ("a7", "a7"))
    test.assertEqual(device.kept(), kept)
    device.pass_s(30)
    test.assertEqual(device.board.restarts, 0)
    device.carrier.fails = device.carrier.short = device.carrier.full_after = device.carrier.flip = None
    test.assertEqual(code(device), None)
    test.assertEqual((device.carrier.next, bytes(device.carrier.content)), ("b8", PAYLOAD))


class TestPayload(unittest.TestCase):
    def test_one_changed_byte_in_any_block_is_refused_and_forgotten(self):
        for at in list(range(0, len(PAYLOAD), 4096)) + [len(PAYLOAD) - 1]:
            device = Updated()
            kept = device.kept()
            payload = bytearray(PAYLOAD)
            payload[at] ^= 1
            self.assertEqual(code(device, payload=bytes(payload)), "payload_refused")
            self.assertIsNone(device.upload)
            unchanged(self, device, kept)

    def test_a_byte_that_flash_changes_is_found_when_it_is_read_back(self):
        for at in (0, 4095, 4096, len(PAYLOAD) - 1):
            device = Updated()
            kept = device.kept()
            device.carrier.flip = at
            self.assertEqual(code(device), "payload_refused")
            unchanged(self, device, kept)

    def test_another_length_is_refused_before_anything_is_written(self):
        device = Updated()
        for payload in (PAYLOAD[:-1], PAYLOAD + b"a", b"", PAYLOAD + PAYLOAD):
            self.assertEqual(code(device, payload=payload), "payload_refused")
        self.assertEqual(device.carrier.calls, [])
        unchanged(self, device, device.kept())

    def test_a_body_without_a_manifest_is_refused(self):
        device = Updated()
        for data in (b"", b"\n", b"a", b"a" * 2049, b"a" * 5000, b"\n" + WHOLE, PAYLOAD):
            self.assertEqual(device.put("", body=Body(data)), (400, "manifest_refused"))
        self.assertEqual(device.carrier.calls, [])

    def test_the_loop_has_its_turn_at_every_piece_written_and_read_back(self):
        device, turns = Updated(), []
        body = Body(WHOLE, between=turns.append)
        device.put(LINE, body=body)
        self.assertTrue(len(turns) >= 3 + 3 + 3, turns)


class TestCounter(unittest.TestCase):
    def good(self):
        device = Updated()
        self.assertEqual(code(device), None)
        device = device.starts()
        device.link.state = "online"
        device.pass_s(1)
        self.assertEqual(device.kept()["counter"], 5)
        return device

    def test_a_lower_one_is_refused_and_an_equal_one_with_other_content(self):
        device = self.good()
        calls = list(device.carrier.calls)
        self.assertEqual(code(device, GOOD["lower"]), "counter_low")
        self.assertEqual(code(device, GOOD["same counter, other content"]), "counter_low")
        self.assertEqual(device.carrier.calls, calls)

    def test_the_same_release_may_be_sent_again_and_a_higher_one_follows(self):
        for name in ("release", "again", "higher", "highest"):
            self.assertEqual(code(self.good(), GOOD[name]), None, name)

    def test_it_does_not_rise_before_the_release_is_good(self):
        device = Updated()
        self.assertEqual(code(device, GOOD["higher"]), None)
        self.assertEqual(device.kept()["counter"], 0)

    def test_a_key_that_leaked_cannot_use_up_the_counter_of_the_next(self):
        device = self.good()
        record.save(device.store, dict(device.kept(), counter=(1 << 31) - 1))
        self.assertEqual(code(device, GOOD["higher"]), "counter_low")
        self.assertEqual(code(device, GOOD["release key 1"], b""), None)
        self.assertEqual(code(device, GOOD["higher"]), "manifest_signature")
        self.assertEqual(code(device, GOOD["by the new key"]), None)

    def test_of_a_release_key_it_rises_with_the_key(self):
        device = Updated()
        self.assertEqual(code(device, GOOD["release key 2"], b""), None)
        self.assertEqual(code(device, GOOD["release key 1"], b""), "counter_low")
        self.assertEqual(code(device, GOOD["release key 2"], b""), None)
        self.assertEqual(code(device, GOOD["release key 2"], b"a"), "payload_refused")
        self.assertEqual(code(device), None)


class TestResume(unittest.TestCase):
    def test_it_goes_on_where_any_piece_ended(self):
        head = len(LINE) + 1
        for sent in (head, head + 1, 1023, 1024, head + 1024, head + 8192, len(WHOLE) - 1):
            device = Updated()
            broken_off(device, sent)
            upload = device.firmware()["upload"]
            received = upload["received"] if upload else 0
            self.assertEqual(received, max(0, sent - head) // 1024 * 1024)
            self.assertEqual((upload or {}).get("running", False), False)
            query = "from=%d" % received if received else ""
            self.assertEqual(code(device, payload=PAYLOAD[received:], query=query), None)
            self.assertEqual(bytes(device.carrier.content), PAYLOAD)

    def test_only_there_and_only_under_the_same_manifest(self):
        device = Updated()
        self.assertEqual(code(device, payload=PAYLOAD[4096:], query="from=4096"), "wrong_offset")
        broken_off(device, len(WHOLE) - 1)
        for at in (1, 4096, 8191, 10000):
            self.assertEqual(code(device, payload=PAYLOAD[at:], query="from=%d" % at), "wrong_offset")
        for name in ("again", "higher"):
            self.assertEqual(code(device, GOOD[name], PAYLOAD[9216:], "from=9216"), "wrong_offset")
        self.assertEqual(code(device, payload=PAYLOAD[9216:], query="from=9216"), None)

    def test_another_manifest_forgets_it(self):
        device = Updated()
        broken_off(device, len(WHOLE) - 1)
        self.assertEqual(code(device, GOOD["higher"]), None)

    def test_a_start_from_the_beginning_and_a_restart_forget_it(self):
        device = Updated()
        broken_off(device, len(WHOLE) - 1)
        device.carrier.fails = "begin"
        self.assertEqual(code(device), "not_stored")
        device.carrier.fails = None
        self.assertEqual(code(device, payload=PAYLOAD[9216:], query="from=9216"), "wrong_offset")
        broken_off(device, len(WHOLE) - 1)
        device = device.starts()
        self.assertEqual(code(device, payload=PAYLOAD[9216:], query="from=9216"), "wrong_offset")

    def test_a_query_that_is_no_offset_is_refused(self):
        for query in ("from", "from=", "from=-1", "from=1.0", "from=0x1", "from=123456789", "form=1", "from=1&from=1"):
            self.assertEqual(code(Updated(), query=query), "invalid_field", query)

    def test_one_that_is_late_can_be_resumed_too(self):
        device = Updated()
        broken_off(device, len(WHOLE) - 1, Late)
        self.assertEqual(code(device, payload=PAYLOAD[9216:], query="from=9216"), None)


class TestFailures(unittest.TestCase):
    def test_where_flash_refuses_nothing_has_happened(self):
        for place in ("begin", "clear", "write", "pieces", "switch"):
            device = Updated()
            kept = device.kept()
            device.carrier.fails = place
            self.assertEqual(code(device), "not_stored", place)
            self.assertIsNone(device.upload if place != "switch" else None)
            unchanged(self, device, kept)

    def test_a_carrier_that_refuses_a_payload_is_believed(self):
        for place in ("write", "pieces", "switch"):
            device = Updated()
            kept = device.kept()
            device.carrier.fails = "refuses " + place
            self.assertEqual(code(device), "payload_refused", place)
            unchanged(self, device, kept)

    def test_a_full_flash_ends_it(self):
        device = Updated()
        kept = device.kept()
        device.carrier.full_after = 5000
        self.assertEqual(code(device), "not_stored")
        self.assertIsNone(device.upload)
        unchanged(self, device, kept)

    def test_where_the_record_cannot_be_stored_nothing_is_switched(self):
        device = Updated()
        kept = device.kept()
        device.store.readonly = True
        self.assertEqual(code(device), "not_stored")
        self.assertFalse("switch" in device.carrier.calls)
        device.store.readonly = False
        unchanged(self, device, kept)

    def test_short_memory_anywhere_ends_the_upload_and_not_the_device(self):
        for place in ("begin", "clear", "write", "pieces", "switch"):
            device = Updated()
            kept = device.kept()
            device.carrier.short = place
            with self.assertRaises(MemoryError):
                device.put(LINE, PAYLOAD)
            self.assertFalse(device.busy() and device.upload and device.upload.running)
            unchanged(self, device, kept)

    def test_short_memory_while_bytes_come_ends_it_too(self):
        device = Updated()
        kept = device.kept()
        for sent in (1, 5000, len(WHOLE) - 1):
            with self.assertRaises(MemoryError):
                device.put(LINE, body=Body(WHOLE[:sent], len(WHOLE), MemoryError))
        unchanged(self, device, kept)

    def test_short_memory_while_it_is_read_back_leaves_no_file_open(self):
        device = Updated()
        kept = device.kept()
        reads = []

        def shorten(turn):
            if turn == 15:
                reads.append(device.carrier.reads)
                raise MemoryError

        with self.assertRaises(MemoryError):
            device.put(LINE, body=Body(WHOLE, between=shorten))
        self.assertEqual((reads, device.carrier.reads), ([True], False))
        unchanged(self, device, kept)

    def test_a_power_cut_at_any_write_of_the_record_leaves_the_old_or_the_new_release(self):
        device = Updated()
        code(device)
        for cut in range(12):
            device = Updated()
            device.store.cut_after = cut
            try:
                code(device)
            except PowerCut:
                pass
            device.store.cut_after = None
            after = device.starts()
            self.assertTrue(after.carrier.running in ("a7", "b8"))
            facts = after.firmware()
            if after.carrier.running == "b8":
                self.assertEqual((facts["state"], after.kept()["sent"]["place"]), ("unproven", "b8"))
            else:
                self.assertEqual((facts["state"], after.kept()["sent"], facts["counter"]), ("good", None, 0))

    def test_a_release_key_that_cannot_be_stored_has_not_changed(self):
        device = Updated()
        for cut in ("readonly", "failing"):
            setattr(device.store, cut, True)
            self.assertEqual(code(device, GOOD["release key 1"], b"") is None, False)
            setattr(device.store, cut, False)
            self.assertEqual(device.firmware()["key_counter"], 0)
        self.assertEqual(code(device), None)


class TestTogether(unittest.TestCase):
    def test_of_two_uploads_the_first_goes_on(self):
        device, codes = Updated(), []

        def second(turn):
            if turn == 3:
                codes.append(code(device))
                codes.append(code(device, payload=PAYLOAD[4096:], query="from=4096"))
                codes.append(device.firmware()["upload"]["running"])

        self.assertEqual(device.put(LINE, body=Body(WHOLE, between=second)), (202, None))
        self.assertEqual(codes, ["update_running", "update_running", True])
        self.assertEqual(bytes(device.carrier.content), PAYLOAD)
        self.assertEqual(code(device), "update_running")  # until the restart

    def test_no_network_or_broker_is_tried_meanwhile(self):
        device, codes = Updated(), []
        body = {"wifi": {"ssid": "Home", "passphrase": "new secret"}}

        def pair(turn):
            if turn == 2:
                codes.append(device.code("POST", "/v1/pairing", body))
                codes.append(device.code("PATCH", "/v1/config", {"broker": {"host": "mqtt.else.example"}}))
                codes.append(device.code("PATCH", "/v1/config", {"name": "Attic"}))

        device.put(LINE, body=Body(WHOLE, between=pair))
        self.assertEqual(codes, [(409, "update_running"), (409, "update_running"), (200, None)])

    def test_one_that_broke_off_blocks_nothing(self):
        device = Updated()
        broken_off(device, 5000)
        self.assertEqual(device.call("POST", "/v1/pairing", {"wifi": {"ssid": "Home"}})[0], 202)
        self.assertEqual(code(device), "attempt_running")

    def test_a_restart_and_a_factory_reset_do_not_wait_for_it_and_it_begins_anew(self):
        def restart(device):
            self.assertEqual(device.call("POST", "/v1/restart")[0], 202)
            device.restart()

        def reset(device):
            device.board.button = HeldButton()
            device.turn()

        for act in (restart, reset):
            device = Updated()

            def ends():
                raise Restarted

            device.board.restart = ends
            with self.assertRaises(Restarted):
                device.put(LINE, body=Body(WHOLE, between=lambda turn, on=device, act=act: turn == 8 and act(on)))
            again = device.starts()
            facts = again.firmware()
            self.assertEqual(
                (facts["running"], facts["state"], facts["upload"], facts["last"]), ("a7", "good", None, None)
            )
            self.assertEqual(again.config["name"], "" if act is reset else "Cellar")
            self.assertEqual(code(again, payload=PAYLOAD[4096:], query="from=4096"), "wrong_offset")
            self.assertEqual(code(again), None)
            self.assertEqual(bytes(again.carrier.content), PAYLOAD)

    def test_an_attempt_that_runs_keeps_it_away(self):
        device = Updated()
        device.pairing.begin(Attempt(device.config, None, True))
        self.assertEqual(code(device), "attempt_running")
        self.assertEqual(device.carrier.calls, [])

    def test_a_sensor_does_not_sleep_meanwhile(self):
        device, busy = Updated(), []
        device.put(LINE, body=Body(WHOLE, between=lambda _turn: busy.append(device.busy())))
        self.assertTrue(all(busy[2:]), busy)
        self.assertTrue(device.busy())


class TestPace(unittest.TestCase):
    def test_one_that_brings_less_than_a_kilobyte_a_second_is_dropped_and_can_be_resumed(self):
        device, running = Updated(), []

        def slow(_turn):
            device.pass_s(40)
            running.append(bool(device.upload and device.upload.running))

        self.assertEqual(device.put(LINE, body=Body(WHOLE, between=slow)), (408, "timeout"))
        self.assertTrue(len(running) < 8, running)
        self.assertFalse(device.upload.running)
        received = device.upload.received
        self.assertTrue(0 < received < len(PAYLOAD))
        self.assertEqual(device.call("POST", "/v1/pairing", {"wifi": {"ssid": "Home"}})[0], 202)
        device.pairing._attempt = None
        self.assertEqual(code(device, payload=PAYLOAD[received:], query="from=%d" % received), None)
        self.assertEqual(bytes(device.carrier.content), PAYLOAD)

    def test_one_that_is_faster_ends_however_long_it_takes_before_and_after(self):
        device = Updated()

        def slow(turn):
            # Turns 1 to 3 clear the other place, 4 to 13 bring pieces, the rest reads back.
            device.pass_s(6 if 3 < turn < 14 else 300)

        device.config["policy"]["updates"] = "configure"
        self.assertEqual(device.put(LINE, body=Body(WHOLE, between=slow)), (202, None))


class TestToken(unittest.TestCase):
    """The token of an upload is asked again at each piece and before the switch."""

    def made(self):
        table = load("key_sets.json")
        device = Updated(updates="configure", verifier=Verifier)
        device.keystore.replace(jwk.parse_key_set(Bytes(table["sets"]["new"].encode())))
        return device, table["token"][6:]

    def meanwhile(self, turn, act):
        """(device, its answer) of an upload during whose ``turn`` ``act`` happens to the device."""
        device, token = self.made()
        body = Body(WHOLE, between=lambda now: now == turn and act(device))
        return device, device.put(LINE, body=body, role=token)

    def ends(self, act, told):
        for turn in (6, 13, 15):
            device, answer = self.meanwhile(turn, act)
            self.assertEqual((turn, answer), (turn, told))
            self.assertEqual((device.carrier.next, device.kept()["sent"]), ("a7", None))
            # Somebody with a valid token can resume it.
            self.assertEqual((device.upload.running, device.upload.received > 0), (False, True))

    def test_one_that_is_revoked_ends_it(self):
        def revoke(device):
            ingest(device.ledger, Bytes(text([listed(1, created=BASE)])), False, 1 << 31)

        self.ends(revoke, (401, "revoked"))

    def test_one_that_expires_ends_it(self):
        self.ends(lambda device: device.board.clock.pass_s(1 << 31), (401, "expired"))

    def test_one_whose_role_gives_less_ends_it(self):
        def narrow(device):
            device.verifier.policy._by_name["System Maintainer"] = device.verifier.policy._by_name["Domain Owner"] = 1

        self.ends(narrow, (403, "insufficient_scope"))

    def test_one_that_new_keys_of_the_cloud_may_refuse_has_to_come_again(self):
        def rotate(device):
            device.keystore.replace(device.keystore.keys[:] + [jwk.parse_key(SIGNED["keys"][1])])

        self.ends(rotate, (429, "verify_busy"))
        device, _ = self.meanwhile(8, rotate)
        at = device.upload.received
        answer = device.put(LINE, PAYLOAD[at:], "from=%d" % at, role=self.made()[1])
        self.assertEqual(answer, (202, None))


class TestPolicy(unittest.TestCase):
    def away(self, updates):
        device = Updated(updates=updates)
        device.pass_s(601)
        return device

    def test_presence_is_needed_unless_the_policy_says_otherwise(self):
        for updates, told in (("presence", "presence_needed"), ("configure", None), ("configure_plain", None)):
            self.assertEqual(code(self.away(updates)), told)

    def test_plain_http_from_the_network_is_refused_unless_the_policy_says_otherwise(self):
        for updates, told in (("presence", "plain_http"), ("configure", "plain_http"), ("configure_plain", None)):
            self.assertEqual(code(Updated(updates=updates), channel="lan"), told)

    def test_only_the_route_of_updates_is_lifted(self):
        device = Updated(updates="configure_plain")
        self.assertEqual((device.plain_http("/v1/firmware"), device.plain_http("/v1/config")), ("configure", "control"))

    def test_whoever_may_not_configure_installs_nothing(self):
        self.assertEqual(code(Updated(updates="configure"), role="Visitor"), "insufficient_scope")
        self.assertEqual(code(Updated(updates="configure"), role="Nobody"), "no_permission")

    def test_the_policy_changes_over_the_serial_cable_alone(self):
        device = Updated()
        self.assertEqual(device.code("PATCH", "/v1/config", {"policy": {"updates": "configure"}}), (403, "serial_only"))
        self.assertEqual(device.call("PATCH", "/v1/config", {"policy": {"updates": "presence"}})[0], 200)

    def test_a_board_without_a_carrier_has_no_such_path(self):
        device = Updated()
        device.board.fitted = None
        self.assertEqual(code(device), "not_found")
        self.assertEqual(device.code("GET", "/v1/firmware", role=OWNER), (404, "not_found"))
