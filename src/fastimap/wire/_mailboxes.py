"""What mailboxes there are, and what is in them: LIST, LSUB, XLIST, STATUS, NAMESPACE."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any, Final, Literal, cast

from ..errors import ParseError
from ..model import words
from ..model._patterns import pattern
from ..model.responses import MailboxInfo, MailboxNamespace, MailboxStatus, Namespaces, ReadOnlyDict, Response, Value
from ..parser import Atom, Token, plain
from ._values import (
    MAX_OBJECTS,
    Data,
    count_of,
    delimiter_of,
    is_nil,
    number_of,
    object_id,
    pairs,
    shown,
    text_of,
    tokens,
)

__all__ = ["DECODERS"]

_ATTRIBUTES: Final = {name[1:].lower(): name for name in words.MAILBOX_ATTRIBUTES}
_AS_SPELLED: Final[dict[Token, str]] = {name.encode("ascii"): name for name in words.MAILBOX_ATTRIBUTES}
"""As nearly every server spells them."""
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
_EXACT: Final = frozenset(("UIDNEXT", "UIDVALIDITY", "HIGHESTMODSEQ"))
_XLIST_ATTRIBUTES: Final = {"\\allmail": "\\All", "\\starred": "\\Flagged", "\\spam": "\\Junk"}
"""Attributes of Gmail's XLIST, in lower case, and those of RFC 6154 that they became."""

_BEFORE_NAME = rb'\(([^()]*+)\) *(?:((?:NIL|"(?:\\?[^"\\]|\\["\\])?")(?= |\Z)|[^ ()"](?= )))? *'
_LIST_WITH_BACKSLASH: Final = pattern(rb'\([^()]*+\) *+(?="\\" )')
"""What follows LIST up to a delimiter that is a backslash and not escaped: then none in the name is."""
_LIST_OF_ODD_NAME: Final = pattern(_BEFORE_NAME + rb'[^ "(){][^ ()]*+[()]', re.IGNORECASE)
"""What follows LIST where such a name is in it."""
_LIST_IN_PARTS: Final = pattern(_BEFORE_NAME + rb"(.*)", re.IGNORECASE | re.DOTALL)
"""The attributes, the delimiter, and all that is after them: the name, with spaces, parentheses or quotes in it."""


def _list(data: Data) -> MailboxInfo:
    """Return a mailbox whatever the octets are: one that is left out is never archived, and nobody knows."""
    line = data.fragments[0]
    if b'"\\" ' in line and (found := _LIST_WITH_BACKSLASH.match(line)):
        data.escape_backslashes(found.end())
    parentheses = line.count(b"(") + line.count(b")")
    if parentheses <= 2 or _LIST_OF_ODD_NAME.match(data.fragments[0]) is None:
        try:
            match data.tokens():
                case (tuple(attributes), bytes(delimiter), bytes(name)):
                    return _mailbox_info(data, attributes, delimiter, name)
                case (tuple(attributes), bytes(delimiter), bytes(name), tuple(extended)) if not isinstance(
                    name, Atom
                ) or _is_extended_data(extended):
                    return _mailbox_info(data, attributes, delimiter, name, extended)
        except (ParseError, ValueError):
            pass
    line = data.fragments[0]
    parts = _LIST_IN_PARTS.match(line)
    literal = data.fragments[1] if len(data.fragments) > 1 else None
    if parts is None:
        defect = f"not attributes, a delimiter and a mailbox: {shown(line)}"
        return _mailbox_info(data, (), b"", literal or b"", defect=defect)
    (separator,) = tokens(parts[2] or b"NIL")
    name = _without_quotes(parts[3]) if literal is None else literal
    defect = "the rest of the line is taken as the mailbox's name, for it is not quoted" if name else "no mailbox"
    return _mailbox_info(data, parts[1].split(), separator, name, defect=defect)


def _is_extended_data(members: tuple[Token, ...]) -> bool:
    """Whether this is extended data, and not the end of a mailbox name without quotes, such as ``Old (copy 2)``.

    The grammar alone can't say it. All the extended data that there is has lists as its values.
    """
    return not members or any(isinstance(value, tuple) for value in members[1::2])


def _mailbox_info(
    data: Data,
    attributes: Iterable[Token],
    delimiter: Token,
    name: bytes,
    extended: tuple[Token, ...] = (),
    *,
    defect: str | None = None,
) -> MailboxInfo:
    spelled = [_AS_SPELLED.get(word) or _spelled(text_of(word)) for word in attributes if word != b"\\"]
    if data.name == "XLIST":
        spelled = [_XLIST_ATTRIBUTES.get(word.lower(), word) for word in spelled]
    more: dict[str, Any] = {} if defect is None else {"defect": defect}
    if extended:
        more |= _extended(data, extended)
    return MailboxInfo(
        *data.mailbox(name),
        delimiter_of(delimiter),
        frozenset(spelled),
        cast('Literal["LIST", "LSUB", "XLIST"]', data.name),
        **more,
    )


def _spelled(attribute: str) -> str:
    return _ATTRIBUTES.get(attribute.lstrip("\\").lower(), attribute)


def _extended(data: Data, extended: tuple[Token, ...]) -> dict[str, Any]:
    """Return the fields of a MailboxInfo that its extended data fills."""
    fields: dict[str, Any] = {}
    other: dict[str, Value] = {}
    try:
        for item, value in pairs(extended):
            match item, value:
                case "OLDNAME", (old,):
                    fields["old_name"], _ = data.mailbox(old)
                case "CHILDINFO", tuple(options):
                    fields["child_info"] = tuple(text_of(option).upper() for option in options)
                case _:
                    other[item] = plain(value)
    except ValueError as exc:
        fields["defect"] = f"the extended data: {exc}"
    return fields | {"extended": ReadOnlyDict(other)}


def _status(data: Data) -> MailboxStatus:
    try:
        name, octets, members = data.after_mailbox()
    except (ParseError, ValueError):
        members = ()
    match members:
        case (tuple(items),):
            pass
        case _:
            name, octets, items = _odd_status(data)
    fields: dict[str, Any] = {}
    other: dict[str, Value] = {}
    for token, value in zip_longest(items[::2], items[1::2]):
        item = text_of(token).upper()
        try:
            if value is None:
                other[item] = None  # a name without a value, which costs no other
            elif item == "MAILBOXID":
                fields["mailbox_id"] = object_id((value,))
            elif item == "APPENDLIMIT" and is_nil(value):
                fields["append_limit"] = None
            else:
                fields[_STATUS_ITEMS[item]] = (number_of if item in _EXACT else count_of)(value)
        except (KeyError, ValueError):
            other[item] = plain(value)
    if other:
        fields["other"] = ReadOnlyDict(other)
    return MailboxStatus(name, octets, **fields)


def _odd_status(data: Data) -> tuple[str, bytes, tuple[Token, ...]]:
    """Return the mailbox, which has spaces or quotes and is not quoted, its octets, and the list that ends the line."""
    line = data.line
    begin = len(line)
    for _ in range(3):  # MAILBOXID's is a list in the list
        begin = line.rfind(b" (", 0, begin)
        if begin <= 0:
            break
        try:
            match tokens(line[begin:]):
                case (tuple(items),):
                    return *data.mailbox(_without_quotes(line[:begin])), items
        except ParseError:
            pass
    raise ValueError("not a mailbox and a list")


def _namespace(data: Data) -> Namespaces:
    if b' "\\")' in data.fragments[0]:
        data.escape_backslashes()
    personal, other_users, shared = data.tokens()
    return Namespaces(_namespaces(data, personal), _namespaces(data, other_users), _namespaces(data, shared))


def _namespaces(data: Data, token: Token) -> tuple[MailboxNamespace, ...]:
    if is_nil(token):
        return ()
    if not isinstance(token, tuple):
        raise ValueError("not a list of namespaces")
    if len(token) > MAX_OBJECTS:
        raise ValueError(f"more than {MAX_OBJECTS} namespaces")
    namespaces = []
    for namespace in token:
        match namespace:
            case (bytes(prefix), bytes(delimiter), *extensions):
                found = {
                    name: tuple(map(text_of, values)) if isinstance(values, tuple) else (text_of(values),)
                    for name, values in pairs(tuple(extensions))
                }
                name, _ = data.mailbox(b"" if is_nil(prefix) else prefix)
                namespaces.append(MailboxNamespace(name, delimiter_of(delimiter), ReadOnlyDict(found)))
            case _:
                raise ValueError("not a prefix and a delimiter")
    return tuple(namespaces)


def _without_quotes(name: bytes) -> bytes:
    """Return a mailbox name, taken as the rest of a line, without the quotes around it and the spaces after it."""
    name = name.strip(b" ")
    if name.startswith(b'"'):
        name = name[1:].removesuffix(b'"')
        return re.sub(rb'\\(["\\])', rb"\1", name)
    return name


DECODERS: Final[dict[str, Callable[[Data], Response]]] = {
    "LIST": _list,
    "LSUB": _list,
    "NAMESPACE": _namespace,
    "STATUS": _status,
    "XLIST": _list,
}
