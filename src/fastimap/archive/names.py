"""Names in a store: of mailboxes and of messages. They come from the server, so nothing is trusted.

Those of mailboxes that come from users go through `as_name` where they enter, so that what is inside compares them.

A name on disk depends on what it is for alone, never on the time: what was written and not noted is found again.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection

from ..model._digest import sha256
from ..model._patterns import pattern
from ..model.mailbox_name import folded

__all__ = ["as_name", "file_key", "levels_of", "path_key", "path_of"]

_LONGEST = 140
"""Octets of one level on disk; file systems take 255, and what is added to it needs some."""
_DEEPEST = 24
"""Levels on disk; what is deeper becomes one level."""
# Not for file systems of Windows and macOS, nor for shells' first looks; % is the escape.
_UNSAFE = pattern(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|%~\ud800-\udfff\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]')
# Reserved by Windows, by Maildir, and by this package.
_RESERVED = pattern(
    r"(con|prn|aux|nul|clock\$|com[0-9¹²³]|lpt[0-9¹²³]|cur|new|tmp|lost\+found|fastimap)(\..*)?", re.IGNORECASE
)


_LIKE_A_FILE = pattern(r"\.(?=(mbox(\.lock(\.fastimap)?)?|jsonl(\.zst)?|[0-9a-f]{16}\.(eml|tmp))\Z)", re.IGNORECASE)


def as_name(name: str) -> str:
    """Return a mailbox's name that a user gives as servers have it: INBOX may be in any case. Raises TypeError."""
    if not isinstance(name, str):
        raise TypeError(f"a mailbox is given by its name, a str, not by {name!r:.100}")
    return folded(name)


def file_key(account: str, mailbox: str, uid_validity: int) -> str:
    """Return what the names of a mailbox's messages have in common: 16 hexadecimal digits.

    UIDVALIDITY alone is not enough: Dovecot can give two mailboxes the same.
    """
    text = f"{account}\0{mailbox}\0{uid_validity}"
    return sha256(text.encode("utf-8", "surrogatepass")).hex()[:16]


def levels_of(name: str, delimiter: str | None) -> tuple[str, ...]:
    """Return a mailbox's name on disk, level by level: safe on any file system, and the same for equal names only.

    Characters that are not safe are percent-encoded.
    """
    levels = [level for level in name.split(delimiter) if level] if delimiter else [name]
    if not levels or len(levels) > _DEEPEST:
        levels = [name]
    # A directory is not to have the name of another mailbox's file, nor of its lock: "a.mbox/b" beside "a".
    safe = [_LIKE_A_FILE.sub("%2E", _safe(level)) for level in levels[:-1]] + [_safe(levels[-1])]
    # Two names may differ in empty levels alone.
    if delimiter and delimiter.join(levels) != name:
        safe[-1] += "~" + _digest(name)
    return tuple(safe)


def path_key(path: Collection[str]) -> str:
    """Return what two paths have in common that some file systems take for one."""
    return unicodedata.normalize("NFC", "/".join(path)).casefold()


def path_of(name: str, delimiter: str | None, taken: Collection[str], exists: Collection[str] = ()) -> tuple[str, ...]:
    """Return the path of a new mailbox below the store's root.

    :param taken: the keys of the paths that other mailboxes have (`path_key`).
    :param exists: paths that are on disk, as `"/".join` gives them: where one can only be of this mailbox, it is that.
    """
    path = levels_of(name, delimiter)
    digests = (_digest(name if number == 1 else f"{name}\0{number}") for number in itertools.count(1))
    others = ((*path[:-1], f"{path[-1]}~{digest}") for digest in digests)
    longer = next(other for other in others if path_key(other) not in taken)
    if path_key(path) in taken or "/".join(longer) in exists:
        return longer
    return path


def _safe(level: str) -> str:
    text = unicodedata.normalize("NFC", level)
    text = _UNSAFE.sub(lambda found: "".join(f"%{octet:02X}" for octet in _octets(found[0])), text)
    if text[0] == ".":
        text = "%2E" + text[1:]
    if text[-1] in ". ":
        text = text[:-1] + f"%{ord(text[-1]):02X}"
    if text[0] in " -":
        text = f"%{ord(text[0]):02X}" + text[1:]
    if _RESERVED.fullmatch(text):
        text = f"%{ord(text[0]):02X}" + text[1:]
    if len(text.encode()) > _LONGEST:
        text = text.encode()[:_LONGEST].decode("utf-8", "ignore") + "~" + _digest(level)
    elif text != level and unicodedata.normalize("NFC", level) != level:
        text += "~" + _digest(level)
    return text


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _digest(text: str) -> str:
    return sha256(_octets(text)).hex()[:8]
