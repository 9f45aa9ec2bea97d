"""The selected mailbox: SELECT, EXAMINE, CLOSE, UNSELECT, CHECK, EXPUNGE.

RFC 9051, sections 6.3.2, 6.3.3, 6.4.1 to 6.4.3; quick resynchronization: RFC 7162.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from ..errors import StateError
from ..model import mailbox_name
from ..model._shown import Value
from ..model.codes import Code
from ..model.response_codes import (
    HighestModSeq,
    MailboxID,
    PermanentFlags,
    ResponseCode,
    UIDNext,
    UIDValidity,
    Unseen,
)
from ..model.responses import (
    Exists,
    ExpungeResponse,
    Flags,
    MailboxInfo,
    MailboxName,
    Recent,
    Response,
    StatusResponse,
    Tagged,
    Vanished,
)
from ..model.row import FetchedMessage
from ..model.sequence_set import Messages, MessageSet, SavedResult, SequenceSet, UIDSet, uid_set
from ..wire import encode
from ..wire.encode import Part
from ._shared import Instruction, decoded, last_limit, limit, parts_of, piece, refuse_read_only
from .base import SELECTED, Command, Session
from .refusals import refusal

__all__ = ["Check", "Close", "Examine", "Expunge", "ExpungeResult", "QResync", "Select", "SelectedMailbox", "Unselect"]


class QResync(Value):
    """What was known of a mailbox when it was left, for the server to say what changed (RFC 7162, section 3.2.5)."""

    uid_validity: int
    mod_sequence: int
    """The highest mod-sequence that was known."""
    known_uids: UIDSet | None = None
    """The UIDs that are still of interest; None for all."""
    sequence_match: tuple[SequenceSet, UIDSet] | None = None
    """Sequence numbers, and the UIDs that they had then, for servers that do not remember what was expunged."""

    def part(self) -> Part:
        """Return the parameters of QRESYNC."""
        parts: list[Part] = [encode.number(self.uid_validity), encode.mod_sequence(self.mod_sequence)]
        if self.known_uids:
            parts.append(_known(self.known_uids))
        if self.sequence_match is not None:
            numbers, uids = self.sequence_match
            if len(numbers) != len(uids):
                raise ValueError(f"sequence_match pairs numbers with UIDs: {len(numbers)} with {len(uids)} do not")
            parts.append((_known(numbers), _known(uids)))
        return tuple(parts)


def _known(numbers: UIDSet | SequenceSet) -> bytes:
    if not isinstance(numbers, (UIDSet, SequenceSet)):
        raise TypeError(f"neither a UIDSet nor a SequenceSet: {numbers!r}")
    if numbers.has_star:
        raise ValueError("* is not known: which message it is only the server can tell")
    return str(numbers).encode("ascii")


class SelectedMailbox(Value):
    """A mailbox as it was when it was selected. What the server did not say is None."""

    name: str
    read_only: bool
    """Whether it can be read only: because it was asked for, or because the server allows no more."""
    exists: int = 0
    """Messages in the mailbox."""
    recent: int | None = None
    r"""Messages with the flag \Recent; no longer in IMAP4rev2."""
    flags: frozenset[str] = frozenset()
    """The flags that can be in the mailbox."""
    permanent_flags: frozenset[str] | None = None
    r"""Those that can be changed for good; ``\*`` where keywords can be made."""
    uid_next: int | None = None
    """The next message will have at least this UID."""
    uid_validity: int | None = None
    """When it changes, every UID that was noted is void."""
    unseen: int | None = None
    r"""Sequence number of the first message without \Seen; no longer in IMAP4rev2."""
    highest_mod_sequence: int | None = None
    """None also where the mailbox keeps no mod-sequences (NOMODSEQ)."""
    mailbox_id: str | None = None
    """RFC 8474, section 4.3."""
    vanished: UIDSet = UIDSet()
    """With `qresync`: the UIDs that are gone since."""
    changed: tuple[FetchedMessage, ...] = ()
    """With `qresync`: the messages that are new or have other flags since, with UID, FLAGS and MODSEQ."""


class Select(Command[SelectedMailbox]):
    """Select a mailbox, whose messages the commands are about from here on; return what there is to know of it.

    :param mailbox: its name.
    :param read_only: select it for reading alone (EXAMINE): what would change it then raises StateError.
    :param condstore: have mod-sequences with every change of flags (CONDSTORE, RFC 7162, section 3.1.8).
    :param qresync: what was known of it, to be told what has changed (QRESYNC, RFC 7162, section 3.2.5; it has to
        be enabled first: StateError).

    A failure leaves no mailbox selected. Raises MailboxNotFound, NoPermission. (RFC 9051, section 6.3.2)
    """

    name = "SELECT"
    claims_news = True
    repeatable = True
    keeps_hold: bool = False
    """Whether it is the client's own: for `selected()`, or to bring back what was selected before a cut."""

    def __init__(
        self,
        mailbox: MailboxName = "INBOX",
        *,
        read_only: bool = False,
        condstore: bool = False,
        qresync: QResync | None = None,
    ) -> None:
        self._name = encode.mailbox(mailbox)
        self._asked_for = mailbox.octets if isinstance(mailbox, MailboxInfo) else mailbox
        self._selects = decoded(mailbox)
        self._verb = b"EXAMINE" if read_only else b"SELECT"
        self._examines = read_only
        self._condstore = condstore
        self._qresync = qresync.part() if qresync is not None else None
        self._forget()

    @property
    def mailbox(self) -> str:
        """The name of the mailbox."""
        return self._selects

    @property
    def wanted(self) -> tuple[str | bytes, bool]:
        """The mailbox, and whether for reading alone."""
        return _known_as(self._selects, self._asked_for), self._examines

    def is_of(self, session: Session) -> bool:
        """Whether the mailbox is selected already, in the same mode."""
        if session.mailbox is None or session.asked_for is None:
            return False
        return self.wanted == (_known_as(session.mailbox, session.asked_for), session.examined)

    def _forget(self) -> None:
        self._exists = 0
        self._recent: int | None = None
        self._flags: frozenset[str] = frozenset()
        self._permanent: frozenset[str] | None = None
        self._uid_next: int | None = None
        self._uid_validity: int | None = None
        self._unseen: int | None = None
        self._mod_sequence: int | None = None
        self._mailbox_id: str | None = None
        self._said_read_only = self._examines
        self._vanished: list[UIDSet] = []
        self._changed: list[FetchedMessage] = []

    def requires(self, session: Session) -> Iterable[str]:
        if self._qresync is not None:
            return ("QRESYNC",)
        return ("CONDSTORE",) if self._condstore and not session.has("QRESYNC") else ()

    def parts(self, session: Session) -> Sequence[Part]:
        parameters: list[Part] = []
        if self._condstore:
            parameters.append(b"CONDSTORE")
        if self._qresync is not None:
            if "QRESYNC" not in session.enabled:
                raise StateError("select(qresync=...) needs QRESYNC to be enabled first (RFC 7162, section 3.2.3)")
            parameters += [b"QRESYNC", self._qresync]
        return [self._verb, self._name, *([tuple(parameters)] if parameters else [])]

    def take(self, response: Response) -> bool:
        if isinstance(response, StatusResponse):
            return response.status == "OK" and self._take_code(response.response_code)
        if isinstance(response, Exists):
            self._exists = response.count
        elif isinstance(response, Recent):
            self._recent = response.count
        elif isinstance(response, Flags):
            self._flags = response.flags
        elif isinstance(response, Vanished) and response.earlier:
            self._vanished.append(response.uids)
        else:
            # IMAP4rev2 answers with the mailbox's LIST response too, which says nothing that the others do not.
            return isinstance(response, MailboxInfo) and self._selects in (response.name, response.old_name)
        return True

    def _take_code(self, code: ResponseCode | None) -> bool:
        if isinstance(code, UIDNext):
            self._uid_next = code.uid
        elif isinstance(code, UIDValidity):
            self._uid_validity = code.uid_validity
        elif isinstance(code, PermanentFlags):
            self._permanent = code.flags
        elif isinstance(code, Unseen):
            self._unseen = code.number
        elif isinstance(code, HighestModSeq):
            self._mod_sequence = code.mod_sequence
        elif isinstance(code, MailboxID):
            self._mailbox_id = code.mailbox_id
        elif code is not None and code.name == Code.CLOSED:
            self._forget()  # until here it was all about the mailbox that was selected before
        elif code is not None and code.name in (Code.READ_ONLY, Code.READ_WRITE):
            self._said_read_only = code.name == Code.READ_ONLY
        else:
            return code is not None and code.name in (Code.NOMODSEQ, Code.UIDNOTSTICKY)
        return True

    def take_rows(self, rows: list[FetchedMessage]) -> list[FetchedMessage]:
        if self._qresync is None:
            return rows
        self._changed += rows
        return []

    def succeed(self, tagged: Tagged, session: Session) -> SelectedMailbox:
        if tagged.response_code is not None:
            self._take_code(tagged.response_code)
        read_only = self._said_read_only
        session.select(
            self._selects,
            self._uid_validity,
            asked_for=self._asked_for,
            read_only=read_only,
            examined=self._examines,
            exists=self._exists,
        )
        session.condstore = self._condstore
        selected = SelectedMailbox(
            self._selects,
            read_only,
            self._exists,
            self._recent,
            self._flags,
            self._permanent,
            self._uid_next,
            self._uid_validity,
            self._unseen,
            self._mod_sequence,
            self._mailbox_id,
            _union(self._vanished),
            tuple(self._changed),
        )
        session.selected = selected.__replace__(
            recent=None,
            uid_next=None,
            unseen=None,
            highest_mod_sequence=None,
            vanished=UIDSet(),
            changed=(),
        )
        return selected

    def fail(self, tagged: Tagged, session: Session) -> Exception:
        session.deselect()
        return refusal(self._verb.decode("ascii"), tagged)


def _known_as(name: str, asked_for: str | bytes) -> str | bytes:
    """Return the name, or its octets where they are not those that the name is sent as."""
    if name == "INBOX" or isinstance(asked_for, str):
        return name
    try:
        return name if mailbox_name.encode(name) == asked_for else asked_for
    except ValueError:
        return asked_for


class Examine(Select):
    """Select a mailbox for reading alone; return what there is to know of it.

    :param mailbox: its name.
    :param condstore: as for `select`.
    :param qresync: as for `select`.

    (RFC 9051, section 6.3.3)
    """

    name = "EXAMINE"

    def __init__(self, mailbox: MailboxName, *, condstore: bool = False, qresync: QResync | None = None) -> None:
        super().__init__(mailbox, read_only=True, condstore=condstore, qresync=qresync)


class Close(Instruction):
    r"""Expunge the messages with \Deleted without telling which, and select no mailbox.

    (RFC 9051, section 6.4.1)
    """

    name = "CLOSE"
    states = SELECTED

    def __init__(self) -> None:
        super().__init__()

    def succeed(self, tagged: Tagged, session: Session) -> None:
        session.deselect()


class Unselect(Instruction):
    """Select no mailbox, and expunge nothing.

    (RFC 9051, section 6.4.2; UNSELECT, RFC 3691)
    """

    name = "UNSELECT"
    repeatable = True
    states = SELECTED
    needs: ClassVar[tuple[str, ...]] = ("UNSELECT",)

    def __init__(self) -> None:
        super().__init__()

    def succeed(self, tagged: Tagged, session: Session) -> None:
        session.deselect()


class Check(Instruction):
    """Have the server put the mailbox into good order on its disk; IMAP4rev2 has done away with it.

    (RFC 3501, section 6.4.1)
    """

    name = "CHECK"
    repeatable = True
    states = SELECTED

    def __init__(self) -> None:
        super().__init__()


class ExpungeResult(Value):
    """What EXPUNGE removed."""

    sequence_numbers: tuple[int, ...] = ()
    """As the server told them, and most do: each counted after those before it were gone. Which UIDs they had only
    who kept count of the mailbox can tell. Empty where the server told UIDs."""
    uids: UIDSet = UIDSet()
    """Where the server told UIDs (VANISHED: with QRESYNC or UIDONLY enabled); else empty, UIDs in the call or not."""
    highest_mod_sequence: int | None = None
    """Of the mailbox afterwards, where the server says so (RFC 7162, section 3.1.2.1)."""
    limit: int | None = None
    """The lowest UID that was processed, where the server stopped early (MESSAGELIMIT, RFC 9738)."""

    def __len__(self) -> int:
        return len(self.sequence_numbers) + len(self.uids)


class Expunge(Command[ExpungeResult]):
    r"""Remove the messages with \Deleted for good.

    :param messages: of these UIDs only (UIDPLUS, RFC 4315, section 2.1), so that what another client marked stays;
        None for all; no UIDs (``[]``) are nothing to do.

    Returns what is gone: these responses do not come as events too, unless the server refuses to go on after some of
    them, or nobody awaits the result any more. Raises StateError where the mailbox was selected with
    ``read_only=True``. (RFC 9051, sections 6.4.3 and 6.4.9)
    """

    name = "EXPUNGE"
    states = SELECTED
    claims_news = True

    def __init__(self, messages: MessageSet | None = None) -> None:
        self.begin(None if messages is None else uid_set(messages))
        if isinstance(self._uids, SequenceSet):
            raise TypeError("EXPUNGE takes UIDs, or no messages at all")
        self.positional: bool = isinstance(self._uids, SavedResult)
        self.repeatable: bool = self._uids is not None  # else it removes what was marked meanwhile
        self.as_events = False
        """Whether what is gone comes as events, and not in the result: for what sends this command among others."""

    def begin(self, messages: Messages | None) -> None:
        """Be about `messages`."""
        self._uids = messages
        self.nothing_to_do: bool = messages is not None and not messages  # never a command for all
        self._gone: list[int | UIDSet] = []  # in the order in which the server said it

    def pieces(self, octets: int) -> Sequence[Expunge]:
        return () if self._uids is None else [piece(self, part) for part in parts_of(self._uids, octets - 100)]

    def join(self, results: Sequence[ExpungeResult]) -> ExpungeResult:
        return ExpungeResult(
            tuple(number for result in results for number in result.sequence_numbers),
            _union(result.uids for result in results),
            max((r.highest_mod_sequence for r in results if r.highest_mod_sequence is not None), default=None),
            last_limit(results),
        )

    def requires(self, session: Session) -> Iterable[str]:
        return ("UIDPLUS",) if self._uids is not None else ()

    def parts(self, session: Session) -> Sequence[Part]:
        refuse_read_only(session)
        return [b"EXPUNGE"] if self._uids is None else [b"UID EXPUNGE", str(self._uids).encode("ascii")]

    def take(self, response: Response) -> bool:
        if self.as_events:
            return False
        if isinstance(response, ExpungeResponse):
            self._gone.append(response.sequence_number)
        elif isinstance(response, Vanished) and not response.earlier:
            self._gone.append(response.uids)
        else:
            return False
        return True

    def unreturned(self) -> Iterable[Response]:
        return (Vanished(gone) if isinstance(gone, UIDSet) else ExpungeResponse(gone) for gone in self._gone)

    def empty(self) -> ExpungeResult:
        return ExpungeResult()

    def succeed(self, tagged: Tagged, session: Session) -> ExpungeResult:
        mod_sequence = tagged.response_code.mod_sequence if isinstance(tagged.response_code, HighestModSeq) else None
        numbers = tuple(gone for gone in self._gone if isinstance(gone, int))
        uids = _union(gone for gone in self._gone if isinstance(gone, UIDSet))
        return ExpungeResult(numbers, uids, mod_sequence, limit(tagged))


def _union(sets: Iterable[UIDSet]) -> UIDSet:
    """Return all that is in `sets`, in one pass: a server may tell VANISHED by thousands of lines."""
    return UIDSet(range(low, high + 1) for uids in sets for low, high in uids.ranges)
