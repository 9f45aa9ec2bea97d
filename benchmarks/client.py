"""One client in a process of its own: what a FETCH costs it.

The names of the clients: "stdlib" is imaplib; "c" and "py" are fastimap.imaplib by its two implementations; "c reader"
is the parser with nothing around it, "c typed" the same with typed values, "c protocol" these as a Client routes them;
"Client" and "AsyncClient" are fastimap's, by C; "imap-codec" is that library's decoder, in Rust. Streamed: nothing is
kept. One by one: a FETCH for each message.

Client is the handle on the process; main() is what runs in it.
"""

import asyncio
import contextlib
import gc
import hashlib
import imaplib
import importlib
import io
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks import imap_codec, processors
from benchmarks.replay import GREETING, Account, Session
from benchmarks.workloads import KIB, MIB, messages, split

Fetch = Callable[[], Any]


class Unavailable(Exception):
    """The client is not installed, not built, or failed; the text says which."""


@dataclass(frozen=True)
class Job:
    """What to measure.

    Attributes:
        client: A key of CLIENTS.
        workload: Name of the recording, as `workloads.split()` reads it.
        account: Where to log in.
        recording: Or, for the clients that parse alone, the file with the untagged responses.
        counted: Whether the instructions of the process are counted from outside: do nothing but the FETCH,
            and let the kernel copy the recording, so that the copying is not counted.
    """

    client: str
    workload: str
    account: Account | None = None
    recording: str = ""
    counted: bool = False

    @property
    def items(self) -> str:
        """The message data items to fetch."""
        return split(self.workload)[0].items

    @property
    def item_names(self) -> list[str]:
        """The same, one by one."""
        return self.items.strip("()").split()

    def command(self) -> tuple[list[str], dict[str, str]]:
        """The process to start, and its environment."""
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        environment.pop("FASTIMAP_IMPL", None)
        if self.recording:
            # Between two FETCHes glibc is to keep the memory: giving it back or not is luck, and no parsing.
            environment["MALLOC_TRIM_THRESHOLD_"] = str(1024 * MIB)
        if self.client.startswith("imap-codec"):
            how = "streamed" if self.client.endswith("streamed") else "kept"
            program = imap_codec.program()
            if not program:
                raise Unavailable(f"{self.client}: cargo is not installed, or could not build it")
            return [program, self.recording, how, *(["once"] if self.counted else [])], environment
        implementation = self.client.partition(" ")[0]
        if implementation.startswith(("c", "py", "Client", "AsyncClient")):
            environment["FASTIMAP_IMPL"] = "py" if implementation == "py" else "c"
        return [sys.executable, "-m", "benchmarks.client", json.dumps(asdict(self))], environment


@dataclass(frozen=True)
class Sample:
    """What one FETCH took.

    Attributes:
        cpu: Seconds of CPU, user and system, of the client's process.
        wall: Seconds.
        memory: Octets by which the process grew at its largest.
        digest: Of all that was fetched, in order, after its kind, "octets" or "typed"; "" where nothing was kept.
    """

    cpu: float
    wall: float
    memory: int
    digest: str


class MemorySocket(io.RawIOBase):
    """As much of a socket as an imaplib uses; FETCH is answered with the recording.

    Every client is given this one, and so is charged alike for the copy out of the "network". Stdlib imaplib
    would be slower on an io.BytesIO for its file.
    """

    def __init__(self, recording: io.RawIOBase | io.BytesIO) -> None:
        self._recording = recording
        self._session = Session()
        self._pieces: list[io.RawIOBase | io.BytesIO] = [io.BytesIO(GREETING)]

    def sendall(self, line: bytes) -> None:
        before, mailbox, after = self._session.answer(bytes(line))
        self._recording.seek(0)
        self._pieces = [io.BytesIO(before), *([self._recording] if mailbox else []), io.BytesIO(after)]

    def recv_into(self, buffer: Any) -> int:
        while self._pieces:
            if count := self._pieces[0].readinto(buffer):
                return count
            del self._pieces[0]
        return 0

    readinto = recv_into
    recv = io.RawIOBase.read

    def readable(self) -> bool:
        return True

    def shutdown(self, how: int) -> None:
        pass

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


def _recording(job: Job) -> io.RawIOBase | io.BytesIO:
    path = Path(job.recording)
    return path.open("rb", buffering=0) if job.counted else io.BytesIO(path.read_bytes())


def log_in(module: Any, account: Account) -> Any:
    """Connect and log in with an imaplib module, stdlib's or fastimap's."""
    if account.cafile:
        context = ssl.create_default_context(cafile=account.cafile)
        connection = module.IMAP4_SSL(account.host, account.port, ssl_context=context)
    else:
        connection = module.IMAP4(account.host, account.port)
    connection.login(account.user, account.password)
    return connection


def _imaplib(job: Job) -> Fetch:
    module = importlib.import_module("fastimap.imaplib") if job.client in ("c", "py") else imaplib
    if job.account:
        connection = log_in(module, job.account)
        connection.select(job.account.mailbox or job.workload, readonly=True)
    else:
        source = MemorySocket(_recording(job))
        connection = type("InMemory", (module.IMAP4,), {"_create_socket": lambda self, timeout: source})()
        connection.login("user", "secret")
        connection.select(job.workload, readonly=True)
    if job.client.endswith("one by one"):
        numbers = [str(number) for number in range(1, messages(job.workload) + 1)]
        return lambda: [part for number in numbers for part in connection.fetch(number, job.items)[1]]
    return lambda: connection.fetch("1:*", job.items)[1]


def _reader(job: Job) -> Fetch:
    """The reader with nothing around it."""
    from fastimap.parser import ResponseReader

    source = _recording(job)
    reader = ResponseReader()
    untagged: dict[str, list[bytes | tuple[bytes, bytes]]] = {}

    def fetch() -> list[bytes | tuple[bytes, bytes]]:
        source.seek(0)
        while count := source.readinto(reader.get_buffer()):
            reader.buffer_updated(count)
            reader.drain(untagged)
        return untagged.pop("FETCH")

    return fetch


def _typed(job: Job) -> Fetch:
    """The reader's batch(), which decodes each FETCH response; the rows are kept, or dropped batch by batch."""
    from fastimap.parser import ResponseReader

    source = _recording(job)
    reader = ResponseReader()

    def fetch() -> list[Any]:
        source.seek(0)
        kept: list[Any] = []
        while count := source.readinto(reader.get_buffer()):
            reader.buffer_updated(count)
            for rows in reader.batch():
                kept += rows
        return kept

    def stream() -> int:
        source.seek(0)
        seen = 0
        while count := source.readinto(reader.get_buffer()):
            reader.buffer_updated(count)
            # A few rows at a time: the next take over their memory while it is in the processor's cache.
            while batch := reader.batch(32):
                seen += sum(map(len, batch))
        return seen

    return stream if job.client.endswith("streamed") else fetch


def _imapclient_parser(job: Job) -> Fetch:
    """IMAPClient's decoding of what stdlib imaplib gives, without the rest of IMAPClient."""
    parse = importlib.import_module("imapclient.response_parser").parse_fetch_response
    fetch = _imaplib(job)
    return lambda: parse(fetch(), normalise_times=True, uid_is_key=False)


def _sink(job: Job) -> Fetch:
    """No parser: the octets are received and kept, which every client pays for at least."""
    assert job.account
    connection = log_in(imaplib, job.account)
    connection.select(job.workload, readonly=True)

    def fetch() -> tuple[bytes, ...]:
        connection.send(b"sink FETCH 1:* ALL\r\n")
        chunks = [b""]
        while not b"".join(chunks[-2:]).endswith(b"\r\nsink OK done\r\n"):
            chunks.append(connection.sock.recv(64 * KIB))
        return tuple(chunks)

    return fetch


def _protocol(job: Job) -> Fetch:
    """The conversation of a Client, with a driver that costs nothing."""
    from fastimap import SequenceSet, commands
    from fastimap.commands.base import Command
    from fastimap.conversation.protocol import Protocol

    source = MemorySocket(_recording(job))
    protocol = Protocol()

    def receive() -> None:
        protocol.buffer_updated(source.recv_into(protocol.get_buffer()))

    def run(command: Command[Any]) -> Any:
        pending = protocol.submit(command)
        while not pending.done:
            if octets := b"".join(protocol.data_to_send()):
                source.sendall(octets)
            receive()
        return pending.result()

    while not protocol.greeting.done:
        receive()
    run(commands.Login("user", "secret", insecure=True))
    run(commands.Select(job.workload, read_only=True))
    return lambda: run(commands.Fetch(SequenceSet("1:*"), *job.item_names))


def _given(job: Job) -> dict[str, Any]:
    """How a Client logs in to the account."""
    assert job.account
    account = job.account
    context = ssl.create_default_context(cafile=account.cafile) if account.cafile else None
    return {
        "host": account.host,
        "port": account.port,
        "user": account.user,
        "password": account.password,
        "mechanism": "LOGIN",
        "tls": bool(context),
        "ssl_context": context,
    }


def _client(job: Job) -> Fetch:
    import fastimap

    assert job.account
    client = fastimap.Client(**_given(job))
    exists = client.select(job.account.mailbox or job.workload, read_only=True).exists
    every = fastimap.SequenceSet(f"1:{exists}")

    def one_by_one() -> Any:
        with client.pipeline() as pipeline:
            pending = [pipeline.fetch(fastimap.SequenceSet(n), *job.item_names) for n in range(1, exists + 1)]
        return tuple(row for answer in pending for row in answer.result())

    def streamed() -> None:
        count = 0
        for _ in client.fetch_iter(every, *job.item_names):
            count += 1
        assert count == exists

    def to_file() -> None:
        with tempfile.TemporaryFile() as file:
            client.fetch_into(every, *job.item_names, into=lambda *_: file)
            _check_size(job, file.tell())

    match job.client.partition(", ")[2]:
        case "one by one":
            return one_by_one
        case "streamed":
            return streamed
        case "to a file":
            return to_file
    return lambda: client.fetch(every, *job.item_names)


def _async_client(job: Job) -> Fetch:
    import fastimap

    assert job.account
    runner = asyncio.Runner()
    client = fastimap.AsyncClient(**_given(job))
    exists = runner.run(client.select(job.account.mailbox or job.workload, read_only=True)).exists
    every = fastimap.SequenceSet(f"1:{exists}")

    async def kept() -> Any:
        return await client.fetch(every, *job.item_names)

    async def streamed() -> None:
        count = 0
        async for _ in client.fetch_iter(every, *job.item_names):
            count += 1
        assert count == exists

    coroutine = streamed if job.client.endswith("streamed") else kept
    return lambda: runner.run(coroutine())


def _check_size(job: Job, size: int) -> None:
    expected = split(job.workload)[1]
    assert size == expected, f"{size} octets instead of {expected}"


def _copying(job: Job) -> Fetch:
    """No client at all: what arrives is written to a file. What a literal to a file costs at least."""
    assert job.account
    connection = socket.create_connection((job.account.host, job.account.port))
    replies = connection.makefile("rb")
    connection.sendall(b'a LOGIN "user" "secret"\r\nb SELECT %s\r\n' % job.workload.encode())
    while not replies.readline().startswith(b"b OK"):
        pass
    buffer = memoryview(bytearray(256 * KIB))

    def fetch() -> None:
        connection.sendall(b"c FETCH 1 BODY[]\r\n")
        ending = b"\r\nc OK done\r\n"
        last = b""
        with tempfile.TemporaryFile() as file:
            while not last.endswith(ending):
                count = connection.recv_into(buffer)
                file.write(buffer[:count])
                last = (last + bytes(buffer[max(count - len(ending), 0) : count]))[-len(ending) :]

    return fetch


def _imapclient(job: Job) -> Fetch:
    account = job.account or Account(0)
    context = ssl.create_default_context(cafile=account.cafile) if account.cafile else None
    connection = importlib.import_module("imapclient").IMAPClient(
        account.host, account.port, use_uid=False, ssl=bool(context), ssl_context=context
    )
    if "debug=0" in job.client:
        connection._imap.debug = 0  # it is 5 as shipped: each literal is formatted for a log that nobody reads
    connection.login(account.user, account.password)
    exists = connection.select_folder(account.mailbox or job.workload, readonly=True)[b"EXISTS"]
    if job.client.endswith("one by one"):
        return lambda: {n: connection.fetch([n], job.item_names) for n in range(1, exists + 1)}
    return lambda: connection.fetch(range(1, exists + 1), job.item_names)


CLIENTS: dict[str, Callable[[Job], Fetch]] = {
    "stdlib": _imaplib,
    "c": _imaplib,
    "py": _imaplib,
    "stdlib, one by one": _imaplib,
    "c reader": _reader,
    "py reader": _reader,
    "c typed": _typed,
    "py typed": _typed,
    "c typed, streamed": _typed,
    "py typed, streamed": _typed,
    "IMAPClient parser": _imapclient_parser,
    "c protocol": _protocol,
    "Client": _client,
    "Client, streamed": _client,
    "Client, one by one": _client,
    "Client, to a file": _client,
    "AsyncClient": _async_client,
    "AsyncClient, streamed": _async_client,
    "copying": _copying,
    "sink": _sink,
    "IMAPClient": _imapclient,
    "IMAPClient, debug=0": _imapclient,
    "IMAPClient, debug=0, one by one": _imapclient,
}


class Client:
    """A running client, which does its FETCH as often as asked.

    The first FETCH of a process gets its memory from the kernel, page fault by page fault; later ones find some
    of it still there, as in a program that works through a mailbox in portions.
    """

    def __init__(self, job: Any) -> None:
        command, environment = job.command()
        self._name = job.client
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()

    def fetch(self) -> Sample:
        """Let the client do its FETCH.

        Raises:
            Unavailable: The process failed, now or before.
        """
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        # A process that has failed closed its ends, and says why on standard error.
        with contextlib.suppress(BrokenPipeError):
            print(file=self._process.stdin, flush=True)
        sample = self._process.stdout.readline()
        if not sample:
            raise Unavailable(f"{self._name}: {last_line(self._process.stderr.read())}")
        return Sample(**json.loads(sample))


def last_line(stderr: str) -> str:
    """What a failed process said last; valgrind's own lines left out."""
    lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith("==")]
    return lines[-1] if lines else "failed and said nothing"


def resident(field: str) -> int:
    """Octets of resident memory: VmRSS is now, VmHWM the most so far; elsewhere than on Linux always the latter."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        unit = 1 if sys.platform == "darwin" else KIB
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return next(int(line.split()[1]) * KIB for line in lines if line.startswith(field + ":"))


def _digest(data: Any) -> str:
    """The kind of what was fetched, and its digest: alike for all clients that give octets, and for all typed ones."""
    if isinstance(data, list) and data and not hasattr(data[0], "uid"):
        return f"octets {_octets_digest(data)}"
    rows = _in_common(data)
    return f"typed {_octets_digest(rows)}" if rows else ""


def _octets_digest(data: Sequence[bytes | Sequence[bytes]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in data:
        digest.update(type(part).__name__.encode())
        for octets in (part,) if isinstance(part, bytes) else part:
            digest.update(octets)
    return digest.hexdigest()


def _in_common(data: Any) -> list[tuple[bytes, ...]]:
    """What the typed clients have in common, message by message; nothing for other clients."""
    if isinstance(data, dict):  # IMAPClient's
        rows = [row.get(number, row) for number, row in data.items()]  # one by one, each is a dictionary by itself
        names = (b"UID", b"RFC822.SIZE", b"BODY[HEADER]", b"BODY[]")
        return [
            (
                *(str(row.get(name)).encode() for name in names),
                b" ".join(sorted(row.get(b"FLAGS", ()))),
                str((envelope := row.get(b"ENVELOPE")) and (envelope.subject, envelope.message_id)).encode(),
            )
            for row in rows
        ]
    if not isinstance(data, (list, tuple)) or not data or not hasattr(data[0], "uid"):
        return []
    return [
        (
            *(str(value).encode() for value in (row.uid, row.size, row.header_octets, row.body)),
            " ".join(sorted(row.flags or ())).encode(),
            str(row.envelope and (row.envelope.subject_octets, row.envelope.message_id_octets)).encode(),
        )
        for row in data
    ]


def _measure(fetch: Fetch) -> Sample:
    gc.collect()
    before, wall, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
    data = fetch()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    memory = resident("VmHWM") - before
    return Sample(cpu, wall, memory, _digest(data))


def main() -> None:
    """Do the job that the argument holds as JSON: for each line of standard input one FETCH, and its sample as JSON."""
    processors.for_the_client()
    fields = json.loads(sys.argv[1])
    fields["account"] = fields["account"] and Account(**fields["account"])
    job = Job(**fields)
    fetch = CLIENTS[job.client](job)
    if job.counted:
        fetch()
        os._exit(0)  # what the end of the process takes is not counted
    for _ in sys.stdin:
        print(json.dumps(asdict(_measure(fetch))), flush=True)


if __name__ == "__main__":
    main()
