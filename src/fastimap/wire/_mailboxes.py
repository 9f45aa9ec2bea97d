"""What mailboxes there are, and what is in them: LIST, LSUB, XLIST, STATUS, NAMESPACE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, cast

from ..model import words
from ..model.responses import MailboxInfo, MailboxNamespace, MailboxStatus, Namespaces, ReadOnlyDict, Response, Value
from ..parser import Token, plain
from ._values import MAX_OBJECTS, Data, delimiter_of, is_nil, number_of, pairs, text_of
from .tolerant import XLIST_ATTRIBUTES

__all__ = ["DECODERS"]

_ATTRIBUTES: Final = {name[1:].lower(): name for name in words.MAILBOX_ATTRIBUTES}


def _list(data: Data) -> MailboxInfo:
    match data.tokens():
        case (tuple(words), bytes(delimiter), name):
            extended: tuple[Token, ...] = ()
        case (tuple(words), bytes(delimiter), name, tuple(extended)):
            pass
        case _:
            raise ValueError("not attributes, a delimiter and a mailbox")
    attributes = [_ATTRIBUTES.get(word.lstrip("\\").lower(), word) for word in map(text_of, words)]
    if data.name == "XLIST":
        attributes = [XLIST_ATTRIBUTES.get(word.lower(), word) for word in attributes]
    kind = cast('Literal["LIST", "LSUB", "XLIST"]', data.name)
    decoded, octets = data.mailbox(name)
    if not extended:
        return MailboxInfo(decoded, octets, delimiter_of(delimiter), frozenset(attributes), kind)
    old_name = None
    child_info: tuple[str, ...] = ()
    other = {}
    for item, value in pairs(extended):
        match item, value:
            case "OLDNAME", (old,):
                old_name, _ = data.mailbox(old)
            case "CHILDINFO", tuple(options):
                child_info = tuple(text_of(option).upper() for option in options)
            case _:
                other[item] = plain(value)
    return MailboxInfo(
        decoded,
        octets,
        delimiter_of(delimiter),
        frozenset(attributes),
        kind,
        old_name,
        child_info,
        extended=ReadOnlyDict(other),
    )


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


def _status(data: Data) -> MailboxStatus:
    match data.tokens():
        case (name, tuple(items)):
            decoded, octets = data.mailbox(name)
        case _:
            raise ValueError("not a mailbox and a list")
    fields: dict[str, Any] = {}
    other: dict[str, Value] = {}
    for item, value in pairs(items):
        try:
            if item == "MAILBOXID" and isinstance(value, tuple):
                (identifier,) = value
                fields["mailbox_id"] = text_of(identifier)
            elif item == "APPENDLIMIT" and is_nil(value):
                fields["append_limit"] = None
            else:
                fields[_STATUS_ITEMS[item]] = number_of(value)
        except (KeyError, ValueError):
            other[item] = plain(value)
    if other:
        fields["other"] = ReadOnlyDict(other)
    return MailboxStatus(decoded, octets, **fields)


def _namespace(data: Data) -> Namespaces:
    personal, other_users, shared = data.tokens()
    return Namespaces(_namespaces(data, personal), _namespaces(data, other_users), _namespaces(data, shared))


def _namespaces(data: Data, value: Token) -> tuple[MailboxNamespace, ...]:
    if is_nil(value):
        return ()
    if not isinstance(value, tuple):
        raise ValueError("not a list of namespaces")
    if len(value) > MAX_OBJECTS:
        raise ValueError(f"more than {MAX_OBJECTS} namespaces")
    namespaces = []
    for namespace in value:
        match namespace:
            case (bytes(prefix), bytes(delimiter), *extensions):
                found = {
                    name: tuple(map(text_of, values)) if isinstance(values, tuple) else (text_of(values),)
                    for name, values in pairs(tuple(extensions))
                }
                namespaces.append(
                    MailboxNamespace(data.mailbox(prefix)[0], delimiter_of(delimiter), ReadOnlyDict(found))
                )
            case _:
                raise ValueError("not a prefix and a delimiter")
    return tuple(namespaces)


DECODERS: Final[dict[str, Callable[[Data], Response]]] = {
    "LIST": _list,
    "LSUB": _list,
    "NAMESPACE": _namespace,
    "STATUS": _status,
    "XLIST": _list,
}
