"""Commands on mailboxes by name (RFC 3501, section 6.3), and UNSELECT (RFC 3691)."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..content import Content
from ..grammar import Bad, No, now, write_flags, write_mailbox
from ..mailbox import DELIMITER, SYSTEM_FLAGS, Mailbox, View, canonical_name
from ..session import Session, State
from .registry import AUTHENTICATED, Request, command

_QUOTED_DELIMITER = f'"{DELIMITER}"'.encode()


@command("SELECT", AUTHENTICATED)
@command("EXAMINE", AUTHENTICATED)
def select(session: Session, request: Request) -> str:
    name = _only_mailbox(request)
    # A SELECT that fails leaves no mailbox selected (section 6.3.1).
    session.unselect()
    mailbox = session.account.mailbox(name)
    read_only = request.name == "EXAMINE"
    view = View(mailbox, read_only=read_only, wake=session.connection.wake)
    session.select(view)
    flags = (*SYSTEM_FLAGS, *mailbox.keywords())
    session.respond(b"FLAGS ", write_flags(flags))
    session.respond(b"%d EXISTS" % len(view.messages))
    session.respond(b"%d RECENT" % len(view.recent))
    unseen = next((number for number, message in view.known() if "\\Seen" not in message.flags), None)
    if unseen is not None:
        session.respond(b"OK [UNSEEN %d] The first that is unseen" % unseen)
    permanent = b"()" if read_only else write_flags((*flags, "\\*"))
    session.respond(b"OK [PERMANENTFLAGS ", permanent, b"] What STORE can set")
    session.respond(b"OK [UIDVALIDITY %d] UIDs are valid" % mailbox.uid_validity)
    session.respond(b"OK [UIDNEXT %d] The next UID" % mailbox.uid_next)
    return f"[{'READ-ONLY' if read_only else 'READ-WRITE'}] {request.name} completed"


@command("CREATE", AUTHENTICATED)
def create(session: Session, request: Request) -> None:
    session.account.create(_only_mailbox(request))


@command("DELETE", AUTHENTICATED)
def delete(session: Session, request: Request) -> None:
    session.account.delete(_only_mailbox(request))


@command("RENAME", AUTHENTICATED)
def rename(session: Session, request: Request) -> None:
    request.arguments.space()
    old = request.arguments.mailbox()
    session.account.rename(old, _only_mailbox(request))


@command("SUBSCRIBE", AUTHENTICATED)
def subscribe(session: Session, request: Request) -> None:
    session.account.subscribed.add(canonical_name(_only_mailbox(request)))


@command("UNSUBSCRIBE", AUTHENTICATED)
def unsubscribe(session: Session, request: Request) -> None:
    session.account.subscribed.discard(canonical_name(_only_mailbox(request)))


@command("LIST", AUTHENTICATED)
@command("LSUB", AUTHENTICATED)
def list_mailboxes(session: Session, request: Request) -> None:
    arguments = request.arguments
    arguments.space()
    reference = arguments.mailbox()
    arguments.space()
    pattern = arguments.list_mailbox()
    arguments.end()
    response = request.name.encode() + b" (%b) " + _QUOTED_DELIMITER + b" %b"
    if not pattern and request.name == "LIST":
        # An empty name asks for the delimiter and the root of the reference.
        session.respond(response % (b"\\Noselect", b'""'))
        return
    matches = _matcher(reference + pattern)
    account = session.account
    names = account.subscribed if request.name == "LSUB" else set(account.mailboxes)
    for name in sorted(names | _parents(names)):
        if matches(name) and (attributes := _attributes(name, names, request.name, pattern)) is not None:
            session.respond(response % (attributes, write_mailbox(name)))


@command("STATUS", AUTHENTICATED)
def status(session: Session, request: Request) -> None:
    arguments = request.arguments
    arguments.space()
    name = arguments.mailbox()
    arguments.space()
    arguments.expect(b"(")
    items = [_status_item(arguments.keyword())]
    while not arguments.take(b")"):
        arguments.space()
        items.append(_status_item(arguments.keyword()))
    arguments.end()
    mailbox = session.account.mailbox(name)
    values = b" ".join(b"%b %d" % (item.encode(), _STATUS[item](mailbox)) for item in items)
    session.respond(b"STATUS ", write_mailbox(canonical_name(name)), b" (", values, b")")


@command("NAMESPACE", AUTHENTICATED)
def namespace(session: Session, request: Request) -> None:
    """RFC 2342: one personal namespace at the root."""
    request.arguments.end()
    session.respond(b'NAMESPACE (("" ', _QUOTED_DELIMITER, b")) NIL NIL")


@command("APPEND", AUTHENTICATED)
def append(session: Session, request: Request) -> str:
    arguments = request.arguments
    arguments.space()
    name = arguments.mailbox()
    arguments.space()
    flags = frozenset[str]()
    if arguments.next_is(b"("):
        flags = arguments.flags()
        arguments.space()
    internal_date = None
    if arguments.next_is(b'"'):
        internal_date = arguments.date_time()
        arguments.space()
    octets = arguments.literal()
    arguments.end()
    if not octets:
        raise No("An empty message can't be appended")
    mailbox = session.account.mailbox(name, code="TRYCREATE")
    message = mailbox.add(Content(octets), flags, internal_date or now())
    return f"[APPENDUID {mailbox.uid_validity} {message.uid}] APPEND completed"


@command("UNSELECT", State.SELECTED)
def unselect(session: Session, request: Request) -> None:
    request.arguments.end()
    session.unselect()


_STATUS: dict[str, Callable[[Mailbox], int]] = {
    "MESSAGES": lambda mailbox: len(mailbox.messages),
    "RECENT": lambda mailbox: len(mailbox.recent),
    "UIDNEXT": lambda mailbox: mailbox.uid_next,
    "UIDVALIDITY": lambda mailbox: mailbox.uid_validity,
    "UNSEEN": lambda mailbox: sum("\\Seen" not in message.flags for message in mailbox.messages),
}


def _status_item(name: str) -> str:
    if name not in _STATUS:
        raise Bad(f"STATUS has no item {name}")
    return name


def _only_mailbox(request: Request) -> str:
    """The mailbox that is the last argument."""
    request.arguments.space()
    name = request.arguments.mailbox()
    request.arguments.end()
    return name


def _matcher(pattern: str) -> Callable[[str], bool]:
    """Return the test of a mailbox name against `pattern`: ``*`` is any text, ``%`` any within one level."""
    source = ""
    for piece in re.split(r"([*%]+)", canonical_name(pattern)):
        # A run of wildcards matches what its strongest one does.
        if "*" in piece:
            source += ".*"
        elif "%" in piece:
            source += f"[^{DELIMITER}]*"
        else:
            source += re.escape(piece)
    return lambda name: re.fullmatch(source, name, re.DOTALL) is not None


def _parents(names: set[str]) -> set[str]:
    """Every name above one of `names`."""
    return {name[:position] for name in names for position, character in enumerate(name) if character == DELIMITER}


def _attributes(name: str, names: set[str], response: str, pattern: str) -> bytes | None:
    """The attributes of `name` in a LIST or LSUB response, or None if it is not to be listed."""
    exists = name in names
    if response == "LSUB":
        # A parent that is not subscribed itself stands for what "%" hides below it (section 6.3.9).
        if exists:
            return b""
        return b"\\Noselect" if pattern.endswith("%") else None
    has_children = any(other.startswith(name + DELIMITER) for other in names)
    children = b"\\HasChildren" if has_children else b"\\HasNoChildren"
    return children if exists else b"\\Noselect " + children
