"""The third product of docs/new-product.md, as printed there: on CPython, and behind the API on the unix port."""

import re
from pathlib import Path

import httpx
import pytest
from api_process import running

from latchkey.errors import ConfigError

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "new-product.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.S)
CONTROL = {"Authorization": "Bearer CLOUD-control"}


class Relay:
    def __init__(self):
        self.on = self.blinks = 0
        self.watts = 40.0

    def switch(self, on):
        self.on = on

    def power_w(self):
        return self.watts if self.on else 0

    def blink(self):
        self.blinks += 1


def plug(relay):
    namespace = {}
    exec(compile(CODE[0], "plug.py", "exec"), namespace)
    return namespace["Product"](relay)


def test_the_file_keeps_the_contract():
    relay = Relay()
    product = plug(relay)
    changes = []
    product.on_change = lambda: changes.append(product.state())
    assert product.patch({"on": True}) == {"on": True, "limit_w": 3680, "power_w": 0}
    product.measure()
    product.measure()
    relay.watts = 40.4
    product.measure()
    assert [(one["on"], one["power_w"]) for one in changes] == [(True, 0), (True, 40.0)]
    product.identify()
    assert relay.blinks == 1
    for fields in ({"on": 1}, {"power_w": 5}, {"limit_w": 0}, {"on": False, "x": 1}):
        with pytest.raises(ConfigError):
            product.patch(fields)
    assert relay.on is True
    product.patch({"limit_w": 50})
    relay.watts = 60
    product.measure()
    assert relay.on is False and product.state() == {"on": False, "limit_w": 50, "power_w": 60}


def test_its_adapter_drives_pins():
    class Pin:
        def __init__(self):
            self.level = 0

        def value(self, level=None):
            if level is None:
                return self.level
            self.level = level

    class Meter:
        def read_w(self):
            return 12.5

    namespace = {}
    exec(compile(CODE[1], "relay.py", "exec"), namespace)
    pins = Pin(), Pin()
    relay = namespace["GpioRelay"](*pins, Meter())
    relay.switch(True)
    relay.blink()
    assert (pins[0].level, pins[1].level, relay.power_w()) == (1, True, 12.5)


def test_the_api_serves_it_on_the_unix_port(tmp_path):
    (tmp_path / "plug.py").write_text(CODE[0])
    with running(product="plug", product_folder=tmp_path) as device:
        with httpx.Client(base_url=device.url, headers=CONTROL) as client:
            assert client.patch("/v1/state", json={"on": True}).json() == {"on": True, "limit_w": 3680, "power_w": 0}
            device.tell("change")
            assert client.get("/v1/state").json() == {"on": True, "limit_w": 3680, "power_w": 40}
            refused = client.patch("/v1/state", json={"power_w": 1})
            assert (refused.status_code, refused.json()["field"]) == (422, "power_w")
            assert client.post("/v1/identify").status_code == 202
