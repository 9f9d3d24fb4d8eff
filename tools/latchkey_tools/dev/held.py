"""RAM that a bulb's device holds beside its modules, and that an upload adds to it, in 32-bit words, by device_held.py
and upload_held.py of host_tests/bench."""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from latchkey_tools.boards import build, provision
from latchkey_tools.dev import wasm
from latchkey_tools.release import keys, manifest
from latchkey_tools.sim import pki, signing

# The modules that a running bulb keeps, with all that these import.
MODULES = ["main", "program", "latchkey.cloud.link"]
HOST_TESTS = build.ROOT / "host_tests"
SYSTEM = "792b6149-1daa-488f-b07a-f684503b0586"
# Beside these the script imports its stand-ins of esp32, machine and network from shims/ and from the desk.
_STANDINS = ("_thread", "neopixel", "select", "socket", "ssl", "tls", "usocket")
_MACHINE_CODE = ("latchkey/montgomery.mpy", "latchkey/sha512_viper.mpy")
# The built-in modules of these names have more than the frozen ones, as on a chip.
_START = """
import sys
sys.path[:] = []
for name in ("binascii", "collections", "struct", "time"):
    sys.modules[name] = __import__(name)
sys.modules["ubinascii"], sys.modules["ustruct"] = sys.modules["binascii"], sys.modules["struct"]
sys.path[:] = %r + [".frozen"]
import os
os.chdir("/tmp")
import device_held
device_held.furnish(%r)
"""
_COLLECT = "import gc; gc.collect()"
_SAY = "print(gc.mem_alloc())"


def measure(files):
    """Bytes that the device of a bulb with ``files`` (name on the device to path here) holds beside its modules."""
    with tempfile.TemporaryDirectory() as scratch:
        image, data = Path(scratch) / "image", Path(scratch) / "data"
        _pack(files, Path(scratch) / "lib", image)
        data.mkdir()
        (data / "document.json").write_text(json.dumps(_document(Path(scratch) / "pki")))
        printed = _run(image, data, f"device_held.provision({str(data / 'document.json')!r})")
        (data / "flash.json").write_text(printed[-1])
        steps = [f"device_held.unpack({str(data / 'flash.json')!r})", "import " + ", ".join(MODULES)]
        printed = _run(image, data, *steps, _COLLECT, _SAY, "device_held.start()", _COLLECT, _SAY)
    if "started: ready" not in printed:
        raise build.BuildError(f"the device is not ready: {printed}")
    imported, running = [int(line) for line in printed if line.isdigit()]
    return running - imported


def uploading(files, kind):
    """Bytes that an upload of a release of ``kind`` takes while it waits for its next piece."""
    with tempfile.TemporaryDirectory() as scratch:
        image, data = Path(scratch) / "image", Path(scratch) / "data"
        _pack(files, Path(scratch) / "lib", image)
        shutil.copytree(HOST_TESTS / "vectors", data / "vectors")
        (data / "release.mpy").write_bytes(_release(kind))
        begin = f"upload_held.begin({str(data / 'release.mpy')!r}, {kind!r})"
        steps = [f"import os; os.chdir({str(data)!r}); import upload_held; {begin}"]
        steps += [_COLLECT, _SAY, "upload_held.upload()", _COLLECT, _SAY]
        before, during = [int(line) for line in _run(image, data, *steps)]
    return during - before


def _release(kind):
    """A release file, signed with the key of the tests."""
    payload = bytes(20000)
    if kind == "files":
        line = f"{hashlib.sha256(payload).hexdigest()} {len(payload)} latchkey/api/handlers.mpy\n\n"
        payload = line.encode() + payload
    members = {"product": "bulb", "boards": ["desk"], "kind": kind, "version": "1", "counter": 1, "room": 45056}
    text = json.loads((HOST_TESTS / "vectors" / "test_keys.json").read_text())[0]
    key = serialization.load_pem_private_key(text.encode(), None)
    sign = keys.signer(key, "RS256")
    return manifest.signed(manifest.RELEASE, members | manifest.described(payload), sign, "RS256", payload)


def _run(image, data, *steps):
    folders = [*(HOST_TESTS / name for name in ("bench", "shims", "fakes")), build.BOARDS / "desk" / "standins", data]
    start = _START % (["/rom", *map(str, folders)], _STANDINS)
    done = wasm.run(start, *steps, folders=folders, romfs=image)
    if done.returncode:
        raise build.BuildError(f"the device was not measured: {(done.stdout + done.stderr).strip()[-500:]}")
    return done.stdout.splitlines()


def _pack(files, folder, image):
    for name, path in files.items():
        if name not in _MACHINE_CODE:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / name)
    # This interpreter runs no machine code.
    build.compile_file(
        build.FIRMWARE / "latchkey/sha512_plain.py", folder / "latchkey/sha512_plain.mpy", "x64", "sha512_plain.py"
    )
    wasm.make_romfs(folder, image)


def _document(folder):
    """A System with certificates for the broker and for HTTPS, a key set of one key, and Wi-Fi."""
    made = pki.make(folder, "company-example", SYSTEM)
    wifi = {"ssid": "cellar", "passphrase": "a passphrase"}
    config = provision.config(
        SYSTEM, "company-example", "broker.example", 8883, "https://company-example.api.drivr.cloud",
        name="Cellar light", wifi={"ssid": wifi["ssid"]},
    )  # fmt: skip
    kid, key = signing.new_key()
    key_set = {"keys": [signing.jwk(kid.removeprefix(signing.KID_PREFIX), key)]}
    return provision.document(config, made.ca, made.device, key_set, wifi, "on the label")
