"""IDLE."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from .names import CRLF, Result
from .sending import Sending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Idler:
    """IDLE, as a context manager and an iterator over what the server says meanwhile. RFC 2177.

    Made by :meth:`IMAP4.idle`. Each item is ``(type, [data, ...])``, one untagged response. What was not taken is in
    ``untagged_responses`` afterwards.
    """

    __module__ = "fastimap.imaplib"

    def __init__(self, imap: Sending, duration: float | None = None) -> None:
        if "IDLE" not in imap.capabilities:
            raise imap.error("Server does not support IMAP4 IDLE")
        if duration is not None and not imap.sock:
            raise imap.error("duration requires a socket connection")
        self._imap = imap
        self._duration = duration
        self._deadline: float | None = None
        self._tag = b""
        self._saved_state = ""

    def __enter__(self) -> Self:
        imap = self._imap
        if imap.debug >= 4:
            imap._mesg(f"idle start duration={self._duration}")
        imap._check_state("IDLE")
        # What comes before the continuation request is part of it already.
        imap._idle_capture = True
        try:
            self._tag = imap._command("IDLE")
            with imap._in_command("IDLE"):
                idling = imap._continued(self._tag)
            if not idling:
                result = imap.tagged_commands.pop(self._tag)
                if result is not None and result[0] == "NO":
                    raise imap.error(f"idle denied: {result[1]!r}")
                raise imap.abort(f"unexpected status response: {result!r}")
        except BaseException:
            self._stop_capture()
            raise
        if imap.debug >= 4:
            imap._mesg(f"idle continuation prompt: {imap.continuation_response!r}")
        if self._duration is not None:
            self._deadline = time.monotonic() + self._duration
        self._saved_state = imap.state
        imap.state = "IDLING"
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc_info: object) -> None:
        imap = self._imap
        if imap.debug >= 4:
            imap._mesg("idle done")
        self._stop_capture()
        if imap._dead:
            return
        imap.state = self._saved_state
        try:
            imap._check_bye()
            if not self._ended:
                with imap._in_command("IDLE"):
                    imap.send(b"DONE" + CRLF)
            typ, data = imap._command_complete("IDLE", self._tag)
            if imap.debug >= 4:
                imap._mesg(f"idle status: {typ} {data!r}")
        except (OSError, imap.abort):
            if exc_type is None:  # else the body's own exception is the one to see
                raise

    def _stop_capture(self) -> None:
        """Hand what nobody took to untagged_responses."""
        imap = self._imap
        imap._idle_capture = False
        leftovers, imap._idle_responses = imap._idle_responses, deque()
        if leftovers and imap.debug >= 4:
            imap._mesg(f"idle quit with {len(leftovers)} leftover responses")
        for typ, data in leftovers:
            for fragment in data:
                imap._append_untagged(typ, fragment)

    @property
    def _ended(self) -> bool:
        """Whether the server has ended IDLE on its own."""
        return self._imap.tagged_commands.get(self._tag) is not None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Result:
        timeout = None if self._deadline is None else self._deadline - time.monotonic()
        response = self._pop(timeout)
        if response is None:
            if self._imap.debug >= 4:
                self._imap._mesg("idle iterator exhausted")
            raise StopIteration
        return response

    def _pop(self, timeout: float | None) -> Result | None:
        """Return the next response; None if none begins within `timeout` seconds, or if IDLE is over."""
        imap = self._imap
        if imap.state != "IDLING":
            imap._check_alive()
            raise imap.error("_pop() only works during IDLE")
        end = None if timeout is None else time.monotonic() + timeout
        while not imap._idle_responses:
            left = None if end is None else end - time.monotonic()
            if self._ended or (left is not None and left <= 0):
                return None
            if imap.debug >= 4:
                imap._mesg(f"idle _pop({timeout}) reading")
            try:
                imap._get_response(left)
            except imap._responsetimeout:
                if imap.debug >= 4:
                    imap._mesg(f"idle _pop({timeout}) done")
                return None
            except imap.error as exc:
                imap._die(str(exc))
                raise
        response = imap._idle_responses.popleft()
        if response[0] == "BYE":  # nothing more is to be sent
            imap.untagged_responses["BYE"] = response[1]
        if imap.debug >= 4:
            imap._mesg(f"idle _pop({timeout}) read {response[0]}")
        return response

    def burst(self, interval: float = 0.1) -> Iterator[Result]:
        """Wait for a response, and yield it and those that follow, each within `interval` seconds of the last.

        Needs a socket: IMAP4_stream has none. ::

            with M.idle() as idler:
                batch = list(idler.burst())
        """
        if not self._imap.sock:
            raise self._imap.error("burst() requires a socket connection")
        response = next(self, None)
        while response is not None:
            yield response
            response = self._pop(interval)
