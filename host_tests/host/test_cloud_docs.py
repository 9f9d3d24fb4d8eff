"""docs/cloud.md names every reason that the link can give, and no other."""

import re
from pathlib import Path

from pages import table_rows

from latchkey.cloud import reasons

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware/latchkey"
SOURCES = [path for folder in ("cloud", "net", "hw") for path in (FIRMWARE / folder).glob("*.py")]
# Reported as the state, never as a reason.
NO_REASON = {"stopped"}


def test_every_reason_is_in_the_table_and_every_row_is_a_reason():
    rows = table_rows((ROOT / "docs/cloud.md").read_text(), "| reason |")
    assert all(len(row) == 3 and all(row) for row in rows)
    documented = {row[0].strip("`") for row in rows}
    text = "\n".join(path.read_text() for path in SOURCES)
    raised = set(re.findall(r'LinkError\("(\w+)"', text)) | {reason for _, reason in reasons._TLS_WORDS}
    assert raised - NO_REASON <= documented
    assert documented <= set(re.findall(r'"(\w+)"', text))
