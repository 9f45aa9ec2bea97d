r"""Responses as octets -> values of :mod:`fastimap.types`; all but FETCH, which the parser decodes itself.

Nothing here raises for what a server sends. A response that is not in its grammar becomes an UnknownResponse that
says what is wrong, a response code that is not becomes a plain ResponseCode, and a bad item in STATUS or ESEARCH is
put under `other`, so that it does not cost the rest.

What servers send against the RFCs and is taken all the same (the octets, with their sources, are in
tests/corpus/quirks.txt):

==========================  ==============================================  =========================================
server                      sends                                           which is taken as
==========================  ==============================================  =========================================
home.pl (MailKit#115)       ``* [COPYUID 123456 1 2]``                      an untagged OK with that code
Exchange (MailKit#115)      ``[COPYUID 55 31 6]``                           the same
MailKit's tests             ``A5 BYE IMAP4rev1 Server logging out``         an untagged BYE
mail.ru (MailKit#1838)      ``* 9.3736e+06 EXISTS``                         9373600
ImapFlow's tests            NULs in front of a response                     nothing
DavMail (cpython#117152)    ``*  1843 EXISTS``, more than one space         one space
iCloud, Outlook, Exchange   a space at the end of a line                    nothing
Exchange (net-imap#597)     ``OK [Error="..." Proxy=...] text``             text alone, as no code begins so
Yandex (imap-proto)         ``+`` without a space                           a continuation request without text
Gmail (net-imap#241)        ``]`` in keywords, in PERMANENTFLAGS too        part of the keyword
Zoho, Greenmail             ``\*`` in FLAGS                                 nothing; it belongs into PERMANENTFLAGS
ImapFlow's tests            ``LIST (HasNoChildren UnMarked)``               ``\HasNoChildren``, ``\Unmarked``
ImapFlow's, net-imap's      mailbox names in raw UTF-8                      what they are, if not modified UTF-7
Gmail's XLIST               ``\AllMail``, ``\Starred``, ``\Spam``           ``\All``, ``\Flagged``, ``\Junk``
==========================  ==============================================  =========================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

from ..errors import ParseError
from ..model import mailbox_name
from ..model.responses import (
    Acl,
    AppendUID,
    BadCharset,
    BadEvent,
    BadURL,
    Capabilities,
    CapabilityCode,
    Comparator,
    ContextUpdate,
    ContinuationRequest,
    CopyUID,
    Enabled,
    ESearch,
    Exists,
    Expunge,
    Flags,
    HighestModSeq,
    InProgress,
    JMAPAccess,
    Language,
    ListRights,
    MailboxID,
    MailboxInfo,
    MailboxStatus,
    MaxConvert,
    MessageLimit,
    Metadata,
    MetadataCode,
    Modified,
    MyRights,
    Namespace,
    Namespaces,
    NoUpdate,
    Partial,
    PermanentFlags,
    Quota,
    QuotaResource,
    QuotaRoots,
    ReadOnlyDict,
    Recent,
    Referral,
    Response,
    ResponseCode,
    Search,
    ServerID,
    Sort,
    StatusResponse,
    Tagged,
    Thread,
    ThreadNode,
    UIDNext,
    UIDValidity,
    UndefinedFilter,
    UnknownResponse,
    Unseen,
    URLMech,
    Value,
    Vanished,
)
from ..model.sequence_set import LARGEST_NUMBER, SequenceSet, UIDSet
from ..parser import tokenize

__all__ = ["mailbox", "response"]

_HEAD = re.compile(rb"\* +(?:([0-9][0-9.]*(?:e\+?[0-9]+)?) +)?([^ ]+) *", re.IGNORECASE)
_TAGGED = re.compile(rb"([^ +*]+) +(OK|NO|BAD|BYE)(?: +(.*))?\Z", re.IGNORECASE | re.DOTALL)
# RFC 9051, section 9: an atom, with "]" excluded.
_CODE_NAME = re.compile(rb'[^\x00-\x20\x7f(){%*"\\\]]+')
_FLOAT = re.compile(r"[0-9](?:\.[0-9]{1,18})?e\+?[0-9]{1,2}", re.IGNORECASE)
_MAX_NUMBER = 2**63 - 1
# Of what takes 50 times as much memory as octets, and of which no server has thousands.
_MAX_OBJECTS = 100_000


def response(fragments: tuple[bytes, ...], *, utf8: bool = False) -> Response:
    """Return what one response of :meth:`ResponseReader.responses` says; never raises, takes linear time.

    `fragments` are a line, a literal, a line, and so on, without line ends. `utf8` says that mailbox names are UTF-8,
    as they are once UTF8=ACCEPT or IMAP4rev2 is enabled (RFC 6855, section 3; RFC 9051, appendix A).
    """
    line = fragments[0].lstrip(b"\0") if fragments else b""
    head = _HEAD.match(line)
    if head is None or head[2].startswith(b"["):
        return _other_than_data(fragments, line)
    name = _upper(head[2])
    if name in _STATUSES:
        status = cast('Literal["OK", "NO", "BAD", "BYE", "PREAUTH"]', name)
        return StatusResponse(status, *_resp_text(_one_line((line[head.end() :], *fragments[1:]))))
    decoder = _DECODERS.get(name)
    if decoder is None:
        return UnknownResponse(name, fragments)
    try:
        return decoder(_Data(name, head[1], (line[head.end() :], *fragments[1:]), utf8))
    except (ParseError, ValueError) as exc:
        return UnknownResponse(name, fragments, str(exc))


def _other_than_data(fragments: tuple[bytes, ...], line: bytes) -> Response:
    if line == b"+" or line.startswith(b"+ "):
        text = line[2:]
        return ContinuationRequest(text, _resp_text(text)[0])
    text = _one_line((line, *fragments[1:]))
    if tagged := _TAGGED.match(text):
        status = _upper(tagged[2])
        code, words = _resp_text(tagged[3] or b"")
        if status == "BYE":
            return StatusResponse("BYE", code, words)
        return Tagged(tagged[1], cast('Literal["OK", "NO", "BAD"]', status), code, words)
    code, words = _resp_text(text.removeprefix(b"*").lstrip(b" "))
    if code is not None and code.name in _CODES:
        return StatusResponse("OK", code, words)
    return UnknownResponse("", fragments, "neither a tag nor '*' or '+' begins it")


# ---------------------------------------------------------------------------------------- response codes and text


def _one_line(fragments: tuple[bytes, ...]) -> bytes:
    """Return a response's text with its literals as quoted strings: BADCHARSET may hold some."""
    parts = [fragments[0]]
    for literal, line in zip(fragments[1::2], fragments[2::2], strict=False):
        parts[-1] = parts[-1][: parts[-1].rfind(b"{")]
        parts += [b'"', re.sub(rb'(["\\])', rb"\\\1", literal), b'"', line]
    return b"".join(parts)


def _resp_text(octets: bytes) -> tuple[ResponseCode | None, str]:
    """Return the code, if there is one, and the text behind it (RFC 9051, section 9, resp-text)."""
    end = _end_of_code(octets) if octets.startswith(b"[") else -1
    if end > 0 and (name := _CODE_NAME.match(octets, 1, end)) and octets[name.end()] in b" ]":
        code = _response_code(_upper(name[0]), octets[name.end() + 1 : end])
        return code, _for_people(octets[end + 1 :].removeprefix(b" "))
    return None, _for_people(octets)


def _end_of_code(octets: bytes) -> int:
    """Return the position of the "]" that ends a code, or -1; one in a list or a quoted string does not end it."""
    end = octets.find(b"]")
    if end < 0:
        return -1
    if octets.count(b"(", 0, end) > octets.count(b")", 0, end):
        return max(end, octets.find(b")]", end) + 1)
    if octets.count(b'"', 0, end) % 2:
        return max(end, octets.find(b'"]', end) + 1)
    return end


def _response_code(name: str, octets: bytes) -> ResponseCode:
    decoder = _CODES.get(name)
    if decoder is not None:
        try:
            return decoder(name, octets)
        except (ParseError, ValueError):
            pass
    return ResponseCode(name, octets)


_S = TypeVar("_S", bound=UIDSet | SequenceSet)


def _numbers(kind: type[_S], octets: bytes) -> _S:
    """Return the set that a server sent; "*" has no meaning there."""
    numbers: Any = kind.parse(octets)  # a union of classes as the bound hides that it is an _S
    if numbers.has_star:
        raise ValueError('"*" in a set from the server')
    return cast(_S, numbers)


def _append_uid(name: str, octets: bytes) -> AppendUID:
    uid_validity, uids = octets.split()
    return AppendUID(name, octets, uid_validity=_number(uid_validity), uids=_numbers(UIDSet, uids))


def _copy_uid(name: str, octets: bytes) -> CopyUID:
    uid_validity, source, destination = octets.split()
    if sum(map(len, UIDSet.parse_ordered(source))) != sum(map(len, UIDSet.parse_ordered(destination))):
        raise ValueError("as many messages must arrive as were sent")
    return CopyUID(
        name,
        octets,
        uid_validity=_number(uid_validity),
        source=_numbers(UIDSet, source),
        destination=_numbers(UIDSet, destination),
    )


def _bad_url(name: str, octets: bytes) -> BadURL:
    quoted = len(octets) > 1 and octets.startswith(b'"') and octets.endswith(b'"')
    return BadURL(name, octets, url=_text(octets[1:-1] if quoted else octets))


def _in_progress(name: str, octets: bytes) -> InProgress:
    match tokenize((octets,)):
        case ():
            return InProgress(name, octets)
        case ((tag, done, total),):
            return InProgress(
                name,
                octets,
                tag=None if tag is None else _octets(tag),
                done=None if done is None else _number(done),
                total=None if total is None else _number(total),
            )
    raise ValueError("not a list of three")


def _message_limit(name: str, octets: bytes) -> MessageLimit:
    limit, *uid = map(_number, octets.split())
    return MessageLimit(name, octets, limit=limit, uid=uid[0] if uid else None)


def _metadata_code(name: str, octets: bytes) -> MetadataCode:
    reason, *size = octets.split()
    return MetadataCode(name, octets, reason=_upper(reason), size=_number(size[0]) if size else None)


def _texts(octets: bytes) -> tuple[str, ...]:
    """Return the strings of a list; the parentheses may be missing, as in an example of RFC 9051, section 6.4.4.4."""
    values = tokenize((octets,))
    if len(values) == 1 and isinstance(values[0], tuple):
        values = values[0]
    return tuple(map(_text, values))


def _words(octets: bytes) -> tuple[str, ...]:
    return tuple(map(_text, octets.split()))


def _one(octets: bytes) -> bytes:
    (value,) = tokenize((octets,))
    return _octets(value, octets)


def _mailbox_id(octets: bytes) -> str:
    identifier = re.fullmatch(rb" *\( *([^ ()]+) *\) *", octets)
    if identifier is None:
        raise ValueError("not one identifier in parentheses")
    return _text(identifier[1])


_CODES: Final[dict[str, Callable[[str, bytes], ResponseCode]]] = {
    "APPENDUID": _append_uid,
    "BADCHARSET": lambda name, octets: BadCharset(name, octets, charsets=_texts(octets)),
    "BADEVENT": lambda name, octets: BadEvent(name, octets, events=_texts(octets)),
    "BADURL": _bad_url,
    "CAPABILITY": lambda name, octets: CapabilityCode(name, octets, capabilities=_capabilities(octets)),
    "COPYUID": _copy_uid,
    "HIGHESTMODSEQ": lambda name, octets: HighestModSeq(name, octets, mod_sequence=_number(octets.strip())),
    "INPROGRESS": _in_progress,
    "MAILBOXID": lambda name, octets: MailboxID(name, octets, mailbox_id=_mailbox_id(octets)),
    "MAXCONVERTMESSAGES": lambda name, octets: MaxConvert(name, octets, limit=_number(octets.strip())),
    "MAXCONVERTPARTS": lambda name, octets: MaxConvert(name, octets, limit=_number(octets.strip())),
    "MESSAGELIMIT": _message_limit,
    "METADATA": _metadata_code,
    "MODIFIED": lambda name, octets: Modified(name, octets, numbers=_numbers(SequenceSet, octets.strip())),
    "NOUPDATE": lambda name, octets: NoUpdate(name, octets, tag=_one(octets)),
    "PERMANENTFLAGS": lambda name, octets: PermanentFlags(name, octets, flags=_flags(octets)),
    "REFERRAL": lambda name, octets: Referral(name, octets, urls=_words(octets)),
    "UIDNEXT": lambda name, octets: UIDNext(name, octets, uid=_number(octets.strip())),
    "UIDVALIDITY": lambda name, octets: UIDValidity(name, octets, uid_validity=_number(octets.strip())),
    "UNDEFINED-FILTER": lambda name, octets: UndefinedFilter(name, octets, filter_name=_text(_one(octets))),
    "UNSEEN": lambda name, octets: Unseen(name, octets, number=_number(octets.strip())),
    "URLMECH": lambda name, octets: URLMech(name, octets, mechanisms=_words(octets)),
}


# ------------------------------------------------------------------------------------------------ single values


def mailbox(octets: bytes, *, utf8: bool = False) -> str:
    """Return the mailbox name that `octets` are: modified UTF-7, or UTF-8 where it is not that or `utf8` is set.

    Octets that are neither become lone surrogates. ``INBOX`` in any case is ``INBOX`` (RFC 9051, section 5.1).
    """
    if len(octets) == 5 and octets.upper() == b"INBOX":
        return "INBOX"
    if b"&" in octets and not utf8:
        try:
            return mailbox_name.decode(octets)
        except ValueError:
            pass
    return octets.decode("utf-8", "surrogateescape")


def _octets(value: Value, line: bytes = b"") -> bytes:
    """Return the octets of a string that the tokenizer read as `value` in `line`.

    An atom such as ``007`` or ``NIL`` is a name where the grammar has a name.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, int):
        spelled = re.search(rb"(?<![^ (])0*%d(?![^ )])" % value, line)
        return spelled[0] if spelled else b"%d" % value
    if value is None:
        return b"NIL"
    raise ValueError("a list where a string must be")


def _text(value: Value, line: bytes = b"") -> str:
    if isinstance(value, str):
        return value
    return _octets(value, line).decode("utf-8", "surrogateescape")


def _for_people(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _upper(octets: bytes) -> str:
    return octets.upper().decode("utf-8", "surrogateescape")


def _number(value: Value) -> int:
    """Return a number of at most 63 bits (RFC 9051, section 9, number64)."""
    if isinstance(value, int):
        return value
    if isinstance(value, (bytes, str)):
        text = value if isinstance(value, str) else value.decode("ascii", "replace")
        if len(text) <= 19 and text.isascii() and text.isdigit() and int(text) <= _MAX_NUMBER:
            return int(text)
        if _FLOAT.fullmatch(text) and float(text) <= _MAX_NUMBER:
            return int(float(text))
    raise ValueError(f"not a number: {_shown(value)}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _capabilities(octets: bytes) -> frozenset[str]:
    return frozenset(map(_upper, octets.split()))


_SYSTEM_FLAGS: Final = {
    flag.upper(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent")
}


def _flags(octets: bytes) -> frozenset[str]:
    """Return the flags of a parenthesised list; not by the tokenizer, as ``123`` and ``NIL`` are keywords too."""
    octets = octets.strip(b" ")
    if not (octets.startswith(b"(") and octets.endswith(b")")) or b"(" in octets[1:] or b")" in octets[:-1]:
        raise ValueError("not a list of flags")
    return frozenset(_SYSTEM_FLAGS.get(flag.upper(), flag) for flag in map(_text, octets[1:-1].split()))


# --------------------------------------------------------------------------------------------------- responses


class _Data:
    """An untagged response: what stands around its name."""

    __slots__ = ("fragments", "name", "octets_of_number", "utf8")

    def __init__(self, name: str, number: bytes | None, fragments: tuple[bytes, ...], utf8: bool) -> None:
        self.name = name
        self.octets_of_number = number
        self.fragments = fragments
        """What follows the name."""
        self.utf8 = utf8

    @property
    def number(self) -> int:
        """The number in front of the name."""
        if self.octets_of_number is None:
            raise ValueError("no number in front of it")
        return _number(self.octets_of_number)

    @property
    def line(self) -> bytes:
        """What follows the name, where the grammar has no literal."""
        if len(self.fragments) > 1:
            raise ValueError("a literal where none can be")
        return self.fragments[0]

    def values(self) -> tuple[Value, ...]:
        return tokenize(self.fragments)

    def octets(self, value: Value) -> bytes:
        return _octets(value, self.fragments[0])

    def text(self, value: Value) -> str:
        return self.octets(value).decode("utf-8", "surrogateescape")

    def mailbox(self, value: Value) -> tuple[str, bytes]:
        """Return a mailbox's name and its octets."""
        octets = self.octets(value)
        return mailbox(octets, utf8=self.utf8), octets


def _pairs(values: tuple[Value, ...]) -> Iterator[tuple[str, Value]]:
    """Yield the (name in upper case, value) of a list in which they alternate."""
    if len(values) % 2:
        raise ValueError("a name without a value")
    for name, value in zip(values[::2], values[1::2], strict=True):
        yield _text(name).upper(), value


def _search(data: _Data) -> Search:
    return Search(*_search_result(data.line))


def _sort(data: _Data) -> Sort:
    return Sort(*_search_result(data.line))


def _search_result(octets: bytes) -> tuple[tuple[int, ...], int | None]:
    """Return the numbers and the mod-sequence behind them (RFC 7162, section 3.1.5)."""
    mod_sequence = None
    octets, parenthesis, rest = octets.partition(b"(")
    if parenthesis:
        found = re.fullmatch(rb" *MODSEQ +([0-9]+) *\) *", rest, re.IGNORECASE)
        if found is None:
            raise ValueError(f"not a mod-sequence: {_shown(rest[:80])}")
        mod_sequence = _number(found[1])
    if octets.translate(None, b"0123456789 "):
        raise ValueError("not numbers alone")
    numbers = tuple(map(int, octets.split()))
    if numbers and not (min(numbers) >= 1 and max(numbers) <= LARGEST_NUMBER):
        raise ValueError(f"message numbers go from 1 to {LARGEST_NUMBER}")
    return numbers, mod_sequence


_Set: TypeAlias = type[UIDSet] | type[SequenceSet]

_ESEARCH_NUMBERS: Final = {"MIN": "min", "MAX": "max", "COUNT": "count", "MODSEQ": "mod_sequence"}


def _esearch(data: _Data) -> ESearch:
    values = data.values()
    fields: dict[str, Any] = {}
    other: dict[str, Value] = {}
    if values and isinstance(values[0], tuple):
        for name, value in _pairs(values[0]):
            if name == "TAG":
                fields["tag"] = data.octets(value)
            elif name == "MAILBOX":
                fields["mailbox"], fields["mailbox_octets"] = data.mailbox(value)
            elif name == "UIDVALIDITY":
                fields["uid_validity"] = _number(value)
            else:
                other[name] = value
        values = values[1:]
    uid = bool(values) and isinstance(values[0], str) and values[0].upper() == "UID"
    set_type: _Set = UIDSet if uid else SequenceSet
    updates: list[ContextUpdate] = []
    for name, value in _pairs(values[1:] if uid else values):
        # What is asked for and can't be read makes the whole unreadable: half a result would pass for all of it.
        if value is None:
            other[name] = value
        elif name in _ESEARCH_NUMBERS:
            fields[_ESEARCH_NUMBERS[name]] = _number(value)
        elif name == "ALL":
            octets = _octets(value)
            fields["all"], fields["all_octets"] = _numbers(set_type, octets), octets
        elif name == "PARTIAL":
            fields["partial"] = _partial(value, set_type)
        elif name in ("ADDTO", "REMOVEFROM"):
            updates += _context_updates(cast('Literal["ADDTO", "REMOVEFROM"]', name), value, set_type)
            if len(updates) > _MAX_OBJECTS:
                raise ValueError(f"more than {_MAX_OBJECTS} updates")
        elif name == "RELEVANCY" and isinstance(value, tuple):
            fields["relevancy"] = tuple(map(_number, value))
        else:
            other[name] = value
    return ESearch(uid=uid, updates=tuple(updates), other=ReadOnlyDict(other), **fields)


_RANGE = re.compile(r"(-?[0-9]{1,10}):(-?[0-9]{1,10})")


def _partial(value: Value, set_type: _Set) -> Partial:
    match value:
        case (str(text), messages) if range_ := _RANGE.fullmatch(text):
            octets = b"" if messages is None else _octets(messages)
            return Partial(int(range_[1]), int(range_[2]), _numbers(set_type, octets) if octets else set_type(), octets)
    raise ValueError("not a range and a set")


def _context_updates(kind: Literal["ADDTO", "REMOVEFROM"], value: Value, set_type: _Set) -> list[ContextUpdate]:
    if not isinstance(value, tuple) or len(value) % 2:
        raise ValueError("not positions and sets in turn")
    if len(value) > 2 * _MAX_OBJECTS:
        raise ValueError(f"more than {_MAX_OBJECTS} updates")
    updates = []
    for position, messages in zip(value[::2], value[1::2], strict=True):
        octets = _octets(messages)
        updates.append(ContextUpdate(kind, _number(position), _numbers(set_type, octets), octets))
    return updates


def _thread(data: _Data) -> Thread:
    """Threads nest as deep as a discussion goes, so this neither recurses nor counts the depth."""
    if data.line.translate(None, b"0123456789() "):
        raise ValueError("not numbers and parentheses alone")
    # For each open parenthesis: a run of messages, each the answer to the one before it, and the threads behind it.
    numbers: list[int] = []
    threads: list[ThreadNode] = []
    waiting: list[tuple[list[int], list[ThreadNode]]] = []
    for word in re.findall(rb"[0-9]+|[()]", data.line):
        if word == b"(":
            waiting.append((numbers, threads))
            numbers, threads = [], []
        elif word == b")":
            if not waiting or not (numbers or threads):
                raise ValueError("a thread without messages, or one parenthesis too many")
            node = ThreadNode(numbers.pop() if numbers else None, tuple(threads))
            while numbers:
                node = ThreadNode(numbers.pop(), (node,))
            numbers, threads = waiting.pop()
            threads.append(node)
        elif threads or not waiting:
            raise ValueError("a message behind or outside threads")
        else:
            numbers.append(_number(word))
    if waiting:
        raise ValueError(f"{len(waiting)} parentheses not closed")
    return Thread(tuple(threads))


def _vanished(data: _Data) -> Vanished:
    octets = data.line.strip(b" ")
    earlier = octets[:9].upper() == b"(EARLIER)"
    return Vanished(_numbers(UIDSet, octets[9:].lstrip(b" ") if earlier else octets), earlier)


def _expunge(data: _Data) -> Expunge:
    if data.number == 0:
        raise ValueError("message numbers start at 1")
    return Expunge(data.number)


# RFC 9051, section 7.3.1; RFC 3501, section 7.2.2; RFC 3348; RFC 6154; RFC 8457; IANA's registry.
_ATTRIBUTES: Final = {
    name.lower(): f"\\{name}"
    for name in (
        *("Noinferiors", "Noselect", "Marked", "Unmarked", "HasChildren", "HasNoChildren", "NonExistent"),
        *("Subscribed", "Remote"),
        *("All", "Archive", "Drafts", "Flagged", "Important", "Junk", "Memos", "Scheduled", "Sent", "Snoozed", "Trash"),
    )
}
_XLIST_ATTRIBUTES: Final = {"\\allmail": "\\All", "\\starred": "\\Flagged", "\\spam": "\\Junk"}


def _list(data: _Data) -> MailboxInfo:
    match data.values():
        case (tuple(words), (bytes() | str() | None) as delimiter, name):
            extended: tuple[Value, ...] = ()
        case (tuple(words), (bytes() | str() | None) as delimiter, name, tuple(extended)):
            pass
        case _:
            raise ValueError("not attributes, a delimiter and a mailbox")
    attributes = [_ATTRIBUTES.get(word.lstrip("\\").lower(), word) for word in map(_text, words)]
    if data.name == "XLIST":
        attributes = [_XLIST_ATTRIBUTES.get(word.lower(), word) for word in attributes]
    kind = cast('Literal["LIST", "LSUB", "XLIST"]', data.name)
    decoded, octets = data.mailbox(name)
    if not extended:
        return MailboxInfo(decoded, octets, _delimiter(delimiter), frozenset(attributes), kind)
    old_name = None
    child_info: tuple[str, ...] = ()
    other = {}
    for item, value in _pairs(extended):
        match item, value:
            case "OLDNAME", (old,):
                old_name, _ = data.mailbox(old)
            case "CHILDINFO", tuple(options):
                child_info = tuple(_text(option).upper() for option in options)
            case _:
                other[item] = value
    return MailboxInfo(
        decoded,
        octets,
        _delimiter(delimiter),
        frozenset(attributes),
        kind,
        old_name,
        child_info,
        extended=ReadOnlyDict(other),
    )


def _delimiter(value: Value) -> str | None:
    """Return the hierarchy delimiter; NIL and, from some servers, "" mean that there is no hierarchy."""
    return None if value is None else _text(value) or None


_STATUS_ITEMS: Final = {
    "MESSAGES": "messages",
    "UIDNEXT": "uid_next",
    "UIDVALIDITY": "uid_validity",
    "UNSEEN": "unseen",
    "RECENT": "recent",
    "SIZE": "size",
    "DELETED": "deleted",
    "DELETED-STORAGE": "deleted_storage",
    "HIGHESTMODSEQ": "highest_mod_sequence",
    "APPENDLIMIT": "append_limit",
}


def _status(data: _Data) -> MailboxStatus:
    match data.values():
        case (name, tuple(items)):
            decoded, octets = data.mailbox(name)
        case _:
            raise ValueError("not a mailbox and a list")
    fields: dict[str, Any] = {}
    other: dict[str, Value] = {}
    for item, value in _pairs(items):
        try:
            if item == "MAILBOXID" and isinstance(value, tuple):
                (identifier,) = value
                # Behind the mailbox name, which may be a literal.
                fields["mailbox_id"] = _text(identifier, data.fragments[-1])
            elif item == "APPENDLIMIT" and value is None:
                fields["append_limit"] = None
            else:
                fields[_STATUS_ITEMS[item]] = _number(value)
        except (KeyError, ValueError):
            other[item] = value
    if other:
        fields["other"] = ReadOnlyDict(other)
    return MailboxStatus(decoded, octets, **fields)


def _namespace(data: _Data) -> Namespaces:
    personal, other_users, shared = data.values()
    return Namespaces(_namespaces(data, personal), _namespaces(data, other_users), _namespaces(data, shared))


def _namespaces(data: _Data, value: Value) -> tuple[Namespace, ...]:
    if value is None:
        return ()
    if not isinstance(value, tuple):
        raise ValueError("not a list of namespaces")
    if len(value) > _MAX_OBJECTS:
        raise ValueError(f"more than {_MAX_OBJECTS} namespaces")
    namespaces = []
    for namespace in value:
        match namespace:
            case ((bytes() | str()) as prefix, (bytes() | str() | None) as delimiter, *extensions):
                found = {
                    name: tuple(map(_text, values)) if isinstance(values, tuple) else (_text(values),)
                    for name, values in _pairs(tuple(extensions))
                }
                namespaces.append(Namespace(data.mailbox(prefix)[0], _delimiter(delimiter), ReadOnlyDict(found)))
            case _:
                raise ValueError("not a prefix and a delimiter")
    return tuple(namespaces)


def _quota(data: _Data) -> Quota:
    match data.values():
        case (root, tuple(items)) if len(items) % 3 == 0:
            resources = [
                QuotaResource(_text(items[i]).upper(), _number(items[i + 1]), _number(items[i + 2]))
                for i in range(0, len(items), 3)
            ]
            return Quota(data.text(root), tuple(resources))
    raise ValueError("not a root and resources of three")


def _quota_roots(data: _Data) -> QuotaRoots:
    name, *roots = data.values()
    return QuotaRoots(*data.mailbox(name), tuple(map(data.text, roots)))


def _acl(data: _Data) -> Acl:
    name, *rights = data.values()
    if len(rights) % 2:
        raise ValueError("an identifier without rights")
    texts = list(map(data.text, rights))
    return Acl(*data.mailbox(name), ReadOnlyDict(dict(zip(texts[::2], texts[1::2], strict=True))))


def _list_rights(data: _Data) -> ListRights:
    name, identifier, required, *optional = data.values()
    return ListRights(*data.mailbox(name), data.text(identifier), data.text(required), tuple(map(data.text, optional)))


def _my_rights(data: _Data) -> MyRights:
    name, rights = data.values()
    return MyRights(*data.mailbox(name), data.text(rights))


def _metadata(data: _Data) -> Metadata:
    match data.values():
        case (name, tuple(items)) if len(items) % 2 == 0:
            entries = {
                _text(entry): None if value is None else _octets(value)
                for entry, value in zip(items[::2], items[1::2], strict=True)
            }
            return Metadata(*data.mailbox(name), entries=ReadOnlyDict(entries))
        case (name, first, *others):
            return Metadata(*data.mailbox(name), changed=tuple(map(_text, (first, *others))))
    raise ValueError("not a mailbox and entries")


def _id(data: _Data) -> ServerID:
    match data.values():
        case () | (None,):
            return ServerID()
        case (tuple(items),):
            known = {name.lower(): _text(value) for name, value in _pairs(items) if value is not None}
            return ServerID(ReadOnlyDict(known))
    raise ValueError("neither NIL nor one list")


def _comparator(data: _Data) -> Comparator:
    match data.values():
        case (name,):
            return Comparator(_text(name))
        case (name, tuple(matching)):
            return Comparator(_text(name), tuple(map(_text, matching)))
    raise ValueError("not a comparator and a list")


_STATUSES: Final = frozenset(("OK", "NO", "BAD", "BYE", "PREAUTH"))

_DECODERS: Final[dict[str, Callable[[_Data], Response]]] = {
    "ACL": _acl,
    "CAPABILITY": lambda data: Capabilities(_capabilities(data.line)),
    "COMPARATOR": _comparator,
    "ENABLED": lambda data: Enabled(_capabilities(data.line)),
    "ESEARCH": _esearch,
    "EXISTS": lambda data: Exists(data.number),
    "EXPUNGE": _expunge,
    "FLAGS": lambda data: Flags(_flags(data.line) - {"\\*"}),
    "ID": _id,
    "JMAPACCESS": lambda data: JMAPAccess(_text(_one(data.line))),
    "LANGUAGE": lambda data: Language(_texts(data.line)),
    "LIST": _list,
    "LISTRIGHTS": _list_rights,
    "LSUB": _list,
    "METADATA": _metadata,
    "MYRIGHTS": _my_rights,
    "NAMESPACE": _namespace,
    "QUOTA": _quota,
    "QUOTAROOT": _quota_roots,
    "RECENT": lambda data: Recent(data.number),
    "SEARCH": _search,
    "SORT": _sort,
    "STATUS": _status,
    "THREAD": _thread,
    "VANISHED": _vanished,
    "XLIST": _list,
}
