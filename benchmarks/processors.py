"""The server on a processor, the client on another one, as on two machines.

Where the two have one in common it is the scheduler's choice whether a client finds its answer there or waits for it,
which costs it twice as much as all else of a small command; and it chooses otherwise from program to program.
"""

import contextlib
import os
from collections.abc import Iterator

__all__ = ["for_the_client", "for_the_server"]


def _all() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def for_the_client() -> None:
    """Have this process on the last of the processors, if there are several."""
    processors = _all()
    if len(processors) > 1:
        os.sched_setaffinity(0, processors[-1:])


@contextlib.contextmanager
def for_the_server() -> Iterator[None]:
    """Have the processes that are started in a block on the others."""
    processors = _all()
    if len(processors) > 1:
        os.sched_setaffinity(0, processors[:-1])
    try:
        yield
    finally:
        if len(processors) > 1:
            os.sched_setaffinity(0, processors)
