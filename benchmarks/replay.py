"""A server, in its own process, that answers every FETCH with recorded octets, as fast as sendall() goes.

It knows CAPABILITY, LOGIN, SELECT, FETCH of one range (or of a list without gaps) by number, and LOGOUT; the mailbox
selected names the recording to send.
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

from benchmarks import workloads

GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
SMALL = 64 * workloads.KIB


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
        tag, command, *arguments = line.replace(b" UID ", b" ").split()
        untagged = b""
        replayed = ""
        match command.upper():
            case b"CAPABILITY":
                untagged = b"* CAPABILITY IMAP4rev1\r\n"
            case b"SELECT" | b"EXAMINE":
                self.mailbox = arguments[0].decode().strip('"')
                untagged = b"* %d EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n" % workloads.messages(self.mailbox)
            case b"FETCH":
                replayed = self.mailbox
                numbers = re.split(b"[,:]", arguments[0])
                self.first = int(numbers[0])
                self.last = workloads.messages(replayed) if numbers[-1] == b"*" else int(numbers[-1])
            case b"LOGOUT":
                untagged = b"* BYE good bye\r\n"
            case b"LOGIN":
                pass
            case _:
                return b"", "", tag + b" BAD unknown command\r\n"
        return untagged, replayed, tag + b" OK done\r\n"


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
                    self.request.sendall(before + after)
                elif workloads.messages(mailbox) == 1:
                    for piece in _pieces(mailbox):
                        self.request.sendall(piece)
                    self.request.sendall(after)
                else:
                    octets, starts = _recording(mailbox)
                    octets = octets[starts[session.first - 1] : starts[session.last]]
                    if len(octets) <= SMALL:
                        self.request.sendall(b"".join((octets, after)))
                    else:
                        self.request.sendall(octets)
                        self.request.sendall(after)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


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
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.replay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
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
