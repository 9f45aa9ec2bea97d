"""A server, in its own process, that answers every FETCH with recorded octets, as fast as sendall() goes.

It knows CAPABILITY, LOGIN, SELECT, NOOP, FETCH of one range (or of a list without gaps), UID SEARCH, which finds every
message, or with UNSEEN two of three, and LOGOUT; the mailbox selected names the recording to send. Over TLS it writes
records of 4 KiB, as Dovecot does.
"""

import contextlib
import functools
import itertools
import json
import re
import socketserver
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread

from benchmarks import processors, workloads

GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
SMALL = 64 * workloads.KIB
RECORD = 4 * workloads.KIB


@dataclass(frozen=True)
class Account:
    """Where a client logs in.

    Attributes:
        cafile: Certificates to trust; "" for a connection without TLS.
        mailbox: What to select; "" for the mailbox named like the workload.
    """

    port: int
    cafile: str = ""
    host: str = "localhost"
    user: str = "user"
    password: str = "secret"
    mailbox: str = ""


class Session:
    """What the server says on one connection; knows no socket."""

    def __init__(self) -> None:
        self.mailbox = ""
        self.first, self.last = 1, 0
        """The message numbers of the last FETCH."""

    def answer(self, line: bytes) -> tuple[bytes, str, bytes]:
        """Answer one command line.

        Returns:
            The octets to send, the mailbox whose recording follows ("" for none), the octets behind it.
        """
        tag, command, *arguments = line.split()
        first_uid = 1
        if command.upper() == b"UID":
            command, *arguments = arguments
            first_uid = workloads.FIRST_UID
        untagged = b""
        replayed = ""
        match command.upper():
            case b"CAPABILITY":
                untagged = b"* CAPABILITY IMAP4rev1\r\n"
            case b"SELECT" | b"EXAMINE":
                self.mailbox = arguments[0].decode().strip('"')
                exists = workloads.messages(self.mailbox)
                uid_next = workloads.FIRST_UID + exists
                untagged = b"* %d EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT %d] ok\r\n" % (exists, uid_next)
            case b"FETCH":
                replayed = self.mailbox
                exists = workloads.messages(replayed)
                numbers = re.split(b"[,:]", arguments[0])
                self.first = max(int(numbers[0]) - first_uid + 1, 1)
                self.last = exists if numbers[-1] == b"*" else min(int(numbers[-1]) - first_uid + 1, exists)
                if arguments[1] == b"(RFC822.SIZE)":
                    replayed = ""
                    untagged = b"".join(_sizes(self.mailbox)[self.first - 1 : self.last])
            case b"SEARCH":
                untagged = _found(workloads.messages(self.mailbox), b"UNSEEN" in arguments)
            case b"LOGOUT":
                untagged = b"* BYE good bye\r\n"
            case b"LOGIN" | b"NOOP":
                pass
            case _:
                return b"", "", tag + b" BAD unknown command\r\n"
        return untagged, replayed, tag + b" OK done\r\n"


@functools.lru_cache(maxsize=4)
def _found(exists: int, some: bool) -> bytes:
    numbers = (b"%d" % (workloads.FIRST_UID + n) for n in range(exists) if not (some and n % 3 == 2))
    return b" ".join([b"* SEARCH", *numbers]) + b"\r\n"


@functools.lru_cache(maxsize=4)
def _sizes(mailbox: str) -> list[bytes]:
    starts = _recording(mailbox)[1]
    return [
        b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (number, workloads.FIRST_UID + number - 1, stop - start)
        for number, (start, stop) in enumerate(itertools.pairwise(starts), 1)
    ]


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True  # else small answers wait 40 ms for the client's acknowledgement

    def handle(self) -> None:
        session = Session()
        # Clients hang up as they like.
        with contextlib.suppress(OSError):
            self.wfile.write(GREETING)
            for line in self.rfile:
                before, mailbox, after = session.answer(line)
                if not mailbox:
                    self._send(before + after)
                elif workloads.messages(mailbox) == 1:
                    for piece in _pieces(mailbox):
                        self._send(piece)
                    self._send(after)
                else:
                    octets, starts = _recording(mailbox)
                    octets = octets[starts[session.first - 1] : starts[session.last]]
                    if len(octets) <= SMALL:
                        self._send(b"".join((octets, after)))
                    else:
                        self._send(octets)
                        self._send(after)

    def _send(self, octets: bytes | memoryview) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            for start in range(0, len(octets), RECORD):
                self.request.sendall(octets[start : start + RECORD])
        else:
            self.request.sendall(octets)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 512


class _TLSServer(_Server):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.socket = context.wrap_socket(self.socket, server_side=True)


def _pieces(mailbox: str) -> Iterator[bytes]:
    workload, size = workloads.split(mailbox)
    return workload.responses(size)


# The clients take turns on one workload, so the last recording is the one that is asked for again.
@functools.lru_cache(maxsize=1)
def _recording(mailbox: str) -> tuple[memoryview, list[int]]:
    """The octets of all messages, and where each begins; where they end is the last."""
    responses = list(_pieces(mailbox))
    return memoryview(b"".join(responses)), [0, *itertools.accumulate(map(len, responses))]


@contextlib.contextmanager
def replay_server() -> Iterator[tuple[Account, Account]]:
    """Run the server until the block ends; gives the plain account and the one by TLS."""
    with processors.for_the_server():
        started = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.replay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    with started as process:
        assert process.stdout
        plain, tls = json.loads(process.stdout.readline())
        yield Account(**plain), Account(**tls)
        # Leaving the block closes the server's standard input, and that ends it.


def main() -> None:
    """Serve until standard input closes; the first line written tells the accounts."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with tempfile.TemporaryDirectory() as folder:
        cafile = Path(folder, "ca.pem")
        authority.cert_pem.write_to_path(str(cafile))
        plain, tls = _Server(("127.0.0.1", 0), _Connection), _TLSServer(context)
        for server in (plain, tls):
            Thread(target=server.serve_forever, daemon=True).start()
        accounts = Account(plain.server_address[1]), Account(tls.server_address[1], cafile=str(cafile))
        print(json.dumps([asdict(account) for account in accounts]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
