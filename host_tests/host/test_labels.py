"""Labels and QR codes: what is on them is read back from the picture, as a phone's camera does."""

import stat
import xml.etree.ElementTree as ET

import pytest
import zxingcpp
from PIL import Image
from technician import SYSTEM, Keyboard, make_token

from latchkey_tools.boards import labels

LABEL = {"system_uuid": SYSTEM, "name": "Cellar & <light>", "host": "latchkey-792b6149.local"}
LABEL |= {"access_point": "latchkey-792b6149", "ap_passphrase": "k7mwq-a2hhd-9xpzt"}


def read(path):
    """Texts of the QR codes in a PNG."""
    return [code.text for code in zxingcpp.read_barcodes(Image.open(path).convert("L"))]


def test_one_code_joins_the_access_point_and_one_opens_the_page(tmp_path):
    svg, png = labels.write([LABEL], tmp_path / "label")
    assert read(png) == ["WIFI:T:WPA;S:latchkey-792b6149;P:k7mwq-a2hhd-9xpzt;;", "http://192.168.4.1/"]
    assert Image.open(png).size == (840, 444)
    drawn = ET.fromstring(svg.read_text())
    assert (drawn.get("width"), drawn.get("height")) == ("70mm", "37mm")
    text = " ".join(one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text"))
    for part in (*LABEL.values(), "http://192.168.4.1/"):
        assert part in text
    assert [stat.S_IMODE(path.stat().st_mode) for path in (svg, png)] == [0o600, 0o600]


def test_a_passphrase_with_special_characters_is_escaped_for_the_camera(tmp_path):
    _, png = labels.write([LABEL | {"ap_passphrase": 'a;b,c:d\\e"f'}], tmp_path / "label")
    assert read(png)[0] == 'WIFI:T:WPA;S:latchkey-792b6149;P:a\\;b\\,c\\:d\\\\e\\"f;;'


def test_a_line_has_sheets_with_a_place_for_each_label(tmp_path):
    many = [LABEL | {"ap_passphrase": f"passphrase-{number}"} for number in range(26)]
    written = labels.write(many, tmp_path / "labels")
    assert [path.name for path in written] == ["labels.svg", "labels.png", "labels-2.svg", "labels-2.png"]
    joined = [text for path in written[1::2] for text in read(path) if text.startswith("WIFI:")]
    assert sorted(joined) == sorted(labels.wifi_code(one) for one in many)


@pytest.fixture
def hands(tmp_path):
    made = Keyboard(tmp_path)
    for name, lasts_s in (("day", 86400), ("month", 30 * 86400), ("ever", None)):
        made.ok("token", "import", "-", "--name", name, given=make_token(lasts_s=lasts_s))
    return made


def test_a_token_is_drawn_alone_after_a_question(hands, tmp_path):
    token = hands.ok("token", "show", "month", "--out", "-").strip()
    refused = hands.run("token", "show", "month", "--qr", tmp_path / "code.png")
    assert refused.status == 2 and "--yes" in refused.err and not (tmp_path / "code.png").exists()
    hands.ok("token", "show", "month", "--qr", tmp_path / "code.png", "--yes")
    assert read(tmp_path / "code.png") == [token]
    assert stat.S_IMODE((tmp_path / "code.png").stat().st_mode) == 0o600
    hands.ok("token", "show", "month", "--qr", tmp_path / "code.svg", "--yes")
    assert ET.fromstring((tmp_path / "code.svg").read_text()).tag.endswith("svg")


def test_a_link_is_for_tokens_that_end_within_a_week(hands, tmp_path):
    token = hands.ok("token", "show", "day", "--out", "-").strip()
    hands.ok("token", "show", "day", "--qr", tmp_path / "code.png", "--link", "--yes")
    assert read(tmp_path / "code.png") == [f"http://192.168.4.1/#token={token}"]
    for name in ("month", "ever"):
        refused = hands.run("token", "show", name, "--qr", tmp_path / f"{name}.png", "--link", "--yes")
        assert refused.status == 1 and "lasts longer than 7 days" in refused.err
        assert not (tmp_path / f"{name}.png").exists()


def test_a_narrow_terminal_and_a_pipe_get_no_code(hands):
    piped = hands.run("token", "show", "day", "--qr", "-", "--yes")
    assert piped.status == 1 and "needs a terminal of " in piped.err and piped.out == ""
    with hands.terminal("token", "show", "day", "--qr", "-", "--yes", size=(60, 80)) as screen:
        screen.expect("needs a terminal of 1")
    with hands.terminal("token", "show", "day", "--qr", "-", "--yes", size=(80, 160)) as screen:
        screen.expect("\u2588".encode())


def test_options_of_a_code_that_make_no_sense_are_wrong_usage(hands, tmp_path):
    for words in (("--link",), ("--yes",), ("--qr", tmp_path / "x.gif"), ("--qr", tmp_path / "x.png", "--json")):
        assert hands.run("token", "show", "day", *words).status == 2
    assert list(tmp_path.glob("x.*")) == []
