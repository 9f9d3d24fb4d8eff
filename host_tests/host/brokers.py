"""The brokers that tests run over: amqtt always, mosquitto where it is installed."""

import pytest

from needs import needs

KINDS = ["amqtt", pytest.param("mosquitto", marks=needs("mosquitto"))]
