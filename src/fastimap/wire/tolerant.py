r"""What servers send against the RFCs, and what it is taken as: one table.

The octets, with their sources, are in tests/corpus/quirks.txt; the tests say what each means. What is in no grammar
and in no row of this table is a defect: of a FETCH row, of a mailbox in LIST, or of an
:class:`~fastimap.types.UnknownResponse`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ..model._patterns import pattern

__all__ = [
    "FROM_ZERO",
    "LIST_IN_PARTS",
    "LIST_OF_ODD_NAME",
    "ODD_NAME",
    "QUIRKS",
    "XLIST_ATTRIBUTES",
    "Quirk",
    "without_quotes",
]


class Quirk(NamedTuple):
    """Something that servers send and the grammar does not have, taken with the right value."""

    server: str
    """Empty where the source does not name it."""
    source: str
    sends: str
    taken_as: str


QUIRKS: Final = (
    # Any response.
    Quirk("", "ImapFlow's tests", "NULs before a response", "nothing"),
    Quirk("DavMail", "python/cpython#117152", "*  1843 EXISTS: more than one space", "one space"),
    Quirk("iCloud, Outlook, Exchange", "MailKit's tests", "a space at the end of a line", "nothing"),
    # Status responses and continuation requests.
    Quirk("home.pl", "MailKit#115", "* [COPYUID 123456 1 2]", "an untagged OK with that code"),
    Quirk("Exchange", "MailKit#115", "[COPYUID 55 31 6]", "an untagged OK with that code"),
    Quirk("", "MailKit's tests", "A5 BYE IMAP4rev1 Server logging out", "an untagged BYE"),
    Quirk("Exchange", "ruby/net-imap#597", 'OK [Error="..." Proxy=...] text', "text alone, as no code begins so"),
    Quirk("Yandex", "djc/tokio-imap", "+ without a space", "a continuation request without text"),
    Quirk("Gmail", "ruby/net-imap#241", "] in keywords, in PERMANENTFLAGS too", "part of the keyword"),
    # Data.
    Quirk("mail.ru", "MailKit#1838", "* 9.3736e+06 EXISTS", "9373600"),
    Quirk("Zoho, Greenmail", "djc/tokio-imap", r"\* in FLAGS", "nothing; it belongs into PERMANENTFLAGS"),
    Quirk("", "ImapFlow's tests", "LIST (HasNoChildren UnMarked)", r"\HasNoChildren, \Unmarked"),
    Quirk("", "ImapFlow's and net-imap's tests", "mailbox names in raw UTF-8", "what they are, if not modified UTF-7"),
    Quirk(
        "Telus", "jakartaee/mail-api#32", "names with parentheses, not in quotes: a(b)", "the name to the next space"
    ),
    Quirk(
        "Lotus Notes",
        "IndySockets/Indy#329",
        "LIST: names with spaces, not in quotes",
        "the rest of the line; a defect",
    ),
    Quirk("home.pl", "Foundry376/Mailspring#1795", r"\\ alone among the attributes of a mailbox", "nothing"),
    Quirk("Dovecot", "dovecot/core#162", "VANISHED 0:1", "1"),
    Quirk("", "tests/hostile", "an empty VANISHED (EARLIER)", "no messages"),
    Quirk("", "tests/hostile", "SEARCH 1 (MODSEQ 9) 2", "the messages 1 and 2, the mod-sequence 9"),
    Quirk("", "tests/hostile", "ESEARCH MIN 0, MAX 0", "nothing was found"),
    Quirk("Gmail", "its XLIST", r"\AllMail, \Starred, \Spam", r"\All, \Flagged, \Junk"),
)

XLIST_ATTRIBUTES: Final = {"\\allmail": "\\All", "\\starred": "\\Flagged", "\\spam": "\\Junk"}
"""Attributes of Gmail's XLIST, in lower case, and those of RFC 6154 that they became."""

ODD_NAME: Final = pattern(rb'[^ "(){][^ ()]*+[()][^ ]*+')
"""A mailbox name with parentheses and without quotes, at the beginning of what follows a response's name.

It goes on to the next space: in the grammar an atom is never next to a parenthesis there.
"""

FROM_ZERO: Final = pattern(rb"(?<![0-9])0(?=:[0-9])")
"""The beginning of a range from 0: no message has that number."""

_BEFORE_NAME = rb'\(([^()]*+)\) *(?:((?:NIL|"(?:\\?[^"\\]|\\["\\])?")(?= |\Z)|[^ ()"](?= )))? *'
LIST_OF_ODD_NAME: Final = pattern(_BEFORE_NAME + rb'[^ "(){][^ ()]*+[()]', re.IGNORECASE)
"""What follows LIST where such a name is in it."""
LIST_IN_PARTS: Final = pattern(_BEFORE_NAME + rb"(.*)", re.IGNORECASE | re.DOTALL)
"""The attributes, the delimiter, and all that is after them: the name, with spaces, parentheses or quotes in it."""


def without_quotes(name: bytes) -> bytes:
    """Return a mailbox name, taken as the rest of a line, without the quotes around it and the spaces after it."""
    name = name.strip(b" ")
    if name.startswith(b'"'):
        name = name[1:].removesuffix(b'"')
        return re.sub(rb'\\(["\\])', rb"\1", name)
    return name
