"""Everything in one run: CPU end to end, growth, parse alone, instructions; printed as Markdown tables.

Stdlib imaplib of this Python and both implementations of fastimap take turns; ratios compare their medians.
"""

import argparse
import contextlib
import dataclasses
import json
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.client import Client, Job, Sample, Unavailable
from benchmarks.instructions import per_message
from benchmarks.replay import replay_server
from benchmarks.workloads import KIB, MIB, WORKLOADS, record, split

DROP_INS = ("stdlib", "c", "py")
READERS = ("c reader", "py reader")
PEERS = ("IMAPClient", "IMAPClient, debug=0")
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

    def take_turns(self, jobs: list[Job]) -> dict[str, Figures]:
        """Let the clients fetch in turn, and sum up for each; nothing for a client that failed.

        Raises:
            RuntimeError: Two clients fetched different octets.
        """
        first: dict[str, list[Sample]] = {job.client: [] for job in jobs}
        later: dict[str, list[Sample]] = {job.client: [] for job in jobs}
        failed = set()
        for _ in range(self.processes):
            with contextlib.ExitStack() as stack:
                running = {job.client: stack.enter_context(Client(job)) for job in jobs if job.client not in failed}
                for samples in (first, *[later] * self.rounds):
                    for name in [name for name in running if name not in failed]:
                        try:
                            samples[name].append(running[name].fetch())
                        except Unavailable as error:
                            failed.add(name)
                            self.notes[str(error)] = None
        if len({sample.digest for samples in first.values() for sample in samples} - {""}) > 1:
            raise RuntimeError(f"the clients fetched different octets: {jobs}")
        return {name: {} if name in failed else _summary(first[name], later[name]) for name in first}

    def end_to_end(self) -> Iterator[Row]:
        """Over loopback, from the replaying server; i is d over TLS. "sink" keeps the octets and parses nothing."""
        clients = (*DROP_INS, "sink", *(PEERS if self.peers else ()))
        with replay_server() as (plain, tls):
            for row in (*WORKLOADS, "i"):
                workload, account = ("d", tls) if row == "i" else (row, plain)
                yield row, self.take_turns([Job(client, workload, account) for client in clients])

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

    def instructions(self) -> Iterator[Row]:
        """Instructions a message, parse alone."""
        for workload in "abd":
            row: dict[str, Figures] = {}
            for client in DROP_INS + READERS:
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
    """

    title: str
    key: str
    unit: Callable[[str], float]
    goals: dict[str, str] = dataclasses.field(default_factory=dict)

    def show(self, rows: Iterable[Row]) -> dict[str, dict[str, Figures]]:
        """Print the rows as they come, and return them.

        Behind a figure stands how many times less it is than stdlib imaplib's.
        """
        print(f"\n{self.title}\n")
        done: dict[str, dict[str, Figures]] = {}
        for row, clients in rows:
            cells = {client: self._cell(row, client, clients) for client in clients}
            if self.goals:
                cells["goal for c"] = self.goals.get(row, "")
            if not done:
                print(f"| {'workload':26} |", *(f"{head:17} |" for head in cells))
                print(f"|{'-' * 28}|" + f"{'-' * 19}|" * len(cells))
            print(f"| {_label(row):26} |", *(f"{cell:17} |" for cell in cells.values()), flush=True)
            done[row] = clients
        return done

    def _cell(self, row: str, client: str, clients: dict[str, Figures]) -> str:
        figure = clients[client].get(self.key)
        if figure is None:
            return "-"
        cell = _number(figure / self.unit(row))
        stdlib = clients["stdlib"].get(self.key)
        return cell if client == "stdlib" or not stdlib or not figure else f"{cell} ({_number(stdlib / figure)}x)"


def _number(value: float) -> str:
    """Three significant figures; whole numbers from 100 up."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _label(row: str) -> str:
    if row == "i":
        return "i d over TLS"
    name, _, size = row.partition("/")
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
_INSTRUCTION_GOALS = {"a": "900", "b": "2,200", "d": "3,600"}
_MEMORY = Table("Peak memory above that before the FETCH, MiB", "memory", lambda row: MIB)
_FIRST = "The same, the first FETCH of a process: all memory comes fresh from the kernel"
QUESTIONS: dict[str, tuple[Callable[[Bench], Iterator[Row]], list[Table]]] = {
    "end to end": (
        Bench.end_to_end,
        [
            Table("Client CPU from a replaying server, milliseconds", "cpu", _milliseconds, _CPU_GOALS),
            Table(_FIRST, "first cpu", _milliseconds),
            _MEMORY,
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
    "instructions": (
        Bench.instructions,
        [Table("Parse alone: instructions a message", "instructions", lambda row: 1, _INSTRUCTION_GOALS)],
    ),
}


def main() -> None:
    """Measure, print, and write all figures as JSON if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--processes", type=int, default=3, help="processes of each client (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="FETCHes in each, besides the first (default: 3)")
    parser.add_argument("--only", choices=QUESTIONS, action="append", help="one question alone; may be repeated")
    parser.add_argument("--peers", action="store_true", help="measure IMAPClient too, where it is installed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    if min(options.processes, options.rounds) < 1:
        parser.error("at least one process and one round are needed")
    bench = Bench(options.processes, options.rounds, peers=options.peers)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    rounds = options.processes * options.rounds
    print(f"{python}, medians of {rounds} rounds; (nx): n times less than stdlib imaplib")
    results: dict[str, Any] = {"python": python, "rounds": rounds}
    for name in options.only or QUESTIONS:
        measured, (table, *more) = QUESTIONS[name]
        rows = results[name] = table.show(measured(bench))
        for another in more:
            another.show(rows.items())
    for note in bench.notes:
        print(f"\nNot measured: {note}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
