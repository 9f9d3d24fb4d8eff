"""Every page: its links lead somewhere, its commands exist, its blocks parse, and it says whom it is for."""

import json
import re
import shlex
import tomllib

import pages
import pytest
import typer
import yaml

from latchkey_tools.cli import main
from latchkey_tools.dev import clidocs

ALL = pages.pages()
LONGEST = 100
# typer brings a click of its own.
UsageError = typer.BadParameter.__bases__[0]
ROOT_COMMAND = typer.main.get_command(main.app)
# Written by the help of the commands, which has other rules (test_cli_docs).
GENERATED = {clidocs.TARGET}
each = pytest.mark.parametrize("page", ALL, ids=[path.relative_to(pages.ROOT).as_posix() for path in ALL])


def without_blocks(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)


def anchors(path):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)", without_blocks(path.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each
def test_its_links_lead_somewhere(page):
    broken = []
    text = page.read_text()
    pictures = [(target, "") for target in re.findall(r'src="(?!https?:)([^"]+)', text)]
    for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#]*)(?:#([^)]+))?\)", text) + pictures:
        path = page.parent / target if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


@each
def test_it_says_first_whom_it_is_for(page):
    first = without_blocks(page.read_text()).split("\n\n")[1:4]
    if page.parent == pages.ROOT and page.name != "CHANGELOG.md":
        return
    assert any(re.match(r"(This page is for|For)\b", paragraph) for paragraph in first), first


@each
def test_its_lines_are_not_longer_than_a_hundred_characters(page):
    # A row of a table and an address cannot be broken.
    lines = [line for line in without_blocks(page.read_text()).splitlines() if line[:1] != "|" and "http" not in line]
    if (
        page not in GENERATED
        and page.parent.name != "host_tests"
        and (page.parent != pages.ROOT or "CHANGE" in page.name)
    ):
        assert [line for line in lines if len(line) > LONGEST] == []


def typed(page):
    """Every `latchkey` command of a page: in blocks, indented, and in its sentences."""
    text = page.read_text().replace("\\\n", " ")
    blocks = "\n".join(re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.S | re.M))
    blocks += "\n".join(re.findall(r"^ {4}(latchkey .*)", text, re.M))
    yield from re.findall(r"^(?:\$ )?(?:\.venv/bin/)?(latchkey .+)", blocks, re.M)
    yield from re.findall(r"`(?:\.venv/bin/)?(latchkey [^`]+)`", without_blocks(text))


def fault(line):
    """Why the tools would not take the command ``line``, or None. Arguments and values may be missing."""
    words = shlex.split(re.split(r"\s#|\s[|>&]", line)[0].replace("...", ""))[1:]
    command, context = ROOT_COMMAND, None
    while hasattr(command, "commands") and words:
        if words[0].startswith("--") and "pack" not in command.commands:
            break
        # As it reads them: `latchkey trip SYSTEM` is `latchkey trip pack SYSTEM`.
        words = words if words[0] in command.commands or "pack" not in command.commands else ["pack", *words]
        if words[0] not in command.commands:
            return f"{line}: there is no {words[0]}"
        context = command.make_context(words[0], [], parent=context, resilient_parsing=True)
        command = command.commands[words.pop(0)]
    context = command.make_context(command.name, [], parent=context, resilient_parsing=True)
    parser = command.make_parser(context)
    context.resilient_parsing = False
    for argument in parser._args:
        argument.obj.required = False
    try:
        parser.parse_args(words)
    except UsageError as exc:
        said = exc.format_message()
        return None if "requires an argument" in said else f"{line}: {said}"
    return None


@each
def test_its_commands_are_those_of_the_tools(page):
    assert [wrong for wrong in map(fault, typed(page)) if wrong] == []


def test_commands_that_are_not_there_are_found():
    assert fault("latchkey bord flash") and fault("latchkey pair --stat HOST") and fault("latchkey device --ca")
    assert fault("latchkey board flash --board esp32-bulb") is None


def yaml_of_home_assistant(text):
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!secret", lambda _loader, node: node.value)
    return yaml.load(text, loader)


READERS = {
    "python": lambda text: compile(text, "block", "exec", dont_inherit=True),
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml_of_home_assistant,
}


@each
def test_its_blocks_parse(page):
    for block in pages.blocks(page):
        if block.language == "python" and block.text.startswith("    "):
            compile("class Product:\n" + block.text, f"{page.name}:{block.line}", "exec")
        elif block.language in READERS:
            READERS[block.language](block.text)
        else:
            assert block.language in ("", "sh", "mermaid"), f"{page.name}:{block.line}: {block.language}"
