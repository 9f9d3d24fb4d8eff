"""docs/home-assistant.md played through: the requests its configuration makes, sent as Home Assistant sends them."""

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import api_process
import jinja2
import pytest
import yaml

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "home-assistant.md").read_text()
SECRET = "Bearer CLOUD-control"
BULB, SENSOR = "http://192.168.1.50", "http://192.168.1.51"


class Loader(yaml.SafeLoader):
    """YAML with Home Assistant's !secret."""


Loader.add_constructor("!secret", lambda loader, node: SECRET if node.value == "latchkey_bearer" else None)


def blocks():
    """Every YAML block of the page, parsed."""
    return [yaml.load(text, Loader) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]


def rest_blocks(address):
    return [r for block in blocks() for r in block.get("rest", []) if r["resource"].startswith(address)]


def rendered(template, **values):
    return jinja2.Environment().from_string(template).render(**values)


@pytest.fixture(scope="module")
def bulb():
    with api_process.running(product="cct") as process:
        yield process


async def send(device, method, url, headers, payload=None):
    """One request by aiohttp, which is what both integrations use; returns (status, text)."""
    url = url.replace(BULB, device.url).replace(SENSOR, device.url)
    async with aiohttp.ClientSession() as session:
        data = payload.encode() if payload is not None else None
        async with session.request(method, url, headers=headers, data=data) as answer:
            return answer.status, await answer.text()


def command(device, name, **values):
    """Do what `rest_command.NAME` does."""
    found = next(block["rest_command"][name] for block in blocks() if "rest_command" in block)
    headers = dict(found["headers"])
    if "content_type" in found:
        headers["Content-Type"] = found["content_type"]
    payload = rendered(found["payload"], **values) if "payload" in found else None
    return asyncio.run(send(device, found["method"], found["url"], headers, payload))


def polled(device, resource):
    """{name: value} of every entity of one `rest` resource."""
    status, text = asyncio.run(send(device, "get", resource["resource"], resource["headers"]))
    assert status == 200
    entities = resource.get("sensor", []) + resource.get("binary_sensor", [])
    return {e["name"]: rendered(e["value_template"], value_json=json.loads(text)) for e in entities}


def test_the_page_has_a_bulb_and_a_sensor():
    assert rest_blocks(BULB) and rest_blocks(SENSOR)


def test_the_commands_switch_and_the_entities_follow(bulb):
    assert command(bulb, "hall_lamp_on", brightness_pct=40)[0] == 200
    assert polled(bulb, rest_blocks(BULB)[0]) == {"Hall lamp brightness": "40", "Hall lamp on": "True"}
    assert command(bulb, "hall_lamp_off")[0] == 200
    assert polled(bulb, rest_blocks(BULB)[0])["Hall lamp on"] == "False"
    assert command(bulb, "hall_lamp_on")[0] == 200
    assert polled(bulb, rest_blocks(BULB)[0])["Hall lamp brightness"] == "100"
    assert command(bulb, "hall_lamp_identify")[0] == 202


def test_a_template_may_give_a_float(bulb):
    assert command(bulb, "hall_lamp_on", brightness_pct=128 / 2)[0] == 200


def test_the_switch_turns_on_and_off(bulb):
    switch = next(block["switch"][0] for block in blocks() if "switch" in block)
    for body, want in (("body_on", "True"), ("body_off", "False")):
        sent = asyncio.run(send(bulb, switch["method"], switch["resource"], switch["headers"], switch[body]))
        assert sent[0] == 200
        status, text = asyncio.run(send(bulb, "get", switch["resource"], switch["headers"]))
        assert (status, rendered(switch["is_on_template"], value_json=json.loads(text))) == (200, want)


def test_the_sensors_entities_have_values():
    with api_process.running(product="sensor") as device:
        device.tell("change")
        values = polled(device, rest_blocks(SENSOR)[0])
        assert values == {"Cellar temperature": "22.5", "Cellar humidity": "40", "Cellar sensor battery": "80"}


def test_every_code_in_its_table_is_one_a_client_can_see():
    from latchkey_tools.cli import advice

    rows = re.findall(r"^\| (\d{3}) (.*?) \|", PAGE, re.M)
    assert rows
    for status, words in rows:
        for code in re.findall(r"`(\w+)`", words):
            assert advice.CODES[code][0] == int(status)
