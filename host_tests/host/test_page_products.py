"""The page in a real browser over each product: its code draws what the product says of its fields, and sets them."""

import contextlib
import json
import time

import httpx
import pytest
from api_process import running
from phone import Phone
from test_new_product import FILES
from test_server_flood import document, token

from latchkey_tools.boards import page
from latchkey_tools.sim import signing
from needs import needs

pytestmark = [needs("chromium"), needs("chromedriver")]

PAGE = "http://127.0.0.1/"


@pytest.fixture(scope="module")
def browser():
    with Phone(None) as made:
        made.join("bench")
        yield made


@pytest.fixture
def over(browser, tmp_path):
    """over(product, language="en-GB") -> (phone, device, client): its page, open and with a token."""
    (tmp_path / "plug.py").write_text(FILES["plug.py"])
    (tmp_path / "page.gz").write_bytes(page.compressed())
    (tmp_path / "verifier.json").write_text(json.dumps(document([])))
    files = {"product_folder": tmp_path, "page": tmp_path / "page.gz", "verifier": tmp_path / "verifier.json"}

    def opened(product, language="en-GB"):
        browser.desk = device = stack.enter_context(running("768K", product=product, **files))
        jwt = token(signing.new_uuid())
        headers = {"Authorization": f"Bearer {jwt}"}
        client = stack.enter_context(httpx.Client(base_url=device.url, headers=headers, timeout=10))
        browser.show(language, "light")
        browser.open(f"{PAGE}#token={jwt}")
        browser.until(lambda: bool(browser.find_all(".field")))
        return browser, device, client

    with contextlib.ExitStack() as stack:
        yield opened
        browser.open("about:blank")
        browser.answer = lambda *_: None
    assert browser.complaints() == []


def test_the_plug_of_the_docs_has_a_page_without_a_line_of_html(over):
    phone, device, client = over("plug")
    limit = phone.find("#field-limit_w")
    assert [limit.get_attribute(name) for name in ("type", "min", "max")] == ["range", "1", "3680"]
    assert [one.text for one in phone.find_all(".field label")] == ["On", "Switch off above"]
    assert phone.text("#field-limit_w-value") == "3680 W" and phone.text("#field-power_w") == "0 W"
    assert phone.find("#field-power_w").tag_name == "span" and "Power" in phone.text("#controls")
    phone.press("#field-on")
    phone.until(lambda: client.get("/v1/state").json()["on"])
    device.tell("change")
    phone.reads("#field-power_w", "40 W")
    phone.choose("#field-limit_w", 50)
    phone.until(lambda: client.get("/v1/state").json(), {"on": True, "limit_w": 50, "power_w": 40})
    phone.reads("#field-limit_w-value", "50 W")


def test_a_label_of_a_product_is_in_the_language_of_the_browser(over):
    phone, _, _ = over("plug", "de-DE")
    assert "Abschalten ab" in phone.text("#controls") and "Leistung" in phone.text("#controls")


def test_a_colour_is_chosen_and_follows_the_device(over):
    phone, _, client = over("rgb")
    assert phone.find("#field-rgb").get_attribute("type") == "color"
    phone.until(lambda: phone.find("#field-rgb").get_attribute("value"), "#ffffff")
    phone.choose("#field-rgb", "#ff8000")
    phone.until(lambda: client.get("/v1/state").json()["rgb"], [255, 128, 0])
    client.patch("/v1/state", json={"rgb": [0, 9, 255]})
    phone.until(lambda: phone.find("#field-rgb").get_attribute("value"), "#0009ff")


def test_an_answer_that_comes_after_a_newer_event_does_not_undo_it(over, browser):
    phone, _, client = over("rgb")
    phone.until(lambda: phone.find("#field-rgb").get_attribute("value"), "#ffffff")
    older = dict(client.get("/v1/state").json(), rgb=[255, 128, 0])

    def late(_network, method, _host, path):
        if (method, path) == ("PATCH", "/v1/state"):
            client.patch("/v1/state", json={"rgb": [0, 9, 255]})
            time.sleep(1)  # in which the event of it arrives
            return 200, {"Content-Type": "application/json"}, json.dumps(older).encode()

    browser.answer = late
    phone.choose("#field-rgb", "#ff8000")
    phone.until(lambda: phone.find("#field-rgb").get_attribute("value"), "#0009ff")


def test_a_number_without_a_greatest_value_is_typed_and_a_refused_one_goes_back(over, browser):
    fields = {"brightness_pct": {"label": "Light", "min": 1}}
    given = 200, {"Content-Type": "application/json"}, json.dumps(fields).encode()
    browser.answer = lambda _network, _method, _host, path: given if path == "/v1/state/fields" else None
    phone, _, client = over("white")
    number = phone.find("#field-brightness_pct")
    assert (number.get_attribute("type"), number.get_attribute("min")) == ("number", "1")
    assert "Light" in phone.text("#controls")
    phone.choose("#field-brightness_pct", 40)
    phone.until(lambda: client.get("/v1/state").json()["brightness_pct"], 40)
    phone.choose("#field-brightness_pct", 400)
    phone.reads("#product-note", "Field: brightness_pct")
    phone.until(lambda: number.get_attribute("value"), "40")


def test_a_sensor_shows_its_values_with_units_and_nothing_to_set(over):
    phone, device, _ = over("sensor")
    phone.reads("#field-temperature_c", "not measured yet")
    device.tell("change")
    phone.reads("#field-humidity_pct", "40 %")
    assert phone.text("#field-temperature_c").endswith(" °C") and phone.text("#field-battery_pct") == "80 %"
    assert "2025" in phone.text("#field-measured_unix_s") and phone.find_all("#controls input") == []
