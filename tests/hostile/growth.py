"""How the processor time of a scenario grows with the octets."""

from __future__ import annotations

import math
from collections.abc import Callable

from .scenario import KIB, MIB

SMALL, LARGE = 512 * KIB, 8 * MIB

# The sizes are doubled until one takes so many seconds of processor time, which is time enough to see how it grows.
ENOUGH = 1.0
FEWEST_DOUBLINGS, DOUBLINGS = 2, 4

# Below this, in seconds for the larger size, a ratio says nothing, and there is nothing to say.
MEASURABLE = 0.1

# time(2n) / time(n): linear is 2, n log n is 2.1, quadratic is 4.
MOST = 2.5

# The least of several times is the one with the least noise in it.
ROUNDS = 5


def growth(run: Callable[[int], tuple[str, float]]) -> tuple[str, float]:
    """Return "ok" and time(2n) / time(n), or what else the scenario came to at one of its sizes.

    `run` does the scenario at a size in octets, and returns its verdict and seconds of the client's processor time.
    The ratio is the mean of the doublings from SMALL to a size that takes ENOUGH, which is LARGE at the most: what
    noise there is in two times, they share. What is too short to measure has the ratio 0. What grows more than MOST is
    measured again, up to ROUNDS times in all: noise goes away then, and quadratic time does not.
    """
    small = large = math.inf
    ratio, doublings = 0.0, 0
    for _ in range(ROUNDS):
        verdict, seconds = run(SMALL)
        if verdict != "ok":
            return verdict, 0.0
        small = min(small, seconds)
        if not doublings:
            enough = (count for count in range(FEWEST_DOUBLINGS, DOUBLINGS) if small * 2**count >= ENOUGH)
            doublings = next(enough, DOUBLINGS)
        verdict, seconds = run(SMALL << doublings)
        if verdict != "ok":
            return verdict, 0.0
        large = min(large, seconds)
        ratio = (large / small) ** (1 / doublings) if large >= MEASURABLE else 0.0
        if ratio <= MOST:
            break
    return verdict, ratio
