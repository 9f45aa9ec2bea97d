"""Response codes, and the text after them (RFC 9051, section 7.1, and section 9, resp-text)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ..errors import ParseError
from ..model._patterns import pattern
from ..model.response_codes import (
    AppendUID,
    BadCharset,
    BadEvent,
    BadURL,
    CapabilityCode,
    CopyUID,
    HighestModSeq,
    InProgress,
    MailboxID,
    MaxConvert,
    MessageLimit,
    MetadataCode,
    Modified,
    NoUpdate,
    PermanentFlags,
    Referral,
    ResponseCode,
    UIDNext,
    UIDValidity,
    UndefinedFilter,
    Unseen,
    URLMech,
)
from ..model.sequence_set import SequenceSet, UIDSet
from ._values import (
    capabilities,
    flags,
    for_people,
    is_nil,
    nstring_of,
    number_of,
    number_set,
    object_id,
    one,
    text_of,
    texts,
    tokens,
    upper,
)

__all__ = ["CODES", "one_line", "resp_text"]

# RFC 9051, section 9: an atom, with "]" excluded.
_CODE_NAME = pattern(rb'[^\x00-\x20\x7f(){%*"\\\]]+')


def one_line(fragments: tuple[bytes, ...]) -> bytes:
    """Return a response's text with its literals as quoted strings: BADCHARSET may hold some."""
    if len(fragments) == 1:
        return fragments[0]
    parts = [fragments[0]]
    for literal, line in zip(fragments[1::2], fragments[2::2], strict=False):
        parts[-1] = parts[-1][: parts[-1].rfind(b"{")]
        parts += [b'"', re.sub(rb'(["\\])', rb"\\\1", literal), b'"', line]
    return b"".join(parts)


def resp_text(octets: bytes) -> tuple[ResponseCode | None, str]:
    """Return the code, if there is one, and the text after it (RFC 9051, section 9, resp-text)."""
    end = _end_of_code(octets) if octets.startswith(b"[") else -1
    if end > 0 and (name := _CODE_NAME.match(octets, 1, end)) and octets[name.end()] in b" ]":
        code = _response_code(upper(name[0]), octets[name.end() + 1 : end])
        return code, for_people(octets[end + 1 :].removeprefix(b" "))
    return None, for_people(octets)


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
    decoder = CODES.get(name)
    if decoder is not None:
        try:
            return decoder(name, octets)
        except (ParseError, ValueError):
            pass
    return ResponseCode(name, octets)


def _append_uid(name: str, octets: bytes) -> AppendUID:
    uid_validity, uids = octets.split()
    return AppendUID(name, octets, uid_validity=number_of(uid_validity), uids=number_set(UIDSet, uids))


def _copy_uid(name: str, octets: bytes) -> CopyUID:
    uid_validity, source, destination = octets.split()
    if sum(map(len, UIDSet.parse_ordered(source))) != sum(map(len, UIDSet.parse_ordered(destination))):
        raise ValueError("as many messages must arrive as were sent")
    return CopyUID(
        name,
        octets,
        uid_validity=number_of(uid_validity),
        source=number_set(UIDSet, source),
        destination=number_set(UIDSet, destination),
    )


def _bad_url(name: str, octets: bytes) -> BadURL:
    quoted = len(octets) > 1 and octets.startswith(b'"') and octets.endswith(b'"')
    return BadURL(name, octets, url=text_of(octets[1:-1] if quoted else octets))


def _in_progress(name: str, octets: bytes) -> InProgress:
    match tokens(octets):
        case ():
            return InProgress(name, octets)
        case ((tag, done, total),):
            return InProgress(
                name,
                octets,
                tag=nstring_of(tag),
                done=None if is_nil(done) else number_of(done),
                total=None if is_nil(total) else number_of(total),
            )
    raise ValueError("not a list of three")


def _message_limit(name: str, octets: bytes) -> MessageLimit:
    limit, *uid = map(number_of, octets.split())
    return MessageLimit(name, octets, limit=limit, uid=uid[0] if uid else None)


def _metadata_code(name: str, octets: bytes) -> MetadataCode:
    reason, *size = octets.split()
    return MetadataCode(name, octets, reason=upper(reason), size=number_of(size[0]) if size else None)


def _words(octets: bytes) -> tuple[str, ...]:
    return tuple(map(text_of, octets.split()))


CODES: Final[dict[str, Callable[[str, bytes], ResponseCode]]] = {
    "APPENDUID": _append_uid,
    "BADCHARSET": lambda name, octets: BadCharset(name, octets, charsets=texts(tokens(octets))),
    "BADEVENT": lambda name, octets: BadEvent(name, octets, events=texts(tokens(octets))),
    "BADURL": _bad_url,
    "CAPABILITY": lambda name, octets: CapabilityCode(name, octets, capabilities=capabilities(octets)),
    "COPYUID": _copy_uid,
    "HIGHESTMODSEQ": lambda name, octets: HighestModSeq(name, octets, mod_sequence=number_of(octets.strip())),
    "INPROGRESS": _in_progress,
    "MAILBOXID": lambda name, octets: MailboxID(name, octets, mailbox_id=object_id(tokens(octets))),
    "MAXCONVERTMESSAGES": lambda name, octets: MaxConvert(name, octets, limit=number_of(octets.strip())),
    "MAXCONVERTPARTS": lambda name, octets: MaxConvert(name, octets, limit=number_of(octets.strip())),
    "MESSAGELIMIT": _message_limit,
    "METADATA": _metadata_code,
    "MODIFIED": lambda name, octets: Modified(name, octets, numbers=number_set(SequenceSet, octets.strip())),
    "NOUPDATE": lambda name, octets: NoUpdate(name, octets, tag=one(tokens(octets))),
    "PERMANENTFLAGS": lambda name, octets: PermanentFlags(name, octets, flags=flags(octets)),
    "REFERRAL": lambda name, octets: Referral(name, octets, urls=_words(octets)),
    "UIDNEXT": lambda name, octets: UIDNext(name, octets, uid=number_of(octets.strip())),
    "UIDVALIDITY": lambda name, octets: UIDValidity(name, octets, uid_validity=number_of(octets.strip())),
    "UNDEFINED-FILTER": lambda name, octets: UndefinedFilter(name, octets, filter_name=text_of(one(tokens(octets)))),
    "UNSEEN": lambda name, octets: Unseen(name, octets, number=number_of(octets.strip())),
    "URLMECH": lambda name, octets: URLMech(name, octets, mechanisms=_words(octets)),
}


# ------------------------------------------------------------------------------------------------ single values
