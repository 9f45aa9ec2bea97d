"""How the processor time of a scenario grows with the octets."""

from __future__ import annotations

from collections.abc import Sequence

from .run import Column, run_all
from .scenario import MIB, Scenario

SMALL, DOUBLINGS = 1 * MIB, 3
LARGE = SMALL << DOUBLINGS

# Below this, in seconds of processor time for the larger size, a ratio says nothing, and there is nothing to say.
MEASURABLE = 0.1

# The least of several times is the one with the least noise in it.
ROUNDS = 5


def growths(columns: Sequence[Column], scenarios: Sequence[Scenario], most: float) -> list[list[float | str]]:
    """Return time(2n) / time(n) for each of the columns and scenarios, or the verdict where it is not "ok".

    That is the mean of the DOUBLINGS from SMALL to LARGE: what noise there is in two times, three doublings share.
    What is too short to measure has the ratio 0. What grows more than `most` times is measured again, up to ROUNDS
    times in all: noise goes away then, and quadratic time does not.
    """
    jobs = [(scenario, size) for scenario in scenarios for size in (SMALL, LARGE)]
    table = run_all(columns, jobs)
    return [
        [
            _growth(column, scenario, [results[2 * index]], [results[2 * index + 1]], most)
            for index, scenario in enumerate(scenarios)
        ]
        for column, results in zip(columns, table, strict=True)
    ]


def _growth(
    column: Column,
    scenario: Scenario,
    small: list[tuple[str, float]],
    large: list[tuple[str, float]],
    most: float,
) -> float | str:
    while True:
        verdict = next((verdict for verdict, _ in small + large if verdict != "ok"), None)
        if verdict is not None:
            return verdict
        least = min(seconds for _, seconds in large)
        if least < MEASURABLE:
            return 0.0
        ratio: float = (least / min(seconds for _, seconds in small)) ** (1 / DOUBLINGS)
        if ratio <= most or len(small) == ROUNDS:
            return ratio
        [[one, other]] = run_all([column], [(scenario, SMALL), (scenario, LARGE)])
        small.append(one)
        large.append(other)
