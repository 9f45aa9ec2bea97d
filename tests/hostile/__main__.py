"""Run the scenarios for several libraries, and print a Markdown table: python -m tests.hostile --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .adapters import ADAPTERS, OURS
from .families import SCENARIOS
from .growth import ENOUGH, LARGE, MEASURABLE, SMALL
from .run import Result, run_all
from .scenario import KIB, MIB, Scenario

LIBRARIES = {f"{adapter}, {parser}": (adapter, parser) for adapter in OURS for parser in ("c", "py")} | {
    name: (name, "") for name in ADAPTERS if name not in OURS
}
"""The columns of the table: the library, and the parser that it is to run on."""

# After the 10 seconds that aioimaplib waits without being told to.
PEERS_WALL_LIMIT = 15.0

FAMILIES = list(dict.fromkeys(scenario.family for scenario in SCENARIOS))


def verdicts_table(columns: Sequence[str], scenarios: Sequence[Scenario], verbose: bool) -> str:
    """Return the table of families and libraries, with how many scenarios are safe of how many that apply."""
    counts: dict[str, list[str]] = {family: [] for family in FAMILIES}
    totals = []
    jobs = [(scenario, False) for scenario in scenarios]
    ours = [column for column in columns if LIBRARIES[column][1]]
    results_of = dict(zip(ours, run_all([LIBRARIES[column] for column in ours], jobs), strict=True))
    others = [column for column in columns if column not in ours]
    # What they do not hold is much: they are not waited for so long, nor asked again.
    table = run_all([LIBRARIES[column] for column in others], jobs, PEERS_WALL_LIMIT, rounds=1)
    results_of.update(zip(others, table, strict=True))
    for column in columns:
        results = results_of[column]
        verdicts = [(scenario, verdict) for scenario, (verdict, _) in zip(scenarios, results, strict=True)]
        applicable = [(scenario, verdict) for scenario, verdict in verdicts if verdict != "n/a"]
        if verbose:
            for scenario, verdict in applicable:
                if verdict != "ok":
                    print(f"{column}: {scenario}: {verdict}", file=sys.stderr)
        for family, cells in counts.items():
            cells.append(_share([verdict for scenario, verdict in applicable if scenario.family == family]))
        totals.append(_share([verdict for _, verdict in applicable]))
    rows = [[family, *cells] for family, cells in counts.items() if any(cell != "-" for cell in cells)]
    return _markdown([["family", *columns], *rows, ["all", *totals]])


def growth_table(columns: Sequence[str], scenarios: Sequence[Scenario]) -> str:
    """Return the table of scenarios and libraries, with time(2n) / time(n)."""
    grown = [scenario for scenario in scenarios if scenario.grown is not None]
    table = run_all([LIBRARIES[column] for column in columns], [(scenario, True) for scenario in grown])
    cells = [
        [scenario.name, *map(_ratio, results)]
        for scenario, results in zip(grown, zip(*table, strict=True), strict=True)
    ]
    sizes = f"{SMALL // KIB} KiB to {LARGE // MIB} MiB, or to what takes {ENOUGH:g} s"
    return _markdown([[sizes, *columns], *cells])


def _ratio(result: Result) -> str:
    verdict, growth = result
    if verdict != "ok":
        return verdict
    return f"{growth:.1f}" if growth else f"under {MEASURABLE} s"


def _share(verdicts: Sequence[str]) -> str:
    return f"{verdicts.count('ok')} / {len(verdicts)}" if verdicts else "-"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join((lines[0], "|---" * len(rows[0]) + "|", *lines[1:]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument(
        "libraries", nargs="*", metavar="LIBRARY", help=f"of {', '.join(LIBRARIES)}; fastimap's by default"
    )
    parser.add_argument("--family", action="append", choices=FAMILIES, help="this family alone; can be repeated")
    parser.add_argument("--growth", action="store_true", help="measure time(2n) / time(n) instead")
    parser.add_argument("--peers", action="store_true", help="imaplib, IMAPClient, imap_tools and aioimaplib, too")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell on stderr what is not safe")
    options = parser.parse_args()
    for library in options.libraries:
        if library not in LIBRARIES:
            parser.error(f"no library {library!r}: there are {', '.join(LIBRARIES)}")
    os.nice(5)
    columns = options.libraries or [column for column, (_, parser) in LIBRARIES.items() if options.peers or parser]
    scenarios = [scenario for scenario in SCENARIOS if not options.family or scenario.family in options.family]
    print(growth_table(columns, scenarios) if options.growth else verdicts_table(columns, scenarios, options.verbose))


if __name__ == "__main__":
    main()
