"""``python -m fastimap.testing``: the test server in a process of its own, until it is interrupted."""

from __future__ import annotations

import argparse
import ssl
import sys
import threading
from contextlib import suppress

from .server import DEFAULT_USERS, IMAPServer


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fastimap.testing",
        description="An IMAP server in memory, for tests: it listens on loopback and forgets all at its end.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="TCP port to listen on (a free one)")
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME:PASSWORD",
        help="an account; may be given several times (user:password)",
    )
    parser.add_argument("--certfile", help="the server's certificate (PEM): speak TLS from the first octet")
    parser.add_argument("--keyfile", help="its private key (PEM), if it is not in the same file")
    parser.add_argument("--starttls", action="store_true", help="offer STARTTLS instead")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    options = parser.parse_args()
    if (options.starttls or options.keyfile) and not options.certfile:
        parser.error("TLS needs --certfile")
    users = {}
    for user in options.user:
        name, colon, users[name] = user.partition(":")
        if not colon:
            parser.error(f"--user {user}: write NAME:PASSWORD")
    try:
        context = _context(options.certfile, options.keyfile)
        server = IMAPServer(
            users=users or DEFAULT_USERS,
            host=options.host,
            port=options.port,
            tls=None if options.starttls else context,
            starttls=context if options.starttls else None,
        )
        server.start()
    except (OSError, OverflowError, ValueError) as exc:
        parser.error(f"the server can't start: {exc}")
    print(f"Listening on {server.host}:{server.port}", flush=True)
    with suppress(KeyboardInterrupt):
        if options.until_eof:
            sys.stdin.read()
        else:
            threading.Event().wait()
    server.close()


def _context(certfile: str | None, keyfile: str | None) -> ssl.SSLContext | None:
    if certfile is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certfile, keyfile)
    return context


if __name__ == "__main__":
    main()
