"""The documents agree with the code."""

import re

from pages import ROOT, table_rows


def test_the_readme_leads_to_every_page():
    linked = set(re.findall(r"\]\((docs/[\w.-]+)", (ROOT / "README.md").read_text()))
    assert sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").iterdir() if path.is_file()) == sorted(linked)


def test_the_glossary_has_twenty_words_in_order():
    words = [row[0] for row in table_rows((ROOT / "docs/glossary.md").read_text(), "| word | means |")]
    assert len(words) == 20 and words == sorted(words, key=str.lower)


def test_every_line_of_differences_md_names_a_test_that_exists():
    text = (ROOT / "docs/differences.md").read_text()
    rows = table_rows(text, "| what |")
    assert rows
    for row in rows:
        file, _, name = row[-1].strip("`").partition("::")
        path = ROOT / "host_tests" / file
        assert path.exists(), row
        assert f"def {name}(" in path.read_text(), row


def test_what_is_refused_beyond_other_libraries_stands_in_protocol_md():
    import test_differential_jws

    text = (ROOT / "docs/protocol.md").read_text()
    listed = text.split("although one of them accepts it:\n\n", 1)[1].split("\n\n", 1)[0]
    assert {line.removeprefix("- ") for line in listed.splitlines()} == set(test_differential_jws.REFUSED_BEYOND)
