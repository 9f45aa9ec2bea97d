"""What every real server of the tests is, and what starting one takes."""

import base64
import contextlib
import hmac
import itertools
import json
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import trustme

HOST = "127.0.0.1"
INSECURE_HOST = "127.0.0.2"
CERTIFIED_USER = "certified"
START_TIMEOUT = 20.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running IMAP server; every user name is valid and has the one `password`."""

    name: str
    """The program and the version that matters: "cyrus-3.6"."""
    version: str
    directory: Path
    """Holds the configuration, the log, the mail."""
    ca_file: Path
    """The certificate authority to verify the server against (PEM), as "localhost" or `host`."""
    port: int
    """Plain IMAP with STARTTLS, on `host`; LOGIN needs no TLS there."""
    tls_port: int
    """IMAP over TLS from the start."""
    admin: tuple[str, str] | None = None
    """The name and the password of somebody who may do everything to every mailbox."""
    client_certificate: Path | None = None
    """What proves over TLS that one is `CERTIFIED_USER` (certificate and key, PEM), for the SASL mechanism EXTERNAL."""
    host: str = HOST
    insecure_host: str | None = None
    """Another address of the same server, where it announces LOGINDISABLED until TLS is on."""
    password: str = "secret"
    token_key: bytes | None = None
    """What the server verifies access tokens with, for the SASL mechanisms OAUTHBEARER and XOAUTH2."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def new_user(self) -> str:
        """Return the name of a user nobody has used yet: INBOX, Drafts and Trash are there and empty."""
        return f"user{next(self._numbers)}"

    def access_token(self, user: str, *, seconds: int = 3600) -> str:
        """Return an OAuth token for `user` that expires in so many seconds: a JWT (RFC 7519) signed by HS256."""
        assert self.token_key is not None
        now = int(time.time())
        # Issued a minute ago: the server's clock is its event loop's, which can be some seconds behind.
        claims = {"sub": user, "iat": min(now, now + seconds) - 60, "exp": now + seconds}
        parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        signature = hmac.digest(self.token_key, ".".join(parts).encode(), "sha256")
        return ".".join([*parts, _base64url(signature)])

    def log(self) -> str:
        """Return what the server has written to its standard error and to its logs so far."""
        paths = (self.directory / name for name in ("stderr", "log", "syslog"))
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def minor_version(version: str) -> str:
    """Return the first two numbers of a version."""
    return ".".join(version.split(".")[:2])


def free_ports(count: int) -> list[int]:
    """Return that many TCP ports of `HOST` that nobody listens on.

    They are below those that systems give to clients (from 32768 or 49152 on): no connection takes one until the
    server that it is for has it.
    """
    free: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(free) < count:
            port = random.SystemRandom().randrange(10_000, 32_000)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server((HOST, port)))
                free.append(port)
    return free


def write_certificates(directory: Path) -> None:
    """Write ca.pem, the server's certificate.pem and `CERTIFIED_USER`'s client.pem, both with their keys in them."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate = authority.issue_cert("localhost", HOST, INSECURE_HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(directory / "certificate.pem")
    client = authority.issue_cert(f"{CERTIFIED_USER}@example.org", common_name=CERTIFIED_USER)
    client.private_key_and_cert_chain_pem.write_to_path(directory / "client.pem")


def wait_for_greeting(process: "subprocess.Popen[bytes]", server: Server) -> None:
    """Wait until the server greets; raises RuntimeError with its log when it doesn't."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((server.host, server.port), START_TIMEOUT) as s:
            if s.recv(1):
                return
        time.sleep(0.05)
    raise RuntimeError(f"{server.name} did not start:\n{server.log()}")
