"""Unsolicited responses: a bounded queue of them, and how many a server may send."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from ..errors import TooManyUnsolicited
from ..limits import Limits
from ..model._shown import Value
from ..model.responses import ExpungeResponse, Response, Vanished
from ..model.row import FetchedMessage
from ..wire import decode

__all__ = ["Event", "EventQueue", "Reconnected", "Unsolicited", "is_expunge", "octets_of"]


class Reconnected(Value):
    """The connection was made anew, in the state of the one before; with `retry=`.

    What happened in the mailbox meanwhile was not reported: messages may be there or gone, flags may be others.
    Sequence numbers are those of the new connection from here on.
    """

    mailbox: str | None
    """The mailbox that is selected again."""


Event: TypeAlias = Response | FetchedMessage | Reconnected
"""What comes unsolicited: untagged responses, unsolicited rows of FETCH, and `Reconnected`."""

# Bounds of the queue, in events and in octets as they were on the wire: decoded, a response of short words takes some
# thirty times its octets. Beyond them the oldest events go, and `dropped` counts them.
_MOST_EVENTS = 100_000
_MOST_OCTETS = 8 * 1024 * 1024
# Between two tagged answers. A server may ask for a literal that was sent without its leave (LITERAL+), once for each.
_MOST_CONTINUATION_REQUESTS = 1000


class EventQueue:
    """Unsolicited responses that nobody has taken yet, oldest first."""

    def __init__(self, limits: Limits) -> None:
        self.put_so_far: int = 0
        """How many events were ever put: the place of an expunge that a command claimed."""
        self.dropped: int = 0
        self._events: deque[tuple[Event | bytes, int]] = deque()  # with its octets; bytes are a line not yet decoded
        self._octets = 0
        self._most_octets = min(limits.unsolicited_octets, _MOST_OCTETS)

    def put(self, event: Event | bytes, octets: int) -> None:
        """Add an event that had so many octets on the wire."""
        self._events.append((event, octets))
        self.put_so_far += 1
        self._octets += octets
        self._drop()

    def put_lines(self, lines: list[bytes], octets: int) -> None:
        """Add responses of one line each, with their octets in all; they are decoded when they are taken."""
        self._events.extend(zip(lines, map(len, lines), strict=True))
        self.put_so_far += len(lines)
        self._octets += octets
        self._drop()

    def _drop(self) -> None:
        while len(self._events) > _MOST_EVENTS or (self._octets > self._most_octets and len(self._events) > 1):
            self._octets -= self._events.popleft()[1]
            self.dropped += 1

    def take(self) -> Event | None:
        """Return the oldest event, or None."""
        if not self._events:
            return None
        event, octets = self._events.popleft()
        self._octets -= octets
        return decode.response((event,)) if isinstance(event, bytes) else event

    def put_back(self, places: Iterable[int], expunges: Iterable[Response]) -> None:
        """Insert expunges that a command claimed and nobody gets as a result, each where it came.

        An expunge changes which messages later sequence numbers mean, and how many EXISTS counts.
        """
        import heapq  # expunges are rare, and commands that fail amid them rarer

        events, self._events = self._events, deque()
        first = self.put_so_far - len(events)
        self._octets = 0
        later: Iterator[tuple[int, Event | bytes, int]] = (
            (first + index, event, octets) for index, (event, octets) in enumerate(events)
        )
        claimed: Iterator[tuple[int, Event | bytes, int]] = (
            (
                place,
                response,
                octets_of(response.uids.ranges) if isinstance(response, Vanished) else len("* 1 EXPUNGE\r\n"),
            )
            for place, response in zip(places, expunges, strict=False)
        )
        for _, event, octets in heapq.merge(claimed, later, key=operator.itemgetter(0)):
            self.put(event, octets)


class Unsolicited:
    """How much came that no command claims: in all, and since the last tagged answer, which is limited."""

    def __init__(self, limits: Limits) -> None:
        self.responses: int = 0
        self.octets: int = 0
        self.empty_lines: int = 0
        self._continuation_requests = 0
        self._responses_answered = self._octets_answered = 0
        self._limits = limits

    def count(self, responses: int, octets: int) -> None:
        """Count responses; raise TooManyUnsolicited."""
        self.responses += responses
        self.octets += octets
        limits = self._limits
        if (
            self.responses - self._responses_answered > limits.unsolicited
            or self.octets - self._octets_answered > limits.unsolicited_octets
        ):
            raise TooManyUnsolicited(
                f"more than {limits.unsolicited} unsolicited responses, or more than {limits.unsolicited_octets} "
                "octets of them"
            )

    def count_empty_lines(self, octets: int) -> None:
        """Count them as responses, which are limited; raise TooManyUnsolicited. They are no sign of life."""
        lines = octets // 2
        self.empty_lines += lines
        self.count(lines, octets)

    def count_continuation_request(self) -> None:
        """Count one that no command in flight can have asked for; raise TooManyUnsolicited."""
        self._continuation_requests += 1
        if self._continuation_requests > _MOST_CONTINUATION_REQUESTS:
            raise TooManyUnsolicited(
                f"more than {_MOST_CONTINUATION_REQUESTS} continuation requests that no command can have asked for"
            )

    def answered(self) -> None:
        """Begin anew: a command was answered."""
        self._continuation_requests = 0
        self._responses_answered = self.responses
        self._octets_answered = self.octets


def is_expunge(response: Response) -> bool:
    """Whether sequence numbers mean other messages now."""
    return isinstance(response, ExpungeResponse) or (isinstance(response, Vanished) and not response.earlier)


def octets_of(value: object) -> int:
    """Return about how many octets a server needs to say `value`: a row, or what is in it."""
    octets = 0
    values = [value]
    for value in values:  # and what is in it
        if value is None:
            continue
        if isinstance(value, (bytes, str)):
            octets += len(value) + 2
        elif isinstance(value, FetchedMessage):
            values.extend(value._values())
            octets += 2
        elif isinstance(value, (tuple, frozenset)):
            values.extend(value)
            octets += 2
        else:
            octets += 8
    return octets
