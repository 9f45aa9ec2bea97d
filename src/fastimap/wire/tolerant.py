r"""What servers send against the RFCs, and what it is taken as: one table.

The octets, with their sources, are in tests/corpus/quirks.txt; the tests say what each means. What is in no grammar
and in no row of this table is a defect: of a FETCH row, of a mailbox in LIST, or of an
:class:`~fastimap.types.UnknownResponse`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["QUIRKS", "XLIST_ATTRIBUTES", "Quirk"]


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
    Quirk("Gmail", "its XLIST", r"\AllMail, \Starred, \Spam", r"\All, \Flagged, \Junk"),
)

XLIST_ATTRIBUTES: Final = {"\\allmail": "\\All", "\\starred": "\\Flagged", "\\spam": "\\Junk"}
"""Attributes of Gmail's XLIST, in lower case, and those of RFC 6154 that they became."""
