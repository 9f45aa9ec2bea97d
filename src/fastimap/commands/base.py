"""Command[R]: what one command sends, which responses it claims, what it returns (RFC 9051, section 6).

A command is a value that knows no connection: the protocol encodes it, hands it the responses it claims and takes its
result. So it stands once for the blocking client, the asyncio client and the pipeline.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeAlias, TypeVar

from ..model._shown import Value
from ..model.responses import ContinuationRequest, Response, Tagged
from ..model.row import FetchedMessage
from ..wire.encode import Part
from .refusals import refusal

__all__ = [
    "ANY",
    "AUTHENTICATED",
    "NOT_AUTHENTICATED",
    "SELECTED",
    "BeginTLS",
    "Beside",
    "Command",
    "Connect",
    "Flow",
    "Scope",
    "Session",
    "Sleep",
    "State",
]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Scope: TypeAlias = "tuple[int, int | None]"


class State(enum.Enum):
    """States of a connection (RFC 9051, section 3)."""

    CONNECTING = "connecting"
    """No greeting yet."""
    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"

    if not TYPE_CHECKING:
        __hash__ = object.__hash__  # in C, which that of an Enum is not


# By a name of its own: State.CONNECTING, asked for with each response, goes through Enum's __getattr__().
CONNECTING = State.CONNECTING
ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
NOT_AUTHENTICATED = frozenset({State.NOT_AUTHENTICATED})
AUTHENTICATED = frozenset({State.AUTHENTICATED, State.SELECTED})
SELECTED = frozenset({State.SELECTED})


class Session:
    """What is known of a connection, kept up to date by the protocol."""

    __slots__ = (
        "asked_for",
        "authenticated",
        "capabilities",
        "compressed",
        "condstore",
        "enabled",
        "examined",
        "exists",
        "expunges",
        "line_limit",
        "listings",
        "mailbox",
        "notify",
        "read_only",
        "renumbered",
        "selected",
        "selections",
        "server_id",
        "state",
        "tls",
        "uid_validity",
    )

    def __init__(self, state: State = State.CONNECTING, capabilities: frozenset[str] = frozenset()) -> None:
        self.state: State = state
        self.capabilities: frozenset[str] = capabilities
        """Upper case. Empty while they are not known."""
        self.listings: int = 0
        """How often the server has listed its capabilities."""
        self.enabled: frozenset[str] = frozenset()
        """What ENABLE switched on, upper case (RFC 5161)."""
        self.mailbox: str | None = None
        """The selected mailbox."""
        self.asked_for: str | bytes | None = None
        """The same as it was asked for: a name that is no modified UTF-7 is found again by its octets alone."""
        self.selected: Any = None
        """What SELECT returned for the selected mailbox, without what changes."""
        self.read_only: bool = False
        """Whether the server lets the selected mailbox be read only, for whatever reason."""
        self.examined: bool = False
        """Whether it was selected for reading alone (EXAMINE), so that nothing at all can be changed."""
        self.uid_validity: int | None = None
        """The selected mailbox's UIDVALIDITY."""
        self.exists: int | None = None
        """Messages in the selected mailbox, as far as the server has reported."""
        self.selections: int = 0
        """How often a mailbox was selected or left: then the same UIDs mean other messages."""
        self.expunges: int = 0
        """How often messages were expunged: then the same sequence numbers mean other messages."""
        self.line_limit: int = 8192
        """Octets that a command's line may have: what RFC 7162, section 4, asks servers to take, or less where this one
        has refused that."""
        self.renumbered: bool = False
        """Whether sequence numbers and ``$`` are of a lost connection: until the mailbox is selected by the caller, or
        the event `Reconnected` was taken."""
        self.authenticated: bool = False
        """Whether somebody was logged in when the connection was lost."""
        self.condstore: bool = False
        """Whether the mailbox was selected with `condstore=True`."""
        self.notify: Any = None
        """The last NOTIFY, a command to be sent again."""
        self.tls: bool = False
        self.compressed: bool = False
        self.server_id: dict[str, str] = {}

    def __str__(self) -> str:
        selected = f", {self.mailbox!r} selected" if self.state is State.SELECTED else ""
        return self.state.value + selected

    def has(self, capability: str) -> bool:
        """Whether the server has `capability`, by itself or as a part of an IMAP4rev2 that is switched on."""
        capability = capability.upper()
        return capability in self.capabilities or (capability in _PART_OF_REV2 and self.rev2)

    @property
    def rev2(self) -> bool:
        """Whether the connection speaks IMAP4rev2: enabled, or all that the server has."""
        return "IMAP4REV2" in self.enabled or (
            "IMAP4REV2" in self.capabilities and "IMAP4REV1" not in self.capabilities
        )

    @property
    def utf8(self) -> bool:
        """Whether quoted strings may hold UTF-8 (RFC 6855; RFC 9051, section 5.1)."""
        return self.rev2 or "UTF8=ACCEPT" in self.enabled

    def learn_capabilities(self, names: frozenset[str]) -> None:
        """Note the capabilities that the server lists."""
        self.capabilities = names
        self.listings += 1

    def select(
        self,
        mailbox: str,
        uid_validity: int | None,
        *,
        asked_for: str | bytes,
        read_only: bool,
        examined: bool,
        exists: int | None = None,
    ) -> None:
        """Enter the selected state."""
        self.exists = exists
        self.selected = None
        self.state = State.SELECTED
        self.mailbox = mailbox
        self.asked_for = asked_for
        self.uid_validity = uid_validity
        self.read_only = read_only
        self.examined = examined
        self.selections += 1
        self.renumbered = self.condstore = False

    def deselect(self, state: State = State.AUTHENTICATED) -> None:
        """Leave the selected state."""
        self.state = state
        self.mailbox = self.asked_for = self.selected = None
        self.uid_validity = self.exists = None
        self.read_only = self.examined = False
        self.selections += 1

    def scope(self, *, by_uid: bool) -> Scope:
        """Return as long as what UIDs, or sequence numbers, keep their meaning."""
        return self.selections, None if by_uid else self.expunges

    def within(self, scope: Scope) -> bool:
        """Whether what was numbered in `scope` is still what it was."""
        selections, expunges = scope
        return selections == self.selections and expunges in (None, self.expunges)

    def expunged(self, messages: int) -> None:
        """Note that so many messages of the selected mailbox are gone."""
        self.expunges += 1
        if self.exists is not None:
            self.exists = max(self.exists - messages, 0)

    def forget(self) -> None:
        """Forget what was learnt before TLS (RFC 9051, section 6.2.1)."""
        self.capabilities = frozenset()
        self.enabled = frozenset()
        self.server_id = {}


# RFC 9051, appendix E: extensions that became part of the protocol itself.
_PART_OF_REV2 = frozenset(
    {"NAMESPACE", "UNSELECT", "UIDPLUS", "ESEARCH", "SEARCHRES", "ENABLE", "IDLE", "SASL-IR", "LIST-EXTENDED"}
    | {"LIST-STATUS", "MOVE", "LITERAL-", "SPECIAL-USE", "STATUS=SIZE", "CHILDREN"}
)


class Command(Generic[R_co]):
    """One command; subclasses are named after it."""

    name: ClassVar[str]
    """As it is sent, and as errors show it."""
    states: ClassVar[frozenset[State]] = AUTHENTICATED
    """The states in which it may be sent."""
    kind: str | None = None
    """Commands overlap on the wire only where their kinds are known not to disturb each other
    (RFC 9051, section 5.5); None means alone."""
    answers: ClassVar[frozenset[str]] = frozenset()
    """Names of the responses without which the result would be wrong: one that can't be read fails the command."""
    fetches: ClassVar[bool] = False
    """Whether FETCH responses are what it is for: it minds their number itself, and they may have any size. Those that
    answer another command count as its other answers do (`Limits.answers`)."""
    claims_news: ClassVar[bool] = False
    """Whether `take` may claim a status response with a code, EXISTS, RECENT or EXPUNGE, which servers send at any
    time: those that nobody claims are not decoded before they are read."""
    tag: bytes = b""
    """Given by the protocol when it is sent."""
    scope: Scope | None = None
    """Of the numbers that it names (`Session.scope`): it is not sent when they have lost their meaning. For what sends
    several commands, between which another task may send its own; a single command is meant for when it is sent."""
    by_sequence: bool = False
    """Of a piece: whether it names messages by sequence numbers, which an expunge shifts."""
    sent_in: Scope | None = None
    """The scope of its messages when it was sent; set by the protocol."""
    abandoned: bool = False
    """Whether its result is not awaited any more: what it still keeps is let go (`Pending.detach`)."""
    streams: ClassVar[bool] = False
    """Whether it hands literals to a `sink`."""
    notes_files: bool = False
    """Of one that does: whether to note where in its file a literal begins, so that it can be taken up."""
    repeatable: bool = False
    """Whether it may be sent again where its answer was lost: it only reads, or it changes nothing the second time."""
    positional: bool = False
    """Whether it names messages by what a new connection gives another meaning: sequence numbers, or ``$``."""
    nothing_to_do: bool = False
    """Whether it is about no messages at all: then it is checked like any other, not sent, and `empty()` is its
    result. The RFC has no empty set, and what a search found may be nothing."""
    write_by: Callable[[Callable[[bytes], object], Any], object] | None = None
    """Set by the protocol where a `write` is called elsewhere: by this, with the octets."""
    reports: list[Callable[[], object]] | None = None
    """Set by the protocol where files are read and written elsewhere: calls of the caller's `progress` to be made."""
    ends_encoding: ClassVar[bool] = False
    """Whether the octets after its OK belong to a new layer (STARTTLS, COMPRESS)."""
    changes_capabilities: ClassVar[bool] = False
    """Whether the capabilities are others after its OK: the protocol asks for them unless the answer lists them."""

    def tell(self, progress: Callable[[int, int], object], done: int, size: int) -> None:
        """Call the caller's `progress`, now or by `report`."""
        if self.reports is None:
            progress(done, size)
        else:
            self.reports.append(functools.partial(progress, done, size))

    def report(self) -> None:
        """Make the calls of `progress` that are due."""
        if self.reports:
            reports, self.reports = self.reports, []
            for report in reports:
                if not self.abandoned:
                    report()

    def requires(self, session: Session) -> Iterable[str]:
        """Return the capabilities that the server must have for these arguments."""
        return ()

    def parts(self, session: Session) -> Sequence[Part]:
        """Return what is sent after the tag, the name included."""
        raise NotImplementedError

    def pieces(self, octets: int) -> Sequence[Command[R_co]]:
        """Return commands that do the same in parts, where its message set has more octets; () where it fits."""
        return ()

    def join(self, results: Sequence[Any]) -> R_co:
        """Return the result of its pieces together."""
        raise NotImplementedError

    def ranges(self, session: Session) -> tuple[tuple[int, int], ...]:
        """Return what must not overlap with another command of the same kind in flight."""
        return ()

    def take(self, response: Response) -> bool:
        """Whether `response` belongs to this command, which then keeps what it needs of it."""
        return False

    def take_rows(self, rows: list[FetchedMessage]) -> list[FetchedMessage]:
        """Keep the FETCH responses that belong to this command; return the others."""
        return rows

    def unreturned(self) -> Iterable[Response]:
        """Return the expunges that it claimed, in their order: where nobody gets the result, they come as events."""
        return ()

    def sink(self, sequence_number: int | None, uid: int | None, name: str, size: int) -> Any:
        """Return a `write` for a literal of `size` octets, the value of item `name`, or None to keep it in memory."""
        return None

    def answer(self, request: ContinuationRequest) -> bytes | None:
        """Return the line (without CRLF) that answers a continuation request; None when none is expected."""
        return None

    def interrupt(self) -> bytes | None:
        """Return the line that makes the server end a command that lasts until then, once, when it may be sent."""
        return None

    @property
    def lasting(self) -> bool:
        """Whether the server now owes no answer until it is interrupted."""
        return False

    def succeed(self, tagged: Tagged, session: Session) -> R_co:
        """Return the result, at the server's OK; may change the session's state."""
        raise NotImplementedError

    def empty(self) -> R_co:
        """Return the result where there is nothing to do."""
        raise NotImplementedError

    def fail(self, tagged: Tagged, session: Session) -> Exception:
        """Return the error that the server's NO or BAD means; may change the session's state."""
        return refusal(self.name, tagged)

    def copy(self) -> Self:
        """Return the same command, to be sent in its place; made before it is sent, and has a result of its own."""
        made = type(self).__new__(type(self))
        for name, value in vars(self).items():
            setattr(made, name, value.copy() if isinstance(value, (list, dict, set)) else value)
        return made

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Sleep(Value):
    """What a flow yields to wait so many seconds."""

    seconds: float
    by: Callable[[float], Any] | None = None
    """What waits, instead of `time.sleep` and `asyncio.sleep`."""


class Connect(Value):
    """What a flow yields to have a connection in the place of one that is dead; nothing, if there is one by now."""

    instead_of: Any
    """The protocol of the dead one."""


class Beside(Value):
    """What a flow yields to have another one run on a connection of its own, with the same settings."""

    flow: Any


class BeginTLS:
    """What a flow yields to have TLS from here on; the driver makes the handshake."""


Step: TypeAlias = "Command[Any] | tuple[Command[Any], ...] | BeginTLS | Beside | Connect | Sleep"
Flow: TypeAlias = Generator[Step, Any, R]
"""Several commands as one operation: yields commands and gets their results, or has their errors thrown in.

Those of a tuple are sent together; the results are a list, the first error counts."""
