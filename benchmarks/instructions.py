"""Instructions, counted by valgrind: the same on every run, within a percent or two, however busy the machine.

    python -m benchmarks.instructions                                this tree, beside the base
    python -m benchmarks.instructions --only noop --client Client    one figure, in some seconds
    python -m benchmarks.instructions --tree PATH                    another tree, built in place
    python -m benchmarks.instructions --most 1.05                    a failure where a ratio is 5 % over the base's
    python -m benchmarks.instructions --record                       make this tree the base

The extension has to be built in place (`make check` does it) and valgrind installed (`tools/install-valgrind`). What is
counted is in `benchmarks.operations`: a command (noop, message), rows of the workloads a, b and d kept, and read, a
turn of the loop (a TLS record), rows streamed, and the imports; by the Python twin a, b and d kept. Each is done by
processes of the client alone against the replaying server, once so many times and once half as often; the difference is
the operation's own, without start-up and login. What the kernel does is not counted.

Counts depend on the build of Python, so each table has the ratio to imaplib, counted in the same run, and compares
that with the base's: 1.05 in the last column is 5 % more than in the base (benchmarks/base.json; from the commit that
it names). Where the Python is the base's own, the counts themselves compare as well.
"""

import argparse
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.client import Job, Unavailable, last_line
from benchmarks.operations import CLIENTS, OPERATIONS, PARSED, TLS
from benchmarks.replay import Account, replay_server
from benchmarks.workloads import record

MESSAGES = 2000
ROOT = Path(__file__).parents[1]
BASE = Path(__file__).with_name("base.json")
IMPORTS = {
    "imaplib": "import imaplib",
    "drop-in": "import fastimap.imaplib",
    "Client": "from fastimap import Client",
    "AsyncClient": "from fastimap import AsyncClient",
    "IMAPClient": "import imapclient",
    "drop-in, Python": "import fastimap.imaplib",
    "Client, Python": "from fastimap import Client",
}

Counts = dict[str, dict[str, float]]
"""By operation and client."""


def _counted(command: list[str], environment: dict[str, str]) -> int:
    """Count the instructions of a process.

    Raises:
        Unavailable: valgrind is not installed, or the process failed.
    """
    if not shutil.which("valgrind"):
        raise Unavailable("valgrind is not installed")
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(valgrind + command, env=environment, capture_output=True, text=True, check=False)
    total = re.search(r"I +refs: +([0-9,]+)", done.stderr)
    if done.returncode or total is None:
        raise Unavailable(f"{' '.join(command[-2:])}: {last_line(done.stderr)}")
    return int(total[1].replace(",", ""))


@functools.cache
def per_message(client: str, workload: str) -> int:
    """Count the instructions that one message of the workload takes, parse alone.

    Raises:
        Unavailable: valgrind is not installed, or the client failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for messages in (MESSAGES, MESSAGES // 2):
            recording = Path(folder, str(messages))
            recording.write_bytes(record(f"{workload}/{messages}"))
            jobs.append(Job(client, f"{workload}/{messages}", recording=str(recording), counted=True))
        with ThreadPoolExecutor() as pool:  # counts do not mind the company
            total, half = pool.map(lambda job: _counted(*job.command()), jobs)
    return (total - half) // (MESSAGES - MESSAGES // 2)


def _environment(tree: Path, client: str) -> dict[str, str]:
    implementation = "py" if client.endswith(", Python") else "c"
    chosen = {} if client in ("imaplib", "IMAPClient") else {"FASTIMAP_IMPL": implementation}
    # What is imported is to be compiled already, here and where a user installed it.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join((str(tree / "src"), str(ROOT))),
        **chosen,
    }


def _operation(tree: Path, plain: Account, tls: Account, operation: str, client: str) -> float:
    account = tls if operation == "record" or operation.endswith(TLS) else plain
    job = {"client": client, "operation": operation, "port": account.port, "cafile": account.cafile}
    counts = []
    # The Python twin's rows take hundreds of times the instructions: an eighth of them is counted as exactly.
    times = OPERATIONS[operation] // (8 if client == "Client, Python" else 1)
    for number in (times, times // 2):
        command = [sys.executable, "-m", "benchmarks.operations", json.dumps({**job, "times": number})]
        counts.append(_counted(command, _environment(tree, client)))
    return (counts[0] - counts[1]) / (times - times // 2)


def _import(tree: Path, client: str) -> float:
    """Instructions of the import, in millions, over those of a Python that imports nothing."""
    with_it, without = (
        _counted([sys.executable, "-c", program], _environment(tree, client)) for program in (IMPORTS[client], "pass")
    )
    return (with_it - without) / 1e6


def _is_counted(operation: str, client: str) -> bool:
    if client.endswith(", Python"):
        return operation in PARSED
    return not operation.startswith("iter") or client in ("Client", "AsyncClient")


def count(
    tree: Path, operations: Iterable[str] = (), clients: Iterable[str] = (), notes: list[str] | None = None
) -> Iterator[tuple[str, dict[str, float]]]:
    """Count the operations by the clients (all by default) of the tree's fastimap; yield them as they are done."""
    clients = [*clients] or [*CLIENTS]
    for client in clients:
        warm = f"{IMPORTS[client]}; import benchmarks.operations"  # compiled once, and not counted
        subprocess.run([sys.executable, "-c", warm], env=_environment(tree, client), check=False)
    with replay_server() as (plain, tls), ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = {
            operation: {
                client: pool.submit(_import, tree, client)
                if operation == "import"
                else pool.submit(_operation, tree, plain, tls, operation, client)
                for client in clients
                if _is_counted(operation, client)
            }
            for operation in [*operations] or [*OPERATIONS, "import"]
        }
        for operation, futures in pending.items():
            counts = {}
            for client, future in futures.items():
                try:
                    counts[client] = future.result()
                except Unavailable as error:
                    if notes is not None:
                        notes.append(str(error))
            yield operation, counts


def _reference(operation: str, counts: Counts) -> float | None:
    """What imaplib takes: for rows that are streamed, with the rows kept."""
    return counts.get(operation.removeprefix("iter "), counts.get(operation, {})).get("imaplib")


def _show(operation: str, counts: Counts, base: Counts) -> dict[str, float]:
    """Print the operation's rows, beside the base's; return by how much the ratio of each changed, by its name."""
    changes = {}
    for client in counts[operation]:
        figures: list[float | None] = []
        for table in (counts, base):
            figure = table.get(operation, {}).get(client)
            reference = _reference(operation, table)
            figures += [figure, figure / reference if figure and reference else None]
        now, now_ratio, then, then_ratio = figures
        change = now_ratio / then_ratio if now_ratio and then_ratio else None
        if change is not None:
            changes[f"{operation} by {client}"] = change
        cells = [_cell(now, 14, 0), _cell(now_ratio, 11), _cell(then, 14, 0), _cell(then_ratio, 11), _cell(change, 9)]
        print(f"{operation:12} {client:15}", *cells, flush=True)
    return changes


def _cell(value: float | None, width: int, digits: int = 2) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width},.{digits}f}"


def main() -> int:
    """Count, print, compare and record if asked to."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=[*OPERATIONS, "import"], default=[])
    parser.add_argument("--client", action="append", choices=CLIENTS, default=[], help="beside imaplib; default: all")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the tree whose fastimap is counted")
    parser.add_argument("--most", type=float, metavar="RATIO", help="end with 1 where now/base is above it, or unknown")
    parser.add_argument("--record", action="store_true", help=f"write the counts to {BASE.name}")
    options = parser.parse_args()
    clients = list(dict.fromkeys(["imaplib", *options.client])) if options.client else []
    base: dict[str, Any] = {"python": "none", "commit": "none", "counts": {}}
    if BASE.exists():
        base = json.loads(BASE.read_text())
    version = sys.version.split()[0]
    print(f"Python {version}; the base is commit {base['commit']} on Python {base['python']}\n")
    notes: list[str] = []
    counts: Counts = {}
    grown = []
    wanted = [operation.removeprefix("iter ") for operation in options.only] + options.only
    print(f"{'':12} {'':15} {'instructions':>14} {'to imaplib':>11} {'base':>14} {'to imaplib':>11} {'now/base':>9}")
    for operation, row in count(options.tree.resolve(), dict.fromkeys(wanted), clients, notes):
        counts[operation] = row
        changes = _show(operation, counts, base["counts"])
        grown += [name for name, change in changes.items() if options.most is not None and change > options.most]
    for note in notes:
        print(f"not counted: {note}")
    if options.record:
        commit = subprocess.run(
            ["git", "-C", options.tree, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        kept = base["counts"] if (base["commit"], base["python"]) == (commit, version) else {}
        for operation, row in counts.items():
            kept.setdefault(operation, {}).update({client: round(figure, 1) for client, figure in row.items()})
        BASE.write_text(json.dumps({"python": version, "commit": commit, "counts": kept}, indent=1) + "\n")
    if grown:
        print(f"more than {options.most} times what they took in commit {base['commit']}: {', '.join(grown)}")
    return 1 if grown or (notes and options.most is not None) else 0


if __name__ == "__main__":
    sys.exit(main())
