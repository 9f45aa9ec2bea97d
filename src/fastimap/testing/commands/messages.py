"""Commands of the selected state (RFC 3501, section 6.4), with UIDPLUS, MOVE and IDLE."""

from __future__ import annotations

from collections.abc import Iterable

from ..fetch import FLAGS, UID, Item, read_items, write_response
from ..grammar import Bad, No, write_uid_set
from ..mailbox import Mailbox, Message
from ..search import read_search
from ..session import Session, State
from .registry import AUTHENTICATED, Request, command

# Messages answered between two sendings: so many wait in memory, and so long others wait for the lock.
_BATCH = 64


@command("CHECK", State.SELECTED)
def check(session: Session, request: Request) -> None:
    request.arguments.end()


@command("CLOSE", State.SELECTED)
def close(session: Session, request: Request) -> None:
    request.arguments.end()
    view = session.view
    session.unselect()
    if not view.read_only:
        view.mailbox.expunge(_deleted(view.mailbox.messages))


@command("EXPUNGE", State.SELECTED, uid=True)
def expunge(session: Session, request: Request) -> None:
    _need_read_write(session)
    chosen = session.view.known()
    if request.uid:
        request.arguments.space()
        chosen = session.view.select(request.arguments.sequence_set(), uid=True)
    request.arguments.end()
    session.view.mailbox.expunge(_deleted(message for _, message in chosen))


@command("SEARCH", State.SELECTED, uid=True)
def search(session: Session, request: Request) -> None:
    matches = read_search(request.arguments, session.view)
    found = (
        message.uid if request.uid else number for number, message in session.view.known() if matches(number, message)
    )
    session.respond(b"SEARCH", *(b" %d" % number for number in found))


@command("FETCH", State.SELECTED, uid=True, locked=False)
def fetch(session: Session, request: Request) -> None:
    arguments = request.arguments
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.space()
    items = read_items(arguments)
    arguments.end()
    if request.uid and UID not in items:
        items.insert(0, UID)
    with session.store.lock:
        chosen = session.view.select(ranges, uid=request.uid)
    sets_seen = not session.view.read_only and any(item.sets_seen for item in items)
    for start in range(0, len(chosen), _BATCH):
        with session.store.lock:
            for number, message in chosen[start : start + _BATCH]:
                _fetch_one(session, number, message, items, sets_seen=sets_seen)
        session.connection.flush()


@command("STORE", State.SELECTED, uid=True)
def store(session: Session, request: Request) -> None:
    arguments = request.arguments
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.space()
    sign = "+" if arguments.take(b"+") else "-" if arguments.take(b"-") else ""
    arguments.expect(b"FLAGS")
    silent = arguments.take(b".SILENT")
    arguments.space()
    flags = arguments.flags()
    arguments.end()
    _need_read_write(session)
    view = session.view
    items = [UID, FLAGS] if request.uid else [FLAGS]
    for number, message in view.select(ranges, uid=request.uid):
        changed = {"+": message.flags | flags, "-": message.flags - flags, "": flags}[sign]
        view.mailbox.set_flags(message, changed, by=view)
        if not silent:
            session.connection.write(*write_response(view, number, message, items))


@command("COPY", State.SELECTED, uid=True)
def copy(session: Session, request: Request) -> str:
    chosen, target = _read_target(session, request)
    if not chosen:
        return "Nothing to copy"
    return f"[{_copy(chosen, target)}] COPY completed"


@command("MOVE", State.SELECTED, uid=True)
def move(session: Session, request: Request) -> str | None:
    """RFC 6851; the COPYUID code comes before the EXPUNGE responses, in an untagged OK (section 4.3)."""
    _need_read_write(session)
    chosen, target = _read_target(session, request)
    if not chosen:
        return "Nothing to move"
    session.respond(f"OK [{_copy(chosen, target)}] Moved".encode())
    session.view.mailbox.expunge(chosen)
    session.sync(expunge=True)
    return None


@command("IDLE", AUTHENTICATED, locked=False)
def idle(session: Session, request: Request) -> None:
    """RFC 2177."""
    request.arguments.end()
    session.connection.write(b"+ idling\r\n")
    while True:
        with session.store.lock:
            session.sync(expunge=True)
        session.connection.flush()
        if session.connection.wait():
            break
    if session.connection.read_line().upper() != b"DONE":
        raise Bad("Only DONE ends IDLE")


def _fetch_one(session: Session, number: int, message: Message, items: list[Item], *, sets_seen: bool) -> None:
    view = session.view
    if sets_seen and "\\Seen" not in message.flags:
        view.mailbox.set_flags(message, message.flags | {"\\Seen"}, by=view)
        if FLAGS not in items:
            items = [*items, FLAGS]
    session.connection.write(*write_response(view, number, message, items))


def _read_target(session: Session, request: Request) -> tuple[list[Message], Mailbox]:
    """Read the arguments of COPY and MOVE: the messages, and the mailbox they are to go to."""
    arguments = request.arguments
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.space()
    name = arguments.mailbox()
    arguments.end()
    target = session.account.mailbox(name, code="TRYCREATE")
    return [message for _, message in session.view.select(ranges, uid=request.uid)], target


def _copy(messages: list[Message], target: Mailbox) -> str:
    """Copy `messages` and return the response code COPYUID (RFC 4315, section 3)."""
    copies = [target.add(message.content, message.flags, message.internal_date) for message in messages]
    uids = (write_uid_set(message.uid for message in some).decode() for some in (messages, copies))
    return " ".join(["COPYUID", str(target.uid_validity), *uids])


def _deleted(messages: Iterable[Message]) -> list[Message]:
    return [message for message in messages if "\\Deleted" in message.flags]


def _need_read_write(session: Session) -> None:
    if session.view.read_only:
        raise No("[READ-ONLY] The mailbox was opened with EXAMINE")
