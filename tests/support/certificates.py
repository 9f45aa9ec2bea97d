"""Certificates that no helper library makes."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def without_key_identifiers() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a certificate as many companies' own authorities make them, and of a client."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("an authority", "localhost")]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in names]
    is_authority = x509.BasicConstraints(ca=True, path_length=None)
    alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    authority, server = (
        x509.CertificateBuilder()
        .issuer_name(names[0])
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(extension, critical=critical)
        .sign(keys[0], hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        for name, key, extension, critical in zip(names, keys, (is_authority, alternative), (True, False), strict=True)
    )
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with trustme.Blob(server + private).tempfile() as path:
        serving.load_cert_chain(path)
    return serving, ssl.create_default_context(cadata=authority.decode())
