"""Operations of several commands, as flows (see :mod:`.prepare`)."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from .. import commands
from ..commands._shared import piece, refuse_read_only, within
from ..commands.base import Flow, Scope
from ..commands.fetch import Fetch, FetchInto, FetchResult, merged, refused
from ..commands.store import were_copied
from ..errors import AuthenticationFailed, CapabilityMissing, CommandError, FastimapError, Unavailable
from ..model.content import shown_texts
from ..model.response_codes import BadCharset
from ..model.responses import MailboxInfo, MailboxName
from ..model.row import FetchedMessage
from ..model.sequence_set import MessageSet, SavedResult, SequenceSet, UIDSet, uid_set
from ..model.words import SPECIAL_USES
from ..search import SearchKey, all_, key_for
from .plan import HOPELESS, numbered, throttles
from .protocol import Protocol

if TYPE_CHECKING:
    from ..model.message import BodyStructure

__all__ = ["delete_messages", "fetch_into", "fetch_one", "fetch_text", "move", "search", "special_mailbox"]


def search(
    protocol: Protocol,
    /,
    key: SearchKey = all_,
    *,
    returns: Iterable[str] = ("ALL",),
    partial: tuple[int, int] | None = None,
    sequence: bool = False,
    charset: str | None = None,
) -> Flow[commands.SearchResult]:
    """Search; see the command. Where the server does not know UTF-8, it is asked again in a charset that it names."""

    scope = protocol.session.scope(by_uid=not sequence)

    def command(charset: str) -> commands.Search:
        return commands.Search(key, returns=returns, partial=partial, sequence=sequence, charset=charset)

    try:
        found: commands.SearchResult = yield command("UTF-8" if charset is None else charset)
    except CommandError as exc:
        if charset is not None or not isinstance(exc.response_code, BadCharset):
            raise
        for known in exc.response_code.charsets:
            try:
                again = command(known)
            except (ValueError, LookupError):  # it lacks a character, Python lacks it, or it is no charset's name
                continue
            found = yield within(scope, again)
            break
        else:
            raise
    return found


def move(protocol: Protocol, /, messages: MessageSet, mailbox: MailboxName) -> Flow[commands.CopyResult]:
    """Move messages to `mailbox` (MOVE, RFC 6851; else COPY, STORE, UID EXPUNGE).

    :param messages: UIDs, or a `SequenceSet`.
    :param mailbox: where to.

    No messages at all are nothing to do. Raises MailboxNotFound, NoPermission, OverQuota; StateError where the mailbox
    was selected with ``read_only=True``. Without MOVE and without UIDPLUS it is refused with `CapabilityMissing`, and
    nothing is done: an EXPUNGE would take messages with it that somebody else has marked. That the messages are gone
    from the selected mailbox comes as events, as when anybody removes messages. Where a later step than COPY fails,
    `done` of the error is the `CopyResult`: the copies are there, and the messages still are too.
    """
    session = protocol.session
    wanted = uid_set(messages)
    if session.has("MOVE"):
        moved: commands.CopyResult = yield commands.Move(wanted, mailbox)
        return moved
    if not session.has("UIDPLUS") or isinstance(wanted, SequenceSet):
        raise CapabilityMissing("MOVE", "MOVE")
    refuse_read_only(session)  # before there are copies
    scope = session.scope(by_uid=True)
    uids = yield from _known(wanted, scope)
    copied: commands.CopyResult = yield within(scope, commands.Copy(uids, mailbox))
    uids = were_copied(uids, copied)
    try:
        yield within(scope, commands.Store(uids, "\\Deleted", silent=True))
        expunge = commands.Expunge(uids)
        expunge.as_events = True  # as by MOVE
        yield within(scope, expunge)
    except FastimapError as exc:
        exc.done = copied
        raise
    return copied


def fetch_text(
    protocol: Protocol,
    /,
    messages: MessageSet,
    *items: str,
    prefer: Literal["plain", "html", "both"] = "plain",
) -> Flow[FetchResult]:
    """Fetch the texts of messages without their attachments: ``message.text`` and ``message.html`` of the result.

    :param messages: UIDs, a `UIDSet`; or a `SequenceSet` for message sequence numbers.
    :param items: further data items, such as ``"ENVELOPE"``.
    :param prefer: which form to fetch of a message that has two: ``"plain"``, ``"html"``, or ``"both"``. One that has
        one form alone comes in that.

    BODYSTRUCTURE is asked for first, then the parts that are text, in commands that are sent together, one for all
    messages that have them at the same place. Messages do not get ``\\Seen``. One that the server will not give the
    text of comes with a defect. The result is in memory as a whole: of many messages, take some hundreds at a time.
    (RFC 9051, section 6.4.5)
    """
    if prefer not in ("plain", "html", "both"):
        raise ValueError(f"prefer is plain, html or both, not {prefer!r}")
    by_uid = not isinstance(messages, SequenceSet) and not isinstance(uid_set(messages), SequenceSet)
    scope = protocol.session.scope(by_uid=by_uid)
    found: FetchResult = yield within(scope, Fetch(messages, "BODYSTRUCTURE", *items))
    rows = {row.uid if by_uid else row.sequence_number: row for row in found}
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, row in rows.items():
        parts = _parts_of_text(row.body_structure, prefer) if row.body_structure is not None else ()
        if parts and number is not None:
            groups.setdefault(parts, []).append(number)
    numbers = UIDSet if by_uid else SequenceSet

    def command(parts: tuple[str, ...], wanted: list[int]) -> Fetch:
        return within(scope, Fetch(numbers(wanted), *(f"BODY.PEEK[{part}]" for part in parts)))

    texts: list[FetchedMessage] = []
    try:
        if groups:
            answers: list[FetchResult] = yield tuple(command(*group) for group in groups.items())
            texts += (row for answer in answers for row in answer)
    except CommandError as exc:
        if exc.status != "NO":
            raise
        texts.clear()
        for parts, wanted in groups.items():
            for number in wanted:  # one by one, so that a refusal costs one message
                try:
                    texts += yield command(parts, [number])
                except CommandError as refusal:
                    texts.append(refused(number, by_uid, str(refusal)))
    for row in texts:
        number = row.uid if by_uid else row.sequence_number
        if number in rows:
            rows[number] = merged(rows[number], row)
    return FetchResult(rows.values(), found.limit)


def _parts_of_text(structure: BodyStructure, prefer: str) -> tuple[str, ...]:
    """Return the numbers of the parts to fetch of a message."""
    forms = {form: [part.part for part in shown_texts(structure, form)] for form in ("plain", "html")}
    if prefer == "both":
        return (*forms["plain"], *forms["html"])
    return tuple(forms.pop(prefer) or next(iter(forms.values())))


def fetch_into(
    protocol: Protocol,
    /,
    messages: MessageSet,
    *items: str,
    into: BinaryIO | Callable[[int | None, str, int], BinaryIO | None],
    progress: Callable[[int, int], object] | None = None,
) -> Flow[FetchResult]:
    """Fetch into files; see the command. What is refused is asked for again in halves, as `fetch_iter` does it."""
    session = protocol.session
    command = FetchInto(messages, *items, into=into, progress=progress)
    wanted = uid_set(messages)
    if not callable(into):
        result: FetchResult = yield command
        return result
    by_uid = not isinstance(wanted, SequenceSet)
    scope = session.scope(by_uid=by_uid)
    if isinstance(wanted, SequenceSet) and session.exists is not None:
        wanted = numbered(wanted, session.exists)
        command.begin(wanted)
    if isinstance(wanted, SavedResult) or wanted.has_star:  # what is refused of it can't be cut in halves
        looked_for = commands.Search(key_for(wanted), sequence=not by_uid)
        found: commands.SearchResult = yield within(scope, looked_for)
        wanted = found.message_set()
        assert not isinstance(wanted, SavedResult)
        command.begin(wanted)
    parts: Any = command.pieces(session.line_limit)
    left: deque[FetchInto] = deque(parts or [command])
    rows: list[FetchedMessage] = []
    bad: list[FetchedMessage] = []
    limit: int | None = None
    refusal: CommandError | None = None
    in_a_row = 0
    while left:
        part = within(scope, left.popleft())
        try:
            result = yield part
        except CommandError as exc:
            # Not of the messages: also what was refused while it was connected anew, such as SELECT.
            if throttles(exc) or isinstance(exc, AuthenticationFailed) or exc.command != part.name:
                raise
            rows += part.delivered()
            asked: Any = part.messages
            rest = asked - type(asked)(part.numbers)
            if len(rest) == 1:
                refusal = exc
                in_a_row += 1
                if in_a_row >= HOPELESS and (not rows or isinstance(exc, Unavailable)):
                    raise  # not these messages, but the server
                bad.append(refused(rest.first, by_uid, str(exc)))
            elif rest:
                left.extendleft([*(piece(command, half) for half in rest.chunks((len(rest) + 1) // 2))])
        else:
            rows += result
            limit = result.limit if result.limit is not None else limit
            in_a_row = 0
    if refusal is not None and not rows:
        raise refusal
    return FetchResult(itertools.chain(rows, bad), limit, wanted)


fetch_into.__doc__ = FetchInto.__doc__


def fetch_one(
    protocol: Protocol, /, message: int | SequenceSet, *items: str, changed_since: int | None = None
) -> Flow[FetchedMessage | None]:
    """Return the data items of one message, or None where there is no such message.

    :param message: its UID; or a `SequenceSet` of its sequence number. ``UIDSet("*")`` is the last message.
    :param items: data items, as for `fetch`.
    :param changed_since: only if its mod-sequence is greater (CONDSTORE, RFC 7162, section 3.1.4.1).

    (RFC 9051, section 6.4.5)
    """
    wanted = uid_set(message)
    if isinstance(wanted, SavedResult) or (wanted.ranges if wanted.has_star else len(wanted) != 1):
        raise ValueError(f"fetch_one() is for a single message, not for {message!r:.100}: fetch() takes several")
    rows: FetchResult = yield Fetch(wanted, *items, changed_since=changed_since)
    return rows[0] if rows else None


def delete_messages(protocol: Protocol, /, messages: MessageSet) -> Flow[commands.ExpungeResult]:
    r"""Delete messages for good: set ``\Deleted``, then expunge these messages alone (UID EXPUNGE, RFC 4315).

    :param messages: UIDs.

    Messages that another program has marked stay: without UIDPLUS it is refused with `CapabilityMissing`, and nothing
    is done, as a bare EXPUNGE would take them too. No messages at all are nothing to do. Raises StateError where the
    mailbox was selected with ``read_only=True``. (RFC 9051, section 6.4.9)
    """
    session = protocol.session
    wanted = uid_set(messages)
    if isinstance(wanted, SequenceSet):
        raise TypeError("messages are deleted by their UIDs: sequence numbers change while they are expunged")
    if not session.has("UIDPLUS"):
        raise CapabilityMissing("UID EXPUNGE", "UIDPLUS")
    refuse_read_only(session)
    scope = session.scope(by_uid=True)
    uids = yield from _known(wanted, scope)
    yield within(scope, commands.Store(uids, "\\Deleted", silent=True))
    expunged: commands.ExpungeResult = yield within(scope, commands.Expunge(uids))
    return expunged


def special_mailbox(protocol: Protocol, /, use: str) -> Flow[MailboxInfo | None]:
    r"""Return the mailbox for a special use, or None where there is none.

    :param use: ``"\\Sent"``, ``"\\Drafts"``, ``"\\Trash"``, ``"\\Junk"``, ``"\\Archive"``, ``"\\All"``, ``"\\Flagged"``
        or ``"\\Important"`` (RFC 6154, RFC 8457).

    The mailbox that the server marks is taken; where it marks none, one at the top of the account that has a usual
    name, in one of some twenty languages: ``Sent Items``, ``Gesendet``, ``Papierkorb``.
    """
    wanted = next((known for known in SPECIAL_USES if known.lower() == str(use).lower()), None)
    if wanted is None:
        raise ValueError(f"not a special use: {use!r}; known are {', '.join(SPECIAL_USES)}")
    mailboxes: tuple[MailboxInfo, ...] = yield commands.List()
    from ..model import special_use  # names in some twenty languages

    return special_use.mailbox_for(wanted, mailboxes)


def _known(messages: UIDSet | SavedResult, scope: Scope) -> Flow[UIDSet]:
    """Return the UIDs that are meant: what `*` and `$` stand for may change between the commands."""
    if isinstance(messages, UIDSet) and not messages.has_star:
        return messages
    found: commands.SearchResult = yield within(scope, commands.Search(key_for(messages)))
    return found.uids
