"""What an ordinary program feels: small commands, TLS, slow and long links, SEARCH, text, imports, connecting.

The rows of `python -m benchmarks --only everyday`. Each client does each thing in a process of its own, in turn with
the others; imaplib stands there twice, and what its two figures differ by is the noise of the machine.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import operations, processors
from benchmarks.client import Sample, Unavailable, resident
from benchmarks.replay import Account
from benchmarks.workloads import FIRST_UID, KIB, MIB

Run = Callable[[], Any]
AGAIN = "imaplib again"
CLIENTS = ("imaplib", AGAIN, "drop-in", "Client", "AsyncClient", "IMAPClient")
TYPED = ("Client", "AsyncClient")
BATCHES = "AsyncClient, batches"


@dataclass(frozen=True)
class Row:
    """One thing that programs do.

    Attributes:
        title: What it is called.
        operation: A key of OPERATIONS.
        mailbox: The recording, or the mailbox, that it is done on.
        times: How often it is done in a round, or how many messages there are: what the figure is divided by.
        unit: Of the figure: seconds a time are multiplied by it.
        goal: For Client, as the ratio to the reference.
        clients: Who does it.
        link: "", "tls" (to the replaying server), "dovecot" (TLS, to a real one), "100 ms", or "4 KiB" (a read).
        reference: The client that the others are compared with.
        key: "cpu" or "wall".
    """

    title: str
    operation: str
    mailbox: str = "a/100"
    times: int = 1
    unit: float = 1e6
    goal: str = ""
    clients: tuple[str, ...] = CLIENTS
    link: str = ""
    reference: str = "imaplib"
    key: str = "cpu"


BODIES = "d/5000"
MANY = "a/1000000"
ROWS = {
    row.title: row
    for row in (
        Row("one NOOP, µs", "noop", operations.MESSAGE, 1000, goal="1x"),
        Row("FETCH of one message of 5 KB, µs", "message", operations.MESSAGE, 1000, goal="1x"),
        Row("one NOOP over TLS, µs", "noop", operations.MESSAGE, 1000, goal="1x", link="tls"),
        Row("FETCH of one message over TLS, µs", "message", operations.MESSAGE, 1000, goal="1x", link="tls"),
        Row("bodies over TLS from Dovecot, µs each", "bodies", "", 5000, goal="2x", link="dovecot"),
        Row("bodies, reads of 4 KiB, µs each", "bodies", BODIES, 5000, goal="2x", link="4 KiB", clients=CLIENTS[:-1]),
        Row("bodies, full reads, µs each", "bodies", BODIES, 5000, goal="10x", clients=CLIENTS[:-1]),
        Row("SEARCH that finds 1,000,000, ms", "search all", MANY, unit=1e3, clients=CLIENTS[:-1]),
        Row("SEARCH, each third missing, ms", "search some", MANY, unit=1e3, clients=CLIENTS[:-1]),
        Row("20,000 small rows at 100 ms, wall, ms", "rows", "a/20000", unit=1e3, link="100 ms",
            clients=("Client, fetch", *TYPED), reference="Client, fetch", key="wall", goal="0.67x"),
        Row("rows streamed, µs each", "rows", "a/20000", 20000, clients=("Client", "AsyncClient", BATCHES),
            reference="Client"),
        Row("envelope.subject, plain, µs", "plain subjects", times=20000, clients=("Client",), reference="Client"),
        Row("envelope.subject, encoded, µs", "encoded subjects", times=20000, clients=("Client",), reference="Client"),
        Row("import, ms", "import", times=5, unit=1e3, goal="0.34x"),
        Row("connecting 200 times, ms", "connect", operations.MESSAGE, unit=1e3, clients=CLIENTS[:-1]),
    )
}  # fmt: skip


@dataclass(frozen=True)
class EverydayJob:
    """What one process does; has what the handle on a process needs of a job."""

    client: str
    row: str
    account: Account
    workload: str = ""

    def command(self) -> tuple[list[str], dict[str, str]]:
        """The process to start, and its environment."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["FASTIMAP_IMPL"] = "c"
        return [sys.executable, "-m", "benchmarks.everyday", json.dumps(asdict(self))], environment


class _Dribble(socket.socket):
    """A socket that gives 4 KiB a read at most, as a slow link does."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return super().recv_into(buffer, min(nbytes or len(buffer), 4 * KIB), flags)


def _dribbling(host: str, port: int) -> _Dribble:
    plain = socket.create_connection((host, port))
    return _Dribble(plain.family, plain.type, plain.proto, fileno=plain.detach())


class _Old:
    """imaplib, the drop-in and IMAPClient."""

    def __init__(self, job: EverydayJob, row: Row, context: ssl.SSLContext | None) -> None:
        account = job.account
        self._row = row
        self._imapclient = job.client == "IMAPClient"
        self.module = importlib.import_module(
            {"drop-in": "fastimap.imaplib", "IMAPClient": "imapclient"}.get(job.client, "imaplib")
        )
        self._given: dict[str, Any] = {} if context is None else {"ssl_context": context}
        self._context = context
        self._link = row.link
        self._account = account
        self.connection = self.connected()

    def connected(self) -> Any:
        account = self._account
        if self._imapclient:
            client = self.module.IMAPClient(
                account.host, account.port, ssl=bool(self._context), ssl_context=self._context
            )
            client._imap.debug = 0  # it is 5 as shipped: each literal is formatted for a log that nobody reads
            client.login(account.user, account.password)
            client.select_folder(account.mailbox, readonly=True)
            return client
        cls = self.module.IMAP4_SSL if self._context else self.module.IMAP4
        if self._link == "4 KiB":
            create = {"_create_socket": lambda self, timeout=None: _dribbling(self.host, self.port)}
            cls = type("Dribbled", (cls,), create)
        connection = cls(account.host, account.port, **self._given)
        connection.login(account.user, account.password)
        connection.select(account.mailbox, readonly=True)
        return connection

    def run(self) -> Any:
        times, connection = self._row.times, self.connection
        match self._row.operation:
            case "noop":
                return [connection.noop() for _ in range(times)]
            case "message" if self._imapclient:
                return [connection.fetch([FIRST_UID], ["UID", "BODY.PEEK[]"]) for _ in range(times)]
            case "message":
                return [connection.uid("FETCH", str(FIRST_UID), "(BODY.PEEK[])") for _ in range(times)]
            case "bodies" if self._imapclient:
                return connection.fetch(connection.search(), ["BODY.PEEK[]"])
            case "bodies":
                return connection.fetch("1:*", "(UID BODY.PEEK[])")
            case "search all" | "search some":
                key = "ALL" if self._row.operation == "search all" else "UNSEEN"
                return [int(number) for number in connection.uid("SEARCH", key)[1][0].split()]
            case "connect":
                return [self.connected() for _ in range(200)]
        raise Unavailable(self._row.operation)


class _New:
    """Client and AsyncClient."""

    def __init__(self, job: EverydayJob, row: Row, context: ssl.SSLContext | None) -> None:
        import fastimap

        account = job.account
        self._row = row
        self._how = job.client.partition(", ")[2]
        self._runner = asyncio.Runner() if job.client.startswith("AsyncClient") else None
        self._class: Any = fastimap.AsyncClient if self._runner else fastimap.Client
        self._given: dict[str, Any] = {
            "host": account.host,
            "port": account.port,
            "user": account.user,
            "password": account.password,
            "mechanism": "LOGIN",
            "tls": bool(context),
            "ssl_context": context,
        }
        if row.link == "4 KiB":
            self._given["socket"] = _dribbling
        self._mailbox = account.mailbox
        self._client, exists = self._runner.run(self._aconnected()) if self._runner else self._connected()
        self._every = range(FIRST_UID, FIRST_UID + exists) if row.link != "dovecot" else fastimap.SequenceSet("1:*")

    def _connected(self) -> tuple[Any, int]:
        client = self._class(**self._given)
        return client, client.select(self._mailbox, read_only=True).exists

    async def _aconnected(self) -> tuple[Any, int]:
        client = self._class(**self._given)
        return client, (await client.select(self._mailbox, read_only=True)).exists

    def run(self) -> Any:
        return self._runner.run(self._arun()) if self._runner else self._run()

    def _run(self) -> Any:
        from fastimap import search

        client, times = self._client, self._row.times
        match self._row.operation:
            case "noop":
                return [client.noop() for _ in range(times)]
            case "message":
                return [client.fetch(FIRST_UID, "BODY.PEEK[]") for _ in range(times)]
            case "bodies":
                return sum(len(row.body) for row in client.fetch_iter(self._every, "BODY.PEEK[]"))
            case "rows" if self._how == "fetch":
                return client.fetch(self._every, "FLAGS", "UID", "RFC822.SIZE", "INTERNALDATE")
            case "rows":
                rows = client.fetch_iter(self._every, "FLAGS", "UID", "RFC822.SIZE", "INTERNALDATE")
                return sum(1 for _ in rows)
            case "search all" | "search some":
                key = search.all_ if self._row.operation == "search all" else search.unseen
                return client.search(key)
            case "connect":
                return [self._connected() for _ in range(200)]
        raise Unavailable(self._row.operation)

    async def _arun(self) -> Any:
        from fastimap import search

        client, times = self._client, self._row.times
        count = 0
        match self._row.operation:
            case "noop":
                return [await client.noop() for _ in range(times)]
            case "message":
                return [await client.fetch(FIRST_UID, "BODY.PEEK[]") for _ in range(times)]
            case "bodies":
                async for row in client.fetch_iter(self._every, "BODY.PEEK[]"):
                    count += len(row.body)
                return count
            case "rows" if self._how:
                async for rows in client.fetch_batches(self._every, "FLAGS", "UID", "RFC822.SIZE", "INTERNALDATE"):
                    count += len(rows)
                return count
            case "rows":
                async for _ in client.fetch_iter(self._every, "FLAGS", "UID", "RFC822.SIZE", "INTERNALDATE"):
                    count += 1
                return count
            case "search all" | "search some":
                key = search.all_ if self._row.operation == "search all" else search.unseen
                return await client.search(key)
            case "connect":
                return await asyncio.gather(*(self._aconnected() for _ in range(200)))
        raise Unavailable(self._row.operation)


def _subjects(job: EverydayJob, row: Row) -> Run:
    from fastimap.parser import ResponseReader

    subject = b'"Re: lunch on Friday?"'
    if row.operation == "encoded subjects":
        subject = b'"=?utf-8?B?UsOpdW5pb24gZHUgMTIgbWFyczogb3JkcmUgZHUgam91ciBldCBkb2N1bWVudHM=?="'
    reader = ResponseReader()

    def envelopes() -> list[Any]:
        made = []
        line = b"* 1 FETCH (UID 1 ENVELOPE (NIL %b NIL NIL NIL NIL NIL NIL NIL NIL))\r\n" % subject
        for _ in range(row.times // 100):
            octets = line * 100
            buffer = reader.get_buffer()
            buffer[: len(octets)] = octets
            reader.buffer_updated(len(octets))
            made += [each.envelope for rows in reader.batch() for each in rows if not isinstance(each, bytes)]
        return made

    waiting = [envelopes()]

    def read() -> Any:
        fresh = waiting.pop()
        began = time.process_time()
        last = [envelope.subject for envelope in fresh][-1]
        spent = time.process_time() - began
        waiting.append(envelopes())
        return last, spent

    return read


def _imports(job: EverydayJob, row: Row) -> Run:
    from benchmarks.instructions import IMPORTS

    def cpu(program: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", program], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    program = IMPORTS[job.client.removesuffix(" again")]
    cpu(program)

    def run() -> Any:
        return None, sum(cpu(program) - cpu("pass") for _ in range(row.times))

    return run


def _prepared(job: EverydayJob) -> Run:
    row = ROWS[job.row]
    if row.operation.endswith("subjects"):
        return _subjects(job, row)
    if row.operation == "import":
        return _imports(job, row)
    context = ssl.create_default_context(cafile=job.account.cafile) if job.account.cafile else None
    kind: Any = _New if job.client.startswith(TYPED) else _Old
    run: Run = kind(job, row, context).run
    return run


def _measure(run: Run) -> Sample:
    gc.collect()
    before, wall, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
    kept = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if isinstance(kept, tuple) and len(kept) == 2 and isinstance(kept[1], float):  # it has taken its own time
        cpu = kept[1]
    return Sample(cpu, wall, resident("VmHWM") - before, "")


@contextlib.contextmanager
def dovecot(messages: int) -> Iterator[Account]:
    """A real Dovecot, over TLS, with a mailbox of that many messages of 2 to 8 KiB.

    Raises:
        Unavailable: there is none on this machine.
    """
    from benchmarks.real_server import MAILBOX, filled
    from tests.servers import dovecot as server
    from tests.support import Unavailable as Missing

    try:
        with contextlib.ExitStack() as stack:
            with processors.for_the_server():
                running = stack.enter_context(server.running())
            plain = Account(
                running.port, host=running.host, user=running.new_user(), password=running.password, mailbox=MAILBOX
            )
            with filled(plain, messages):
                yield Account(
                    running.tls_port, str(running.ca_file), "localhost", plain.user, plain.password, plain.mailbox
                )
    except Missing as error:
        raise Unavailable(f"Dovecot: {error}") from None


def main() -> None:
    """Do the row once for each line of standard input; print each sample as JSON."""
    processors.for_the_client()
    fields = json.loads(sys.argv[1])
    job = EverydayJob(**{**fields, "account": Account(**fields["account"])})
    run = _prepared(job)
    for _ in sys.stdin:
        print(json.dumps(asdict(_measure(run))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()


__all__ = ["CLIENTS", "MIB", "ROWS", "EverydayJob", "Row", "dovecot"]
