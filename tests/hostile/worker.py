"""Runs scenarios for one library, in a process that may come to harm: its memory is limited, and its parent ends it.

    python -m tests.hostile.worker LIBRARY < jobs

A job is a line of JSON, [name, growing]. For each one, in order, a line of JSON comes back: [verdict, growth], with the
ratio time(2n) / time(n) of the client's processor time where `growing` asks for it, else 0.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .adapters import ADAPTERS, Adapter, Unsupported
from .certificates import Certificates
from .families import SCENARIOS
from .growth import growth
from .scenario import MIB, TYPED, Call, Outcome, Raised, Returned, Scenario, shown, works_on
from .server import HostileServer

OK = "ok"
NOT_APPLICABLE = "n/a"

# Seconds until a connection that has ended gives its error, and how often a late one is tried: a wait for a deadline is
# late each time, and what a busy machine makes late is not.
CUT_WITHIN = 0.1
ROUNDS = 5

# Octets of address space: what announces a literal near the largest allowed (1 GiB) must not get it.
MEMORY = 960 * MIB


def verdict(scenario: Scenario, library: str, certificates: Certificates) -> str:
    """Return OK, NOT_APPLICABLE, or what happened instead of what is demanded."""
    adapter = ADAPTERS[library]()
    if scenario.interface not in ("", adapter.interface):
        return NOT_APPLICABLE
    try:
        if scenario.cuts:
            return _cut_verdict(scenario, library, certificates)
        outcome, _ = _run(scenario, adapter, certificates)
    except Unsupported:
        return NOT_APPLICABLE
    demand = scenario.typed if scenario.typed is not None and adapter.interface == TYPED else scenario.demand
    return _escaped(scenario, adapter, outcome) or demand(outcome) or _late(outcome, scenario.within) or OK


def _escaped(scenario: Scenario, adapter: Adapter, outcome: Outcome) -> str:
    """Return which exception came out that is not documented, if any."""
    documented = adapter.server_errors + ((TypeError, ValueError) if scenario.argument_errors else ())
    for result in outcome.results:
        if isinstance(result, Raised) and not isinstance(result.exception, documented):
            return f"undocumented {shown(result)}"
    return ""


def _late(outcome: Outcome, within: float | None) -> str:
    """Return which call took longer than it may, if any."""
    if within is not None:
        for result in outcome.results:
            if result.seconds > within:
                return f"after {result.seconds:.1f} seconds: {shown(result)}"
    return ""


def _run(
    scenario: Scenario, adapter: Adapter, certificates: Certificates, cut: int | None = None
) -> tuple[Outcome, int]:
    """Return what comes of the scenario, and how many octets the server sent."""
    if scenario.script is None:
        return Outcome([_attempt(adapter, adapter.function, call) for call in scenario.calls]), 0
    with HostileServer(scenario.script, certificates, cut, scenario.reset) as server:
        results = [_attempt(adapter, adapter.open, server.port, scenario)]
        try:
            if isinstance(results[0], Returned):
                results += _calls(adapter, scenario.calls)
        finally:
            server.stop()  # before the client, so that it is not heard to say goodbye
            with suppress(*adapter.server_errors):  # of closing again what was closed
                adapter.close()
    return Outcome(results, server.received, server.connections), server.sent


def _calls(adapter: Adapter, calls: Sequence[Call]) -> Iterator[Returned | Raised]:
    for call in calls:
        yield _attempt(adapter, adapter.call, call)


def _attempt(adapter: Adapter, function: Callable[..., Any], *arguments: Any) -> Returned | Raised:
    start = time.monotonic()
    try:
        return Returned(function(*arguments), time.monotonic() - start)
    except Unsupported:
        raise
    except Exception as exc:
        seconds = time.monotonic() - start
        exc.__traceback__ = None  # it keeps what the call had in memory
        return Raised(exc, seconds, isinstance(exc, adapter.timeouts))


def _cut_verdict(scenario: Scenario, library: str, certificates: Certificates) -> str:
    whole, octets = _run(scenario, ADAPTERS[library](), certificates)
    if broken := [result for result in whole.results if isinstance(result, Raised)]:
        return f"even the whole session fails: {shown(broken[0])}"
    for cut in range(octets - scenario.trailer):
        for _ in range(ROUNDS):
            adapter = ADAPTERS[library]()
            outcome, _ = _run(scenario, adapter, certificates, cut)
            late = _late(outcome, CUT_WITHIN)
            if not late:
                break
        problem = late or _escaped(scenario, adapter, outcome) or works_on(outcome)
        if isinstance(outcome.results[-1], Returned):
            problem = problem or f"taken for complete: {shown(outcome.results[-1])}"
        for result, complete in zip(outcome.results, whole.results, strict=False):
            if isinstance(result, Returned) and result != complete:
                problem = problem or f"partial data: {shown(result)} instead of {shown(complete)}"
        if problem:
            return f"cut after {cut} of {octets} octets: {problem}"
    return OK


def _timed(grown: Callable[[int], Scenario], library: str, certificates: Certificates, size: int) -> tuple[str, float]:
    """Return the verdict at a size, and seconds of the client's processor time."""
    scenario = grown(size)
    gc.collect()
    start = time.thread_time()
    outcome = verdict(scenario, library, certificates)
    return outcome, time.thread_time() - start


def main() -> None:
    """Do the jobs on standard input."""
    library = sys.argv[1]
    certificates = Certificates()
    scenarios = {str(scenario): scenario for scenario in SCENARIOS}
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as directory:
        authority = Path(directory, "authority.pem")
        certificates.write_authority(authority)
        os.environ["SSL_CERT_FILE"] = str(authority)  # for OpenSSL, these are the system's authorities now
        for job in sys.stdin:
            name, growing = json.loads(job)
            scenario = scenarios[name]
            if growing and scenario.grown is not None:
                result = growth(functools.partial(_timed, scenario.grown, library, certificates))
            else:
                result = verdict(scenario, library, certificates), 0.0
            print(json.dumps(result), flush=True)
            gc.collect()


if __name__ == "__main__":
    main()
