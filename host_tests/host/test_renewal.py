"""A new client certificate over the serial cable is kept only if the broker takes it; else the old one stays."""

import base64

import pytest
from brokers import KINDS
from renewing import attempt, ends, online

from latchkey_tools.desk import demo
from latchkey_tools.sim import pki


@pytest.fixture(scope="module", params=KINDS)
def story(tmp_path_factory, request):
    with online(tmp_path_factory.mktemp("renewal"), request.param) as made:
        yield made


def document(identity):
    paths = (("cert_der", identity.cert_der), ("key_der", identity.key_der))
    return {name: base64.b64encode(path.read_bytes()).decode() for name, path in paths}


def test_one_that_the_broker_refuses_is_dropped_and_the_old_one_serves_on(story):
    other_ca = pki.make(story.folder / "elsewhere").ca
    stranger = pki.client(story.folder / "elsewhere", other_ca, "stranger", demo.SYSTEM)
    story.desk.renew(document(stranger))
    ends(story, lambda: attempt(story) not in ("running", "no answer", "kept"), True)
    ends(story, story.link_state, "online")
    story.desk.restart()
    ends(story, story.link_state, "online")
    assert attempt(story) is None


def test_one_that_the_broker_takes_is_kept_over_a_power_cut(story):
    fresh = pki.client(story.pki.folder, story.pki.ca, "renewed", demo.SYSTEM)
    before = story.tech.diagnostics(story.day)["cloud"]["cert_not_after"]
    story.desk.renew(document(fresh))
    ends(story, lambda: attempt(story), "kept")
    # At once, without a restart.
    ends(story, lambda: story.tech.diagnostics(story.day)["cloud"]["cert_not_after"] > before, True)
    story.desk.restart()
    ends(story, story.link_state, "online")
    assert attempt(story) is None
    assert story.tech.diagnostics(story.day)["cloud"]["cert_not_after"] > before


def test_a_key_that_is_none_is_refused_over_the_cable(story):
    with pytest.raises(Exception, match="key_der"):
        story.desk.renew({"cert_der": "MAA=", "key_der": "AAAA"})
