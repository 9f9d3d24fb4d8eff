"""The page's routes, and how phones on the access point are led to it."""

import io
import unittest

from fake_device import FakeDevice, FakeVerifier

from latchkey.api import handlers, page, request
from latchkey.api.handlers import Api
from latchkey.errors import LatchkeyError

PHONE = "192.168.4.2"
PAGE = b"the page, gzipped"


def opened():
    return io.BytesIO(PAGE)


class FakeProduct:
    name = "plug"

    def state(self):
        return {"on": True}


class PageCase(unittest.TestCase):
    def setUp(self):
        self.device = FakeDevice()
        page.opened = opened
        self.product = FakeProduct()
        self.api = Api(self.device, FakeVerifier(), self.product)

    def ask(self, line, host="127.0.0.1", channel="ap", peer=PHONE, tls_serves=False, token=None, lines=""):
        lines += "Authorization: Bearer %s\r\n" % token if token else ""
        raw = ("%s HTTP/1.1\r\nHost: %s\r\n%s" % (line, host, lines)).encode()
        asked = request.parse_head(memoryview(raw), len(raw), raw)
        asked.channel, asked.peer, asked.tls_serves = channel, peer, tls_serves
        return self.api.answer(self.api.admit(asked))

    def code(self, *what, **how):
        try:
            self.ask(*what, **how)
        except LatchkeyError as exc:
            return exc.code

    def place(self, *what, **how):
        response = self.ask(*what, **how)
        self.assertEqual(response.status, 302)
        return response.lines[0]


class TestPage(PageCase):
    def test_everybody_gets_the_page_which_nobody_may_frame(self):
        for channel in ("ap", "lan", "loopback", "tls"):
            response = self.ask("GET /", channel=channel)
            self.assertEqual((response.status, b"".join(map(bytes, response.pieces))), (200, PAGE))
            self.assertIn("Content-Encoding: gzip", response.lines)
            self.assertIn("X-Frame-Options: DENY", response.lines)
            self.assertIn("Content-Security-Policy: frame-ancestors 'none'", response.lines)

    def test_an_unprovisioned_device_shows_the_page_and_nothing_else(self):
        self.api.verifier = None
        self.assertEqual(self.ask("GET /").status, 200)
        self.assertEqual(self.code("GET /v1/state/fields"), "unprovisioned")

    def test_a_device_without_the_feature_has_no_page(self):
        handlers.page = None
        self.api = Api(self.device, FakeVerifier(), self.product)
        try:
            self.assertEqual(self.code("GET /"), "not_found")
            self.assertEqual(self.code("GET /", host="example.com"), "wrong_host")
        finally:
            handlers.page = page

    def test_where_https_serves_plain_http_of_the_owners_network_is_led_there(self):
        for channel in ("lan", "loopback"):
            place = self.place("GET /", host="127.0.0.1:80", channel=channel, tls_serves=True)
            self.assertEqual(place, "Location: https://127.0.0.1/")
        for channel in ("ap", "tls"):
            self.assertEqual(self.ask("GET /", channel=channel, tls_serves=True).status, 200)

    def test_the_access_point_serves_the_api_beside_https(self):
        self.assertEqual(self.ask("GET /v1/state", token="CLOUD-read", tls_serves=True).status, 200)
        self.assertEqual(self.code("GET /v1/state", token="CLOUD-read", channel="lan", tls_serves=True), "tls_required")

    def test_the_products_fields_are_for_who_may_read(self):
        self.assertEqual(self.code("GET /v1/state/fields"), "token_missing")
        self.assertEqual(self.code("GET /v1/state/fields", token="CLOUD-read"), "not_found")
        self.product.fields = '{"on": {}}'
        self.assertEqual(self.ask("GET /v1/state/fields", token="CLOUD-read").body, b'{"on": {}}')


class TestPortal(PageCase):
    PROBES = ("/generate_204", "/hotspot-detect.html", "/connecttest.txt", "/success.txt")

    def test_a_phones_probe_is_led_to_the_page(self):
        for path in self.PROBES + ("/", "/anything/else", "/v1x"):
            self.assertEqual(self.place("GET " + path, host="captive.apple.com"), "Location: http://192.168.4.1/")

    def test_a_body_that_comes_with_it_is_refused_before_memory_is_taken_for_it(self):
        for length in (1, 99999999):
            lines = "Content-Length: %d\r\n" % length
            self.assertEqual(self.code("GET /generate_204", host="captive.apple.com", lines=lines), "too_large")

    def test_a_phone_in_which_the_page_runs_takes_this_for_the_internet(self):
        self.ask("GET /v1/info")
        answers = [self.ask("GET " + path, host="captive.apple.com") for path in self.PROBES]
        self.assertEqual([answer.status for answer in answers], [204, 200, 200, 200])
        self.assertTrue(answers[0].body is None)
        self.assertIn(b"<BODY>Success</BODY>", answers[1].body)
        self.assertEqual([answer.body for answer in answers[2:]], [b"Microsoft Connect Test", b"success\n"])
        self.assertEqual(answers[1].media, "text/html")
        self.assertEqual(self.place("GET /else", host="a.example"), "Location: http://192.168.4.1/")
        self.assertEqual(self.place("GET /success.txt", host="a.example", peer="192.168.4.3")[:9], "Location:")

    def test_a_peer_of_another_network_takes_no_phone_s_place(self):
        self.ask("GET /v1/info")
        self.ask("GET /v1/info", channel="lan", peer="192.168.7.20")
        self.assertEqual(self.ask("GET /generate_204", host="connectivitycheck.gstatic.com").status, 204)

    def test_the_api_is_never_led_anywhere(self):
        for path in ("/v1/info", "/v1/state", "/v1", "/v1/"):
            self.assertEqual(self.code("GET " + path, host="captive.apple.com"), "wrong_host")
        self.assertEqual(self.code("POST /generate_204", host="captive.apple.com"), "wrong_host")

    def test_every_other_network_refuses_a_foreign_host(self):
        for channel in ("lan", "loopback", "tls"):
            for path in self.PROBES + ("/",):
                self.assertEqual(self.code("GET " + path, host="captive.apple.com", channel=channel), "wrong_host")


if __name__ == "__main__":
    unittest.main()
