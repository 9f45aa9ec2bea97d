"""Certificates for the TLS scenarios, made afresh for each process."""

from __future__ import annotations

import functools
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


class Certificates:
    """A certificate authority that the client is to trust, and one that it does not know."""

    @functools.cached_property
    def _trusted(self) -> trustme.CA:
        return trustme.CA()

    def write_authority(self, path: Path) -> None:
        """Write the trusted authority's certificate to the file `path`."""
        self._trusted.cert_pem.write_to_path(str(path))

    @functools.cache  # noqa: B019 (one object a process)
    def server_context(self, name: str) -> ssl.SSLContext:
        """Return a server's context with the certificate `name`: "good", "wrong host", "expired", "untrusted"."""
        match name:
            case "good":
                certificate = self._trusted.issue_cert("localhost")
            case "wrong host":
                certificate = self._trusted.issue_cert("mail.example")
            case "expired":
                yesterday = datetime.now(UTC) - timedelta(days=1)
                certificate = self._trusted.issue_cert("localhost", not_after=yesterday)
            case "untrusted":
                certificate = trustme.CA().issue_cert("localhost")
            case _:
                raise ValueError(f"no certificate {name!r}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context
