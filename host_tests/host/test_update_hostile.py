"""Uploads to a desk with the real firmware and flash: what is wrong is refused, and others are answered meanwhile."""

import socket
import threading
import time

import httpx
import pytest
import releases
import updated_desk
from updated_desk import call, firmware, good, send, until

import counts

PIECE = 4096


@pytest.fixture(scope="module")
def payload():
    """Of 40 KB, whose last file is most of it."""
    return releases.payload({"main.mpy": b"a" * 100, "latchkey/b.mpy": bytes(range(256)) * 160})


@pytest.fixture(scope="module")
def maker():
    return releases.Maker()


@pytest.fixture(scope="module")
def desk(tmp_path_factory, maker):
    with updated_desk.running(tmp_path_factory.mktemp("updates"), maker) as desk:
        until(desk, lambda: good(desk))
        yield desk


def release(maker, payload, **members):
    """(manifest with its newline, payload)"""
    whole = maker.file(payload, "7.7.7", 99, **members)
    return whole[: len(whole) - len(payload)], payload


def test_one_changed_byte_at_every_block_is_refused(desk, maker, payload):
    line, _ = release(maker, payload)
    before = firmware(desk)
    for at in range(0, len(payload), PIECE):
        changed = bytearray(payload)
        changed[at] ^= 1
        assert send(desk, line + bytes(changed)) == (400, {"code": "payload_refused"}), at
    assert firmware(desk) == before


def put(desk, data, length=None, query=""):
    """(status, code): httpx reads an answer that comes before all is sent."""
    headers = {"Authorization": "Bearer " + updated_desk.token(), "Content-Type": "application/octet-stream"}
    headers |= {"Content-Length": length} if length else {}
    answer = httpx.put(desk.url + "/v1/firmware" + query, content=data, headers=headers, timeout=60)
    return answer.status_code, answer.json().get("code")


def test_a_payload_that_flash_has_no_room_for_ends_and_the_device_lives(desk, maker):
    before = firmware(desk)
    large = releases.payload({"main.mpy": bytes(3 << 20)})
    assert put(desk, maker.file(large, "7.7.7", 99)) == (507, "no_room")
    assert firmware(desk) == before
    assert call(desk, "GET", "/v1/diagnostics")[0] == 200


def stores(desk):
    """Whether flash takes a setting."""
    return call(desk, "PATCH", "/v1/config", '{"name": "Hall"}', **{"Content-Type": "application/json"})[0] == 200


def test_a_payload_larger_than_its_manifest_says_leaves_room_for_settings(desk, maker, monkeypatch):
    # Other bytes than the maker's can be sent with a manifest.
    large = releases.payload({f"{n}.mpy": b"a" * 4097 for n in range(199)})
    monkeypatch.setattr(releases.payload_, "room", lambda _kind, _payload: 50 * PIECE)
    assert put(desk, maker.file(large, "7.7.7", 99)) == (400, "payload_refused")
    assert stores(desk)


def test_an_upload_that_breaks_off_in_a_large_file_goes_on(desk, maker):
    # Twice its size is not free.
    line, rest = release(maker, releases.payload({"a.mpy": b"a" * (9 << 16), "main.mpy": b"b" * (9 << 16)}))
    ends = len(rest) // 2 - 3 * PIECE
    with pytest.raises(ConnectionError):
        put(desk, broken_off(line + rest[:ends]), str(len(line) + len(rest)))
    until(desk, lambda: firmware(desk)["upload"]["running"] is False)
    received = firmware(desk)["upload"]["received"]
    assert put(desk, line + b"x" * (len(rest) - received), query=f"?from={received}") == (400, "payload_refused")


def test_a_restart_in_the_middle_of_an_upload_forgets_it_and_the_next_one_begins_anew(desk, maker, payload):
    line, _ = release(maker, payload)
    with socket.create_connection(("127.0.0.1", desk.port), 20) as sock:
        head = f"PUT /v1/firmware HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(line) + len(payload)}\r\n"
        head += f"Content-Type: application/octet-stream\r\nAuthorization: Bearer {updated_desk.token()}\r\n\r\n"
        sock.sendall(head.encode() + line + payload[: len(payload) // 2])
        until(desk, lambda: ((firmware(desk) or {}).get("upload") or {}).get("received", 0) >= PIECE)
        assert firmware(desk)["upload"]["running"]
        before = firmware(desk)["running"]
        assert call(desk, "POST", "/v1/restart")[0] == 202
        until(desk, lambda: firmware(desk).get("upload", "restarts") is None)
    assert (firmware(desk)["running"], good(desk)) == (before, True)
    assert put(desk, line + payload[PIECE:], query=f"?from={PIECE}") == (409, "wrong_offset")
    assert put(desk, line + b"x" * len(payload)) == (400, "payload_refused")


def broken_off(data):
    yield data
    raise ConnectionError


def test_a_client_that_sends_all_before_it_reads_gets_the_refusal(desk, maker, payload):
    line, _ = release(maker, payload)
    data = line + bytes(400000)
    assert send(desk, data) == (400, {"code": "payload_refused"})


def test_uploads_and_changes_in_turn_find_their_memory(desk, maker, payload):
    line, rest = release(maker, payload)
    for n in range(counts.get("uploads_in_turn")):
        assert send(desk, line + b"x" + rest[1:]) == (400, {"code": "payload_refused"}), n
        assert send(desk, line + bytes(400000)) == (400, {"code": "payload_refused"}), n
        assert stores(desk), n
        for path in ("/v1/state", "/v1/diagnostics", "/v1/log", "/v1/firmware", "/v1/config", "/v1/uses"):
            assert call(desk, "GET", path)[0] == 200, (n, path)


def test_others_are_answered_while_a_release_arrives(desk, maker):
    whole = maker.file(releases.payload(releases.files_of("9.0.0")), "9.0.0", firmware(desk)["counter"] + 1)
    answers, waits = [], []
    upload = threading.Thread(target=lambda: answers.append(put(desk, dripping(whole), str(len(whole)))))
    upload.start()
    while upload.is_alive() and not answers:
        began = time.monotonic()
        try:
            status, _ = call(desk, "GET", "/v1/state")
        except OSError:
            break  # it restarts
        assert status == 200
        waits.append(time.monotonic() - began)
    upload.join()
    assert answers == [(202, None)]
    waits.sort()
    print(f"{len(waits)} requests, p99 {waits[int(len(waits) * 0.99)] * 1000:.0f} ms, most {waits[-1] * 1000:.0f} ms")
    assert len(waits) > 100
    assert waits[int(len(waits) * 0.99)] < 0.25
    until(desk, lambda: firmware(desk).get("version") == "9.0.0" and good(desk))


def dripping(data):
    """Pieces of ``data`` as a radio brings them, in two seconds."""
    step = len(data) // 200
    for at in range(0, len(data), step):
        yield data[at : at + step]
        time.sleep(0.01)
