"""TLS contexts."""

from __future__ import annotations

import warnings

from .exceptions import InvalidArgument

try:
    import ssl
except ImportError:
    HAVE_SSL = False
else:
    HAVE_SSL = True

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext


def _create_default_ssl_context() -> SSLContext:
    """Return the context for TLS connections that the caller gave none for: it verifies certificate and host name."""
    return ssl.create_default_context()


def unverified_ssl_context() -> SSLContext:
    """Return a context that takes any certificate, as the standard library's imaplib does.

    Whoever sits between the two can read and change everything, the password included.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _client_context(context: SSLContext | None, keyfile: str | None, certfile: str | None) -> SSLContext:
    """Return `context` or a default one, that one with the client certificate of `keyfile` and `certfile`."""
    if keyfile is None and certfile is None:
        return _create_default_ssl_context() if context is None else context
    if context is not None:
        raise InvalidArgument("ssl_context and keyfile or certfile are mutually exclusive: load them into the context")
    if certfile is None:
        raise InvalidArgument("keyfile needs a certfile")
    warnings.warn("keyfile and certfile are deprecated, use an ssl_context instead", DeprecationWarning, stacklevel=3)
    context = _create_default_ssl_context()
    context.load_cert_chain(certfile, keyfile)
    return context
