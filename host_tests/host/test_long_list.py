"""Lists far larger than the device's heap, on the unix port with real LittleFS."""

import json
import random
import uuid

from on_mpy import stories

SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
PAGE_TOKEN = "CLOUD-" + "h" * 36 + "." + "p" * 580 + "." + "s" * 342
KB = 1024


def _jti(n):
    return uuid.UUID(int=random.Random(n).getrandbits(128))


def _record(n, **changes):
    found = {
        "uuid": str(_jti(n)),
        "createdAt": "2025-05-12T14:59:06.718846",
        "updatedAt": "2025-05-12T14:59:06.936417",
        "status": "ACTIVATED",
        "expiresAt": None,
        "notBefore": "2025-05-12T14:59:06+00:00",
        "systemUuid": SYSTEM,
        "roles": [{"uuid": "8d86661d-985d-4878-a8f5-69723acfa364", "name": "Domain Owner"}],
        "token": PAGE_TOKEN,
        "subject": {"uuid": "3348037a-9f5d-425e-b593-11e6e7437b74", "name": "DrivrUser", "type": "USER"},
    }
    return {**found, **changes}


def _write(path, records):
    path.write_text(json.dumps(records, indent=1))
    return str(path)


def _run(tmp_path, feed, asked=(), free_kb=17, heap="64wK"):
    asked = tuple(_jti(n).bytes for n in asked)
    image = str(tmp_path / "flash.img")
    # Imports leave holes in the heap unless garbage goes as it comes.
    code = "import gc; gc.threshold(1024); import small_heap; "
    code += f"small_heap.main({image!r}, {free_kb * KB}, {tuple(feed)!r}, {asked!r})"
    return stories(code, heapsize=heap, compiled=["small_heap"])


def _changed(n):
    return _record(n, updatedAt=f"2025-05-12T15:{n // 60:02}:{n % 60:02}")


def test_a_list_of_a_thousand_passes_through_a_64_kb_heap_with_28_kb_free_and_the_newest_are_held(tmp_path):
    everything = [_changed(n) for n in range(1000)]
    random.Random(1).shuffle(everything)
    whole = _write(tmp_path / "whole.json", everything)
    assert (tmp_path / "whole.json").stat().st_size > 1000 * KB
    less = _write(tmp_path / "less.json", [r for r in everything if r["uuid"] != str(_jti(998))])
    revoked = _changed(999)
    revoked["status"] = "DEACTIVATED"
    live = _write(tmp_path / "live.json", [_changed(n) for n in range(999)] + [revoked])
    feed = [(path, path != live, 1460, False) for path in (whole, whole, less, live)]
    first, again, old, live, last = _run(tmp_path, feed, asked=(0, 871, 872, 998, 999, 1000), free_kb=27)
    assert max(found["free"] for found in (first, again, old, live)) < 28 * KB
    assert {found["result"] for found in (first, again, old, live)} == {"stored"}
    assert first["tokens"] == again["tokens"] == 128
    assert first["states"] == again["states"] == ["full"] * 2 + ["listed"] * 3 + ["full"], first
    assert again["erases"] == 0, again
    assert old["states"] == ["full"] * 2 + ["listed", "full", "listed", "full"], old
    assert live["states"] == ["full", "listed", "listed", "listed", "revoked", "full"], live
    assert max(last["lookup_bytes"]) < KB, last
    print("lookup allocates", last["lookup_bytes"])


def test_hundreds_of_revoked_tokens_pass_through_it_and_none_is_admitted_by_a_second_record(tmp_path):
    records = [_changed(n) if n < 20 else {**_changed(n), "status": "DEACTIVATED"} for n in range(1000)]
    random.Random(2).shuffle(records)
    whole = _write(tmp_path / "whole.json", [*records, _changed(20)])
    found, _ = _run(tmp_path, [(whole, True, 1460, False)], asked=(0, 19, 20, 999), free_kb=27)
    assert found["result"] == "stored" and found["tokens"] == 52, found
    assert found["states"] == ["listed"] * 2 + ["revoked"] * 2, found


def test_a_list_as_long_as_the_bound_is_held_whole(tmp_path):
    whole = _write(tmp_path / "whole.json", [_changed(n) for n in range(128)])
    less = _write(tmp_path / "less.json", [_changed(n) for n in range(1, 128)])
    feed = [(path, True, 1460, False) for path in (whole, whole, less)]
    first, again, old, _ = _run(tmp_path, feed, asked=(0, 64, 127, 128), free_kb=27)
    assert first["states"] == ["listed"] * 3 + ["revoked"] and first["tokens"] == 128, first
    assert again["erases"] == 0, again
    assert old["states"] == ["revoked", "listed", "listed", "revoked"], old


def test_a_list_of_single_bytes_is_the_same_list(tmp_path):
    whole = _write(tmp_path / "whole.json", [_record(n) for n in range(40)])
    single, at_once, _ = _run(tmp_path, [(whole, True, 1, False), (whole, True, 1460, False)], asked=(0, 39, 40))
    assert single["states"] == ["listed", "listed", "revoked"]
    assert at_once["erases"] == 0


def test_a_list_cut_off_midway_changes_nothing(tmp_path):
    whole = _write(tmp_path / "whole.json", [_record(n) for n in range(100)])
    text = json.dumps([_record(n) for n in range(50, 300)])
    (tmp_path / "cut.json").write_text(text[: len(text) // 2])
    _, cut, again, _ = _run(
        tmp_path,
        [(whole, False, 1460, False), (str(tmp_path / "cut.json"), False, 1460, False), (whole, True, 1460, False)],
        asked=(0, 49, 100),
        free_kb=27,
    )
    assert cut["result"] == "truncated" and cut["unknown"] is None
    assert cut["states"] == ["listed", "listed", "revoked"] and cut["tokens"] == 100
    assert again["erases"] == 0


def test_a_record_of_100_kb_takes_no_memory_and_admits_no_token(tmp_path):
    long_first = {**_record(1), "note": '{\\"' * 33000}
    long_last = {"note": ["uuid", {"uuid": str(_jti(9))}] * 2500, **_record(2)}
    assert len(json.dumps(long_first)) > 100 * KB and len(json.dumps(long_last)) > 100 * KB
    path = _write(tmp_path / "long.json", [_record(0), long_first, long_last, _record(3)])
    found, _ = _run(tmp_path, [(path, False, 1460, False)], asked=(0, 1, 2, 3, 9))
    assert found["states"] == ["listed", "revoked", "revoked", "listed", "revoked"]
    assert found["tokens"] == 2 and found["unknown"] == "unreadable_uuid"


def test_a_list_that_never_ends_is_given_up_and_changes_nothing(tmp_path):
    whole = _write(tmp_path / "whole.json", [_record(n) for n in range(10)])
    (tmp_path / "piece.json").write_text("[" + json.dumps(_record(5)) + ",")
    _, endless, again, _ = _run(
        tmp_path,
        [(whole, False, 1460, False), (str(tmp_path / "piece.json"), False, 1460, True), (whole, True, 1460, False)],
        asked=(0, 9, 10),
    )
    assert endless["result"] == "too_large" and endless["states"] == ["listed", "listed", "revoked"]
    assert again["erases"] == 0
