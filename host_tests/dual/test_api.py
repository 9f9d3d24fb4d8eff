"""The API without sockets: who may do what, in which order it is judged, and what is answered."""

import json
import unittest

from fake_device import FakeDevice, FakeVerifier

from latchkey.api import codes, request
from latchkey.api import handlers as api_
from latchkey.errors import LatchkeyError, TokenError
from latchkey.products import bulb

PATCH = b'{"on": true}'


class Light:
    def __init__(self):
        self.calls = []

    def show(self, state, transition_ms):
        self.calls.append((state["on"], transition_ms))

    def blink(self):
        self.calls.append("blink")


class ApiCase(unittest.TestCase):
    def setUp(self):
        self.device, self.verifier, self.light = FakeDevice(), FakeVerifier(), Light()
        self.api = api_.Api(self.device, self.verifier, bulb.Product(self.light, "rgb"))

    def head(self, line, token=None, lines=()):
        out = [line + " HTTP/1.1"]
        if not any([text.startswith("Host:") for text in lines]):
            out.append("Host: 127.0.0.1:8080")
        if token:
            out.append("Authorization: Bearer CLOUD-" + token)
        head = ("\r\n".join(out + list(lines)) + "\r\n").encode()
        return request.parse_head(memoryview(head), len(head), head)

    def response(self, line, token=None, body=b"", lines=(), channel="loopback", tls_serves=False):
        if body:
            lines = list(lines) + ["Content-Length: %d" % len(body), "Content-Type: application/json"]
        request = self.head(line, token, lines)
        request.channel, request.peer, request.tls_serves = channel, "127.0.0.1", tls_serves
        try:
            return self.api.answer(self.api.admit(request), body)
        except LatchkeyError as exc:
            return self.api.refusal(exc)

    def code(self, *args, **kwargs):
        """The code of an error; None for a success. The status is the table's."""
        response = self.response(*args, **kwargs)
        if response.pieces:
            response.pieces.close()
        if response.code:
            self.assertEqual(response.status, codes.status(response.code))
            body = json.loads(response.body)
            self.assertEqual(body.pop("code"), response.code)
            self.assertTrue(set(body) <= {"field"}, body)
        return response.code

    def ask(self, *args, **kwargs):
        response = self.response(*args, **kwargs)
        self.assertIsNone(response.code)
        return json.loads(response.body)


class WhoMay(ApiCase):
    NEEDS = (
        ("GET /v1/whoami", b"", "read"),
        ("GET /v1/state", b"", "read"),
        ("PATCH /v1/state", PATCH, "control"),
        ("GET /v1/events", b"", "read"),
        ("POST /v1/identify", b"", "control"),
        ("GET /v1/diagnostics", b"", "configure"),
        ("GET /v1/log", b"", "configure"),
        ("POST /v1/restart", b"", "configure"),
    )

    def test_info_is_open_and_nothing_else(self):
        self.assertIsNone(self.code("GET /v1/info"))
        for line, body, _ in self.NEEDS:
            self.assertEqual(self.code(line, body=body), "token_missing", line)

    def test_each_route_opens_to_its_permission_and_those_above(self):
        ranks = ("read", "control", "configure")
        for line, body, needed in self.NEEDS:
            for token in ranks:
                want = None if ranks.index(token) >= ranks.index(needed) else "insufficient_scope"
                self.assertEqual(self.code(line, token, body), want, line + " " + token)

    def test_a_bad_token_is_refused_with_the_verifiers_code(self):
        for code in ("bad_signature", "expired", "revoked", "ledger_unknown", "no_permission", "verify_busy"):
            self.verifier.refuse = code
            self.assertEqual(self.code("GET /v1/state", "read"), code)

    def test_plain_http_from_the_network_is_capped(self):
        for cap, allowed in (("read", 1), ("control", 2), ("configure", 3)):
            self.device.cap = cap
            answers = [
                self.code("GET /v1/state", "configure", channel="lan"),
                self.code("PATCH /v1/state", "configure", PATCH, channel="lan"),
                self.code("GET /v1/log", "configure", channel="lan"),
            ]
            self.assertEqual(answers, [None] * allowed + ["plain_http"] * (3 - allowed))

    def test_whoami_is_not_capped_and_other_channels_are_free(self):
        self.device.cap = "read"
        self.assertIsNone(self.code("GET /v1/whoami", "read", channel="lan"))
        for channel in ("loopback", "ap", "tls"):
            self.assertIsNone(self.code("GET /v1/log", "configure", channel=channel))

    def test_the_cap_is_checked_before_the_token_costs_anything(self):
        self.code("GET /v1/log", "configure", channel="lan")
        self.assertEqual(self.verifier.calls, 0)

    def test_beside_https_the_plain_port_answers_info_and_426(self):
        for channel, tells in (("lan", True), ("tls", False)):
            response = self.response("GET /v1/info", tls_serves=True, channel=channel)
            self.assertEqual((response.code, "Connection: Upgrade" in response.lines), (None, tells))
        self.assertEqual(self.response("GET /v1/info").lines, ())
        for line, body, _ in self.NEEDS:
            response = self.response(line, "configure", body, tls_serves=True)
            self.assertEqual(response.code, "tls_required")
            self.assertTrue("Connection: Upgrade" in response.lines)
        self.assertEqual(self.verifier.calls, 0)
        self.assertIsNone(self.code("GET /v1/log", "configure", channel="tls", tls_serves=True))

    def test_an_unprovisioned_device_answers_info_alone(self):
        self.device.facts["state"] = "unprovisioned"
        self.api.verifier = None
        self.assertEqual(self.ask("GET /v1/info")["state"], "unprovisioned")
        for line in ("GET /v1/state", "GET /nothing", "BREW /v1/whoami"):
            self.assertEqual(self.code(line, "read"), "unprovisioned")


class WhatIsAsked(ApiCase):
    def test_the_host_must_be_ours(self):
        for host in ("127.0.0.1", "127.0.0.1:80", "LocalHost:1", "latchkey-792b6149.local"):
            self.assertIsNone(self.code("GET /v1/info", lines=("Host: " + host,)))
        for host in ("latchkey-792b6149.local.", "LATCHKEY-792B6149.local.:80"):
            self.assertIsNone(self.code("GET /v1/info", lines=("Host: " + host,)))
        for host in (".", "..", "localhost..", "localhost:1."):
            self.assertEqual(self.code("GET /v1/info", lines=("Host: " + host,)), "wrong_host")
        for host in ("evil.example", "127.0.0.1.evil.example", "", "127.0.0.1:80:80", "127.0.0.1:a", "x@127.0.0.1"):
            self.assertEqual(self.code("GET /v1/info", lines=("Host: " + host,)), "wrong_host")

    def test_another_pages_origin_is_refused(self):
        self.assertIsNone(self.code("GET /v1/info", lines=("Origin: http://127.0.0.1:8080",)))
        for origin in ("null", "http://evil.example", "https://127.0.0.1:8080", "http://127.0.0.1", ""):
            self.assertEqual(self.code("GET /v1/info", lines=("Origin: " + origin,)), "origin_refused")

    def test_a_token_in_the_url_is_refused(self):
        for query in ("access_token=x", "a=b&TOKEN=x", "x=cloud-ey", "token", "&&token&"):
            self.assertEqual(self.code("GET /v1/state?" + query, "read"), "token_in_url")
        self.assertEqual(self.code("GET /v1/CLOUD-x", "read"), "token_in_url")
        self.assertIsNone(self.code("GET /v1/state?tokens=x", "read"))

    def test_a_token_in_the_url_is_refused_however_it_is_encoded(self):
        for query in (
            "x=%43LOUD-ey",
            "x=%63%6c%6F%75%64%2dey",
            "%74oken=x",
            "a&&token&",
            "a=b&acces%73_token=x",
            "CLOU%44-x",
        ):
            self.assertEqual(self.code("GET /v1/state?" + query, "read"), "token_in_url", query)
        for path in ("/v1/%43LOUD-x", "/cloud-x", "/v1/state/CLOU%44%2D"):
            self.assertEqual(self.code("GET " + path, "read"), "token_in_url", path)
        for query in ("x=%", "x=%4", "x=%zzCLOUD", "%", "x=%43LOUD"):
            self.assertIsNone(self.code("GET /v1/state?" + query, "read"), query)

    def test_unknown_paths_and_methods(self):
        for path in ("/v2", "/v1", "/v1/state/", "//v1/state", "/v1/%73tate", "/v1/../v1/state", "/V1/state"):
            self.assertEqual(self.code("GET " + path, "configure"), "not_found", path)
        response = self.response("DELETE /v1/state", "configure")
        self.assertEqual(response.code, "method_not_allowed")
        self.assertEqual(response.lines, ("Allow: GET, PATCH, HEAD",))
        self.assertEqual(self.code("get /v1/state", "read"), "method_not_allowed")

    def test_a_body_is_judged_only_after_the_token(self):
        big = ("Content-Length: 5000", "Content-Type: text/plain")
        self.assertEqual(self.code("PATCH /v1/state", lines=big), "token_missing")
        self.assertEqual(self.code("PATCH /v1/state", "read", lines=big), "insufficient_scope")
        self.assertEqual(self.code("PATCH /v1/state", "control", lines=big), "too_large")

    def test_a_body_must_be_measured_small_json(self):
        self.assertEqual(self.code("PATCH /v1/state", "control"), "length_required")
        self.assertEqual(self.code("GET /v1/state", "control", PATCH), "too_large")
        media = ("Content-Length: 5", "Content-Type: text/json")
        self.assertEqual(self.code("PATCH /v1/state", "control", lines=media), "media_type")
        self.assertEqual(self.code("PATCH /v1/state", "control", lines=("Content-Length: 5",)), "media_type")
        encoded = ("Content-Length: 5", "Content-Type: application/json", "Content-Encoding: gzip")
        self.assertEqual(self.code("PATCH /v1/state", "control", lines=encoded), "media_type")
        charset = ("Content-Length: 12", "Content-Type: Application/JSON; charset=utf-8")
        request = self.api.admit(self.head("PATCH /v1/state", "control", charset))
        self.assertTrue(self.api.answer(request, PATCH))

    def test_the_json_is_strict(self):
        doubled = b'{"on":true,"on":false}'
        for body in (b"{", doubled, b'{"on":true}x', b"{'on':true}", b'{"on":NaN}', b"\xff", b"[" * 900):
            self.assertEqual(self.code("PATCH /v1/state", "control", body), "json_refused")
        self.assertEqual(self.code("PATCH /v1/state", "control", b"[]"), "invalid_field")
        self.assertEqual(self.code("PATCH /v1/state", "control", b"null"), "invalid_field")
        self.assertEqual(self.light.calls, [])

    def test_a_wrong_field_is_named(self):
        response = self.response("PATCH /v1/state", "control", b'{"on": true, "brightness_pct": 0}')
        self.assertEqual(json.loads(response.body)["field"], "brightness_pct")
        self.assertEqual(self.light.calls, [])
        self.assertEqual(self.code("POST /v1/identify", "control", b'{"seconds": 3}'), "invalid_field")


class WhatIsAnswered(ApiCase):
    def test_refusals_carry_the_headers_of_their_kind(self):
        def lines(*args):
            return self.response(*args).lines

        self.assertEqual(lines("GET /v1/state"), ("WWW-Authenticate: Bearer",))
        self.assertEqual(lines("GET /v1/state", "expired"), ('WWW-Authenticate: Bearer error="invalid_token"',))
        scope = 'WWW-Authenticate: Bearer error="insufficient_scope", scope="control"'
        self.assertEqual(lines("POST /v1/identify", "read"), (scope,))
        self.verifier.refuse = "verify_busy"
        self.assertEqual(lines("GET /v1/state", "read"), ("Retry-After: 3",))

    def test_state_changes_and_is_read_back(self):
        answer = self.ask("PATCH /v1/state", "control", b'{"on": true, "rgb": [1, 2, 3], "transition_ms": 500}')
        self.assertEqual(answer, {"on": True, "brightness_pct": 100, "rgb": [1, 2, 3]})
        self.assertEqual(self.ask("GET /v1/state", "read"), answer)
        self.assertEqual(self.light.calls, [(True, 500)])

    def test_whoami_tells_the_grant(self):
        answer = self.ask("GET /v1/whoami", "control")
        self.assertEqual(answer["permissions"], ["read", "control"])
        self.assertEqual(answer["roles"][0]["name"], "System Maintainer")
        self.assertIsNone(answer["exp_unix_s"])

    def test_identify_blinks(self):
        self.assertEqual(self.ask("POST /v1/identify", "control", b"{}"), {"accepted": True})
        self.assertEqual(self.light.calls, ["blink"])

    def test_a_restart_waits_for_its_answer_to_be_out(self):
        response = self.response("POST /v1/restart", "configure")
        self.assertEqual((response.status, self.device.restarts), (202, 0))
        response.after()
        self.assertEqual(self.device.restarts, 1)

    def test_diagnostics_count_refusals(self):
        self.code("GET /v1/state")
        self.code("GET /v1/state", "revoked")
        self.assertEqual(self.ask("GET /v1/diagnostics", "configure")["refusals"], {"token_missing": 1, "revoked": 1})

    def test_an_unexpected_exception_is_logged_by_kind_alone(self):
        response = self.api.refusal(ValueError("CLOUD-secret"))
        self.assertEqual((response.status, response.code), (500, "server_error"))
        self.assertEqual(self.device.log.lines()[-1]["text"], "request failed: ValueError")

    def test_memory_that_was_short_is_said_and_when_to_try_again(self):
        response = self.api.refusal(MemoryError())
        self.assertEqual((response.status, response.code, response.lines), (503, "no_memory", ("Retry-After: 1",)))

    def test_a_refused_claim_is_named_in_the_log_and_not_in_the_answer(self):
        response = self.api.refusal(TokenError("claims_refused", "nbf"))
        self.assertEqual(self.device.log.lines()[-1]["text"], "token refused, claim: nbf")
        self.assertFalse(b"nbf" in response.body or "nbf" in str(response.lines))

    def test_a_code_outside_the_table_is_a_server_error(self):
        self.assertEqual(self.api.refusal(TokenError("surprise")).status, 500)


if __name__ == "__main__":
    unittest.main()
