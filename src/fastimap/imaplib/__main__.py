"""A session on a real server that exercises the commands, and prints what it does.

``python -m fastimap.imaplib [-d level] [-s command] [host]`` asks for the password of the user who runs it, at `host`
(this machine by default) or at what `command` starts. It makes two mailboxes below its own prefix, and deletes them.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from .client import IMAP4
from .functions import ParseFlags
from .stream import IMAP4_stream

MAILBOX = "fastimap-test"
MESSAGE = b"From: %b@localhost\r\nSubject: IMAP4 test\r\n\r\nline\r\nlast line\r\n"


def run(connection: IMAP4, name: str, *arguments: Any) -> list[Any]:
    """Execute one command, print it and its result, and return the data."""
    print(f"{name} {arguments!r}")
    typ, data = getattr(connection, name)(*arguments)
    print(f"    {typ} {data!r}")
    if typ == "NO":
        raise connection.error(data[0])
    return data  # type: ignore[no-any-return]


def session(connection: IMAP4, user: str, password: str) -> None:
    """Log in where that is needed, and use the commands on two mailboxes that are deleted at the end."""
    print(f"PROTOCOL_VERSION = {connection.PROTOCOL_VERSION}\ncapabilities = {connection.capabilities!r}")
    if connection.state == "NONAUTH":
        connection.login(user, password)  # not printed
        print(f"login {user!r}")
    for name in (MAILBOX, f"{MAILBOX}-renamed"):
        connection.delete(name)  # of a run that was broken off
    run(connection, "create", MAILBOX)
    run(connection, "rename", MAILBOX, f"{MAILBOX}-renamed")
    run(connection, "create", MAILBOX)
    run(connection, "append", MAILBOX, None, None, MESSAGE % user.encode())
    run(connection, "list", "", f"{MAILBOX}*")
    run(connection, "status", MAILBOX, "(MESSAGES UIDNEXT)")
    run(connection, "select", MAILBOX)
    for code in ("UIDVALIDITY", "EXISTS", "RECENT", "FLAGS"):
        print(f"response {connection.response(code)!r}")
    run(connection, "search", None, "SUBJECT", "IMAP4 test")
    run(connection, "fetch", "1", "(FLAGS INTERNALDATE RFC822)")
    run(connection, "store", "1", "FLAGS", r"(\Deleted)")
    run(connection, "copy", "1", f"{MAILBOX}-renamed")
    run(connection, "recent")
    for line in run(connection, "uid", "SEARCH", "ALL")[-1:]:
        for uid in (line or b"").split():
            for item in run(connection, "uid", "FETCH", uid.decode(), "(FLAGS INTERNALDATE RFC822.SIZE)"):
                print(f"    flags {ParseFlags(item)!r}")
    run(connection, "expunge")
    run(connection, "noop")
    run(connection, "close")
    for name in (MAILBOX, f"{MAILBOX}-renamed"):
        run(connection, "delete", name)
    run(connection, "logout")


def main(arguments: list[str] | None = None) -> int:
    """Return 0 where all commands went well, 1 where one did not."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m fastimap.imaplib",
        description=__doc__.partition("\n")[0],
        epilog="The user's name is the one who runs it, unless -u gives another.",
    )
    parser.add_argument("-d", dest="debug", metavar="level", type=int, default=0, help="debug level, 0 to 5")
    parser.add_argument("-s", dest="command", metavar="command", help="connect to what this shell command starts")
    parser.add_argument("-p", dest="port", metavar="port", type=int, default=143)
    parser.add_argument("-u", dest="user", metavar="user", default="")
    parser.add_argument("host", nargs="?", default="")
    options = parser.parse_args(arguments)

    user = options.user or getpass.getuser()
    password = ""
    if options.command is None:
        password = getpass.getpass(f"IMAP password for {user} on {options.host or 'localhost'}: ")
    from fastimap import imaplib  # the level is the module's, before there is a connection

    imaplib.Debug = options.debug
    try:
        connection = IMAP4_stream(options.command) if options.command else IMAP4(options.host, options.port)
        with connection:
            session(connection, user, password)
    except (OSError, IMAP4.error) as exc:
        print(f"\nTests failed: {exc}")
        if not options.debug:
            print("To see what was sent and received, try again with -d5")
        return 1
    print("\nAll tests OK")
    return 0


if __name__ == "__main__":
    sys.exit(main())
