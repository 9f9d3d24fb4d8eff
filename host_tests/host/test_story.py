"""The demo's story, told with amqtt on every machine: as it is, and with the clock unset."""

import pytest

from latchkey_tools.desk import demo


@pytest.mark.parametrize(
    "how",
    [{}, {"clock": "unset"}],
    ids=["as in make demo", "clock unset to the end"],
)
def test_every_step_of_the_story_is_as_expected(tmp_path, how):
    story = demo.Story(tmp_path, broker_kind="amqtt", say=lambda _text: None, **how)
    try:
        story.start()
        story.run()
        rows = [(row.step, row.what, row.seen) for row in story.rows if not row.ok]
        assert rows == [], story.desk.log_text()[-3000:]
        assert {row.step for row in story.rows} == set(range(1, 8))
        clock = story.tech.diagnostics(story.day)["clock"]
        assert clock["trusted"] is (how.get("clock") != "unset")
    finally:
        story.stop()
