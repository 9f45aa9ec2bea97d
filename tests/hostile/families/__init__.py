"""The scenarios, a module for each family of promises."""

from ..scenario import Scenario
from . import (
    compression,
    cut,
    data,
    errors,
    injection,
    limits,
    linear_time,
    names,
    sasl,
    sizes,
    step,
    time,
    tls,
    tolerated,
)

SCENARIOS: list[Scenario] = [
    scenario
    for family in (
        sizes,
        limits,
        linear_time,
        step,
        data,
        time,
        cut,
        compression,
        tls,
        injection,
        sasl,
        names,
        errors,
        tolerated,
    )
    for scenario in family.SCENARIOS
]
