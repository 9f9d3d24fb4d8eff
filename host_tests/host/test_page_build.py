"""The page as it is built: one file without anything from elsewhere, its policy, its words."""

import base64
import gzip
import hashlib
import json
import re

import pytest

from latchkey_tools.boards import build, page
from latchkey_tools.cli import advice

WORDS = json.loads((page.FOLDER / "words.json").read_text())
# The person at the phone cannot cause these: the page sends neither such a request nor such a body.
OF_PROGRAMS = {"bad_request", "json_refused", "token_in_url", "not_found", "method_not_allowed", "length_required"}
OF_PROGRAMS |= {"too_large", "uri_too_long", "media_type", "headers_too_large"}


def test_the_page_is_small_and_the_same_for_the_same_sources():
    assert page.compressed() == page.compressed() and len(page.compressed()) < page.MOST_BYTES
    assert gzip.decompress(page.compressed()).decode() == page.html()


def test_a_page_that_grew_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(page, "MOST_BYTES", 1000)
    with pytest.raises(build.BuildError, match="has to be below 1000"):
        page.compressed()


def test_the_policy_allows_this_script_and_this_style_and_nothing_else():
    text = page.html()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert parts.pop(directive) == f"'sha256-{digest}'"
    assert parts == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_in_it_comes_from_elsewhere_or_goes_around_the_policy():
    text = page.html()
    assert set(re.findall(r"https?://[\w.-]*", text)) <= {"http://", "https://", "http://192.168.4.1"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|<[^>]+\son\w+=|\sstyle=", text)
    assert "localStorage" not in text and "cookie" not in text


def test_both_languages_have_every_word_that_the_page_uses():
    assert WORDS["en"].keys() == WORDS["de"].keys()
    script, markup = [(page.FOLDER / name).read_text() for name in ("page.js", "page.html")]
    used = set(re.findall(r'data-(?:t|label)="(\w+)"', markup)) | set(re.findall(r'\bword\("(\w+)"', script))
    assert used - {"state_", "may_", "signal_", "why_"} <= WORDS["en"].keys()
    for key, text in WORDS["en"].items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", WORDS["de"][key])), key


def test_every_code_and_reason_that_a_phone_can_meet_has_words_in_both_languages():
    assert WORDS["codes_de"].keys() == advice.CODES.keys() - OF_PROGRAMS
    assert advice.PAIRING_REASONS.keys() <= WORDS["reasons_de"].keys()
    assert WORDS["reasons_de"].keys() <= advice.PAIRING_REASONS.keys() | advice.REASONS.keys()
    english = page.words()["en"]
    assert english["codes"]["expired"] == (advice.meaning("expired"), "make a new token or have it extended")
    assert english["reasons"]["no_address"][1] == "check the router"
