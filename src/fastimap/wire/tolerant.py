r"""What servers send against the RFCs, and what it is taken as: one table.

The octets, with their sources, are in tests/corpus/quirks.txt; the tests say what each means. What is in no grammar
and in no row of this table is a defect: of a FETCH row, of a mailbox in LIST, or of an
:class:`~fastimap.types.UnknownResponse`.

No program imports this: what takes each of them stands with the grammar that it bends.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["QUIRKS", "Quirk"]


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
    Quirk("", "dinhvh/libetpan#393", "+idling: no space before the text", "a continuation request with that text"),
    Quirk("", "tests/decode", "OK[ALERT] text: no space before the response code", "a status with that code"),
    Quirk("Gmail", "ruby/net-imap#241", "] in keywords, in PERMANENTFLAGS too", "part of the keyword"),
    # Data.
    Quirk("mail.ru", "MailKit#1838", "a rounded number: * 9.3736e+06 EXISTS", "9373600, where it counts or measures"),
    Quirk("imap.sohu.com", "MailKit#2006", '* CAPABILITY (("" "/")) NIL NIL', "no list of capabilities"),
    Quirk("", "tests/decode", r'LIST and NAMESPACE: "\" for a delimiter, not escaped', "a backslash, as in the names"),
    Quirk("", "RFC 8474", "MAILBOXID F1, without parentheses", "the identifier"),
    Quirk("Zoho, Greenmail", "djc/tokio-imap", r"\* in FLAGS", "nothing; it belongs in PERMANENTFLAGS"),
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
    # Rows of FETCH; the parser takes them (_parser_py/fetch.py and structures.py).
    Quirk("DavMail 6.5.1", "mguessan/davmail#454", "several spaces between items", "one space"),
    Quirk("imap.qq.com", "jakartaee/mail-api#209", "a space before the closing parenthesis", "nothing"),
    Quirk("Lotus Domino", "jstedfast/MailKit#943", "an item and its value in parentheses of their own", "the item"),
    Quirk("", "jstedfast/MailKit#991", "more closing parentheses than opening ones", "nothing"),
    Quirk("Yandex", "MailKit getbodypart-missing-content", "an item without a value", "None; a defect"),
    Quirk("", "net-imap fetch_responses.yml", "RFC822[]", "RFC822"),
    Quirk("", "postalsys/imapflow 7281ce9", "BODY[2]<0.65536>: the length of a partial echoed", "BODY[2]<0>"),
    Quirk("Zoho", "MailKit fetch-negative-modseq-values", "MODSEQ (0)", "0"),
    Quirk("Courier", "MailKit release notes", "message number 0", "None; a defect"),
    Quirk("Lotus Domino", "MailKit TestParseInvalidInternalDates", "00-Jan-0000", "None; a defect"),
    Quirk("Gmail", "ruby/net-imap#241", "a space inside the brackets of a keyword", "part of the keyword"),
    Quirk("Gmail", "MailKit TestParseLabelsListWithNIL", "a label named NIL, not quoted", "that label"),
    Quirk(
        "Gmail",
        "MailKit TestParseGMailMalformedSenderInEnvelope",
        "quotes that are not escaped in a quoted string",
        "part of the string",
    ),
    Quirk(
        "Gmail",
        "MailKit TestParseMalformedMailboxAddressInEnvelope",
        "angle brackets around mailbox and host",
        "nothing, in an address's text",
    ),
    Quirk(
        "outlook.com",
        "net-imap quirky_behaviors.yml",
        "spaces between addresses, and between parts",
        "nothing",
    ),
    Quirk("", "jstedfast/MailKit#669, #932", "an envelope of less than ten fields", "the others as NIL; a defect"),
    Quirk("", "jstedfast/MailKit#991", "NIL inside a list of addresses", "nothing"),
    Quirk(
        "",
        "jstedfast/MailKit#1369",
        "a literal shorter than what it holds: an address of more fields",
        "mailbox and host; a defect",
    ),
    Quirk(
        "Gmail",
        "jstedfast/MailKit#205, #777, #1841",
        '("ALTERNATIVE" (...) NIL NIL)',
        "a multipart without parts",
    ),
    Quirk("", "jstedfast/MailKit#1393", '(NIL "alternative" ...)', "a multipart without parts"),
    Quirk("GMX", "jstedfast/MailKit#878", "a multipart with encoding and size", "no parts, and the size"),
    Quirk(
        "",
        "jstedfast/MailKit#371",
        "the type or the subtype left out before the parameters",
        "the most general of its kind (RFC 2045, section 5.2); a defect",
    ),
    Quirk("Dovecot 2.3", "tests/servers/test_witness.py", '("" "" ...) for a Content-Type that is none', "text/plain"),
    Quirk(
        "Exchange",
        "MailKit TestParseBadlyFormedBodyStructureWithCompletelyNilBodyParts",
        "a part all of NIL",
        "application/octet-stream; a defect",
    ),
    Quirk("", "jstedfast/MailKit#944", "() for the body of an attached message", "a message without a body"),
    Quirk("", "Ruby bug 7147", "message/rfc822 without envelope and body", "a part without parts"),
    Quirk("Exchange, Dovecot", "duesee/imap-codec", "a size of -1", "None; a defect"),
    Quirk("mail.ru", "jstedfast/MailKit#1838, #1840", "a size that is rounded: 1.86931e+06", "None; a defect"),
    Quirk("", "emersion/go-imap#534, #557", "-1, NIL or nothing for the number of lines of a text", "None"),
    Quirk("maddy", "duesee/imap-codec", "NIL for the encoding", "7bit"),
    Quirk("Exchange", "jstedfast/MailKit#919", 'a disposition without parentheses: "inline"', "that disposition"),
    Quirk("Exchange", "MailKit TestParseBodyStructureWithNilNilBodyFldDsp", "a disposition (NIL NIL)", "NIL"),
    Quirk(
        "Exchange 2016",
        "javaee/javamail#278",
        "the description in the place of the disposition",
        "the description",
    ),
    Quirk(
        "",
        "MailKit TestParseBodyStructureWithSwappedBodyFldDspAndBodyFldLang",
        "the disposition after the language",
        "the disposition",
    ),
    Quirk("", "MailKit TestParseBadlyFormedBodyStructureWithEmptyParens...", "() for a string", "NIL"),
    Quirk("imap.mail.ru", "kisli/vmime#159", "NIL for the value of a parameter", "an empty value"),
    Quirk("", "mjs/imapclient#288", "quotes and spaces around a charset and its name", "the charset; a defect"),
)
