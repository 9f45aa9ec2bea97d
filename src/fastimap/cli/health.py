"""The file in which `watch` says how it is, for a monitor."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .exits import UsageError, readable

if TYPE_CHECKING:
    from ..sessions.follow import Follow

__all__ = ["Health", "check"]

_SECONDS = 10.0


def check(path: Path) -> None:
    """Raise UsageError where no such file can be."""
    if path.is_dir():
        raise UsageError(f"--health {path}: it is a directory; name a file")
    if not path.parent.is_dir():
        raise UsageError(f"--health {path}: there is no directory {path.parent}")


class Health:
    """A file that says how it is, written anew every few seconds: one that is old means a program that does not live.

    :param mail: what is followed.
    :param counts: what came of messages.
    :param path: where; None: none is written.
    """

    def __init__(self, mail: Follow, counts: Mapping[str, int], path: Path | None) -> None:
        self._mail = mail
        self._counts = counts
        self._path = path
        self._over = False
        self._bell = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="fastimap-health", daemon=True)
        self.refusal = ""
        """What the server said last where it did not mark or move messages."""

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._write()
            except OSError as exc:
                raise UsageError(f"--health {self._path}: {exc.strerror}") from None
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._path is not None:
            self._over = True
            self._bell.set()
            self._thread.join()
            with contextlib.suppress(OSError):
                self._write("failed" if kind is not None and issubclass(kind, Exception) else "stopped")

    def changed(self) -> None:
        """Write it soon."""
        self._bell.set()

    def _keep(self) -> None:
        while True:
            self._bell.wait(_SECONDS)
            self._bell.clear()
            if self._over:
                return
            with contextlib.suppress(OSError):  # a full disk: then the file grows old, which says it
                self._write()

    def _write(self, name: str | None = None) -> None:
        assert self._path is not None
        state = self._mail.state
        error = state.error
        if not error and state.gone:
            error = f"gone: {', '.join(state.gone)}"
        if not error and state.owed:
            error = self.refusal
        now = {
            "ok": name is None and state.name in ("catching up", "waiting") and not state.gone and not state.owed,
            "state": name or state.name,
            "error": readable(error),
            "lag": state.lag,
            "parked": state.parked,
            "owed": state.owed,
            "gone": list(state.gone),
            "age": round(state.age, 1),
            "counts": dict(self._counts),
            "pid": os.getpid(),
            "time": round(time.time(), 1),
        }
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            fresh.write_text(json.dumps(now) + "\n", "utf-8")
            fresh.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
