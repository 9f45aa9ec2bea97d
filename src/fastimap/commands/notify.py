"""NOTIFY: to be told of events in any mailbox (RFC 5465)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal, TypeAlias

from ..model._shown import Value
from ..model.responses import MailboxStatus, Response, Tagged
from ..wire import encode
from ..wire.encode import Part
from ._shared import Instruction
from .base import Command, Session

__all__ = ["EventGroup", "MailboxFilter", "Notify", "NotifyEvent", "NotifyNone"]

NotifyEvent: TypeAlias = Literal[
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "AnnotationChange",
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
]
"""The events of RFC 5465, section 5."""

_MESSAGE_EVENTS = frozenset({"MessageNew", "MessageExpunge", "FlagChange", "AnnotationChange"})
_EVENTS = _MESSAGE_EVENTS | {"MailboxName", "SubscriptionChange", "MailboxMetadataChange", "ServerMetadataChange"}
_WITHOUT_NAMES = ("selected", "selected-delayed", "inboxes", "personal", "subscribed")
_WITH_NAMES = ("subtree", "subtree-one", "mailboxes")


class MailboxFilter(Value):
    """A choice of mailboxes (RFC 5465, section 6)."""

    kind: Literal[
        "selected", "selected-delayed", "inboxes", "personal", "subscribed", "subtree", "subtree-one", "mailboxes"
    ]
    """``inboxes``: where new mail may arrive; ``subtree``: the mailboxes named and all below them; ``subtree-one``:
    and those right below (in ESEARCH alone, RFC 7377); ``mailboxes``: the mailboxes named."""
    names: tuple[str | bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in _WITHOUT_NAMES + _WITH_NAMES:
            raise ValueError(f"not a choice of mailboxes: {self.kind!r}")
        if isinstance(self.names, (str, bytes)):
            raise TypeError(f"names are given as a tuple, not as one: {self.names!r}")
        if bool(self.names) != (self.kind in _WITH_NAMES):
            raise ValueError(f"{self.kind} goes {'without' if self.names else 'with'} names of mailboxes")

    def parts(self) -> list[Part]:
        """Return it as it is sent: filter-mailboxes of RFC 5465, section 8."""
        names = tuple(map(encode.mailbox, self.names))
        parts: list[Part] = [self.kind.encode("ascii")]
        if names:
            parts.append(names if len(names) > 1 else names[0])
        return parts


class EventGroup(Value):
    """Events to be told of in some mailboxes (RFC 5465, section 3.1)."""

    mailboxes: MailboxFilter
    events: tuple[NotifyEvent, ...] = ()
    """None given: of no event."""
    items: tuple[str, ...] = ()
    """For the selected mailbox: data items to be sent with each new message, as for `fetch`."""

    def __post_init__(self) -> None:
        if not isinstance(self.mailboxes, MailboxFilter):
            raise TypeError(f"not a MailboxFilter: {self.mailboxes!r}")
        events = frozenset(self.events)
        selected = self.mailboxes.kind in ("selected", "selected-delayed")
        if self.mailboxes.kind == "subtree-one":
            raise ValueError("NOTIFY has no subtree-one")
        if not events <= _EVENTS:
            raise ValueError(f"not an event: {', '.join(sorted(events - _EVENTS))}")
        if events & _MESSAGE_EVENTS and not events >= {"MessageNew", "MessageExpunge"}:
            raise ValueError("events of messages are MessageNew and MessageExpunge together, at least (section 5)")
        if selected and events - _MESSAGE_EVENTS:
            raise ValueError(f"the selected mailbox has events of messages alone, not {events - _MESSAGE_EVENTS}")
        if self.items and not (selected and events):
            raise ValueError("items= goes with new messages in the selected mailbox")

    def part(self) -> Part:
        """Return it as it is sent: event-group of RFC 5465, section 8."""
        events: list[Part] = []
        for event in dict.fromkeys(self.events):
            events.append(event.encode("ascii"))
            if event == "MessageNew" and self.items:
                events.append(encode.fetch_items(self.items))
        return (*self.mailboxes.parts(), tuple(events) if events else b"NONE")


class Notify(Command[tuple[MailboxStatus, ...]]):
    """Ask to be told of events in mailboxes, selected or not, from here on; what was asked before is void.

    :param groups: which events in which mailboxes; where several name a mailbox, the first counts.
    :param status: have the status of the mailboxes as they are now.

    Returns these. What happens then comes as events. Raises CommandError with code BADEVENT, or NOTIFICATIONOVERFLOW
    where it is too much for the server. (NOTIFY: RFC 5465, section 3.1)
    """

    name = "NOTIFY"
    repeatable = True

    def __init__(self, *groups: EventGroup, status: bool = False) -> None:
        if not groups:
            raise ValueError("no event groups: to be told of nothing is notify_none()")
        for group in groups:
            if not isinstance(group, EventGroup):
                raise TypeError(f"events are asked for by EventGroup(mailboxes, events), not by {group!r:.100}")
        self._status = status
        self._groups = [group.part() for group in groups]
        self._found: list[MailboxStatus] = []

    def requires(self, session: Session) -> Iterable[str]:
        return ("NOTIFY",)

    def parts(self, session: Session) -> Sequence[Part]:
        return [b"NOTIFY SET", *([b"STATUS"] if self._status else []), *self._groups]

    def take(self, response: Response) -> bool:
        if not (self._status and isinstance(response, MailboxStatus)):
            return False
        self._found.append(response)
        return True

    def succeed(self, tagged: Tagged, session: Session) -> tuple[MailboxStatus, ...]:
        session.notify = again = Notify.__new__(Notify)
        again._status = False
        again._groups = self._groups
        again._found = []
        return tuple(self._found)


class NotifyNone(Instruction):
    """Ask to be told of no events any more, not even in the selected mailbox. (NOTIFY: RFC 5465, section 3.1)"""

    name = "NOTIFY"
    repeatable = True
    needs: ClassVar[tuple[str, ...]] = ("NOTIFY",)

    def __init__(self) -> None:
        super().__init__(b"NONE")

    def succeed(self, tagged: Tagged, session: Session) -> None:
        session.notify = None
