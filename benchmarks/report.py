"""Everything in one run: CPU end to end, growth, parse alone, instructions, round trips; printed as Markdown tables.

Stdlib imaplib of this Python, both implementations of the drop-in, and the typed clients take turns; ratios compare
their medians.
"""

import argparse
import contextlib
import dataclasses
import json
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import archive, everyday, migrate, sessions
from benchmarks.client import Client, Job, Sample, Unavailable
from benchmarks.delay import delayed
from benchmarks.instructions import per_message
from benchmarks.links import LINKS, Task
from benchmarks.replay import replay_server
from benchmarks.workloads import KIB, MIB, WORKLOADS, record, split

DROP_INS = ("stdlib", "c", "py")
READERS = ("c reader", "py reader")
PEER = "IMAPClient, debug=0"
TYPED_PEER = "IMAPClient parser"
CODEC = ("imap-codec", "imap-codec, streamed")
TYPED = ("c typed", "c protocol", "py typed")
TYPED_STREAMED = "c typed, streamed"
KEPT = ("Client", "AsyncClient")
STREAMED = ("Client, streamed", "AsyncClient, streamed")
ONE_BY_ONE = ("Client, one by one", "stdlib, one by one", f"{PEER}, one by one")
TO_A_FILE = ("copying", "Client, to a file")
ROUND_TRIP = 0.020  # seconds
LONG_ROUND_TRIP = 0.100
EVERYDAY = (*everyday.CLIENTS, everyday.BATCHES, "Client, fetch")
SLOW = frozenset({PEER, TYPED_PEER, *ONE_BY_ONE[1:], "py typed"})
"""These take seconds for each FETCH: one round in a process has to do."""
GROWTH = ("a/1000", "a/10000", "a/100000", *(f"f/{size}" for size in (KIB, MIB, 10 * MIB, 100 * MIB)))

Figures = dict[str, Any]
Row = tuple[str, dict[str, Figures]]


class Bench:
    """One run of the benchmarks.

    Attributes:
        processes: How many processes each client gets, one after the other.
        rounds: How many FETCHes are measured in each, besides the first.
        peers: Whether other libraries are measured too.
        notes: What could not be measured, and why.
    """

    def __init__(self, processes: int, rounds: int, *, peers: bool) -> None:
        self.processes = processes
        self.rounds = rounds
        self.peers = peers
        self.notes: dict[str, None] = {}  # a set that keeps its order

    def take_turns(self, jobs: Sequence[Job | everyday.EverydayJob]) -> dict[str, Figures]:
        """Let the clients fetch in turn, and sum up for each; nothing for a client that failed.

        Raises:
            RuntimeError: Two clients fetched different octets.
        """
        first: dict[str, list[Sample]] = {job.client: [] for job in jobs}
        later: dict[str, list[Sample]] = {job.client: [] for job in jobs}
        failed: set[str] = set()
        for _ in range(self.processes):
            with contextlib.ExitStack() as stack:
                running = {}
                for job in jobs:
                    with self._noting(job.client, failed):
                        running[job.client] = stack.enter_context(Client(job))
                for turn, samples in enumerate((first, *[later] * self.rounds)):
                    for name, client in running.items():
                        if turn <= 1 or name not in SLOW:
                            with self._noting(name, failed):
                                samples[name].append(client.fetch())
        digests = {sample.digest for samples in first.values() for sample in samples} - {""}
        kinds = {digest.partition(" ")[0] for digest in digests}
        if len(digests) > len(kinds):
            raise RuntimeError(f"the clients fetched different octets: {jobs}")
        return {name: {} if name in failed else _summary(first[name], later[name]) for name in first}

    def once(self, tasks: Sequence[Task]) -> dict[str, Figures]:
        """Let each do its task once in a process of its own, one after the other."""
        figures: dict[str, Figures] = {}
        failed: set[str] = set()
        for task in tasks:
            figures[task.client] = {}
            with self._noting(task.client, failed), Client(task) as client:
                figures[task.client] = dataclasses.asdict(client.fetch())
        return figures

    def migrate(self) -> Iterator[Row]:
        """A migration between two real Dovecots: `benchmarks.migrate`."""
        return migrate.rows(self)

    def pool(self) -> Iterator[Row]:
        """Bodies by several connections at once."""
        return sessions.bodies(self)

    def mailboxes(self) -> Iterator[Row]:
        """Many mailboxes of one account."""
        return sessions.mailboxes(self)

    def connections(self) -> Iterator[Row]:
        """Many AsyncClients at once."""
        return sessions.connections(self)

    def waiting(self) -> Iterator[Row]:
        """Followers that have nothing to do."""
        return sessions.waiting(self)

    @contextlib.contextmanager
    def _noting(self, client: str, failed: set[str]) -> Iterator[None]:
        try:
            yield
        except Unavailable as error:
            failed.add(client)
            self.notes[str(error)] = None

    def end_to_end(self) -> Iterator[Row]:
        """Over loopback, from the replaying server; i is d over TLS. "sink" keeps the octets and parses nothing."""
        clients = (*DROP_INS, *KEPT, *STREAMED, "sink", *((PEER,) if self.peers else ()))
        with replay_server() as (plain, tls):
            for row in (*WORKLOADS, "i"):
                workload, account = ("d", tls) if row == "i" else (row, plain)
                yield row, self.take_turns([Job(client, workload, account) for client in clients])

    def everyday(self) -> Iterator[Row]:
        """What an ordinary program feels: `benchmarks.everyday`."""
        with replay_server() as (plain, tls):
            for row in everyday.ROWS.values():
                with contextlib.ExitStack() as stack:
                    account = tls if row.link == "tls" else plain
                    if row.link == "100 ms":
                        account = stack.enter_context(delayed(plain, LONG_ROUND_TRIP))
                    if row.link == "dovecot":
                        try:
                            account = stack.enter_context(everyday.dovecot(row.times))
                        except Unavailable as error:
                            self.notes[str(error)] = None
                            continue
                    account = dataclasses.replace(account, mailbox=row.mailbox or account.mailbox)
                    clients = [client for client in row.clients if self.peers or client != "IMAPClient"]
                    figures = self.take_turns([everyday.EverydayJob(client, row.title, account) for client in clients])
                for each in figures.values():
                    if each:
                        each["figure"] = each[row.key]
                yield row.title, {client: figures.get(client, {}) for client in EVERYDAY}

    def one_by_one(self) -> Iterator[Row]:
        """A command for each message, over a link with a round-trip time."""
        with replay_server() as (plain, _), delayed(plain, ROUND_TRIP) as account:
            clients = ONE_BY_ONE if self.peers else ONE_BY_ONE[:-1]
            yield "d/500", self.take_turns([Job(client, "d/500", account) for client in clients])

    def to_a_file(self) -> Iterator[Row]:
        """A literal that goes to a file, beside a loop that receives and writes and knows no IMAP."""
        with replay_server() as (plain, _):
            workload = f"f/{1024 * MIB}"
            yield workload, self.take_turns([Job(client, workload, plain) for client in TO_A_FILE])

    def archive(self) -> Iterator[Row]:
        """What a whole program costs that pulls a mailbox: `benchmarks.archive`."""
        try:
            yield from archive.rows(self.processes * self.rounds, lambda text: self.notes.setdefault(text))
        except Unavailable as error:
            self.notes[str(error)] = None

    def growth(self) -> Iterator[Row]:
        """More responses, larger literals, over loopback."""
        with replay_server() as (plain, _):
            for workload in GROWTH:
                yield workload, self.take_turns([Job(client, workload, plain) for client in DROP_INS])

    def parse_alone(self) -> Iterator[Row]:
        """From memory: the drop-in as a whole, and its reader by itself."""
        with tempfile.TemporaryDirectory() as folder:
            recording = Path(folder, "recording")
            for workload in "abcd":
                recording.write_bytes(record(workload))
                clients = DROP_INS + READERS
                yield workload, self.take_turns([Job(client, workload, recording=str(recording)) for client in clients])

    def typed(self) -> Iterator[Row]:
        """From memory to typed rows: the reader's batch(); IMAPClient's parser on top of stdlib imaplib; imap-codec."""
        clients = ("stdlib", *TYPED, TYPED_STREAMED, *((TYPED_PEER, *CODEC) if self.peers else ()))
        with tempfile.TemporaryDirectory() as folder:
            recording = Path(folder, "recording")
            for workload in "abcd":
                recording.write_bytes(record(workload))
                yield workload, self.take_turns([Job(client, workload, recording=str(recording)) for client in clients])

    def instructions(self) -> Iterator[Row]:
        """Instructions a message, parse alone."""
        yield from self._instructions(DROP_INS)

    def typed_instructions(self) -> Iterator[Row]:
        """Instructions a message, to typed rows."""
        yield from self._instructions(("stdlib", *TYPED, *((TYPED_PEER, CODEC[0]) if self.peers else ())))

    def _instructions(self, clients: tuple[str, ...]) -> Iterator[Row]:
        for workload in "abd":
            row: dict[str, Figures] = {}
            for client in clients:
                try:
                    row[client] = {"instructions": per_message(client, workload)}
                except Unavailable as error:
                    row[client] = {}
                    self.notes[str(error)] = None
            yield workload, row


def _summary(first: list[Sample], later: list[Sample]) -> Figures:
    """Medians, in seconds; the memory, in octets, is the largest."""
    return {
        "cpu": statistics.median(sample.cpu for sample in later),
        "wall": statistics.median(sample.wall for sample in later),
        "first cpu": statistics.median(sample.cpu for sample in first),
        "memory": max(sample.memory for sample in first),
        "cpu of each": [sample.cpu for sample in later],
    }


@dataclasses.dataclass(frozen=True)
class Table:
    """How to print the rows of one question.

    Attributes:
        title: What is shown, and in which unit.
        key: The figure to show.
        unit: What to divide it by, for a row.
        goals: What the extension is to reach, by row.
        reference: The client that the others are compared with.
        of: The client that the goals are for.
        clients: Those to show; all if empty.
    """

    title: str
    key: str
    unit: Callable[[str], float]
    goals: dict[str, str] = dataclasses.field(default_factory=dict)
    reference: str = "stdlib"
    of: str = "c"
    clients: tuple[str, ...] = ()

    def show(self, rows: Iterable[Row]) -> dict[str, dict[str, Figures]]:
        """Print the rows as they come, and return them.

        After a figure stands how many times less it is than the reference's, mostly stdlib imaplib.
        """
        print(f"\n{self.title}\n")
        done: dict[str, dict[str, Figures]] = {}
        for row, clients in rows:
            cells = {
                client: self._cell(row, client, clients) for client in clients if client in (self.clients or clients)
            }
            if not any(clients.get(client) for client in cells):
                continue  # none of them was measured
            if self.goals:
                cells[f"goal for {self.of}"] = self.goals.get(row, "")
            if not done:
                print(f"| {'workload':26} |", *(f"{head:17} |" for head in cells))
                print(f"|{'-' * 28}|" + "".join(f"{'-' * max(len(head) + 2, 19)}|" for head in cells))
            print(
                f"| {_label(row):26} |", *(f"{cell:{max(len(head), 17)}} |" for head, cell in cells.items()), flush=True
            )
            done[row] = clients
        return done

    def _cell(self, row: str, client: str, clients: dict[str, Figures]) -> str:
        figure = clients[client].get(self.key)
        if figure is None:
            return "-"
        cell = number(figure / self.unit(row))
        name = everyday.ROWS[row].reference if row in everyday.ROWS else self.reference
        reference = clients.get(name, {}).get(self.key)
        if client == name or not reference or not figure:
            return cell
        return f"{cell} ({number(reference / figure)}x)"


def number(value: float) -> str:
    """Three significant figures; whole numbers from 100 up."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _label(row: str) -> str:
    if row == "i":
        return "i d over TLS"
    if row in everyday.ROWS or row in archive.ROWS:
        return row
    name, _, size = row.partition("/")
    if name not in WORKLOADS:
        return row
    if not size:
        return f"{name} {WORKLOADS[name].title}"
    return f"{name}, {int(size):,} {'octets' if name == 'f' else 'messages'}"


def _milliseconds(row: str) -> float:
    return 1e-3


def _microseconds(row: str) -> float:
    """Microseconds a message; for literals a KiB."""
    size = split(row)[1]
    return 1e-6 * (size / KIB if row.startswith("f") else size)


_CPU_GOALS = {"a": "25x", "b": "10x", "c": "4x", "d": "2.7x", "f": "1x", "i": "1.8x"}
_PARSE_GOALS = {"a": "35x", "b": "25x", "c": "8x", "d": "2.5x"}
_TYPED_GOALS = {"a": "200x", "b": "70x", "c": "15x", "d": "6x"}
_TYPED_STREAMED_GOALS = {"a": "22x", "b": "2.2x", "c": "15x", "d": "18x"}
_INSTRUCTION_GOALS = {"a": "900", "b": "2,200", "d": "3,600"}
_MEMORY = Table("Peak memory above that before the FETCH, MiB", "memory", lambda row: MIB)
_TYPED_CPU_GOALS = {"a": "15x", "b": "2x", "d": "2.7x"}
_STREAMED_GOALS = {"d": "12x"}
_PEER_GOALS = {"a": "150x", "b": "55x", "d": "4.5x"}
_AT_MOST = dict.fromkeys("abcdefi", "0.77x")  # 1.3 times as much
_FIRST = "The same, the first FETCH of a process: all memory comes fresh from the kernel"
QUESTIONS: dict[str, tuple[Callable[[Bench], Iterator[Row]], list[Table]]] = {
    "end to end": (
        Bench.end_to_end,
        [
            Table("Client CPU from a replaying server, milliseconds", "cpu", _milliseconds, _CPU_GOALS),
            Table("The typed clients", "cpu", _milliseconds, _TYPED_CPU_GOALS, of="Client", clients=("stdlib", *KEPT)),
            Table(
                "Streamed, nothing kept",
                "cpu",
                _milliseconds,
                _STREAMED_GOALS,
                of="Client, streamed",
                clients=("stdlib", *STREAMED),
            ),
            Table(
                "The typed clients; (nx): n times less than IMAPClient with its log off",
                "cpu",
                _milliseconds,
                _PEER_GOALS,
                PEER,
                "Client",
                (PEER, *KEPT),
            ),
            *(
                Table(
                    f"asyncio; (nx): n times less than {blocking}",
                    "cpu",
                    _milliseconds,
                    _AT_MOST,
                    blocking,
                    asynchronous,
                    (blocking, asynchronous),
                )
                for blocking, asynchronous in (KEPT, STREAMED)
            ),
            Table(_FIRST, "first cpu", _milliseconds),
            _MEMORY,
        ],
    ),
    "everyday": (
        Bench.everyday,
        [
            Table(
                "What an ordinary program feels: client CPU, in the row's unit; (nx): n times less than imaplib, or "
                "than the first of the row",
                "figure",
                lambda row: everyday.ROWS[row].times / everyday.ROWS[row].unit,
                {row.title: row.goal for row in everyday.ROWS.values()},
                "imaplib",
                "Client",
            )
        ],
    ),
    "migrate": (
        Bench.migrate,
        [
            Table(
                f"{migrate.MESSAGES:,} messages from a Dovecot to another: wall, seconds; (nx): n times less than the "
                "loop, which is measured on fewer and scaled",
                "wall",
                lambda row: 1,
                dict.fromkeys(LINKS, "5x"),
                migrate.LOOP,
                "migrate",
            ),
            Table("The same: client CPU, seconds", "cpu", lambda row: 1, reference=migrate.LOOP),
            dataclasses.replace(_MEMORY, reference=migrate.LOOP),
        ],
    ),
    "pool": (
        Bench.pool,
        [
            Table(
                f"{sessions.MESSAGES:,} bodies from Dovecot: wall, seconds; (nx): n times less than one Client",
                "wall",
                lambda row: 1,
                reference=sessions.ONE,
            ),
            Table("The same: client CPU, seconds", "cpu", lambda row: 1, reference=sessions.ONE),
            dataclasses.replace(_MEMORY, reference=sessions.ONE),
        ],
    ),
    "mailboxes": (
        Bench.mailboxes,
        [
            Table(
                f"Envelopes of {sessions.MAILBOXES} mailboxes of 20 messages: wall, seconds; (nx): n times less than "
                "one Client",
                "wall",
                lambda row: 1,
                reference=sessions.ONE,
            ),
            Table("The same: client CPU, seconds", "cpu", lambda row: 1, reference=sessions.ONE),
        ],
    ),
    "connections": (
        Bench.connections,
        [
            Table(
                f"{sessions.CLIENTS} AsyncClients connect and log in at once: client CPU, seconds for all",
                "cpu",
                lambda row: 1,
            ),
            Table("The same: memory of each, idle, KiB", "each", lambda row: KIB),
        ],
    ),
    "waiting": (
        Bench.waiting,
        [Table("A follower of one mailbox with nothing to do", "figure", lambda row: 1)],
    ),
    "one by one": (
        Bench.one_by_one,
        [
            Table(
                "500 messages, a FETCH for each, at 20 ms round-trip time: wall, milliseconds",
                "wall",
                _milliseconds,
                {"d/500": "150x"},
                "stdlib, one by one",
                "Client, one by one",
            )
        ],
    ),
    "to a file": (
        Bench.to_a_file,
        [
            Table(
                "A literal to a file: CPU, milliseconds; (nx): n times less than receiving and writing alone",
                "cpu",
                _milliseconds,
                {f"f/{1024 * MIB}": "0.77x"},
                "copying",
                "Client, to a file",
            ),
            dataclasses.replace(_MEMORY, reference="copying"),
        ],
    ),
    "archive": (
        Bench.archive,
        [
            Table(
                f"{archive.MESSAGES:,} messages from Dovecot into a Maildir on tmpfs, by whole programs: wall, "
                "milliseconds; (nx): n times less than mbsync",
                "wall",
                _milliseconds,
                archive.WALL_GOALS,
                archive.MBSYNC,
                archive.OURS,
            ),
            Table(
                "The same: CPU of the program",
                "cpu",
                _milliseconds,
                archive.CPU_GOALS,
                archive.MBSYNC,
                archive.OURS,
                (archive.OURS, archive.MBSYNC),
            ),
        ],
    ),
    "growth": (
        Bench.growth,
        [
            Table("Growth: CPU, microseconds a message (a), a KiB of one literal (f)", "cpu", _microseconds),
            _MEMORY,
        ],
    ),
    "parse alone": (
        Bench.parse_alone,
        [
            Table(
                "Parse alone, in memory that was used before: CPU, microseconds a message",
                "cpu",
                _microseconds,
                _PARSE_GOALS,
            ),
            Table(_FIRST, "first cpu", _microseconds),
        ],
    ),
    "typed": (
        Bench.typed,
        [
            Table(
                "To typed rows, in memory that was used before: CPU, microseconds a message; (nx): than IMAPClient",
                "cpu",
                _microseconds,
                _TYPED_GOALS,
                TYPED_PEER,
                "c typed",
                (TYPED_PEER, "stdlib", *TYPED),
            ),
            Table(
                "The same beside imap-codec (Rust), both keeping their values; (nx): than imap-codec",
                "cpu",
                _microseconds,
                dict.fromkeys("abcd", "1x"),
                CODEC[0],
                "c typed",
                (CODEC[0], "c typed"),
            ),
            Table(
                "Streamed, nothing kept; (nx): than stdlib imaplib",
                "cpu",
                _microseconds,
                _TYPED_STREAMED_GOALS,
                of=TYPED_STREAMED,
                clients=("stdlib", TYPED_STREAMED, CODEC[1]),
            ),
            Table(_FIRST, "first cpu", _microseconds, reference=TYPED_PEER),
        ],
    ),
    "instructions": (
        Bench.instructions,
        [Table("Parse alone: instructions a message", "instructions", lambda row: 1, _INSTRUCTION_GOALS)],
    ),
    "typed instructions": (
        Bench.typed_instructions,
        [
            Table(
                "To typed rows: instructions a message; (nx): than IMAPClient",
                "instructions",
                lambda row: 1,
                reference=TYPED_PEER,
            )
        ],
    ),
}


def measure(questions: Iterable[str], processes: int = 2, rounds: int = 3, *, peers: bool) -> dict[str, Any]:
    """Measure and print; return all figures, by question."""
    bench = Bench(processes, rounds, peers=peers)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, medians of {processes * rounds} rounds; (nx): n times less than stdlib imaplib")
    results: dict[str, Any] = {"python": python, "rounds": processes * rounds}
    for name in questions:
        measured, (table, *more) = QUESTIONS[name]
        rows = results[name] = table.show(measured(bench))
        for another in more:
            another.show(rows.items())
    for note in bench.notes:
        print(f"\nNot measured: {note}")
    return results


def main() -> None:
    """Measure, print, and write all figures as JSON if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--processes", type=int, default=2, help="processes of each client (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="FETCHes in each, besides the first (default: 3)")
    parser.add_argument("--only", choices=QUESTIONS, action="append", help="one question alone; may be repeated")
    parser.add_argument(
        "--no-peers", action="store_false", dest="peers", help="leave IMAPClient and imap-codec out (they take long)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    if min(options.processes, options.rounds) < 1:
        parser.error("at least one process and one round are needed")
    questions = options.only or list(QUESTIONS)
    results = measure(questions, options.processes, options.rounds, peers=options.peers)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
