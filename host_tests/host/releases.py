"""A maker for tests: releases of the desk's own firmware, some of which do not work, signed with a key of ours."""

import hashlib
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from technician import SYSTEM

from latchkey_tools.boards import build, catalog, provision
from latchkey_tools.release import keys, manifest
from latchkey_tools.release import payload as payload_
from latchkey_tools.sim import pki

PEM = serialization.Encoding.PEM
PLAIN = serialization.NoEncryption()


def pems(folder, name, key, lock=PLAIN):
    """(private, public) PEM files of a key."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, lock))
    private.chmod(0o600)
    public.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


class Maker:
    """Two keys of 2048 bits, and what they sign."""

    def __init__(self):
        self.release, self.recovery = (rsa.generate_private_key(65537, 2048) for _ in range(2))

    def update_keys(self):
        """As a provisioning document has them."""
        both = (("release", self.release), ("recovery", self.recovery))
        return {name: keys.jwk(key.public_key()) for name, key in both}

    def provisioning(self, folder, key_set, system=SYSTEM, issuer=None, updates="presence"):
        """The document of a device for which there is no broker."""
        made = pki.make(folder / f"pki-{system}", "company-example", system)
        policy = {"updates": updates}
        config = provision.config(system, "company-example", "localhost", 1, issuer, dev=True, policy=policy)
        return provision.document(config, made.ca, made.device, key_set, update_keys=self.update_keys())

    def sign(self, data):
        return self.release.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def file(self, payload, version, counter, kind="files"):
        """The bytes of a release file."""
        members = {"product": "bulb", "boards": ["desk"], "kind": kind, "version": version, "counter": counter}
        members |= {**manifest.described(payload), "room": payload_.room(kind, payload)}
        return manifest.signed(manifest.RELEASE, members, self.sign, "RS256", payload)


def files_of(version):
    """Name to bytes of the desk's own firmware, which calls itself ``version``."""
    return unpacked(payload_.of_board(catalog.board("desk"), version))


def unpacked(payload):
    """Name to bytes of what is in a payload of files."""
    content = payload.partition(b"\n\n")[2]
    files = {}
    for name, size, _digest in payload_.listed(payload):
        files[name], content = content[:size], content[size:]
    return files


def with_main(files, source, folder):
    """The same with ``source`` as its main, which finds the real one as ``real``."""
    path = folder / "new_main.py"
    path.write_text(source)
    build.compile_file(path, path.with_suffix(".mpy"), "x64", "main")
    return files | {"real.mpy": files["main.mpy"], "main.mpy": path.with_suffix(".mpy").read_bytes()}


def payload(files):
    """The payload of ``files``: name to bytes."""
    lines = [f"{hashlib.sha256(data).hexdigest()} {len(data)} {name}\n" for name, data in files.items()]
    return "".join([*lines, "\n"]).encode() + b"".join(files.values())


def small(folder, files=None, **changes):
    """A payload of files, with what says what it is beside it; its path."""
    data = payload({"main.mpy": b"M" * 5000, "latchkey/page.gz": b"P"} if files is None else files)
    facts = {"product": "bulb", "boards": ["desk"], "kind": "files", "version": "1.2.0", "room": 3 * 4096}
    facts |= manifest.described(data) | changes
    (folder / "small.payload").write_bytes(data)
    (folder / "small.json").write_text(json.dumps(facts))
    return folder / "small.payload"
