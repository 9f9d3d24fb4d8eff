"""Strict JSON against Python's json under the same strictness: the same texts accepted, with the same values."""

import json
import os
import random
import sys
from pathlib import Path

import on_port
import pytest
from strict_reference import Loose, fits, integer, loose, number, pairs

import counts

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import json_texts  # noqa: E402 (its folder is not on the path of other tests)


def reference(data):
    """The expected result of ``json_texts.outcome``, by Python's json."""
    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=loose, parse_int=integer, parse_float=number)
        json.dumps(value, ensure_ascii=False).encode()  # lone surrogates
    except (Loose, ValueError, RecursionError):
        return "json_refused"
    return json_texts.show(value) if fits(value) else "json_refused"


SCALARS = (
    b"0",
    b"-0",
    b"7",
    b"-12",
    b"1.5",
    b"1e5",
    b"2E-3",
    b"9999999999999999999",
    b"12345678901234567890",
    b"1e38",
    b"9e37",
    b"true",
    b"false",
    b"null",
    b'""',
    b'"a"',
    b'"\\n"',
    b'"\\u00e9"',
    b'"\\ud83d\\ude00"',
    b'"\xc3\xa9"',
    b'"\xf0\x9f\x98\x80"',
    b'"\\\\"',
    b'"\\""',
    b'"{"',
    b'"]"',
    b'"\xe2\x82\xac\\/"',
    b'"\x7f"',
)
EDITS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b" ",
    b"\n",
    b"\t",
    b"\x00",
    b"\x1f",
    b"\x0b",
    b"0",
    b"1",
    b"-",
    b"+",
    b".",
    b"e",
    b"E",
    b"u",
    b"n",
    b"t",
    b"\\u",
    b"d800",
    b"\\udc00",
    b"\x80",
    b"\xbf",
    b"\xc0",
    b"\xc3",
    b"\xe0\x80",
    b"\xed\xa0",
    b"\xf4\x90",
    b"\xef\xbb\xbf",
    b"NaN",
    b"Infinity",
    b"true",
    b"null",
    b'"a"',
    b'"a":1,',
    b"9" * 19,
    b"e99",
    b"[[[",
    b"]]]",
    b"//",
    b"'",
)


def text_of(rng, room):
    kind = rng.randrange(4) if room else 2
    space = rng.choice((b"", b"", b" ", b"\r\n\t"))
    if kind == 0:
        return b"[" + space + b",".join(text_of(rng, room - 1) for _ in range(rng.randrange(4))) + b"]" + space
    if kind == 1:
        names = rng.sample((b'"a"', b'"b"', b'""', b'"\\u0061"', b'"\xc3\xa9"', b'"\\u00e9"'), rng.randrange(4))
        return b"{" + b",".join(space + n + space + b":" + text_of(rng, room - 1) for n in names) + space + b"}"
    return space + rng.choice(SCALARS)


def edited(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at:at] = rng.choice(EDITS)
        elif kind == 1:
            del data[at : at + rng.choice((1, 1, 2, 5))]
        elif kind == 2:
            data[at : at + 1] = rng.choice(EDITS)
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


@pytest.fixture(scope="module")
def texts():
    rng = random.Random(int(os.environ.get("LATCHKEY_SEED", "1")))
    return [edited(rng, text_of(rng, rng.randrange(8))) for _ in range(10 * counts.get("mutated_tokens"))]


def test_the_same_texts_are_accepted_with_the_same_values(texts):
    accepted = 0
    for text in texts:
        want = reference(text)
        assert json_texts.outcome(text) == want, text
        accepted += want != "json_refused"
    assert len(texts) / 5 < accepted < len(texts) * 4 / 5


def test_the_unix_port_reads_every_text_alike(texts, tmp_path):
    rows = tmp_path / "rows"
    rows.write_text("".join(f"{text.hex()} {reference(text)}\n" for text in texts if text))
    assert on_port.run("json_texts.py", rows) == f"{sum(map(bool, texts))}\n"
