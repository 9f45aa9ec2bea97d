"""The four ways to a server that imaplib knows, for a module with imaplib's names."""

import ssl
from collections.abc import Callable
from typing import Any

from tests.servers.dovecot import Dovecot
from tests.servers.server import Server


def plain(module: Any, server: Server, user: str) -> Any:
    """Return a session of `user` over TCP."""
    client = module.IMAP4(server.host, server.port, timeout=60)
    client.login(user, server.password)
    return client


def tls(module: Any, dovecot: Dovecot, user: str) -> Any:
    """Return a session over TLS from the start, the certificate verified."""
    context = ssl.create_default_context(cafile=dovecot.ca_file)
    client = module.IMAP4_SSL("localhost", dovecot.tls_port, ssl_context=context, timeout=60)
    client.login(user, dovecot.password)
    return client


def starttls(module: Any, dovecot: Dovecot, user: str) -> Any:
    """Return a session that began without TLS, where the server takes no password before TLS is on."""
    client = module.IMAP4(dovecot.insecure_host, dovecot.port, timeout=60)
    client.starttls(ssl.create_default_context(cafile=dovecot.ca_file))
    client.login(user, dovecot.password)
    return client


def stream(module: Any, dovecot: Dovecot, user: str) -> Any:
    """Return a session with a child process, which greets with PREAUTH."""
    return module.IMAP4_stream(dovecot.stream_command(user))


CONNECTIONS: dict[str, Callable[[Any, Dovecot, str], Any]] = {
    "plain": plain,
    "tls": tls,
    "starttls": starttls,
    "stream": stream,
}
"""Each is called with the module, the server and the user, and returns a session that is logged in."""
