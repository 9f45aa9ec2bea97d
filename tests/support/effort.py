"""How much of the tests that could go on for ever is run, by HYPOTHESIS_PROFILE.

dev      a fiftieth: what `make check` takes its minute from, and a bare pytest
ci       what `make test` runs, the same inputs each time
release  ten times as much, other inputs each time: HYPOTHESIS_PROFILE=release make test
"""

import os

from hypothesis import settings

PROFILES = {"dev": 0.02, "ci": 1.0, "release": 10.0}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE") or "dev"


def effort(count: int, at_least: int = 20) -> int:
    """Return how many rounds the profile asks for of a test that has `count` in CI."""
    return max(round(count * PROFILES[PROFILE]), min(at_least, count))


def load_profile() -> None:
    """Have Hypothesis take the profile; a test without a number of its own has 100 examples in CI."""
    if PROFILE not in PROFILES:
        raise ValueError(f"HYPOTHESIS_PROFILE={PROFILE}: there are {', '.join(PROFILES)}")
    settings.register_profile(
        PROFILE,
        deadline=None,  # nothing is asserted about time
        derandomize=PROFILE == "ci",
        max_examples=effort(100),
        print_blob=True,
    )
    settings.load_profile(PROFILE)
