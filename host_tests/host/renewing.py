"""A device that is online at its broker, beside the simulator whose authority the broker trusts: for renewals."""

import contextlib

from latchkey_tools.desk import demo


@contextlib.contextmanager
def online(folder, broker_kind=None):
    """A demo.Story whose device is online; its token is ``story.day``."""
    story = demo.Story(folder, broker_kind=broker_kind, say=lambda _text: None)
    try:
        story.start()
        story.desk.provision(story.provisioning())
        story.day = story.make(demo.SHORT_LIVED, "createLocalApiToken")
        story.expect("the cloud link", "online", story.link_state, within_s=15)
        yield story
    finally:
        story.stop()


def attempt(story):
    """The device's report of its attempt."""
    seen = story.tech.diagnostics(story.day)
    return seen["cloud"]["attempt"] if seen else "no answer"


def ends(story, call, expected):
    """Wait until ``call()`` gives ``expected``."""
    story.expect("", expected, call, within_s=30)
    assert story.rows[-1].ok, (story.rows[-1].seen, story.desk.log_text()[-2000:])
