"""What is done again after a lost connection, how often, and after how long. Knows no socket, and does not wait."""

from __future__ import annotations

import contextlib
import time
from _thread import allocate_lock  # `threading` is a large import for a lock
from collections.abc import Awaitable, Callable, Iterator

from ..errors import (
    Advice,
    AuthenticationFailed,
    CommandError,
    ConnectionLost,
    FastimapError,
    LimitError,
    MechanismError,
    OverQuota,
    ProtocolError,
)
from ..model._shown import Value

__all__ = ["Attempts", "Budget", "Retry", "helps", "no_waits"]

_EVERY = 60.0
"""Seconds between two logins beyond the burst."""

_A_DAY = 86_400.0
"""Seconds after which a server is asked again that wanted more."""

# Exchange's answer to a SELECT while the mailbox moves between its servers: the login was fine, a later one works.
_HALF_CONNECTED = "authenticated but not connected"


def _random() -> float:
    import random  # only where a connection was lost

    return random.random()


class Retry(Value, kw_only=True, unshown=("clock", "sleep", "random")):
    """How a client goes on after a lost connection, or a server that can't now; see `fastimap.Client`.

    :param attempts: how often something may fail, with no progress in between, until its error is raised. A message
        that arrived is progress, and so is a command that was answered.
    :param within: seconds since the first of these failures after which the error is raised; None: no limit.
    :param longest: seconds to wait at most between two attempts, unless the server asks for more.
    :param first: seconds to wait at most before the second attempt; doubled with each that fails. The wait is a random
        part of that, so that many clients do not come back at once.
    :param burst: logins at once; beyond these there is one a minute, counted over all connections of the account.
    :param clock: seconds, as `time.monotonic` gives them.
    :param sleep: instead of `time.sleep` and `asyncio.sleep`; for `AsyncClient` it may be a coroutine function.
    :param random: a function that returns a number from 0 to 1.
    """

    attempts: int = 8
    within: float | None = 600.0
    longest: float = 60.0
    first: float = 0.5
    burst: int = 10
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object] | object] | None = None
    random: Callable[[], float] = _random

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.burst < 1:
            raise ValueError("attempts and burst must be at least 1")
        if self.within is not None and not self.within > 0:
            raise ValueError("within must be over 0 seconds, or None")
        if not 0 <= self.first <= self.longest:
            raise ValueError("first must be from 0 seconds to longest")

    def backoff(self, failures: int) -> float:
        """Return the seconds to wait after so many failures: a random part of a time that doubles with each."""
        return self.random() * min(self.longest, self.first * 2.0 ** min(failures - 1, 60))


class Attempts:
    """The failures of one operation since its last progress."""

    __slots__ = ("_began", "_renewed", "_retry", "failures")

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._began: float | None = None
        self._renewed = False
        self.failures: int = 0

    def progress(self) -> None:
        """Count from zero again: something arrived."""
        self.failures = 0
        self._began = None
        self._renewed = False

    def failed(self, error: Exception, *, renewable: bool = False, login: float = 0.0) -> float:
        """Return the seconds to wait before the next attempt; raise `error` where there is to be none.

        :param renewable: whether credentials are asked for anew at each connection (a token provider): then the first
            refusal may be of an old token.
        :param login: the seconds for which the account's budget lets nobody log in, where the next attempt has to.
        """
        retry = self._retry
        now = retry.clock()
        self.failures += 1
        if self._began is None:
            self._began = now
        wait = retry.backoff(self.failures)
        if renewable and not self._renewed and is_refusal(error):
            self._renewed = True
        elif not helps(error):
            raise error
        else:
            # The server's word is the least; the random part keeps its clients from coming back all at once.
            wait += delay(error)
        wait = max(wait, login)
        if self.failures >= retry.attempts:
            _note(error, f"given up after {self.failures} attempts without progress")
            raise error
        if retry.within is not None and now + wait > self._began + retry.within:
            _note(error, f"given up: another attempt in {wait:.3g} s would be over {retry.within:g} s after the first")
            raise error
        return wait


class Budget:
    """What the connections of one account may ask of its server together. For any number of threads.

    Their logins (successful ones too: a server that hangs up after each makes no storm), and a time before which
    nobody connects: a server that is down is down for all of them, and "too many connections" holds for all.
    """

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._lock = allocate_lock()
        self._full_at = 0.0  # when the burst is whole again
        self._not_before = 0.0
        self._asked_for = 0.0  # the same, by what servers have said
        self._failures = 0
        self._refusal: Exception | None = None
        self.logins: int = 0
        self.on_refusal: Callable[[], None] | None = None
        """Called where the server refused a token: it is not used again."""

    def login(self) -> float:
        """Take a login; return the seconds to wait before it. Raises what refused the credentials before."""
        retry = self._retry
        with self._lock:
            if self._refusal is not None:
                raise self._refusal
            now = retry.clock()
            wait = self._wait(now)
            self._full_at = max(self._full_at, now) + _EVERY
            self.logins += 1
            return wait

    def until_login(self) -> float:
        """Return the seconds to wait for a login, without taking one."""
        with self._lock:
            return self._wait(self._retry.clock())

    def why(self) -> str:
        """Return why nobody may log in now."""
        with self._lock:
            if self._not_before > self._retry.clock():
                return "the server was not reached, or let nobody in"
            return f"{self._retry.burst} logins in a row were made (Retry(burst=))"

    def _wait(self, now: float) -> float:
        whole_at = max(self._full_at, now) + _EVERY
        return max(0.0, whole_at - self._retry.burst * _EVERY - now, self._not_before - now)

    def failed(self, error: Exception) -> None:
        """Take note of a connection that did not come about: the others wait as well."""
        with self._lock:
            self._failures += 1
            now, asked_for = self._retry.clock(), delay(error)
            self._asked_for = max(self._asked_for, now + asked_for if asked_for else 0.0)
            self._not_before = max(self._not_before, now + self._retry.backoff(self._failures) + asked_for)

    def hurry(self) -> None:
        """Wait no longer than a server has asked for, and for logins: the program knows that it may work now."""
        with self._lock:
            self._not_before = self._asked_for

    def refused(self, error: Exception) -> None:
        """Take note of a refused password: it is not tried again, since servers lock accounts for that."""
        with self._lock:
            self._refusal = error

    def succeeded(self) -> None:
        """Take note of a connection that came about."""
        with self._lock:
            self._failures = 0
            self._not_before = self._asked_for = 0.0


def helps(error: Exception) -> bool:
    """Whether what only reads, and failed with `error`, may work the next time."""
    if isinstance(error, (AuthenticationFailed, MechanismError, LimitError)):
        return False
    if isinstance(error, (ConnectionLost, ProtocolError)):
        return error.advice is Advice.RECONNECT
    if isinstance(error, CommandError):
        # A quota that is exceeded by reading is of traffic (Gmail).
        return error.advice is Advice.RETRY or isinstance(error, OverQuota) or needs_connection(error)
    return False


def needs_connection(error: Exception) -> bool:
    """Whether only a new connection may help."""
    if isinstance(error, CommandError):
        return error.advice is Advice.RECONNECT or _HALF_CONNECTED in error.text.lower()
    return isinstance(error, (ConnectionLost, ProtocolError))


def delay(error: Exception) -> float:
    """Return the seconds to wait that the server asked for, a day at most; 0 where it did not."""
    asked_for: float | None = getattr(error, "delay", None)
    return min(asked_for or 0.0, _A_DAY)


def is_refusal(error: Exception) -> bool:
    """Whether the server did not take the password, or the token."""
    return isinstance(error, FastimapError) and error.advice is Advice.REAUTHENTICATE


def _note(error: Exception, text: str) -> None:
    if text not in getattr(error, "__notes__", ()):
        error.add_note(text)


_waits = True


def seconds_to_sleep(seconds: float) -> float:
    """Return for how long to wait in truth: `seconds`, or not at all within `no_waits`."""
    return seconds if _waits else 0.0


@contextlib.contextmanager
def no_waits() -> Iterator[None]:
    """Have no client, pool or follower wait before another attempt while the block runs: for tests of programs."""
    global _waits
    before, _waits = _waits, False
    try:
        yield
    finally:
        _waits = before
