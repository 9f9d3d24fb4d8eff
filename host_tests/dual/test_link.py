"""Reasons of the cloud link, and the results of payloads."""

import errno
import json
import unittest

from fake_link import FakePayload
from ram_store import RamStore

from latchkey import jwk, keystore, limits
from latchkey.cloud import messages, reasons
from latchkey.device import certdates
from latchkey.errors import FormatError


class TestReasons(unittest.TestCase):
    def test_a_failed_connect_is_told_apart(self):
        self.assertEqual(reasons.connect_reason(errno.ECONNREFUSED), "refused")
        self.assertEqual(reasons.connect_reason(errno.ECONNRESET), "refused")
        self.assertEqual(reasons.connect_reason(errno.ETIMEDOUT), "no_answer")
        self.assertEqual(reasons.connect_reason(errno.EHOSTUNREACH), "no_route")

    def test_certificate_flaws_are_told_apart_in_the_words_of_mbedtls(self):
        for words, reason in (
            ("The certificate is not correctly signed by the trusted CA\n", "cert_wrong_ca"),
            ("The certificate Common Name (CN) does not match with the expected CN\n", "cert_wrong_name"),
            ("The certificate validity has expired\n", "cert_expired"),
            ("The certificate validity starts in the future\n", "cert_not_yet_valid"),
        ):
            self.assertEqual(reasons.tls_reason((words,)), reason, words)

    def test_numbers_are_told_apart_with_and_without_their_words(self):
        self.assertEqual(reasons.tls_reason((-0x7780,)), "cert_refused")
        self.assertEqual(reasons.tls_reason((-0x7780, "MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE")), "cert_refused")
        self.assertEqual(reasons.tls_reason((-0x7100, "MBEDTLS_ERR_SSL_BAD_INPUT_DATA")), "tls_failed")
        self.assertEqual(reasons.tls_reason((104, "Connection reset by peer")), "closed")
        self.assertEqual(reasons.tls_reason((32,)), "closed")
        for number in (errno.ENOMEM, -0x7F00, -0x2880, -0x4310):
            self.assertEqual(reasons.tls_reason((number,)), "no_memory", number)
        self.assertEqual(reasons.connect_reason(errno.ENOMEM), "no_memory")
        self.assertEqual(reasons.tls_reason(()), "tls_failed")

    def test_of_several_flaws_the_foreign_authority_comes_first(self):
        words = "The certificate validity has expired\nThe certificate is not correctly signed by the trusted CA\n"
        self.assertEqual(reasons.tls_reason((words,)), "cert_wrong_ca")


class FakeFloor:
    floor_unix_s = 0

    def now_ms(self):
        return 0


class TestIntake(unittest.TestCase):
    def setUp(self):
        self.put = []
        self.intake = messages.Intake(b"\x11" * 16, self.put.append)

    def test_a_broken_key_set_is_refused_and_no_more(self):
        for data in (b"", b"[]", b'{"keys":[]}', b'{"keys":[{"n":"1","kid":"1"}]}', b"\xff\xfe", b'{"keys":[' * 50):
            self.put.clear()
            self.intake.serve(0, True, FakePayload(data))
            self.assertEqual([m[0] for m in self.put], ["keys_refused"], data)

    def test_keys_of_the_simulator_count_for_development_only(self):
        with open(__file__.rsplit("/", 2)[0] + "/vectors/verifier.json") as f:
            key = dict(json.load(f)["jwks"]["keys"][0], kid="SIM-a")
        data = json.dumps({"keys": [key]}).encode()
        for dev, kind in ((True, "keys"), (False, "keys_refused")):
            self.put.clear()
            messages.Intake(b"\x11" * 16, self.put.append, dev).serve(0, True, FakePayload(data))
            self.assertEqual(self.put[0][0], kind)

    def test_a_key_is_made_once_on_its_way_to_the_keys_in_force(self):
        with open(__file__.rsplit("/", 2)[0] + "/vectors/verifier.json") as f:
            data = json.dumps({"keys": json.load(f)["jwks"]["keys"][:1]}).encode()
        made, real = [], jwk.PublicKey

        def counted(n_be, e):
            made.append(e)
            return real(n_be, e)

        kept = keystore.KeyStore(RamStore())
        updates = messages.Updates(kept, None, FakeFloor(), None, None)
        jwk.PublicKey = keystore.PublicKey = counted
        try:
            self.intake.serve(0, True, FakePayload(data))
            updates.apply(self.put[0], None)
            kept.save_if_due(1 << 30)
        finally:
            jwk.PublicKey = keystore.PublicKey = real
        self.assertEqual((len(made), len(kept.keys), kept.source), (1, 1, "flash"))

    def test_a_key_set_that_is_too_long_is_refused_unread(self):
        payload = FakePayload(b" " * (limits.KEY_SET_BYTES + 1))
        self.intake.serve(0, True, payload)
        self.assertEqual(self.put, [("keys_refused", "key_set_too_large")])
        self.assertEqual(payload.at, 0)

    def test_a_broken_list_is_aborted_with_a_reason(self):
        for data in (b"[", b"[1,,", b"{}", b"[] []", b"\x00"):
            self.put.clear()
            self.intake.serve(1, False, FakePayload(data))
            self.assertEqual(self.put[0], ("list_begin", False), data)
            self.assertEqual(self.put[-1][0], "list_abort", data)

    def test_an_empty_list_and_an_empty_payload_commit(self):
        for data in (b"[]", b"", b" [ ] "):
            self.put.clear()
            self.intake.serve(1, True, FakePayload(data))
            self.assertEqual(self.put, [("list_begin", True), ("list_commit",)], data)

    def test_a_connection_that_fails_aborts_the_list_and_is_passed_on(self):
        failing = FakePayload(b"[" + b" " * 500, fail_at=128, error=reasons.LinkError("stalled"))
        with self.assertRaises(reasons.LinkError) as caught:
            self.intake.serve(1, True, failing)
        self.assertEqual(caught.exception.code, "stalled")
        self.assertEqual(self.put[-1], ("list_abort", "stalled"))

    def test_a_connection_that_fails_in_a_key_set_refuses_nothing(self):
        failing = FakePayload(b'{"keys":[' + b" " * 500, fail_at=128, error=reasons.LinkError("closed"))
        self.assertRaises(reasons.LinkError, self.intake.serve, 0, True, failing)
        self.assertEqual(self.put, [])

    def test_any_other_failure_costs_only_the_message(self):
        for error in (OSError(5), ValueError(), FormatError("json_refused")):
            self.put.clear()
            self.intake.serve(1, True, FakePayload(b"[" + b" " * 500, fail_at=128, error=error))
            self.assertEqual(self.put[-1][0], "list_abort")

    def test_short_memory_ends_the_connection_so_that_retained_messages_come_again(self):
        for index, put in ((0, []), (1, [("list_begin", True), ("list_abort", "no_memory")])):
            self.put.clear()
            with self.assertRaises(reasons.LinkError) as caught:
                self.intake.serve(index, True, FakePayload(b" " * 200, fail_at=128, error=MemoryError()))
            self.assertEqual((caught.exception.code, self.put), ("no_memory", put))


class TestCertificateDates(unittest.TestCase):
    def test_what_is_no_certificate_has_no_date(self):
        for der in (None, b"", b"\x30", b"\x30\x82\xff\xff", b"\x30\x03\x30\x01\x02", bytes(200), b"\x30\x80" * 9):
            self.assertTrue(certdates.not_after(der) is None)


if __name__ == "__main__":
    unittest.main()
