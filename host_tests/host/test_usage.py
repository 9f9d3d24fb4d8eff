"""Wrong command lines: the last lines name what is missing or wrong as it was typed, and what is expected."""

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric import ec
from releases import pems, small
from technician import SYSTEM, Keyboard, Stub, device, make_token

from latchkey_tools.dev import clidocs

# Of typer, click and pydantic.
LIBRARY = ("Error:", "Invalid value", "Missing argument", "Missing option", "No such", "requires an argument", "Input ")
LIBRARY += ("Value error", "unexpected extra", "is not one of", "parse string", "or equal to", "File exists")

WRONG = {
    "device update 192.0.2.1": "FILE is missing",
    "device update FILE": "HOST is missing",
    "device update": "HOST and FILE are missing",
    "device set": "HOST and NAME=VALUE are missing",
    "release sign": "FILE.payload, --counter and --out are missing",
    "release sign x --counter x": "--counter x: write a whole number from 1 to 2147483647",
    "release sign x --counter 0": "--counter 0: write a whole number from 1 to 2147483647",
    "release sign x --counter 1.5": "--counter 1.5: write a whole number",
    "release sign x --counter 2147483648": "--counter 2147483648: write a whole number",
    "release sign x --alg ES256": "--alg ES256: write RS256 or RS512",
    "release sign x --counter": "--counter needs a value after it",
    "release sign x --publik": "there is no option --publik; did you mean --public?",
    "release sign x --zzz": "there is no option --zzz; leave it out",
    "release sing": "there is no command sing; did you mean sign?",
    "zzz": "there is no command zzz; see the help",
    "device info a b c": "b c is not expected here",
    "device info --json=3": "--json takes no value",
    "vboard --hurry 0": "--hurry 0: write a whole number from 1",
    "token create x": "SYSTEM: x is not a System UUID",
}


@pytest.fixture
def tech(tmp_path):
    (tmp_path / "file").write_text("x")
    return Keyboard(tmp_path)


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_reported_in_words_of_its_own(tech, line):
    done = tech.run(*line.replace("FILE", str(tech.folder / "file")).split())
    assert done.status == 2 and f"latchkey: {WRONG[line]}" in done.err, done
    assert not [words for words in LIBRARY if words in done.err]


def typed_options():
    """(words of the command, its option) of every option that takes a number or one of a few words."""
    root = typer.main.get_command(clidocs.main.app)
    for command, words in clidocs._commands(root, ["latchkey"]):
        for one in [] if hasattr(command, "commands") else command.params:
            if one.type_descriptor.choices or one.type_descriptor.annotation in (int, float):
                yield words[1:], one


def test_every_option_of_a_type_says_what_it_takes(tech):
    found = list(typed_options())
    assert len(found) > 15
    for words, option in found:
        done = tech.run(*words, option.opts[0], "zz9", *(["x"] * (words[-1] == "update") * 2))
        assert done.status == 2 and f"latchkey: {option.opts[0]} zz9: write " in done.err, done


def test_a_variable_in_place_of_an_argument_leaves_the_other_one_missing(tech):
    assert "latchkey: FILE is missing" in tech.run("device", "update", LATCHKEY_HOST="192.0.2.1").err


FOLDERS = {
    "vboard --folder": "FILE",
    "sim run --folder": "FILE",
    "sim keys --folder": "FILE",
    f"sim list {SYSTEM} --folder": "FILE",
    "release build --board desk --version 1 -o": "FILE/x.payload",
}


@pytest.mark.parametrize("below", ["", "/below"])
@pytest.mark.parametrize("line", FOLDERS)
def test_a_file_in_the_place_of_a_folder_is_said_to_be_one(tech, line, below):
    file = str(tech.folder / "file")
    done = tech.run(*line.split(), FOLDERS[line].replace("FILE", file + below))
    assert done.status == 1 and file in done.err, done
    assert "a file is in the place of a folder; name another folder" in done.err


@pytest.mark.parametrize("mode", [0o600, 0o644])
@pytest.mark.parametrize("words", ["token list", "label list", "trip check", "token import -"])
def test_a_wallet_that_is_a_file_is_said_to_be_one(tech, words, mode):
    (tech.folder / "file").chmod(mode)
    done = tech.run(*words.split(), LATCHKEY_WALLET=str(tech.folder / "file"), given=make_token())
    assert done.status == 1 and done.err.endswith("file: a file is in the place of a folder; name another folder\n")


@pytest.mark.parametrize(
    "words",
    [
        "label import FILE",
        "device state URL --token-file FILE",
        "pair URL --ssid Home --passphrase-file FILE",
        "release sign PAYLOAD --counter 1 --key FILE -o out",
    ],
)
def test_a_refused_file_is_not_said_to_be_open_to_others_too(tech, words):
    # Too short for a passphrase, and not RSA.
    elliptic = pems(tech.folder, "key", ec.generate_private_key(ec.SECP256R1()))[0]
    file = elliptic if "--key" in words else tech.folder / "file"
    file.chmod(0o644)
    with Stub(device()) as stub:
        named = {"FILE": file, "URL": stub.url, "PAYLOAD": small(tech.folder)}
        done = tech.run(*(named.get(word, word) for word in words.split()))
    assert done.status and "others can read" not in done.err and done.err.startswith("latchkey: "), done


def test_a_command_to_copy_has_quotes_around_a_path_with_blanks(tech):
    folder = tech.folder / "my w\u00e4llet"
    folder.mkdir()
    folder.chmod(0o755)
    assert f"`chmod 700 '{folder}'`" in tech.run("token", "list", LATCHKEY_WALLET=str(folder)).err
