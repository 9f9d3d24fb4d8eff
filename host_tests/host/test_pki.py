"""The desk's certificate authority: right certificates, private files, and each flaw that tests ask for."""

import base64
import datetime
import os
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from latchkey_tools.boards import certificate
from latchkey_tools.sim import pki

USAGES = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
USAGES = (*USAGES.split(), "encipher_only", "decipher_only")
HOST = "latchkey-792b6149.local"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki") / "certs", "company-example", "792b6149-1daa-488f-b07a-f684503b0586")


def loaded(identity):
    return x509.load_pem_x509_certificate(identity.cert_pem.read_bytes())


def test_every_file_is_private(desk):
    modes = {stat.S_IMODE(path.stat().st_mode) for path in desk.folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(desk.folder.stat().st_mode) == 0o700


def test_the_ca_signed_all_three_and_the_device_is_named_by_its_system(desk):
    for identity in (desk.broker, desk.device, desk.simulator):
        loaded(identity).verify_directly_issued_by(loaded(desk.ca))
    assert "792b6149-1daa-488f-b07a-f684503b0586" in loaded(desk.device).subject.rfc4514_string()


def test_der_and_pem_hold_the_same_certificate_and_key(desk):
    der = {"cert_der": desk.device.cert_der.read_bytes(), "key_der": desk.device.key_der.read_bytes()}
    expected = {name: base64.b64encode(content).decode() for name, content in der.items()}
    assert certificate.pair(desk.device.cert_pem, desk.device.key_pem) == expected
    assert certificate.pair(desk.device.cert_der, desk.device.key_der) == expected


def signed(folder, key, names=(), authority=False, usages=(), purposes=()):
    """Paths of a self-signed certificate and its key; ``usages``: of KeyUsage."""
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "latchkey")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
    made = made.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if usages:
        said = {name: name in usages for name in USAGES}
        made = made.add_extension(x509.KeyUsage(**said), critical=True)
    if purposes:
        made = made.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    (folder / "cert").write_bytes(made.sign(key, digest).public_bytes(serialization.Encoding.PEM))
    form, how = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, how))
    return folder / "cert", folder / "key"


def test_a_file_with_more_in_it_gives_what_was_asked_for(desk, tmp_path):
    cert, key = desk.device.cert_pem.read_bytes(), desk.device.key_pem.read_bytes()
    above = "Bag Attributes\n    friendlyName: Käfer\n".encode("latin-1")
    files = (cert, key + cert), (cert, cert + key), (above + cert, above + key)
    for number, (cert_file, key_file) in enumerate(files):
        (tmp_path / f"cert{number}").write_bytes(cert_file)
        (tmp_path / f"key{number}").write_bytes(key_file)
        made = certificate.pair(tmp_path / f"cert{number}", tmp_path / f"key{number}")
        assert made == certificate.pair(desk.device.cert_der, desk.device.key_der)
    (tmp_path / "ca").write_bytes(above + desk.ca.cert_pem.read_bytes())
    ca_der = base64.b64encode(desk.ca.cert_der.read_bytes()).decode()
    assert certificate.authority(tmp_path / "ca") == certificate.authority(desk.ca.cert_der) == ca_der


def test_only_the_certificate_of_an_authority_is_one(desk, tmp_path):
    (tmp_path / "bundle").write_bytes(desk.ca.cert_pem.read_bytes() * 2)
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 8192)
    names = ["x" * 60 + f"{n}.example" for n in range(60)]
    big = signed(tmp_path, ec.generate_private_key(ec.SECP256R1()), names, authority=True)[0]
    for path, words in (
        (desk.ca.key_pem, "no single certificate"),
        (desk.ca.key_der, "no single certificate"),
        (tmp_path / "noise", "no single certificate"),
        (tmp_path / "bundle", "no single certificate"),
        (desk.device.cert_pem, "not that of an authority"),
        (big, "as DER, and a device takes 4096"),
    ):
        with pytest.raises(ValueError, match=words):
            certificate.authority(path)


def first_version(cert_path, key):
    """The same certificate as X.509 version 1 has it (RFC 5280, 4.1): without [0] version and [3] extensions."""
    whole = x509.load_pem_x509_certificate(cert_path.read_bytes()).public_bytes(serialization.Encoding.DER)
    body, algorithm, _signature = members(whole)
    kept = b"".join(part for part in members(body) if part[0] not in (0xA0, 0xA3))
    body = element(0x30, kept)
    signature = key.sign(body, ec.ECDSA(hashes.SHA256()))
    cert_path.write_bytes(element(0x30, body + algorithm + element(0x03, b"\0" + signature)))
    return cert_path


def members(der):
    """The elements inside an element of DER."""
    inside, found = der[2 + (der[1] & 0x7F if der[1] & 0x80 else 0) :], []
    while inside:
        more = inside[1] & 0x7F if inside[1] & 0x80 else 0
        length = int.from_bytes(inside[2 : 2 + more]) if more else inside[1]
        found.append(inside[: 2 + more + length])
        inside = inside[2 + more + length :]
    return found


def element(tag, inside):
    count = len(inside)
    length = bytes((count,)) if count < 128 else bytes((0x81, count)) if count < 256 else b"\x82" + count.to_bytes(2)
    return bytes((tag,)) + length + inside


def test_a_certificate_of_version_1_is_an_authority_only_if_it_signed_itself(tmp_path):
    """A device's mbedtls trusts such a root."""
    own, others = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = first_version(signed(tmp_path, own)[0], own)
    assert x509.load_der_x509_certificate(root.read_bytes()).version is x509.Version.v1
    assert base64.b64decode(certificate.authority(root)) == root.read_bytes()
    leaf = first_version(signed(tmp_path, own)[0], others)
    with pytest.raises(ValueError, match="cert is X.509 version 1 and not self-signed.*Give the certificate of the "):
        certificate.authority(leaf)


def test_an_authority_may_sign_and_its_key_is_long_enough(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    assert certificate.authority(signed(tmp_path, key, authority=True, usages=("key_cert_sign",))[0])
    with pytest.raises(ValueError, match="cert may not sign others .its keyUsage has no keyCertSign"):
        certificate.authority(signed(tmp_path, key, authority=True, usages=("digital_signature",))[0])
    with pytest.raises(ValueError, match="an RSA key of 1024 bits; a device takes 2048 or more"):
        certificate.authority(signed(tmp_path, rsa.generate_private_key(65537, 1024), authority=True)[0])


def test_the_certificate_for_https_names_the_device(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    assert certificate.https_pair(*signed(tmp_path, key, ("cellar.example", HOST.upper())), HOST)["https_cert_der"]
    for names, words in (((), "it has none"), (("latchkey-11111111.local",), "it has latchkey-11111111.local")):
        with pytest.raises(ValueError, match=rf"cert is not for {HOST}: .*{words}.*Have one made with DNS:{HOST}"):
            certificate.https_pair(*signed(tmp_path, key, names), HOST)


@pytest.mark.parametrize(
    "purposes, usages, client, server",
    [
        ((), (), True, True),
        ((Purpose.CLIENT_AUTH,), (), True, False),
        ((Purpose.SERVER_AUTH,), (), False, True),
        ((Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH), ("digital_signature",), True, True),
        ((Purpose.ANY_EXTENDED_KEY_USAGE,), (), True, False),
        ((), ("key_encipherment",), False, False),
    ],
)
def test_a_certificate_is_for_what_it_shall_be_used_for(tmp_path, purposes, usages, client, server):
    paths = signed(tmp_path, ec.generate_private_key(ec.SECP256R1()), (HOST,), usages=usages, purposes=purposes)
    for good, read, more in ((client, certificate.pair, ()), (server, certificate.https_pair, (HOST,))):
        if good:
            assert read(*paths, *more)
        else:
            with pytest.raises(ValueError, match=r"cert is not for .*(clientAuth|serverAuth|digitalSignature)"):
                read(*paths, *more)


def test_a_pair_that_no_device_could_use_is_refused(desk, tmp_path):
    with pytest.raises(ValueError, match="takes RSA and EC keys"):
        certificate.pair(*signed(tmp_path, ed25519.Ed25519PrivateKey.generate()))
    for kind, words in (("expired", "has expired"), ("not_yet_valid", "is not valid yet")):
        flawed = pki.wrong(desk, kind)
        with pytest.raises(ValueError, match=words):
            certificate.pair(flawed.cert_pem, flawed.key_pem)


def test_load_finds_what_make_left(desk):
    assert pki.load(desk.folder) == desk


def test_load_of_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="pki.make"):
        pki.load(tmp_path)


def test_each_wrong_certificate_has_its_own_flaw(desk):
    now = datetime.datetime.now(datetime.UTC)
    expired, early, misnamed, foreign = (
        loaded(pki.wrong(desk, k)) for k in ("expired", "not_yet_valid", "wrong_name", "wrong_ca")
    )
    assert expired.not_valid_after_utc < now
    assert early.not_valid_before_utc > now
    names = misnamed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" not in names.get_values_for_type(x509.DNSName)
    with pytest.raises(ValueError):
        foreign.verify_directly_issued_by(loaded(desk.ca))
    with pytest.raises(ValueError, match="no such flaw"):
        pki.wrong(desk, "blue")


def test_a_full_disk_names_the_file_that_could_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(pki.os, "fdopen", lambda number, mode: open(os.close(number) or "/dev/full", mode))
    with pytest.raises(OSError, match="No space left on device") as found:
        pki.write_private(tmp_path / "wallet.json", b"x")
    assert found.value.filename == str(tmp_path / "wallet.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("replace", [True, False])
def test_a_secret_that_is_not_written_whole_leaves_what_was_there(tmp_path, replace):
    path = tmp_path / "key.pem"
    if replace:
        path.write_bytes(b"before")
    with pytest.raises(TypeError):
        pki.write_private(path, "no bytes", replace)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("key.pem", b"before")] * replace


def test_certificates_whose_making_was_cut_off_are_made_anew(tmp_path, monkeypatch):
    """As a kill between two files, or a full disk."""
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(pki, "client", ctrl_c)
        pki.make(tmp_path)
    assert not pki.is_whole(tmp_path) and (tmp_path / "broker.key.der").exists()
    with pytest.raises(FileNotFoundError):
        pki.load(tmp_path)
    pki.make(tmp_path)
    assert pki.is_whole(tmp_path) and pki.load(tmp_path).simulator.key_pem.exists()


def ctrl_c(*_):
    raise KeyboardInterrupt
