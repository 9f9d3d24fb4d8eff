"""The brokers that tests run over: amqtt always, mosquitto where it is; where CI is set a missing one fails."""

import os

import pytest

from latchkey_tools import broker

MISSING = not broker.find_mosquitto() and not os.environ.get("CI")
NOT_RUN = pytest.mark.skipif(MISSING, reason="not run: mosquitto is not installed")
KINDS = ["amqtt", pytest.param("mosquitto", marks=NOT_RUN)]
