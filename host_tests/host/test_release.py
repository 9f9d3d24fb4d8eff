"""`latchkey release`: what is built is what a board runs, what is signed fits the key, and a look sees damage."""

import base64
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from releases import pems, small, unpacked
from technician import Keyboard, key_set
from test_image import any_board  # noqa: F401  (a fixture)

import latchkey
from latchkey_tools.boards import build, catalog
from latchkey_tools.boards.release import release
from latchkey_tools.cli import advice
from latchkey_tools.image import partitions, recipe
from latchkey_tools.image.container import Download
from latchkey_tools.release import keys, manifest, payload

# Signs as a maker's program does, with the key file that it is given; beside that it says where it was called.
EMPTY = f"{hashlib.sha256().hexdigest()} 0 a.mpy\n\n".encode()
SIGNER = """
import sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
key = serialization.load_pem_private_key(open(sys.argv[1], "rb").read(), None)
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(key.sign(data, padding.PKCS1v15(), hashes.SHA256()))
"""


@pytest.fixture(scope="module")
def rsa_keys():
    return [rsa.generate_private_key(65537, 2048) for _ in range(2)]


@pytest.fixture
def maker(tmp_path, rsa_keys):
    """A maker at a keyboard, in whose folder are key files and a small payload; none of the keys is ever shown."""
    keyboard = Keyboard(tmp_path)
    keyboard.key, keyboard.public = pems(tmp_path, "release", rsa_keys[0])
    keyboard.other, keyboard.other_public = pems(tmp_path, "other", rsa_keys[1])
    keyboard.secrets += keyboard.key.read_text().splitlines()[1:-1]
    return keyboard


def part(text):
    return json.loads(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))


def test_a_release_of_files_is_what_the_board_runs(maker, tmp_path):
    members = maker.data("release", "build", "--board", "desk", "--version", "1.2.0", "-o", tmp_path / "x.payload")
    data = (tmp_path / "x.payload").read_bytes()
    files = release(catalog.board("desk"), "x64")
    listed = payload.listed(data)
    assert {name for name, *_ in listed} == files.keys()
    contents = {name: files[name].read_bytes() for name, *_ in listed}
    assert b"1.2.0" in unpacked(data)["latchkey/__init__.mpy"]
    assert unpacked(data) | {"latchkey/__init__.mpy": contents["latchkey/__init__.mpy"]} == contents
    assert json.loads((tmp_path / "x.json").read_text()) == members
    assert members["sha256"] == hashlib.sha256(data).hexdigest() and members["size"] == len(data)
    assert (members["product"], members["boards"], members["kind"]) == ("bulb", ["desk"], "files")
    assert members["room"] > 4096 * len(files) and members["room"] % 4096 == 0


def test_a_release_of_an_image_is_the_program_of_the_frozen_image(maker, any_board):  # noqa: F811
    (any_board / "boards/small/board_config.py").write_text('class Board:\n    product_name = "plug"\n')
    official, out = any_board / "official.bin", any_board / "plug.payload"
    words = ("release", "build", "--board", "small", "--version", "7", "-o", out)
    assert "give MicroPython's official one for esp32 with --image" in maker.run(*words).err
    raw = official.read_bytes()
    official.write_bytes(raw[:3] + b"\x10" + raw[4:])  # the header says that the flash has 2 MB
    done = maker.run(*words, "--image", official, "--unlisted")
    assert done.status == 1 and "one program slot" in done.err and not out.exists()
    official.write_bytes(raw)
    members = maker.data(*words, "--image", official, "--unlisted")
    named = any_board / "named.py"
    named.write_text(f'"""{latchkey.__doc__}"""\n\n__version__ = "7"\n')
    whole, _report = recipe.make("small", official, {"latchkey/__init__.py": named}, unlisted=True, version="7")
    _before, table, start = partitions.split(whole)
    assert table.slots == 2 and out.read_bytes() == whole[start:]
    assert Download(whole).app.made_from == b"latchkey 7 on v1.26.1"
    assert (members["kind"], members["product"]) == ("image", "plug")
    assert 0 <= members["room"] - members["size"] < 4096


def test_an_image_that_has_the_firmware_is_taken_as_it_is(maker, any_board):  # noqa: F811
    source = any_board / "latchkey.py"
    source.write_text("")
    official, own = any_board / "official.bin", any_board / "own.bin"
    words = ("--board", "small", "--unlisted", "--module", f"latchkey/__init__.py={source}")
    maker.ok("board", "image", *words, "--image", official, "--out", own)
    words = ("--board", "small", "--product", "plug", "--version", "7", "--image", own)
    maker.ok("release", "build", *words, "-o", any_board / "x.payload")
    assert own.read_bytes().endswith((any_board / "x.payload").read_bytes())


def test_a_signed_file_is_manifest_newline_payload_and_fits_the_key(maker, tmp_path, rsa_keys):
    path = small(tmp_path)
    for alg, digest in (("RS256", hashes.SHA256()), ("RS512", hashes.SHA512())):
        out = tmp_path / f"{alg}.latchkey"
        maker.ok("release", "sign", path, "--counter", 12, "--key", maker.key, "--alg", alg, "-o", out)
        line, _, data = out.read_bytes().partition(b"\n")
        head, members, signature = line.split(b".")
        assert data == path.read_bytes() and len(line) <= 2048
        assert part(head) == {"alg": alg, "typ": "latchkey-release"}
        assert part(members) == json.loads((tmp_path / "small.json").read_text()) | {"counter": 12}
        signature = base64.urlsafe_b64decode(signature + b"==")
        rsa_keys[0].public_key().verify(signature, head + b"." + members, padding.PKCS1v15(), digest)
        shown = maker.data("release", "show", out, "--public", maker.public)
        assert shown["fault"] is None and shown["signature"] is True and shown["manifest"]["version"] == "1.2.0"
    assert maker.spilt() == []


def test_a_signing_command_gets_the_bytes_on_its_standard_input_and_no_secret_is_an_argument(maker, tmp_path):
    (tmp_path / "hsm.py").write_text(SIGNER)
    path, (by_key, by_command) = small(tmp_path), (tmp_path / "a.latchkey", tmp_path / "b.latchkey")
    command = shlex.join([sys.executable, str(tmp_path / "hsm.py"), str(maker.key)])
    maker.ok("release", "sign", path, "--counter", 12, "--key", maker.key, "-o", by_key)
    words = ("release", "sign", path, "--counter", 12, "--sign-command", command, "-o", by_command)
    maker.ok(*words, "--public", maker.public)
    assert by_command.read_bytes() == by_key.read_bytes() and maker.spilt() == []
    by_command.unlink()
    done = maker.run(*words, "--public", maker.other_public)
    assert done.status == 1 and "not of the key in --public" in done.err and not by_command.exists()


@pytest.mark.parametrize(
    "command, words",
    [
        ("false", "ended with exit status 1"),
        ("echo short", "wrote 6 bytes, which is not a signature by RS256"),
        ("/nowhere/sign", "/nowhere/sign: No such file"),
        ("", "names no program"),
        ("yes", "wrote over 512 bytes"),
        ("sign 'it", "--sign-command sign 'it: No closing quotation"),
        ("sh -c 'kill -9 $$'", "was ended by signal 9"),
    ],
)
def test_a_signing_command_that_fails_writes_no_file(maker, tmp_path, command, words):
    out = tmp_path / "x.latchkey"
    done = maker.run("release", "sign", small(tmp_path), "--counter", 1, "--sign-command", command, "-o", out)
    assert done.status in (1, 2) and words in done.err and not out.exists()


def test_a_signing_command_that_hangs_is_ended(maker, tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "_SIGN_WITHIN_S", 0.2)
    out = tmp_path / "x.latchkey"
    words = ("release", "sign", small(tmp_path), "--counter", 1, "-o", out, "--sign-command")
    for command in ("sleep 60", "sh -c 'yes | head -c 200; exec sleep 60'", "sh -c 'exec >&-; exec sleep 60'"):
        done = maker.run(*words, command)
        assert done.status == 1 and "did not end within" in done.err and not out.exists(), done


def test_a_signing_command_may_leave_a_program_behind(maker, tmp_path):
    """As an agent that keeps the PIN: it holds the output open."""
    out = tmp_path / "x.latchkey"
    sign = f"sleep 60 & echo $! > {tmp_path}/pid; openssl dgst -sha256 -sign {maker.key}"
    words = ("release", "sign", small(tmp_path), "--counter", 1, "-o", out)
    words += ("--sign-command", shlex.join(["sh", "-c", sign]))
    try:
        assert maker.run(*words, "--public", maker.public).err == ""
        assert "nobody has checked the signature: give --public" in maker.run(*words).err
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("name", ["release.pem", "release.pub.pem", "small.payload", "small.json", "link"])
def test_a_file_that_is_read_is_not_overwritten(maker, tmp_path, name):
    path = small(tmp_path)
    (tmp_path / "link").symlink_to(maker.key)
    before = (tmp_path / name).read_bytes()
    how = ("--counter", 1, "--key", maker.key, "--public", maker.public)
    done = maker.run("release", "sign", path, *how, "-o", tmp_path / name)
    assert done.status == 1 and f"{name} is read by this command" in done.err
    assert (tmp_path / name).read_bytes() == before


def test_the_facts_do_not_overwrite_the_payload(maker, tmp_path):
    done = maker.run("release", "build", "--board", "desk", "--version", "1.2.0", "-o", tmp_path / "x.json")
    assert done.status == 1 and "x.payload" in done.err and not (tmp_path / "x.json").exists()


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(build.os, "getpid", lambda: 1)
    (tmp_path / "x.1.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="x.latchkey") as caught:
        build.write(tmp_path / "x.latchkey", b"x")
    assert caught.value.filename.endswith("x.latchkey") and list(tmp_path.iterdir()) == []


def test_one_of_key_and_command_signs(maker, tmp_path):
    words = ("release", "sign", small(tmp_path), "--counter", 1, "-o", tmp_path / "x.latchkey")
    for more in ((), ("--key", maker.key, "--sign-command", "true")):
        done = maker.run(*words, *more)
        assert done.status == 2 and "--sign-command" in done.err


def test_an_encrypted_key_is_asked_for_its_passphrase_at_the_terminal_only(maker, tmp_path, rsa_keys):
    lock = serialization.BestAvailableEncryption(b"planted-passphrase")
    key, _ = pems(tmp_path, "locked", rsa_keys[0], lock)
    maker.secrets.append("planted-passphrase")
    words = ("release", "sign", small(tmp_path), "--counter", 1, "--key", key, "-o", tmp_path / "x.latchkey")
    assert "there is no terminal to ask at; call this at one" in maker.run(*words).err
    for typed, expected in (
        ("", "nothing was typed"),
        ("wrong", "does not open"),
        ("planted-passphrase", r"bulb\s+1.2.0 for desk"),
    ):
        with maker.terminal(*words) as screen:
            screen.expect("not shown")
            screen.sendline(typed)
            screen.expect(expected)
    assert maker.spilt() == [] and (tmp_path / "x.latchkey").exists()


def test_keys_that_devices_do_not_take_are_refused_before_anything_is_signed(maker, tmp_path):
    path, out = small(tmp_path), tmp_path / "x.latchkey"
    short, short_public = pems(tmp_path, "short", rsa.generate_private_key(65537, 1024))
    curve, curve_public = pems(tmp_path, "curve", ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "none.pem").write_text("hunter2")
    for key, words in (
        (short, "1024 bits"),
        (curve, "is not an RSA key"),
        (tmp_path / "none.pem", "has no private key in PEM"),
        (maker.public, "has no private key in PEM"),
    ):
        done = maker.run("release", "sign", path, "--counter", 1, "--key", key, "-o", out)
        assert done.status == 1 and words in done.err and "hunter2" not in done.err and not out.exists()
    for public, words in (
        (short_public, "1024 bits"),
        (curve_public, "is not an RSA key"),
        (tmp_path / "none.pem", "has no public key in PEM"),
        (maker.key, "is a private key; make its public one: openssl"),
    ):
        done = maker.run("release", "new-key", public, "--counter", 1, "--key", maker.key, "-o", out)
        assert done.status == 1 and words in done.err and not out.exists()
    assert maker.spilt() == []


def test_a_key_that_others_can_read_is_told(maker, tmp_path):
    maker.key.chmod(0o644)
    words = ("release", "sign", small(tmp_path), "--counter", 1, "--key", maker.key, "-o", tmp_path / "x")
    assert f"chmod 600 {maker.key}" in maker.run(*words).err


def test_a_payload_without_the_words_that_belong_to_it_is_not_signed(maker, tmp_path):
    path = small(tmp_path)
    words = ("release", "sign", path, "--counter", 1, "--key", maker.key, "-o", tmp_path / "x.latchkey")
    path.write_bytes(path.read_bytes() + b"more")
    assert "does not describe" in maker.run(*words).err
    (tmp_path / "small.json").write_text("[]")
    assert "does not describe" in maker.run(*words).err
    assert maker.run(*words[:-4], "--counter", 0, *words[-4:]).status == 2
    assert not (tmp_path / "x.latchkey").exists()


def test_a_manifest_that_is_too_long_for_a_device_is_refused(maker, tmp_path):
    path = small(tmp_path, product="x" * 1500)
    done = maker.run("release", "sign", path, "--counter", 1, "--key", maker.key, "-o", tmp_path / "x")
    assert done.status == 1 and "a device takes 2048" in done.err and not (tmp_path / "x").exists()


def test_a_version_that_devices_do_not_take_is_refused(maker, tmp_path):
    for version in ("", "1 2", "v" * 33, "ä", "[/x]"):
        done = maker.run("release", "build", "--board", "desk", "--version", version, "-o", tmp_path / "x.payload")
        assert done.status == 1 and "such as 1.2.0" in done.err and not (tmp_path / "x.payload").exists()


def test_a_key_set_is_signed_with_the_domain_it_is_for(maker, tmp_path):
    (tmp_path / "jwks.json").write_text("\ufeff" + json.dumps(key_set()))
    words = ("release", "keys", tmp_path / "jwks.json", "--slug", "company-example", "--issuer", "https://a.example")
    maker.ok(*words, "--counter", 3, "--key", maker.key, "-o", tmp_path / "keys.latchkey")
    file = manifest.whole(tmp_path / "keys.latchkey", manifest.KEYS)
    assert json.loads(file.payload) == key_set() and manifest.is_of(file, keys.public(maker.public))
    assert file.members["slug"] == "company-example" and file.members["issuer"] == "https://a.example"
    shown = maker.ok("release", "show", tmp_path / "keys.latchkey")
    assert "a signed key set" in shown and "not checked" in shown and " UTC)" in shown
    for content, words_ in (("{}", "not a key set"), (" " * 8193, "a device takes 8,192")):
        (tmp_path / "jwks.json").write_text(content)
        done = maker.run(*words, "--counter", 3, "--key", maker.key, "-o", tmp_path / "y")
        assert done.status == 1 and words_ in done.err and "jwks.json" in done.err and not (tmp_path / "y").exists()


def test_a_new_release_key_is_a_manifest_alone(maker, tmp_path, rsa_keys):
    jwk = tmp_path / "new.json"
    jwk.write_text(json.dumps(keys.jwk(rsa_keys[1].public_key())))
    for new in (maker.other_public, jwk):
        out = tmp_path / "new.latchkey"
        maker.ok("release", "new-key", new, "--counter", 1, "--key", maker.key, "-o", out)
        assert out.read_bytes().endswith(b"\n") and out.read_bytes().count(b"\n") == 1
        file = manifest.whole(out, manifest.RELEASE_KEY)
        assert file.members == {"counter": 1, **{name: json.loads(jwk.read_text())[name] for name in "ne"}}
        assert keys.thumbprint(file.members) in maker.ok("release", "show", out)


def test_the_recovery_key_does_not_become_the_release_key(maker, tmp_path):
    out = tmp_path / "new.latchkey"
    done = maker.run("release", "new-key", maker.public, "--counter", 1, "--key", maker.key, "-o", out)
    assert done.status == 1 and "the new release key is the recovery key" in done.err and not out.exists()


def test_the_largest_key_fits_into_a_manifest():
    largest = rsa.RSAPublicNumbers((1 << 32) - 1, (1 << 4096) - 1).public_key()
    members = {"counter": manifest.MOST_COUNTER, **{name: keys.jwk(largest)[name] for name in "ne"}}
    assert manifest.signed(manifest.RELEASE_KEY, members, lambda data: bytes(512), "RS512").endswith(b"\n")


@pytest.mark.parametrize("cut", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:-1] + b"x", lambda b: b[:900]])
def test_a_look_sees_a_payload_that_is_not_whole(maker, tmp_path, cut):
    out = tmp_path / "x.latchkey"
    maker.ok("release", "sign", small(tmp_path), "--counter", 12, "--key", maker.key, "-o", out)
    out.write_bytes(cut(out.read_bytes()))
    done = maker.run("release", "show", out)
    assert done.status == 1 and "damaged: it" in done.out
    with pytest.raises(ValueError, match="get it again"):
        manifest.whole(out, manifest.RELEASE)


def test_a_look_says_whose_signature_it_is_not(maker, tmp_path):
    out = tmp_path / "x.latchkey"
    maker.ok("release", "sign", small(tmp_path), "--counter", 12, "--key", maker.key, "-o", out)
    done = maker.run("release", "show", out, "--public", maker.other_public)
    assert done.status == 1 and "not of that key" in done.out
    with pytest.raises(ValueError, match="is a release; give it to `latchkey device update`"):
        manifest.whole(out, manifest.KEYS)


def jws(head, members, end=b"\n"):
    return (
        b".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in (head, members)) + b".AA" + end
    )


RELEASE = {"product": "bulb", "boards": ["desk"], "kind": "files", "version": "1", "room": 1, "counter": 1}
RELEASE |= {"size": 0, "sha256": ""}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hunter2",
        b"\xff" * 5000,
        b"a.b.c\n",
        jws({"alg": "RS256", "typ": "JWT"}, {}),
        jws({"alg": "none", "typ": "latchkey-release-key"}, {"counter": 1, "n": "", "e": ""}),
        jws({"alg": "RS256", "typ": "latchkey-release-key"}, {"counter": True, "n": "", "e": ""}),
        jws({"alg": "RS256", "typ": "latchkey-release-key"}, {"counter": 1, "n": "", "e": ""}, b""),
        jws({"alg": "RS256", "typ": "latchkey-release-key"}, {"counter": 1, "n": "x" * 2048, "e": ""}),
        jws({"alg": "RS256", "typ": ["latchkey-release"]}, []),
        jws([], []),
        jws({"alg": "RS256", "typ": "latchkey-release"}, RELEASE | {"boards": [1]}),
        jws({"alg": "RS256", "typ": "latchkey-release"}, RELEASE).replace(b".AA", b".A+"),
        jws({"alg": "RS256", "typ": "latchkey-release"}, RELEASE).replace(b".AA", b".A!"),
        b".".join([base64.urlsafe_b64encode(b"[" * 1200), b"e30", b"AA"]) + b"\n",
    ],
)
def test_another_file_is_said_not_to_be_signed_here(maker, tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    done = maker.run("release", "show", tmp_path / "x")
    assert done.status == 1 and "x is not a file that `latchkey release` made" in done.err and "hunter2" not in done.err


@pytest.mark.parametrize(
    "name",
    ["release", "A.mpy", "../a.mpy", "/a.mpy", "a//b.mpy", "a/./b.mpy", "a.py", "a/b/c/d/e.mpy", "a" * 61 + ".mpy"],
)
def test_names_that_a_device_takes_no_file_of_are_refused(name):
    with pytest.raises(ValueError, match="a device takes no file called"):
        payload.need_name(name)
    digest = hashlib.sha256(b"x").hexdigest()
    with pytest.raises(ValueError):
        payload.listed(f"{digest} 1 {name}\n\nx".encode())


LISTS = [b"", b"\n\n", b"x\n\n", b"0" * 64 + b" 1 a.mpy\n\nx", b"0" * 64 + b" 01 a.mpy\n\nx", EMPTY]


@pytest.mark.parametrize("data", LISTS)
def test_a_list_that_is_none_is_refused(data):
    with pytest.raises(ValueError):
        payload.listed(data)


@pytest.mark.needs("openssl")
def test_the_lines_of_updates_md_make_the_files_that_it_names(maker, tmp_path, monkeypatch):
    blocks = re.findall(r"```(\w*)\n(.*?)```", (build.ROOT / "docs/updates.md").read_text(), re.S)
    typed = "\n".join(block for language, block in blocks if not language)
    lines = textwrap.dedent(typed).replace("\\\n", "").splitlines()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jwks.json").write_text(json.dumps(key_set()))
    (tmp_path / "release-2.pub.pem").write_bytes(maker.other_public.read_bytes())
    ran = []
    for words in filter(None, map(shlex.split, lines)):
        if words[0] == "openssl":
            # The recovery key without its passphrase.
            subprocess.run([word for word in words if word != "-aes256"], check=True, capture_output=True)
        elif words[:2] == ["latchkey", "release"]:
            maker.ok(*words[1:])
            ran.append(words[2])
        else:
            assert words[0] in ("latchkey", "export"), words
    assert ran == ["build", "sign", "show", "sign", "build", "sign", "new-key", "keys"]
    for name, public in (("sensor-1.2.0", "release"), ("new-key", "recovery"), ("keys", "release")):
        maker.ok("release", "show", f"{name}.latchkey", "--public", f"{public}.pub.pem")


def test_updates_md_says_every_reason_why_a_release_goes_back():
    text = (build.ROOT / "docs/updates.md").read_text()
    assert [reason for reason in advice.UPDATE_REASONS if f"`{reason}`" not in text] == []


@pytest.mark.parametrize("out", [".", "", "/"])
def test_an_output_without_a_name_is_refused(maker, out):
    done = maker.run("release", "build", "--board", "desk", "--version", "1", "-o", out)
    assert done.status == 1 and "--out names no file" in done.err


def test_an_unknown_list_in_a_manifest_is_shown(maker, tmp_path):
    (tmp_path / "x").write_bytes(jws({"alg": "RS256", "typ": "latchkey-release"}, RELEASE | {"more": [1, None]}))
    assert "more       1, None" in maker.run("release", "show", tmp_path / "x").out


def test_facts_or_a_key_that_nest_too_deep_are_refused(maker, tmp_path):
    path = small(tmp_path)
    (tmp_path / "small.json").write_text('{"a":' * 5000)
    (tmp_path / "deep.jwk").write_text('{"n":' * 5000)
    words = ("release", "sign", path, "--counter", 1, "--key", maker.key, "-o", tmp_path / "x")
    assert "small.json does not describe" in maker.run(*words).err
    small(tmp_path)
    assert "deep.jwk is not a JWK" in maker.run(*words, "--public", tmp_path / "deep.jwk").err
