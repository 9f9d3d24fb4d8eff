"""HTTPS beside the plain port, with the certificate that was provisioned (A2)."""


def context(credentials, log):
    """An SSLContext that serves an ECDSA P-256 certificate and its key (DER, in ``credentials``); None without one.

    One that cannot be used is logged, and plain HTTP serves.
    """
    cert, key = credentials["https_cert_der"], credentials["https_key_der"]
    if not cert:
        return None
    import ssl  # Python, and large: not without a certificate

    try:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(cert, key)
        return made
    except (OSError, ValueError, TypeError):
        log.add("https: the certificate or its key cannot be used")
        return None
