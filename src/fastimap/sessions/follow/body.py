"""What a follower does on one connection, as a flow: no waiting here, so both drivers run it.

Besides commands a flow yields `Ask` (a call that may take its time: the cursor's), `Rows` (what has arrived of a
stream), `Rest` (wait until something happens, or until a time), `Pause` and `Give` (hand something to the program).
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from ...commands.fetch import NOT_SENT, Fetch
from ...commands.mailbox import Status
from ...commands.notify import EventGroup, MailboxFilter, Notify
from ...commands.search import Search
from ...commands.select import Select, Unselect
from ...commands.store import AddFlags
from ...conversation.events import Reconnected
from ...conversation.log import logger
from ...conversation.operations import move
from ...conversation.plan import HOPELESS
from ...conversation.streams import FetchStream
from ...errors import (
    CapabilityMissing,
    CommandError,
    Disconnected,
    LeaseLost,
    MailboxNotFound,
    NoPermission,
    OverQuota,
    ProtocolError,
    StateError,
    UIDValidityChanged,
)
from ...model._digest import sha256
from ...model.responses import Exists, ExpungeResponse, MailboxInfo, MailboxStatus, Vanished
from ...model.row import FetchedMessage, has_uid
from ...model.sequence_set import UIDSet
from ...search import all_, since, uid
from ..cursor import Lease, Mark, Place, ToDo
from ..resume import Persistence, connecting, recover
from ..retry import Attempts, helps
from .events import (
    ActionDropped,
    ActionFailed,
    FlagsChanged,
    LateMessages,
    MailboxGone,
    MailboxReset,
    MessagesGone,
)

if TYPE_CHECKING:
    from ._base import BaseFollow

__all__ = ["EVENT", "Ask", "Give", "Pause", "Rest", "Rows", "Start", "Watch", "lane"]


R = TypeVar("R")
Steps = Generator[Any, Any, R]
Start = str | date | int
"""``"all"``, ``"new"``, a date, or the UID of the first message."""

_SETTLED = 600.0
"""Seconds after which a UID that is missing among others is not waited for: concurrent deliveries take no longer."""
_NEAR = 200
"""UIDs below the newest message in which one may appear late, when a mailbox is begun with what is new."""
_AUDIT_EVERY = 86_400.0
_AUDIT_AT_MOST_EVERY = 60.0
_JUMP = 30.0
"""Seconds by which the wall clock may move against the monotonic one before links are taken to be dead."""
_LOOK_AT_CLOCK = 60.0
_DELAY = 10.0
"""Seconds before a message that was in vain is delivered again; doubled each time."""
EVENT = {"fastimap_event": True}
"""For a line of the log that an event says too."""
_LEFT_OUT = "the server left it out of its answer"
"""Why a message was in vain that is gone, as a rule."""
_LATER = (
    "%d messages are to be delivered later: they wait to be tried again, or are leased to another worker, or to one "
    "that was killed; the first in %.3g s"
)


@dataclass(slots=True)
class Ask:
    """Call this, apart from the event loop."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(slots=True)
class Rows:
    """Return the rows that have arrived; none when all have."""

    stream: FetchStream


@dataclass(slots=True)
class Rest:
    """Wait until the server says something, somebody wakes the follower, or so many seconds are over.

    Returns the events.
    """

    seconds: float
    wakes: int
    """The wakes that all was looked at after: with another one there is nothing to wait for."""


@dataclass(slots=True)
class Pause:
    """Wait so many seconds, or until somebody wakes the follower."""

    seconds: float


@dataclass(slots=True)
class Give:
    """Hand a message, or an event, to the program."""

    what: Any


@dataclass(slots=True)
class Watch:
    """What is known of a mailbox that is followed."""

    place: Place
    seek: Start | None = None
    """Where the program wants to go on."""
    seen: bool = False
    """Whether it was there in this program's life."""
    gone: bool = False
    status: Any = None
    lag: int = 0
    looked_at: float = field(default=0.0)
    audited_at: float = 0.0
    present: UIDSet = field(default_factory=UIDSet)
    """From the floor of the last look on."""
    owed: dict[str, UIDSet] = field(default_factory=dict)
    """The messages that the server refused to mark, or to move, at the last look; by the verb."""


class _Final(Exception):
    """Ends it, whatever the error looks like."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def ask(function: Callable[..., Any], *arguments: Any) -> Generator[Any, Any, Any]:
    return (yield Ask(function, arguments))


def lane(follow: BaseFollow, client: Persistence, watches: Sequence[Watch]) -> Steps[None]:
    """Follow mailboxes on one connection, for ever; or `once`."""
    yield from connecting(client)
    attempts = Attempts(client.retry)
    due = list(watches)
    notified = len(watches) == 1
    checked = False
    there = False
    wakes = follow.wakes
    while True:
        protocol = client.protocol
        try:
            if not there:
                yield from _all_there(follow, watches)
                there = True
            if len(due) == len(watches):
                wakes = follow.wakes
            for watch in due:
                yield from _visit(follow, client, watch)
            if follow.once:
                yield from _next_end(follow, watches)
                return
            if not notified:
                notified = yield from _notify(client, watches)
            if len(watches) > 1 and not checked:
                # What came since a mailbox was looked at, and before it was left, is reported by nobody.
                checked = True
                if client.protocol.session.mailbox is not None and client.protocol.session.has("UNSELECT"):
                    yield Unselect()
                due = yield from _polled(follow, client, watches)
                if due:
                    continue
            checked = False
            due = yield from _wait(follow, client, watches, notified, wakes)
            attempts.progress()
        except _Final as final:
            raise final.error from None
        except (UIDValidityChanged, LeaseLost, MailboxNotFound, NoPermission):
            # Found when the connection was made anew, or another worker has begun anew: the next visit sees to it.
            due = list(watches)
        except Exception as exc:
            if not helps(exc):
                raise
            with contextlib.suppress(UIDValidityChanged, MailboxNotFound, NoPermission):  # the next visit sees to it
                yield from recover(client, protocol, attempts, exc)
            due = list(watches)


def _all_there(follow: BaseFollow, watches: Sequence[Watch]) -> Steps[None]:
    """Find a mailbox that does not exist before all that is in the others was delivered."""
    if (target := follow.actions.get("move")) is not None:
        try:
            yield Status(target, "UIDVALIDITY")
        except NoPermission:
            pass  # of one that may not be read; messages may be moved there all the same
        except CommandError as exc:
            if helps(exc):
                raise
            exc.add_note(f"{target!r} is where messages are to be moved (move_to)")
            raise _Final(exc) from exc
    for watch in watches if len(watches) > 1 else ():  # a single one is selected at once
        try:
            yield Status(watch.place.mailbox, "UIDVALIDITY")
        except (MailboxNotFound, NoPermission) as exc:
            exc.add_note(f"mailbox {watch.place.mailbox}")
            raise _Final(exc) from exc
        except CommandError as exc:
            if helps(exc):
                raise  # else selecting it shows what it is


def _notify(client: Persistence, watches: Sequence[Watch]) -> Generator[Any, Any, bool]:
    """Ask to be told of all mailboxes; whether the server does that."""
    if not client.protocol.session.has("NOTIFY"):
        return False
    names = tuple(watch.place.mailbox for watch in watches)
    for more in (("MailboxName",), ()):  # that it is deleted, or renamed, which not every server says
        try:
            yield Notify(
                EventGroup(MailboxFilter("selected"), ("MessageNew", "MessageExpunge", "FlagChange")),
                EventGroup(MailboxFilter("mailboxes", names), ("MessageNew", "MessageExpunge", *more)),
            )
        except CommandError as exc:
            if helps(exc):
                raise
        else:
            return True
    return False


def _wait(
    follow: BaseFollow, client: Persistence, watches: Sequence[Watch], notified: bool, wakes: int
) -> Steps[list[Watch]]:
    """Wait until there is something to look at; return where. All was looked at after so many `wakes`."""
    poll = follow.poll if notified else min(follow.poll, follow.status_poll)
    poll_at = follow.clock() + poll
    wall = time.time() - follow.clock()
    retry_at = yield from _next_end(follow, watches)
    follow.at(client, "waiting")
    while True:
        until = min(poll_at, retry_at)
        left = min(until - follow.clock(), _LOOK_AT_CLOCK)
        events = yield Rest(max(left, 0.0), wakes)
        due = yield from _news(follow, client, watches, events)
        now = follow.clock()
        if abs(time.time() - now - wall) > _JUMP or follow.wakes != wakes:
            # The machine slept, or the program knows of another network: the link may be dead and not look so.
            if client.protocol.error is None and follow.wakes == wakes:
                slept = Disconnected("the clock jumped: the machine may have slept")
                client.protocol.fail(slept)  # by itself it would be found out at the next timeout
                raise slept
            return list(watches)
        if due or any(watch.seek is not None for watch in watches):
            return due or list(watches)
        if now >= retry_at:
            return list(watches)
        if now >= poll_at:
            return (yield from _polled(follow, client, watches))


def _next_end(follow: BaseFollow, watches: Sequence[Watch]) -> Generator[Any, Any, float]:
    """Return when a wait, or somebody's lease, ends first; note in the log that there are such messages."""
    later, until = yield from _later(follow, watches)
    if later:
        logger().info(_LATER, later, max(until - time.time(), 0.0))
    return follow.clock() + max(until - time.time(), 0.2)


def _later(follow: BaseFollow, watches: Sequence[Watch]) -> Generator[Any, Any, tuple[int, float]]:
    """Return how many messages wait, or are somebody else's, and when the first wait or lease ends."""
    messages, ends = -follow.held, [float("inf")]
    for watch in watches:
        count, until = yield from ask(follow.cursor.unfinished, watch.place)
        if count and until is not None:
            messages += count
            ends.append(until)
    return max(messages, 0), min(ends)


def _news(follow: BaseFollow, client: Persistence, watches: Sequence[Watch], events: Any) -> Steps[list[Watch]]:
    """Hand events on; return the mailboxes in which something is new."""
    by_name = {watch.place.mailbox: watch for watch in watches}
    selected = by_name.get(client.protocol.session.mailbox or "")
    due: list[Watch] = []
    for event in events:
        watch = selected
        if isinstance(event, MailboxStatus):
            watch = by_name.get(event.name)
        elif isinstance(event, MailboxInfo):
            if (watch := by_name.get(event.name)) is None:
                continue
        elif isinstance(event, Reconnected):
            due += [one for one in watches if one not in due]
            yield Give(event)
            continue
        elif isinstance(event, FetchedMessage):
            if watch is not None and has_uid(event) and event.flags is not None:
                yield Give(FlagsChanged(watch.place.mailbox, event.uid, frozenset(map(str, event.flags))))
            continue
        elif isinstance(event, (ExpungeResponse, Vanished)):
            if watch is not None and not (isinstance(event, Vanished) and event.earlier):
                uids = tuple(event.uids) if isinstance(event, Vanished) else ()
                yield Give(MessagesGone(watch.place.mailbox, len(uids) or 1, uids))
        elif not isinstance(event, Exists):
            continue
        due += [one for one in ([watch] if watch is not None else watches) if one not in due]
    return due


def _polled(follow: BaseFollow, client: Persistence, watches: Sequence[Watch]) -> Steps[list[Watch]]:
    """Ask for the state of mailboxes that are not looked at one by one; return those to look at."""
    if len(watches) == 1:
        return list(watches)
    due = []
    for watch in watches:
        try:
            status = yield Status(watch.place.mailbox, "MESSAGES", "UIDNEXT", "UIDVALIDITY")
        except (MailboxNotFound, NoPermission):
            due.append(watch)
            continue
        known = status.messages, status.uid_next, status.uid_validity
        # Some servers' STATUS is late: all are looked at now and then, whatever it says.
        if known != watch.status or follow.clock() - watch.looked_at > follow.poll:
            due.append(watch)
        watch.status = known
    return due


# One mailbox.


def _visit(follow: BaseFollow, client: Persistence, watch: Watch) -> Steps[None]:
    """Deliver what is there; then work off what is to be done on the server."""
    name = watch.place.mailbox
    follow.at(client, "catching up")
    try:
        selected = yield Select(name, read_only=not follow.actions)
    except (MailboxNotFound, NoPermission) as exc:
        if not watch.seen:
            exc.add_note(f"mailbox {name}")
            raise _Final(exc) from exc
        if not watch.gone:
            watch.gone = True
            logger().warning("the mailbox %r is gone: %s", name, exc, extra=EVENT)
            yield Give(MailboxGone(name, str(exc)))
            follow.changed()
        return
    watch.seen, was_gone, watch.gone = True, watch.gone, False
    if was_gone:
        follow.changed()
    uid_validity = selected.uid_validity or 0
    mark = yield from ask(follow.cursor.mark, watch.place)
    if mark is None:
        yield from _begin(follow, watch, uid_validity)
    elif mark.uid_validity != uid_validity:
        yield from _reset(follow, watch, mark, uid_validity)
    elif watch.seek is not None:
        start, watch.seek = watch.seek, None
        done, identities = yield from _done_before(follow, start)
        again = Mark(uid_validity, done, floor=_floor(done), audited=time.time())
        reset = follow.cursor.reset
        yield Ask(lambda: reset(watch.place, again, uid_validity=uid_validity, identities=identities), ())
    mark = yield from ask(follow.cursor.mark, watch.place)
    if mark is None or mark.uid_validity != uid_validity:
        raise LeaseLost(f"{name!r} was begun anew by another worker")
    found = yield from _look(follow, client, watch, mark)
    yield from _deliver_all(follow, client, watch, mark, found)
    watch.looked_at = follow.clock()
    yield from _act(follow, client, watch, uid_validity)


def _search(key: Any) -> Steps[UIDSet]:
    """Search; where the server stops at a limit of messages, for the others too."""
    found = yield Search(key)
    uids: UIDSet = found.uids
    searched_to = 2**32
    while found.limit is not None and found.limit > 1:
        if found.limit >= searched_to:
            raise ProtocolError(f"the search stopped at UID {found.limit}, above all it was to search")
        searched_to = found.limit
        found = yield Search(key & uid(range(1, searched_to)))
        uids |= found.uids
    return uids


def _floor(done: UIDSet) -> int:
    return max(1, done.last - _NEAR) if done else 1


def _done_before(follow: BaseFollow, start: Start) -> Steps[tuple[UIDSet, list[bytes]]]:
    """Return what counts as done where `start` is the beginning, and what these messages are known by."""
    if isinstance(start, int):
        return UIDSet(range(1, start)) if start > 1 else UIDSet(), []
    done = UIDSet()
    if start != "all":
        done = yield from _search(all_)
        if isinstance(start, date):
            later = yield from _search(since(start))
            done -= later
    identities = []
    if follow.on_reset == "match":
        known = yield from _known_by(follow, done)
        identities = [identity for _, identity in known]
    return done, identities


def _begin(follow: BaseFollow, watch: Watch, uid_validity: int) -> Steps[None]:
    start: Start = follow.start if watch.seek is None else watch.seek
    watch.seek = None
    done, identities = yield from _done_before(follow, start)
    mark = Mark(uid_validity, done, floor=_floor(done), audited=time.time())
    made = yield from ask(follow.cursor.begin, watch.place, mark, identities)
    if made:
        logger().info("%r is followed for the first time, from %s on", watch.place.mailbox, start)


def _reset(follow: BaseFollow, watch: Watch, mark: Mark, uid_validity: int) -> Steps[None]:
    """Go on with a mailbox whose UIDs mean other messages, as the program wants it."""
    name, before = watch.place.mailbox, mark.uid_validity
    if follow.on_reset == "stop":
        raise _Final(UIDValidityChanged(name, before, uid_validity))
    identities: list[bytes] = []
    if follow.on_reset == "match":
        left = yield from ask(follow.cursor.identities, watch.place)
        present = yield from _search(all_)
        known = yield from _known_by(follow, present)
        numbers = []
        for number, identity in known:
            # Two messages that look the same, of which one was done: one of them is still to do.
            if left.get(identity, 0) > 0:
                left[identity] -= 1
                numbers.append(number)
                identities.append(identity)
        done = UIDSet(numbers)
    else:
        done, _ = yield from _done_before(follow, follow.on_reset)
    floor = _floor(done) if follow.on_reset == "new" else 1
    again = Mark(uid_validity, done, floor=floor, audited=time.time())
    reset = follow.cursor.reset
    mine = yield Ask(lambda: reset(watch.place, again, uid_validity=before, identities=identities), ())
    watch.present = UIDSet()
    if mine:
        logger().warning(
            "the UIDVALIDITY of %r changed: it is begun anew (on_reset=%r)", name, follow.on_reset, extra=EVENT
        )
        yield Give(MailboxReset(name, before, uid_validity))


_DIGESTED = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM TO SUBJECT)]"


def identity_items(has_object_ids: bool) -> tuple[str, ...]:
    """Return the items by which a message is known again under another UIDVALIDITY."""
    return ("EMAILID",) if has_object_ids else ("RFC822.SIZE", _DIGESTED)


def identity_of(row: FetchedMessage) -> bytes:
    """Return what a message is known by: EMAILID (RFC 8474), else a digest of size and header fields."""
    if row.object_id is not None:
        return b"id " + row.object_id.encode()
    fields = next((value for name, value in row.items if name.upper().startswith("BODY[HEADER.FIELDS")), b"")
    octets = fields if isinstance(fields, bytes) else b""
    return b"digest " + sha256(b"%d " % (row.size or 0) + b"".join(octets.split()))


def _known_by(follow: BaseFollow, uids: UIDSet) -> Steps[list[tuple[int, bytes]]]:
    known: list[tuple[int, bytes]] = []
    for part in uids.chunks(500):
        rows = yield Fetch(part, *identity_items(follow.has_object_ids))
        known += [(row.uid, identity_of(row)) for row in rows if has_uid(row)]
    return known


def _look(follow: BaseFollow, client: Persistence, watch: Watch, mark: Mark) -> Steps[UIDSet]:
    """Return the messages that are to be delivered, or that others are at work on.

    Messages are found by UID alone. The floor rises over messages that are done, and over UIDs that were missing for
    ten minutes; that nothing appeared below is audited by count at each look, and by UID where the count is wrong and
    once a day.
    """
    floor, now = mark.floor, time.time()
    found = yield from _search(uid(f"{floor}:*"))
    high = UIDSet(range(floor, 2**32)) & found  # `*` is the last message, though it is below
    exists = client.protocol.session.exists
    to_do = high - mark.done - mark.parked
    below = mark.below
    wrong = exists is not None and below is not None and exists != below + len(high)
    soon = follow.clock() - watch.audited_at < _AUDIT_AT_MOST_EVERY and exists is not None and below is not None
    audited = mark.audited
    if below is None or now - audited > _AUDIT_EVERY or (wrong and not (soon and (exists or 0) < below + len(high))):
        present = yield from _search(all_)
        watch.audited_at = follow.clock()
        audited = now
        low = UIDSet(range(1, floor)) & present if floor > 1 else UIDSet()
        below = len(low)
        late = low - mark.done - mark.parked
        if late:
            logger().warning(
                "%d messages of %r appeared late: UIDs %s", len(late), watch.place.mailbox, str(late)[:100]
            )
            yield from ask(follow.cursor.late, watch.place, mark.uid_validity, late.first)
            yield Give(LateMessages(watch.place.mailbox, tuple(late)))
            watch.lag = len(to_do | late)
            return to_do | late
    watch.lag = len(to_do)
    yield from ask(follow.cursor.absent, watch.place, mark.uid_validity, floor, high)
    settled = mark.top is not None and not 0 <= now - mark.top_at < _SETTLED
    risen = floor
    if settled and mark.top is not None:
        risen = max(floor, min(to_do.first if to_do else mark.top + 1, mark.top + 1))
    if risen != floor:
        below += len(UIDSet(range(floor, risen)) & high)
    renewed = settled or mark.top is None
    top = (high.last if high else floor - 1) if renewed else mark.top
    seen = replace(mark, floor=risen, below=below, top=top, top_at=now if renewed else mark.top_at, audited=audited)
    if seen != mark:
        looked = follow.cursor.looked
        yield Ask(lambda: looked(watch.place, seen, floor=floor), ())
    return to_do


def _deliver_all(follow: BaseFollow, client: Persistence, watch: Watch, mark: Mark, to_do: UIDSet) -> Steps[None]:
    while to_do:
        while follow.full:
            yield Pause(0.05)
        count = min(follow.in_flight - follow.held, 100)
        leases = yield from ask(follow.cursor.lease, watch.place, mark.uid_validity, to_do, max(count, 1), follow.lease)
        if not leases:
            return
        follow.hold(leases)
        to_do &= UIDSet(range(leases[-1].uid + 1, 2**32)) if leases[-1].uid < 2**32 - 1 else UIDSet()
        yield from _deliver(follow, client, leases)


def _deliver(follow: BaseFollow, client: Persistence, leases: list[Lease]) -> Steps[None]:
    waiting: dict[int, Lease] = {}
    for lease in leases:
        if lease.deliveries >= follow.deliveries:
            reason = lease.reason or f"delivered {lease.deliveries} times, and never done"
            yield from _park(follow, lease, reason)
        else:
            waiting[lease.uid] = lease
    if not waiting:
        return
    items = follow.items
    if follow.on_reset == "match":
        items = (*items, *(item for item in identity_items(follow.has_object_ids) if item not in items))
    stream = FetchStream(client.protocol, UIDSet(waiting), items)
    attempts = Attempts(client.retry)
    while True:
        try:
            rows = yield Rows(stream)
        except Exception as exc:
            if isinstance(exc, CommandError) and not helps(exc):
                for lease in waiting.values():
                    yield from _in_vain(follow, lease, str(exc))
                return
            yield from recover(client, stream.protocol, attempts, exc)
            stream.go_on(client.protocol)
            continue
        if not rows:
            break
        attempts.progress()
        for row in rows:
            if row.uid not in waiting:
                continue
            lease = waiting.pop(row.uid)
            # FLAGS alone, say, which another client has changed, of a message whose body did not come.
            if unsent := [defect for defect in row.defects if defect.reason == NOT_SENT]:
                yield from _in_vain(follow, lease, f"{unsent[0].item}: {unsent[0].reason}")
                continue
            if row.defects and not row.items and row.envelope is None and row.flags is None and row.size is None:
                yield from _in_vain(follow, lease, str(row.defects[0]))
                continue
            identity = identity_of(row) if follow.on_reset == "match" else None
            try:
                count = yield from ask(follow.cursor.delivering, lease, identity)
            except LeaseLost:
                follow.let_go(lease)
                continue
            yield Give(follow.made(replace(lease, deliveries=count), row))
    for lease in waiting.values():  # gone since the search; where not, the next look finds them
        yield from _in_vain(follow, lease, _LEFT_OUT)


def _in_vain(follow: BaseFollow, lease: Lease, reason: str) -> Steps[None]:
    """Note that a message could not be delivered."""
    try:
        count = yield from ask(follow.cursor.delivering, lease)
        if count >= follow.deliveries:
            yield from _park(follow, lease, reason)
        else:
            wait = _DELAY * 2 ** min(count - 1, 8)
            if reason != _LEFT_OUT:
                logger().warning(
                    "UID %d of %r could not be delivered: %s; again in %g s",
                    lease.uid,
                    lease.place.mailbox,
                    reason,
                    wait,
                )
            follow.let_go(lease)
            yield from ask(follow.cursor.again, lease, wait, reason)
    except LeaseLost:
        follow.let_go(lease)


def _park(follow: BaseFollow, lease: Lease, reason: str) -> Steps[None]:
    follow.let_go(lease)
    try:
        yield from ask(follow.cursor.park, lease, reason)
    except LeaseLost:
        return
    yield Give(follow.parked_now(lease, reason))


_ACTIONS = 500
_DONE = {"mark": "marked", "move": "moved"}


@dataclass(slots=True)
class _Refused:
    """What the server refused of a verb in one look."""

    uids: UIDSet = field(default_factory=UIDSet)
    reason: str = ""
    hopeless: bool = False
    """Whether it is not about these messages: others need not be tried."""


def _act(follow: BaseFollow, client: Persistence, watch: Watch, uid_validity: int) -> Steps[None]:
    """Work off what is to be done on the server to messages that are done: what this program says, not the one then.

    What is refused is kept, and keeps nothing else from being done; at the next look it is tried again.
    """
    kept: set[int] = set()
    refused: dict[str, _Refused] = {}
    while True:
        # Twice as many, so that what is kept is not read again for each few others.
        found = yield from ask(follow.cursor.actions, watch.place, _ACTIONS + 2 * len(kept))
        actions: list[ToDo] = [action for action in found if action.number not in kept]
        if not actions:
            break
        groups: dict[tuple[str, bool], list[ToDo]] = {}
        for action in actions:
            groups.setdefault((action.verb, action.uid_validity == uid_validity), []).append(action)
        for (verb, same), group in sorted(groups.items()):  # "mark" comes before "move"
            argument = follow.actions.get(verb)
            uids = UIDSet(action.uid for action in group)
            if not same:
                yield from _drop(watch, group, "the UIDs of the mailbox mean other messages now")
            elif argument is None:
                yield from _drop(watch, group, f"nothing says any more that they are to be {_DONE.get(verb, verb)}")
            else:
                left = yield from _do(client, watch, verb, argument, uids, refused.setdefault(verb, _Refused()))
                kept |= {action.number for action in group if action.uid in left}
            yield from ask(follow.cursor.acted, [action for action in group if action.number not in kept])
    before, watch.owed = watch.owed, {verb: one.uids for verb, one in refused.items() if one.uids}
    for verb, uids in watch.owed.items():
        if new := uids - before.get(verb, UIDSet()):
            yield _failed(watch, verb, follow.actions[verb], new, f"{refused[verb].reason}; it is tried again")


def _do(client: Persistence, watch: Watch, verb: str, argument: str, uids: UIDSet, refused: _Refused) -> Steps[UIDSet]:
    """Mark or move messages; return those that are still owed it."""
    owed = UIDSet()
    parts = deque(uids.chunks(_ACTIONS))
    in_a_row = 0
    while parts:
        part = parts.popleft()
        if refused.hopeless:
            owed |= part
            continue
        # What is gone is done; and where the answer to a MOVE was lost, those that are here were not moved.
        here = yield from _search(uid(part))
        try:
            if here and verb == "mark":
                yield AddFlags(here, argument, silent=True)
            elif here:
                yield from move(client.protocol, here, argument)
            in_a_row = 0
        except (CommandError, CapabilityMissing, StateError) as exc:
            if isinstance(exc, UIDValidityChanged) or (helps(exc) and not isinstance(exc, OverQuota)):
                raise
            if exc.done is not None:  # to move it again would make another copy
                yield _failed(watch, verb, argument, here, f"the copy is there, and the message too: {exc}")
                continue
            refused.reason = str(exc)
            of_some = isinstance(exc, CommandError) and exc.status == "NO"
            if of_some and not isinstance(exc, (MailboxNotFound, NoPermission, OverQuota)) and len(here) > 1:
                parts.extendleft(reversed([*here.chunks((len(here) + 1) // 2)]))
                continue
            owed |= here
            in_a_row += 1
            refused.hopeless = len(here) > 1 or in_a_row >= HOPELESS
    refused.uids |= owed
    return owed


def _failed(watch: Watch, verb: str, argument: str, uids: UIDSet, reason: str) -> Give:
    name, done = watch.place.mailbox, _DONE[verb]
    logger().warning("UID %s of %r could not be %s (%s): %s", uids, name, done, argument, reason, extra=EVENT)
    return Give(ActionFailed(name, verb, argument, tuple(uids), reason))


def _drop(watch: Watch, actions: Sequence[ToDo], reason: str) -> Steps[None]:
    """Say that it will not be done."""
    name = watch.place.mailbox
    for argument in sorted({action.argument for action in actions}):
        uids = UIDSet(action.uid for action in actions if action.argument == argument)
        verb = actions[0].verb
        logger().warning("UID %s of %r: no %s to %s: %s", uids, name, verb, argument, reason, extra=EVENT)
        yield Give(ActionDropped(name, verb, argument, tuple(uids), reason))
