"""The page as a device serves it: whole, in pieces, to everybody; and where phones and other sites are led by it."""

import gzip
import socket
import struct
import time

import httpx
import pytest
from api_process import running
from test_commissioning import CABLE, LAPTOP, PHONE, Cellar

from latchkey_tools.boards import page
from latchkey_tools.desk import demo

MOST_HEAP_BYTES = 1024
BUFFER_BYTES = 256
PROBES = {
    "connectivitycheck.gstatic.com": "/generate_204",
    "captive.apple.com": "/hotspot-detect.html",
    "www.msftconnecttest.com": "/connecttest.txt",
    "detectportal.firefox.com": "/success.txt",
}


@pytest.fixture(scope="module")
def cellar(tmp_path_factory):
    made = Cellar(tmp_path_factory.mktemp("served"), hurry=2)
    yield made.unbox()
    made.close()


def get(cellar, source, path, **headers):
    """The response as somebody at ``source`` gets it."""
    transport = httpx.HTTPTransport(local_address=source)
    base = cellar.desk.url if source == CABLE else cellar.desk.ap_url
    with httpx.Client(transport=transport, base_url=base, timeout=10) as client:
        return client.get(path, headers=headers)


def test_a_device_serves_the_page_that_was_built_with_its_headers(cellar):
    for source in (PHONE, CABLE):
        response = get(cellar, source, "/")
        assert response.status_code == 200 and response.text == page.html()
        assert response.headers["content-length"] == str(len(page.compressed()))
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert response.headers["content-security-policy"] == "frame-ancestors 'none'"
        assert response.headers["x-frame-options"] == "DENY" and response.headers["cache-control"] == "no-store"


def test_the_bulb_says_what_may_be_set(cellar):
    fields = get(cellar, PHONE, "/v1/state/fields", authorization=f"Bearer {cellar.owner.jwt}").json()
    state = get(cellar, PHONE, "/v1/state", authorization=f"Bearer {cellar.owner.jwt}").json()
    assert state.keys() <= fields.keys() and fields["brightness_pct"] == {"min": 1, "max": 100}
    for name, field in fields.items():
        if name in state and "max" in field:
            assert field["min"] <= state[name] <= field["max"]


def test_a_phones_probe_leads_to_the_page_until_it_runs_there(cellar):
    cellar.desk.restart()
    for host, path in PROBES.items():
        response = get(cellar, PHONE, path, host=host)
        assert (response.status_code, response.headers["location"]) == (302, f"{cellar.desk.ap_url}/")
    get(cellar, PHONE, "/v1/info")
    seen = [get(cellar, PHONE, path, host=host) for host, path in PROBES.items()]
    assert [one.status_code for one in seen] == [204, 200, 200, 200]
    assert "content-length" not in seen[0].headers  # RFC 9110 8.6
    assert "Success" in seen[1].text and seen[2].text == "Microsoft Connect Test" and seen[3].text == "success\n"


def test_other_sites_and_rebinding_names_are_refused(cellar):
    token = {"authorization": f"Bearer {cellar.owner.jwt}"}
    for host in ("evil.example", "captive.apple.com", "192.168.4.1.evil.example"):
        assert get(cellar, PHONE, "/v1/whoami", host=host, **token).json() == {"code": "wrong_host"}
        for path in ("/", "/generate_204", "/v1/info"):
            assert get(cellar, CABLE, path, host=host).status_code == 421
    refused = get(cellar, PHONE, "/v1/whoami", origin="http://evil.example", **token)
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_refused")
    assert not [name for name in refused.headers if name.startswith("access-control-")]


def question(name, kind=1):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def look_up(cellar, packet, source=PHONE, at="127.4.0.1", within_s=10):
    """The answer's bytes, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(within_s)
        try:
            sock.sendto(packet, (at, cellar.desk.port))
            return sock.recv(600)
        except OSError:
            return None


def test_names_are_answered_on_the_access_point_and_nowhere_else(cellar):
    address = socket.inet_aton("127.4.0.1")
    for name in [*PROBES, "latchkey-792b6149.local"]:
        assert look_up(cellar, question(name))[-4:] == address
    assert look_up(cellar, question("example.com"))[3] & 15 == 3
    for odd in (b"", b"\0" * 11, b"\xff" * 512, question("a.b")[:-3], question("captive.apple.com") + bytes(4000)):
        look_up(cellar, odd, within_s=0.05)
    assert look_up(cellar, question("captive.apple.com"))[-4:] == address
    assert look_up(cellar, question("captive.apple.com"), source=CABLE, within_s=0.3) is None
    for elsewhere in ("127.0.0.1", "127.7.0.7"):
        assert look_up(cellar, question("captive.apple.com"), LAPTOP, elsewhere, 0.3) is None


def test_names_are_no_longer_answered_once_the_access_point_is_closed(tmp_path):
    cellar = Cellar(tmp_path, hurry=60)
    try:
        cellar.unbox().pair()
        cellar.until(0, lambda: cellar.call(CABLE, "GET", "/v1/pairing")[1]["access_point_s"])
        cellar.until(None, lambda: look_up(cellar, question("captive.apple.com"), within_s=0.2))
        assert look_up(cellar, question("captive.apple.com"), LAPTOP, "127.7.0.7", 0.3) is None
        assert cellar.call(LAPTOP, "GET", "/v1/info")[0] == 200 and demo.SYSTEM in str(cellar.desk.info())
    finally:
        cellar.close()


def test_serving_takes_less_than_a_kilobyte_of_heap(tmp_path):
    """While a slow reader holds it up. Beside buffers a chip needs half, since its words have 32 bits."""
    large = tmp_path / "page.gz"
    large.write_bytes(gzip.compress(b"x", mtime=0) + bytes(16_000_000))
    with running(page=large) as device, device.connect() as sock:
        head = b"%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        sock.sendall(head % b"GET /v1/info")
        assert b"200" in sock.recv(4096)
        before = int(device.tell("heap"))
        sock.sendall(head % b"GET /")
        time.sleep(0.2)  # It writes until what nobody reads is full.
        during = int(device.tell("heap"))
        assert BUFFER_BYTES + (during - before - BUFFER_BYTES) / 2 < MOST_HEAP_BYTES
        received = 0
        while received < 16_000_000:
            received += len(sock.recv(1 << 20))
        assert during - before > BUFFER_BYTES, "nothing was being sent"
