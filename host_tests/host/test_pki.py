"""The desk's certificate authority: right certificates, private files, and each flaw that tests ask for."""

import datetime
import stat

import pytest
from cryptography import x509

from latchkey_tools import pki


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki") / "certs", "company-example", "792b6149-1daa-488f-b07a-f684503b0586")


def certificate(identity):
    return x509.load_pem_x509_certificate(identity.cert_pem.read_bytes())


def test_every_file_is_private(desk):
    modes = {stat.S_IMODE(path.stat().st_mode) for path in desk.folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(desk.folder.stat().st_mode) == 0o700


def test_the_ca_signed_all_three_and_the_device_is_named_by_its_system(desk):
    for identity in (desk.broker, desk.device, desk.simulator):
        certificate(identity).verify_directly_issued_by(certificate(desk.ca))
    assert "792b6149-1daa-488f-b07a-f684503b0586" in certificate(desk.device).subject.rfc4514_string()


def test_der_and_pem_hold_the_same_certificate_and_key(desk):
    assert pki.pem_to_der(desk.device.cert_pem.read_bytes()) == desk.device.cert_der.read_bytes()
    assert pki.pem_to_der(desk.device.key_pem.read_bytes()) == desk.device.key_der.read_bytes()


def test_load_finds_what_make_left(desk):
    assert pki.load(desk.folder) == desk


def test_load_of_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="pki.make"):
        pki.load(tmp_path)


def test_each_wrong_certificate_has_its_own_flaw(desk):
    now = datetime.datetime.now(datetime.UTC)
    expired, early, misnamed, foreign = (
        certificate(pki.wrong(desk, k)) for k in ("expired", "not_yet_valid", "wrong_name", "wrong_ca")
    )
    assert expired.not_valid_after_utc < now
    assert early.not_valid_before_utc > now
    names = misnamed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" not in names.get_values_for_type(x509.DNSName)
    with pytest.raises(ValueError):
        foreign.verify_directly_issued_by(certificate(desk.ca))
    with pytest.raises(ValueError, match="no such flaw"):
        pki.wrong(desk, "blue")
