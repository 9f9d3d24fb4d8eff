"""A small certificate authority for one desk: broker, device and simulator certificates, and wrong ones for tests.

    pki = make(folder, slug, system_uuid)
    pki.ca, pki.broker, pki.device, pki.simulator        Identity: .cert_pem .key_pem .cert_der .key_der (paths)
    wrong(pki, "expired")                                a broker identity that a device must refuse

PEM is for the broker and the tools; DER is for the device, since the unix port's TLS refuses PEM. Keys are ECDSA
P-256. Every file is mode 0600 in a folder of mode 0700. Nothing here is fit for production: no revocation, no
passphrases, no serial book.
"""

import datetime
import errno
import ipaddress
import os
from collections import namedtuple
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from latchkey_tools import folders

Identity = namedtuple("Identity", "name cert_pem key_pem cert_der key_der")
Pki = namedtuple("Pki", "folder ca broker device simulator")

LOOPBACK_NAMES = ("localhost", "127.0.0.1")
WRONG_KINDS = ("wrong_ca", "expired", "not_yet_valid", "wrong_name")
_YEAR = datetime.timedelta(days=365)
_HOUR = datetime.timedelta(hours=1)


def make(folder, slug="company-example", system_uuid="00000000-0000-4000-8000-000000000000"):
    """Make CA, broker, device and simulator identities under ``folder``; returns a Pki of their paths."""
    folder = folders.make(folder)
    ca = _write_ca(folder, "ca", f"Latchkey desk CA ({slug})")
    broker = _write_server(folder, ca, "broker", LOOPBACK_NAMES)
    device = client(folder, ca, "device", system_uuid)
    simulator = client(folder, ca, "simulator", f"simulator.{slug}")
    return Pki(folder, ca, broker, device, simulator)


def is_whole(folder):
    """Whether ``make`` has ended in ``folder``: the last of its files is there."""
    return _paths(folder, "simulator")[-1].exists()


def load(folder):
    """The Pki that ``make`` left in ``folder``."""
    folder = Path(folder)
    pki = Pki(folder, *(Identity(name, *_paths(folder, name)) for name in ("ca", "broker", "device", "simulator")))
    if not is_whole(folder):
        raise FileNotFoundError(f"no certificates in {folder}; make them with latchkey_tools.sim.pki.make")
    return pki


def authority(folder):
    """The Identity of the CA that ``make`` left in ``folder``, or None."""
    found = Identity("ca", *_paths(folder, "ca"))
    return found if found.key_pem.exists() else None


def client(folder, ca, name, common_name):
    """Make one more client identity signed by ``ca``, in files called ``name``."""
    return _issue(folder, ca, name, common_name, ExtendedKeyUsageOID.CLIENT_AUTH)


def server(folder, ca, name, hosts, end=None):
    """Make one more server identity signed by ``ca``, for ``hosts`` (names and addresses), in files called ``name``.

    ``end``: a datetime, by default in a year.
    """
    return _write_server(Path(folder), ca, name, tuple(hosts), None, end)


def sign(ca, csr_pem, start, end, for_server):
    """The certificate (PEM text) of a signing request (PEM text), with its subject and its DNS names.

    ``start``, ``end``: datetimes; ``for_server``: for a TLS server, else a client. ValueError for another text.
    """
    request, ca_cert, ca_key = _request(csr_pem), *_read_ca(ca)
    builder = x509.CertificateBuilder().issuer_name(ca_cert.subject).subject_name(request.subject)
    builder = builder.public_key(request.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(end)
    usage = ExtendedKeyUsageOID.SERVER_AUTH if for_server else ExtendedKeyUsageOID.CLIENT_AUTH
    cert = _extended(builder, ca_key, usage, names_in(csr_pem)).sign(ca_key, hashes.SHA256())
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def names_in(csr_pem):
    """The DNS names in a signing request (PEM text); ValueError."""
    try:
        names = _request(csr_pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return []


def _request(csr_pem):
    request = x509.load_pem_x509_csr(csr_pem.encode())
    if not request.is_signature_valid:
        raise ValueError("the request is not signed with its own key")
    return request


def wrong(pki, kind):
    """A broker identity with one flaw: ``kind`` is one of WRONG_KINDS; its certificates are otherwise right."""
    now = _now()
    if kind == "wrong_ca":
        other = _write_ca(pki.folder, "other-ca", "Somebody else's CA")
        return _write_server(pki.folder, other, "broker-wrong-ca", LOOPBACK_NAMES)
    if kind == "expired":
        return _write_server(pki.folder, pki.ca, "broker-expired", LOOPBACK_NAMES, now - _YEAR, now - _HOUR)
    if kind == "not_yet_valid":
        return _write_server(pki.folder, pki.ca, "broker-early", LOOPBACK_NAMES, now + _HOUR, now + _YEAR)
    if kind == "wrong_name":
        return _write_server(pki.folder, pki.ca, "broker-wrong-name", ("mqtt.example.org",))
    raise ValueError(f"no such flaw: {kind}; choose from {', '.join(WRONG_KINDS)}")


def _write_server(folder, ca, name, hosts, start=None, end=None):
    return _issue(folder, ca, name, hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, hosts, start, end)


def _issue(folder, ca, name, common_name, usage, hosts=(), start=None, end=None):
    ca_cert, ca_key = _read_ca(ca)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _extended(_builder(common_name, ca_cert.subject, key, start, end), ca_key, usage, hosts)
    return _write(folder, name, builder.sign(ca_key, hashes.SHA256()), key)


def _read_ca(ca):
    """(certificate, private key) of an Identity, objects of cryptography."""
    cert = x509.load_pem_x509_certificate(ca.cert_pem.read_bytes())
    return cert, serialization.load_pem_private_key(ca.key_pem.read_bytes(), None)


def _extended(builder, ca_key, usage, hosts):
    """``builder`` with the extensions of a certificate that is not an authority's."""
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(h) for h in hosts]), critical=False)
    return builder


def _write_ca(folder, name, common_name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder(common_name, subject, key)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return _write(folder, name, builder.sign(key, hashes.SHA256()), key)


def _builder(common_name, issuer, key, start=None, end=None):
    # An hour back: a device whose floor lags a little must still find the certificate valid.
    start = start or _now() - _HOUR
    builder = x509.CertificateBuilder().issuer_name(issuer)
    builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(end or start + _YEAR)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _general_name(host):
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(folder, name, cert, key):
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    paths = _paths(folder, name)
    contents = (cert.public_bytes(pem), _key_bytes(key, pem), cert.public_bytes(der), _key_bytes(key, der))
    for path, content in zip(paths, contents, strict=True):
        write_private(path, content)
    return Identity(name, *paths)


def _paths(folder, name):
    return [Path(folder) / f"{name}.{end}" for end in ("cert.pem", "key.pem", "cert.der", "key.der")]


def write_private(path, content, replace=True):
    """Write bytes to ``path``, whole or not at all, with mode 0600 from the first moment on.

    A file or link that is there is replaced, unless ``replace`` is False; else FileExistsError is raised.
    """
    path = Path(path)
    try:
        if replace:
            _replace(path, content)
        else:
            _write_new(path, content)
    except OSError as e:
        # A full disk names no file.
        raise OSError(e.errno, e.strerror, str(path)) from None


def _replace(path, content):
    if os.path.lexists(path) and not (path.is_file() or path.is_symlink()):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    _write_new(part, content)
    part.replace(path)


def _write_new(path, content):
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    try:
        with file:
            file.write(content)
    except BaseException:
        path.unlink()
        raise


def _key_bytes(key, encoding):
    # The traditional form (SEC 1 for EC) is what every mbedtls build reads; PKCS#8 support is a build option there.
    return key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def _now():
    return datetime.datetime.now(datetime.UTC)
