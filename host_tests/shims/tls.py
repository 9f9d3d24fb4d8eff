"""MicroPython's ``tls`` on CPython's ``ssl``: DER in, streams that give None where they would block.

It has what the transport uses and nothing else; the socket below stays the caller's to poll, as on MicroPython.
"""

import os
import ssl
import tempfile

# OpenSSL's X509_V_ERR numbers, and what mbedTLS says in their place.
_FLAWS = {
    9: "The certificate validity starts in the future\n",
    10: "The certificate validity has expired\n",
    62: "The certificate Common Name (CN) does not match with the expected CN\n",
    64: "The certificate Common Name (CN) does not match with the expected CN\n",
}
_FOREIGN = "The certificate is not correctly signed by the trusted CA\n"
_FATAL_ALERT = -0x7780
_OTHER = -0x7100

CERT_REQUIRED = ssl.CERT_REQUIRED
PROTOCOL_TLS_CLIENT = ssl.PROTOCOL_TLS_CLIENT


class SSLContext:
    def __init__(self, protocol):
        self._context = ssl.SSLContext(protocol)

    @property
    def verify_mode(self):
        return self._context.verify_mode

    @verify_mode.setter
    def verify_mode(self, mode):
        self._context.verify_mode = mode

    def load_verify_locations(self, cadata):
        try:
            self._context.load_verify_locations(cadata=cadata)
        except ssl.SSLError as e:
            raise ValueError("invalid cert") from e

    def load_cert_chain(self, cert, key):
        kind = "EC PRIVATE KEY" if b"\x06\x08\x2a\x86\x48\xce\x3d" in key else "RSA PRIVATE KEY"
        body = ssl.DER_cert_to_PEM_cert(key).replace("CERTIFICATE", kind)
        with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
            file.write(ssl.DER_cert_to_PEM_cert(cert) + body)
        try:
            self._context.load_cert_chain(file.name)
        except ssl.SSLError as e:
            raise ValueError("invalid key") from e
        finally:
            os.unlink(file.name)

    def wrap_socket(self, sock, *, server_hostname, do_handshake_on_connect):
        if do_handshake_on_connect:
            raise NotImplementedError("only handshakes on first use")
        return _Stream(self._context, sock, server_hostname)


class _Stream:
    def __init__(self, context, sock, server_hostname):
        self._sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=server_hostname)
        self._unsent = b""

    def write(self, data):
        n = self._step(lambda: self._tls.write(data))
        return n

    def readinto(self, buf):
        return self._step(lambda: self._tls.read(len(buf), buf))

    def getpeercert(self, binary_form):
        return self._tls.getpeercert(binary_form)

    def close(self):
        self._sock.close()

    def _step(self, call):
        """Do ``call`` as far as the socket's bytes reach: its result, or None if it would block."""
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                result = None
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0
            except ssl.SSLCertVerificationError as e:
                raise ValueError(_FLAWS.get(e.verify_code, _FOREIGN)) from e
            except ssl.SSLError as e:
                raise OSError(_FATAL_ALERT if "ALERT" in (e.reason or "") else _OTHER, e.reason) from e
            finally:
                self._flush()
            if result is not None or not self._fill():
                return result

    def _flush(self):
        self._unsent += self._out.read()
        while self._unsent:
            try:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
            except BlockingIOError:
                return

    def _fill(self):
        try:
            data = self._sock.recv(4096)
        except BlockingIOError:
            return False
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()
        return True
