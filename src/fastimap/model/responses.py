"""What servers say, as values: one immutable class for each response but FETCH, and one for each response code.

They compare by value, and each shows itself on one short line. A name or text that is not valid UTF-8 has its
octets as lone surrogates ("surrogateescape"); where the exact octets matter, a field ``octets`` has them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, Union

from . import words
from ._shown import Value as _Value
from .response_codes import ResponseCode
from .sequence_set import SequenceSet, UIDSet

__all__ = [
    "Acl",
    "Capabilities",
    "ComparatorResponse",
    "ContextUpdate",
    "ContinuationRequest",
    "ESearch",
    "Enabled",
    "Exists",
    "ExpungeResponse",
    "Flags",
    "JMAPAccess",
    "LanguageResponse",
    "ListRightsResponse",
    "MailboxInfo",
    "MailboxName",
    "MailboxNamespace",
    "MailboxStatus",
    "Metadata",
    "MyRightsResponse",
    "Namespaces",
    "Partial",
    "Quota",
    "QuotaResource",
    "QuotaRoots",
    "ReadOnlyDict",
    "Recent",
    "Response",
    "SearchResponse",
    "ServerID",
    "SortResponse",
    "StatusResponse",
    "Tagged",
    "ThreadNode",
    "ThreadResponse",
    "UnknownResponse",
    "Value",
    "Vanished",
]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


Value: TypeAlias = Union[str, bytes, int, "tuple[Value, ...]", None]
"""Data of a kind that fastimap does not know, as the tokenizer gives it (see :mod:`fastimap.parser`)."""

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)


class ReadOnlyDict(Mapping[K, V_co], Generic[K, V_co]):
    """A dictionary that can be hashed and cannot be changed."""

    __slots__ = ("_dict",)

    def __init__(self, items: Mapping[K, V_co] | None = None) -> None:
        self._dict: dict[K, V_co] = dict(items) if items else {}

    def __getitem__(self, key: K) -> V_co:
        return self._dict[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __hash__(self) -> int:
        return hash(frozenset(self._dict.items()))

    def __repr__(self) -> str:
        return repr(self._dict)


_EMPTY: Final[ReadOnlyDict[str, Any]] = ReadOnlyDict()


class Response(_Value):
    """Base of every response."""


class Tagged(Response):
    """The end of a command (RFC 9051, section 7.1)."""

    tag: bytes
    status: Literal["OK", "NO", "BAD"]
    response_code: ResponseCode | None = None
    text: str = ""
    """For people; octets that are not UTF-8 are replaced."""

    # Written out, as every command has one.
    def __init__(
        self, tag: bytes, status: Literal["OK", "NO", "BAD"], response_code: ResponseCode | None = None, text: str = ""
    ) -> None:
        values = self.__dict__
        values["tag"] = tag
        values["status"] = status
        values["response_code"] = response_code
        values["text"] = text


class StatusResponse(Response):
    """The greeting, a warning, or the end of the connection (RFC 9051, section 7.1)."""

    status: Literal["OK", "NO", "BAD", "BYE", "PREAUTH"]
    response_code: ResponseCode | None = None
    text: str = ""
    """For people; octets that are not UTF-8 are replaced."""


class ContinuationRequest(Response):
    """The server waits for more (RFC 9051, section 7.6)."""

    octets: bytes = b""
    """All that follows ``+`` and a space: a SASL challenge in base64, or text for people."""
    response_code: ResponseCode | None = None


class UnknownResponse(Response):
    """A response of an unknown kind, or one that is not in its own grammar."""

    name: str
    """Upper case; empty where there is none."""
    fragments: tuple[bytes, ...]
    """The response as it came: a line, a literal, a line, and so on."""
    defect: str | None = None
    """What is wrong; None for a kind that is not known."""


class Capabilities(Response):
    """CAPABILITY (RFC 9051, section 7.2.2)."""

    names: frozenset[str]
    """Upper case."""


class Enabled(Response):
    """ENABLED: what ENABLE switched on (RFC 9051, section 7.2.1)."""

    capabilities: frozenset[str]
    """Upper case."""


class Exists(Response):
    """How many messages the mailbox has (EXISTS, RFC 9051, section 7.4.1)."""

    count: int
    """Messages in the mailbox, which is the sequence number of the newest, and no UID."""


class Recent(Response):
    """RECENT (RFC 3501, section 7.3.2)."""

    count: int
    r"""Messages with the flag \Recent."""


class ExpungeResponse(Response):
    """EXPUNGE: a message is gone, and those after it move up by one (RFC 9051, section 7.5.1)."""

    sequence_number: int


class Vanished(Response):
    """VANISHED: messages are gone (RFC 7162, section 3.2.10)."""

    uids: UIDSet
    earlier: bool = False
    """Whether they went before, so that sequence numbers do not change now."""


class Flags(Response):
    """FLAGS: the flags that can be in the mailbox (RFC 9051, section 7.3.5)."""

    flags: frozenset[str]
    """System flags in the RFC's spelling, keywords as sent."""


class SearchResponse(Response):
    """SEARCH (RFC 3501, section 7.2.5)."""

    numbers: SequenceSet
    """Sequence numbers; UIDs in the answer to UID SEARCH, which the response does not say."""
    mod_sequence: int | None = None
    """The highest mod-sequence of those messages, where a search key asked for it (RFC 7162, section 3.1.5)."""


class SortResponse(Response):
    """SORT (RFC 5256, section 4)."""

    numbers: tuple[int, ...]
    """Sequence numbers, or UIDs in the answer to UID SORT, in the order asked for."""
    mod_sequence: int | None = None
    """As in :class:`SearchResponse`."""


class Partial(_Value):
    """A part of a search's result (RFC 9394, section 3.1; RFC 5267, section 4.4)."""

    first: int
    """Where the part begins: 1 is the first result, -1 the last."""
    last: int
    messages: UIDSet | SequenceSet
    """Empty where the result has nothing there."""
    octets: bytes = b""
    """The set as it came, for the answer to SORT, where order counts."""

    def in_order(self) -> Iterator[int]:
        """Yield the numbers in the order in which the server gave them."""
        return _in_order(self.octets)


class ContextUpdate(_Value):
    """A change to the result of a search that the server keeps up to date (RFC 5267, section 4.3.3)."""

    kind: Literal["ADDTO", "REMOVEFROM"]
    position: int
    """Where the messages come in or went, from 1; 0 where order does not count."""
    messages: UIDSet | SequenceSet
    octets: bytes = b""
    """The set as it came."""

    def in_order(self) -> Iterator[int]:
        """Yield the numbers in the order in which the server gave them."""
        return _in_order(self.octets)


class ESearch(Response):
    """ESEARCH (RFC 9051, section 7.3.4; RFC 4731). What was not asked for, or found nothing, is None."""

    tag: bytes | None = None
    """Of the command that this answers."""
    uid: bool = False
    """Whether the numbers are UIDs."""
    min: int | None = None
    max: int | None = None
    count: int | None = None
    all: UIDSet | SequenceSet | None = None
    all_octets: bytes = b""
    """`all` as it came, for the answer to SORT, where order counts (RFC 5267, section 3.2)."""
    mod_sequence: int | None = None
    """RFC 7162, section 3.1.5."""
    partial: Partial | None = None
    updates: tuple[ContextUpdate, ...] = ()
    """To be applied in this order."""
    relevancy: tuple[int, ...] = ()
    """A score from 1 to 100 for each message found (RFC 6203, section 4)."""
    mailbox: str | None = None
    """Where the messages are (RFC 7377, section 2.1)."""
    mailbox_octets: bytes | None = None
    uid_validity: int | None = None
    """Of `mailbox`."""
    other: ReadOnlyDict[str, Value] = _EMPTY
    """Return data of other kinds, or not in their grammar, under their names in upper case."""

    def in_order(self) -> Iterator[int]:
        """Yield the numbers of `all` in the order in which the server gave them."""
        return _in_order(self.all_octets)


def _in_order(octets: bytes) -> Iterator[int]:
    return chain.from_iterable(UIDSet.parse_ordered(octets)) if octets else iter(())


class ThreadNode(_Value):
    """A message and the answers to it (RFC 5256, section 4). Threads may be deeper than Python recurses."""

    number: int | None
    """Sequence number, or UID in the answer to UID THREAD; None where the answers' parent is not in the mailbox."""
    children: tuple[ThreadNode, ...] = ()

    def walk(self) -> Iterator[tuple[int, ThreadNode]]:
        """Yield (depth, node) of this node, at depth 0, and all below it; each before its children."""
        waiting = [(0, self)]
        while waiting:
            depth, node = waiting.pop()
            yield depth, node
            waiting += [(depth + 1, child) for child in reversed(node.children)]

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of all messages in the thread, each before the answers to it."""
        return (node.number for _, node in self.walk() if node.number is not None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ThreadNode):
            return NotImplemented
        if self.number != other.number or len(self.children) != len(other.children):
            return False
        # Depths in this order describe a tree completely.
        return [(depth, node.number) for depth, node in self.walk()] == [
            (depth, node.number) for depth, node in other.walk()
        ]

    def __hash__(self) -> int:
        return hash((self.number, len(self.children)))

    def __reduce__(self) -> tuple[Any, ...]:
        # Flat, as pickle and copy.deepcopy() recurse.
        nodes = [(node.number, len(node.children)) for _, node in self.walk()]
        return _thread_node, (tuple(number for number, _ in nodes), array("Q", [count for _, count in nodes]))

    def __repr__(self) -> str:
        return f"<ThreadNode {self.number}: {sum(1 for _ in self.numbers())} messages>"


def _thread_node(numbers: tuple[int | None, ...], counts: Sequence[int]) -> ThreadNode:
    """Return the node with what is below it, of each node's number and how many children it has, in walk()'s order."""
    made: list[ThreadNode] = []
    for number, count in zip(reversed(numbers), reversed(counts), strict=True):
        children = made[len(made) - count :]
        del made[len(made) - count :]
        made.append(ThreadNode(number, tuple(reversed(children))))
    return made[0]


class ThreadResponse(Response):
    """THREAD (RFC 5256, section 4)."""

    threads: tuple[ThreadNode, ...]


class MailboxStatus(Response):
    """STATUS (RFC 9051, section 7.3.3). What was not asked for is None."""

    name: str
    octets: bytes
    """The name as it came."""
    messages: int | None = None
    uid_next: int | None = None
    uid_validity: int | None = None
    unseen: int | None = None
    r"""Number of messages without \Seen."""
    recent: int | None = None
    size: int | None = None
    """Octets of all messages together (RFC 8438)."""
    deleted: int | None = None
    r"""Number of messages with \Deleted."""
    deleted_storage: int | None = None
    """Octets that an expunge would free (RFC 9208, section 4.1.4)."""
    highest_mod_sequence: int | None = None
    """RFC 7162, section 3.1.7."""
    mailbox_id: str | None = None
    """RFC 8474, section 4.3."""
    append_limit: int | None = None
    """Octets that an appended message may have (RFC 7889); None also where the server says that there is no limit."""
    other: ReadOnlyDict[str, Value] = _EMPTY
    """Items of other kinds, or not in their grammar, under their names in upper case."""


_SPECIAL_USES: Final = frozenset(words.SPECIAL_USES)


class MailboxInfo(Response):
    """LIST, LSUB or XLIST (RFC 9051, section 7.3.1; RFC 3501, section 7.2.3)."""

    name: str
    """``INBOX`` in any case is ``INBOX``. From modified UTF-7; octets that are not that are taken as UTF-8."""
    octets: bytes
    """The name as it came."""
    delimiter: str | None
    """Between the levels of the hierarchy; None where there are no levels."""
    attributes: frozenset[str]
    """Known ones in the spelling of their RFC."""
    kind: Literal["LIST", "LSUB", "XLIST"] = "LIST"
    old_name: str | None = None
    """What the mailbox was called before it was renamed, or before its name was normalised."""
    child_info: tuple[str, ...] = ()
    """Selection options, upper case, that mailboxes below this one match (RFC 9051, section 6.3.9.6)."""
    my_rights: str | None = None
    """The account's rights, where LIST was asked for them (RFC 8440)."""
    status: MailboxStatus | None = None
    """Where LIST was asked for it (RFC 5819)."""
    metadata: ReadOnlyDict[str, bytes | None] | None = None
    """Where LIST was asked for it (RFC 9590)."""
    extended: ReadOnlyDict[str, Value] = _EMPTY
    """Extended data of other kinds, under their names in upper case."""
    defect: str | None = None
    """What is not in the grammar. The name is then what can be made out of it: the rest of the line, or ``""``."""

    @property
    def special_use(self) -> frozenset[str]:
        r"""The special uses among the attributes, such as ``\Sent`` (RFC 6154; RFC 8457)."""
        return self.attributes & _SPECIAL_USES

    @property
    def is_selectable(self) -> bool:
        """Whether SELECT can work."""
        return bool(self.name) and self.attributes.isdisjoint(("\\Noselect", "\\NonExistent"))

    @property
    def has_children(self) -> bool | None:
        """Whether there are mailboxes below this one; None where the server doesn't say."""
        if "\\HasChildren" in self.attributes:
            return True
        if not self.attributes.isdisjoint(("\\HasNoChildren", "\\Noinferiors")):
            return False
        return None


MailboxName: TypeAlias = str | bytes | MailboxInfo
"""What names a mailbox: its name; octets that a server gave for it; or what LIST said of it, whose octets are sent."""


class MailboxNamespace(_Value):
    """A place for mailboxes (RFC 9051, section 6.3.10; RFC 2342)."""

    prefix: str
    """What the names of its mailboxes begin with."""
    delimiter: str | None
    """As in :class:`MailboxInfo`."""
    extensions: ReadOnlyDict[str, tuple[str, ...]] = _EMPTY


class Namespaces(Response):
    """NAMESPACE (RFC 9051, section 7.3.2)."""

    personal: tuple[MailboxNamespace, ...] = ()
    other_users: tuple[MailboxNamespace, ...] = ()
    shared: tuple[MailboxNamespace, ...] = ()


class QuotaResource(_Value):
    """Use and limit of one resource (RFC 9208, section 4.2.1)."""

    name: str
    """Upper case: ``STORAGE`` (units of 1024 octets), ``MESSAGE``, ``MAILBOX``, ``ANNOTATION-STORAGE``, or another."""
    usage: int
    """In the resource's own unit, as is the limit."""
    limit: int


class Quota(Response):
    """QUOTA (RFC 9208, section 4.2.1)."""

    root: str
    resources: tuple[QuotaResource, ...] = ()


class QuotaRoots(Response):
    """QUOTAROOT (RFC 9208, section 4.2.2)."""

    mailbox: str
    mailbox_octets: bytes
    roots: tuple[str, ...] = ()


class Acl(Response):
    """ACL: who may do what (RFC 4314, section 3.6)."""

    mailbox: str
    mailbox_octets: bytes
    rights: ReadOnlyDict[str, str]
    """Identifier -> rights, one letter each; an identifier that begins with ``-`` takes rights away."""


class ListRightsResponse(Response):
    """LISTRIGHTS (RFC 4314, section 3.7)."""

    mailbox: str
    mailbox_octets: bytes
    identifier: str
    required: str
    """Rights that the identifier always has."""
    optional: tuple[str, ...] = ()
    """Rights that can be given; those of one item only together."""


class MyRightsResponse(Response):
    """MYRIGHTS: what this account may do (RFC 4314, section 3.8)."""

    mailbox: str
    mailbox_octets: bytes
    rights: str


class Metadata(Response):
    """METADATA (RFC 5464, section 4.4)."""

    mailbox: str
    """Empty for the server's own."""
    mailbox_octets: bytes
    entries: ReadOnlyDict[str, bytes | None] = _EMPTY
    """Entry name -> value; None where there is none. The answer to GETMETADATA."""
    changed: tuple[str, ...] = ()
    """Entries that have changed, reported unsolicited, without values."""


class ServerID(Response):
    """ID: what the server says about itself (RFC 2971, section 3.2)."""

    fields: ReadOnlyDict[str, str] = _EMPTY
    """Names in lower case. Fields that are NIL are left out."""


class LanguageResponse(Response):
    """LANGUAGE: the language in use, or those there are (RFC 5255, section 3.3)."""

    tags: tuple[str, ...]


class ComparatorResponse(Response):
    """COMPARATOR: how strings are compared in searches (RFC 5255, section 4.8)."""

    name: str
    matching: tuple[str, ...] = ()
    """Those that match what COMPARATOR asked for."""


class JMAPAccess(Response):
    """JMAPACCESS: where the account can be reached by JMAP (RFC 9698)."""

    url: str
