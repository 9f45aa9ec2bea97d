"""What the user's clock says on a real server: wall time and client CPU of the workloads a, b and d.

Without --host a private Dovecot is started. The mailbox is created, filled, and deleted at the end.
"""

import argparse
import contextlib
import getpass
import imaplib
import os
from collections.abc import Iterator
from random import Random

from benchmarks.client import Job, log_in
from benchmarks.replay import Account
from benchmarks.report import DROP_INS, PEER, Bench, Table
from benchmarks.workloads import KIB, WORKLOADS, message
from tests.servers import dovecot
from tests.support import Unavailable

MAILBOX = "fastimap-benchmark"
CLIENTS = (*DROP_INS, "Client", "Client, streamed", PEER)


@contextlib.contextmanager
def _account(options: argparse.Namespace) -> Iterator[Account]:
    if options.host:
        password = os.environ.get("FASTIMAP_PASSWORD") or getpass.getpass()
        yield Account(options.port, options.cafile, options.host, options.user, password, MAILBOX)
    else:
        with dovecot.running() as server:
            user, password = server.new_user(), server.password
            yield Account(server.port, host=server.host, user=user, password=password, mailbox=MAILBOX)


@contextlib.contextmanager
def filled(account: Account, messages: int) -> Iterator[None]:
    """Hold the account's mailbox with that many messages of 2 to 8 KiB, all of which the server has parsed once."""
    connection = log_in(imaplib, account)
    typ, data = connection.create(account.mailbox)
    if typ != "OK":
        raise SystemExit(f"can't create the mailbox {account.mailbox}: {data[0].decode(errors='replace')}")
    try:
        random = Random(7)
        for _ in range(messages):
            octets = message(random, random.randint(2 * KIB, 8 * KIB))
            connection.append(account.mailbox, None, None, octets)
        connection.select(account.mailbox)
        connection.fetch("1:*", WORKLOADS["b"].items)
        connection.close()
        yield
    finally:
        connection.delete(account.mailbox)
        connection.logout()


def main() -> None:
    """Fill the mailbox, let the clients take turns, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_server", description=__doc__)
    parser.add_argument("--messages", type=int, default=5000, help="how many to fetch (default: 5000)")
    parser.add_argument("--host", help="server to use; the password comes from FASTIMAP_PASSWORD or a prompt")
    parser.add_argument("--port", type=int, default=143)
    parser.add_argument("--user", default=getpass.getuser())
    parser.add_argument("--cafile", default="", help="certificates to trust; makes the connection TLS")
    options = parser.parse_args()
    bench = Bench(processes=1, rounds=5, peers=False)
    try:
        with _account(options) as account, filled(account, options.messages):
            rows = {w: bench.take_turns([Job(client, w, account) for client in CLIENTS]) for w in ("a", "b", "d")}
    except (OSError, imaplib.IMAP4.error, Unavailable) as error:
        raise SystemExit(f"{options.host or 'Dovecot'}: {error}") from None
    title = f"{options.messages:,} messages from a real server, milliseconds:"
    Table(f"{title} wall time", "wall", lambda row: 1e-3).show(rows.items())
    goals = {"a": "10x", "b": "14x", "d": "1x"}
    Table(
        f"{title} wall time; (nx): n times less than IMAPClient with its log off",
        "wall",
        lambda row: 1e-3,
        goals,
        PEER,
        "Client",
        ("Client", "Client, streamed", PEER),
    ).show(rows.items())
    Table(f"{title} client CPU", "cpu", lambda row: 1e-3).show(rows.items())
    for note in bench.notes:
        print(f"\nNot measured: {note}")


if __name__ == "__main__":
    main()
