"""Response codes: what a server says in brackets before the text of a status (RFC 9051, section 7.1).

One immutable class for each that has arguments; the others, and those that are not known, are a
:class:`ResponseCode` of their name.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ._shown import Value
from .sequence_set import SequenceSet, UIDSet

__all__ = [
    "AppendUID",
    "BadCharset",
    "BadEvent",
    "BadURL",
    "CapabilityCode",
    "CopyUID",
    "HighestModSeq",
    "InProgress",
    "MailboxID",
    "MaxConvert",
    "MessageLimit",
    "MetadataCode",
    "Modified",
    "NoUpdate",
    "PermanentFlags",
    "Referral",
    "ResponseCode",
    "UIDNext",
    "UIDValidity",
    "URLMech",
    "UndefinedFilter",
    "Unseen",
]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


class ResponseCode(Value):
    """A response code (RFC 9051, section 7.1) that has no arguments, or whose arguments are not understood.

    Those with arguments have classes of their own; all have `name` and `octets`.
    """

    name: str
    """Upper case; compares equal to members of :class:`Code`."""
    octets: bytes = b""
    """The arguments, as they came."""

    def __repr__(self) -> str:
        return self._show(() if type(self) is ResponseCode else ("name", "octets"))


class CapabilityCode(ResponseCode, kw_only=True):
    """CAPABILITY: what the server can do (RFC 9051, section 7.1)."""

    capabilities: frozenset[str]
    """Upper case."""


class PermanentFlags(ResponseCode, kw_only=True):
    """PERMANENTFLAGS: the flags that can be changed for good (RFC 9051, section 7.1)."""

    flags: frozenset[str]
    r"""As sent, ``\*`` included."""

    @property
    def new_keywords(self) -> bool:
        r"""Whether keywords can be made by storing them: ``\*`` is among the flags."""
        return "\\*" in self.flags


class UIDNext(ResponseCode, kw_only=True):
    """UIDNEXT: the next message will have at least this UID (RFC 9051, section 2.3.1.1)."""

    uid: int


class UIDValidity(ResponseCode, kw_only=True):
    """UIDVALIDITY: when it changes, every UID that was noted is void (RFC 9051, section 2.3.1.1)."""

    uid_validity: int


class Unseen(ResponseCode, kw_only=True):
    r"""UNSEEN: the first message without \Seen (RFC 3501, section 7.1)."""

    number: int
    """Its message sequence number."""


class HighestModSeq(ResponseCode, kw_only=True):
    """HIGHESTMODSEQ: the highest mod-sequence in the mailbox (RFC 7162, section 3.1.2.1)."""

    mod_sequence: int


class AppendUID(ResponseCode, kw_only=True):
    """APPENDUID: where the appended messages are (RFC 4315, section 3; RFC 3502 for several)."""

    uid_validity: int
    uids: UIDSet
    """In the order in which the messages were sent, which is ascending."""


class CopyUID(ResponseCode, kw_only=True):
    """COPYUID: where copied or moved messages are (RFC 4315, section 3; RFC 6851, section 4.3)."""

    uid_validity: int
    """Of the destination mailbox."""
    source: UIDSet
    destination: UIDSet

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield (source UID, destination UID) of each message, in the server's order."""
        _, source, destination = self.octets.split()
        return zip(
            chain.from_iterable(UIDSet.parse_ordered(source)),
            chain.from_iterable(UIDSet.parse_ordered(destination)),
            strict=True,
        )

    def mapping(self) -> dict[int, int]:
        """Return source UID -> destination UID; memory for each message, however short the sets."""
        return dict(self.pairs())


class Modified(ResponseCode, kw_only=True):
    """MODIFIED: the messages that a conditional STORE left alone (RFC 7162, section 3.1.3)."""

    numbers: SequenceSet
    """As the answer to STORE; in the answer to UID STORE see `uids`."""

    @property
    def uids(self) -> UIDSet:
        """The numbers as UIDs, which they are in the answer to UID STORE."""
        return UIDSet.parse(self.octets.strip())


class BadCharset(ResponseCode, kw_only=True):
    """BADCHARSET: the charset of a search is not supported (RFC 9051, section 7.1)."""

    charsets: tuple[str, ...] = ()
    """Those that are, where the server says so."""


class BadEvent(ResponseCode, kw_only=True):
    """BADEVENT: NOTIFY asked for events that the server does not know (RFC 5465)."""

    events: tuple[str, ...]
    """Those that it does know."""


class NoUpdate(ResponseCode, kw_only=True):
    """NOUPDATE: the server does not, or no longer, update this search (RFC 5267, section 4.3.1)."""

    tag: bytes
    """Of the command that started the search."""


class MailboxID(ResponseCode, kw_only=True):
    """MAILBOXID: an identifier that the mailbox keeps when it is renamed (RFC 8474, section 4)."""

    mailbox_id: str


class MetadataCode(ResponseCode, kw_only=True):
    """METADATA: why not all metadata was given or taken (RFC 5464, section 4.2.1, 4.3)."""

    reason: str
    """``LONGENTRIES``, ``MAXSIZE``, ``TOOMANY`` or ``NOPRIVATE``."""
    size: int | None = None
    """LONGENTRIES: octets of the largest value left out. MAXSIZE: octets that a value may have."""


class BadURL(ResponseCode, kw_only=True):
    """BADURL: the URL in CATENATE or URLAUTH that the server can't use (RFC 4469)."""

    url: str


class Referral(ResponseCode, kw_only=True):
    """REFERRAL: where to find the account or the mailbox (RFC 2221; RFC 2193)."""

    urls: tuple[str, ...]


class URLMech(ResponseCode, kw_only=True):
    """URLMECH: mechanisms that can authorise URLs of this mailbox (RFC 4467)."""

    mechanisms: tuple[str, ...]


class UndefinedFilter(ResponseCode, kw_only=True):
    """UNDEFINED-FILTER: there is no filter of this name (RFC 5466)."""

    filter_name: str


class InProgress(ResponseCode, kw_only=True):
    """INPROGRESS: how far a command has got (RFC 9585). All None: it goes on, nothing more is known."""

    tag: bytes | None = None
    done: int | None = None
    total: int | None = None


class MessageLimit(ResponseCode, kw_only=True):
    """MESSAGELIMIT: the command was carried out, or can be, on so many messages only (RFC 9738)."""

    limit: int
    uid: int | None = None
    """The lowest UID that was processed."""


class MaxConvert(ResponseCode, kw_only=True):
    """MAXCONVERTMESSAGES, MAXCONVERTPARTS: how much one CONVERT may convert (RFC 5259)."""

    limit: int
