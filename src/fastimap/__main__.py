"""``python -m fastimap``, and the command ``fastimap``."""

from __future__ import annotations

import _thread
import atexit
import gc
import os
import sys
import time

_SIGNALS = {"KeyboardInterrupt": "SIGINT", "Terminated": "SIGTERM"}
_status: int | None = None
"""The exit status, once it is known."""


def program() -> int:
    """Be the process's program: as `main`, and the process ends with that status."""
    if not getattr(atexit, "_ncallbacks", lambda: 1)():  # how many there are: CPython's own
        atexit.register(_leave)  # first, to be called last
    global _status
    _status = main()
    return _status


def _leave() -> None:
    """End the process here: all that is left is to take apart what was imported, and nothing is gained by that."""
    if _status is not None:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):  # there is none, it is full, or closed
            pass
        os._exit(_status)


def main() -> int:
    """Run the program; return its exit status. An interrupt during the imports is none of a traceback either."""
    try:
        sys.unraisablehook = _send_again
        gc.set_threshold(50_000)  # modules and rows are many objects, and none of them is garbage that only this finds
        from .cli import main as run

        return run()
    except KeyboardInterrupt as exc:
        terminated = type(exc).__name__ == "Terminated"
        print(f"fastimap: {'terminated' if terminated else 'interrupted'}", file=sys.stderr)
        return 143 if terminated else 130
    finally:
        # Where an interrupt got out of an eval(), as imports have them, `python -m` ends by SIGINT whatever main()
        # returns, though it was handled; but not if another eval() came to its end since.
        eval("0")


def _send_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Send a signal again whose exception Python drops: amid a callback, as each import has one, it goes nowhere."""
    name = _SIGNALS.get(unraisable.exc_type.__name__)
    if name is None:
        sys.__unraisablehook__(unraisable)
    else:
        _thread.start_new_thread(_after_the_callback, (name, _thread.get_ident()))


def _after_the_callback(name: str, thread: int) -> None:
    import signal  # not before main() can catch an interrupt: it takes a while

    time.sleep(0.01)
    if sys.platform == "win32":
        signal.raise_signal(getattr(signal, name))
    else:
        signal.pthread_kill(thread, getattr(signal, name))  # which ends a wait of that thread, too


if __name__ == "__main__":
    sys.exit(program())
