"""docs/makers.md: its openssl lines make files that provisioning takes, and its table of boards is true."""

import re
import subprocess

import pages
import pytest
from pages import table_rows
from technician import SYSTEM

from latchkey_tools.boards import catalog, certificate
from latchkey_tools.device.local_api import local_name
from needs import needs

PAGE = pages.ROOT / "docs/makers.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder in which every line of the page's shell blocks has run, in their order."""
    folder = tmp_path_factory.mktemp("certificates")
    lines = [block.text for block in pages.blocks(PAGE) if block.language == "sh"]
    assert len(lines) == 3
    for text in lines:
        done = subprocess.run(["sh", "-e"], input=text, cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    return folder


@needs("openssl")
def test_provisioning_takes_what_the_openssl_lines_make(made):
    assert certificate.authority(made / "ca.pem")
    assert certificate.pair(made / "device.pem", made / "device.key")["cert_der"]
    https = certificate.https_pair(made / "https.pem", made / "https.key", local_name(SYSTEM))
    assert https["https_cert_der"]


@needs("openssl")
def test_the_lines_make_nothing_that_passes_for_another_thing(made):
    with pytest.raises(ValueError, match="not that of an authority"):
        certificate.authority(made / "device.pem")
    with pytest.raises(ValueError):
        certificate.pair(made / "https.pem", made / "https.key")
    with pytest.raises(ValueError):
        certificate.https_pair(made / "device.pem", made / "device.key", local_name(SYSTEM))
    with pytest.raises(ValueError):
        certificate.https_pair(made / "https.pem", made / "https.key", local_name("1" + SYSTEM[1:]))


def test_the_table_of_boards_says_what_each_takes():
    rows = table_rows(PAGE.read_text(), "| board | way | why |")
    found = {re.search(r"\[([\w-]+)\]", row[0])[1]: row[1] for row in rows}
    assert found == {name: catalog.board(name).takes for name in catalog.names()}
