"""Tolerated: what real servers send against the letter of the RFCs is taken, with the right data.

Safety is not to be had by refusing mail. Each case names whose it is; tests/corpus/quirks.txt has the octets with
their sources, and more of them.
"""

from dataclasses import replace

from ..scenario import (
    GREETING,
    IN_STEP,
    MARK,
    NOOP,
    PREAUTH,
    SEARCH,
    SELECT,
    SELECTED,
    TYPED,
    Call,
    Demand,
    Scenario,
    both,
    call,
    fetched,
    gives,
    in_step,
    survives,
)
from ..server import Answer, Expect, ReadLine, ReadOctets, Send, Serve

FAMILY = "tolerated"

GIVES_MARK = both(in_step, gives(MARK))


def news(name: str, octets: bytes) -> Scenario:
    """Return a scenario in which `octets` come in answer to NOOP, and all goes on."""
    script = (*SELECTED, Expect(b"NOOP"), Answer(octets + b"TAG OK done\r\n"), *IN_STEP)
    return Scenario(FAMILY, name, script, (SELECT, NOOP, SEARCH), GIVES_MARK, timeout=5)


def greeted(name: str, octets: bytes) -> Scenario:
    return Scenario(FAMILY, name, (Send(octets), Serve()), (NOOP,), gives(b"done"), timeout=5)


def body(name: str, octets: bytes, demand: Demand, parts: str = "(BODY[])") -> Scenario:
    return fetched(FAMILY, name, Answer(octets + b"TAG OK done\r\n"), demand=demand, parts=parts, timeout=5)


def listed(name: str, octets: bytes, demand: Demand) -> Scenario:
    script = (PREAUTH, Expect(b"LIST"), Answer(octets + b"TAG OK done\r\n"))
    return Scenario(FAMILY, name, script, (call("list"),), demand, timeout=5)


def searched(name: str, octets: bytes) -> Scenario:
    """Return a scenario in which `octets`, with the answer's tag, say that 12 and 345 were found."""
    script = (*SELECTED, Expect(b"SEARCH"), Answer(octets))
    return Scenario(FAMILY, name, script, (SELECT, SEARCH), gives(b"12", b"345"), timeout=5)


def appended(name: str, go_on: bytes, answer: bytes) -> Scenario:
    calls: tuple[Call, ...] = (call("append", "INBOX", None, None, b"x\r\n"), NOOP)
    script = (PREAUTH, Expect(b"APPEND"), Send(go_on), ReadOctets(3), ReadLine(), Answer(answer), Serve())
    return Scenario(FAMILY, name, script, calls, gives(b"done"), timeout=5)


SCENARIOS = [
    # greetings
    greeted("a greeting in small letters (lowercase servers)", b"* ok imap4rev1 ready\r\n"),
    greeted("a greeting without text", b"* OK\r\n"),
    greeted("base64 in brackets after the greeting's text (Exchange Online)", b"* OK ready. [TQBXAEgAUABSADIA]\r\n"),
    greeted("a space at the end of the capabilities (iCloud)", b"* OK [CAPABILITY IMAP4rev1 IDLE ] hello\r\n"),
    greeted(
        "capabilities that begin with a digit (iCloud)", b"* OK [CAPABILITY st11p00mm 1Q49 XAPPLE IMAP4rev1] hello\r\n"
    ),
    greeted("capabilities in small letters", b"* OK [capability imap4rev1 idle] hello\r\n"),
    # news
    news("an empty line between responses", b"\r\n* 4 EXISTS\r\n\r\n"),
    news("more than one space after the star (DavMail)", b"*  1843 EXISTS\r\n"),
    news("a response's name in small letters", b"* 5 exists\r\n* List () NIL x\r\n"),
    news("a response that is the name of a command", b"* NOOP\r\n* 99 NOOP\r\n"),
    # To the standard library, and so to the drop-in, this is no response.
    replace(news("a number as a float (mail.ru)", b"* 9.3736e+06 EXISTS\r\n"), interface=TYPED),
    news("untagged OK, NO and BAD amid a command", b"* OK The good,\r\n* BAD the bad,\r\n* NO and the ugly.\r\n"),
    news("message number 0 (Courier)", b"* 0 FETCH (FLAGS (\\Seen))\r\n"),
    news("an untagged OK with a code that nobody knows", b"* OK [X-UNHEARD-OF (a b) c] hello\r\n"),
    news("brackets in keywords (Gmail)", b"* FLAGS (\\Seen NotJunk OIB-Seen-[Google Mail]/All)\r\n"),
    news("\\* among FLAGS (Greenmail)", b"* FLAGS (\\Answered \\Seen \\*)\r\n"),
    news(
        "a text that ends as a literal's announcement does", b"* OK see rule {5}\r\n* NO {7+}\r\n* BAD [ALERT] {3}\r\n"
    ),
    news("VANISHED (EARLIER) of nothing", b"* VANISHED (EARLIER) \r\n"),
    news("COPYUID without its sets (Outlook.com)", b"* OK [COPYUID 701  ]\r\n"),
    news("a code in the place of OK (home.pl)", b"* [COPYUID 123456 1 2]\r\n"),
    # messages
    body("zeros before a literal's size", b"* 1 FETCH (BODY[] {005}\r\nHELLO)\r\n", gives(b"HELLO")),
    body("a space before the closing parenthesis", b"* 1 FETCH (BODY[] {5}\r\nHELLO )\r\n", gives(b"HELLO")),
    body("an empty line after a literal", b"* 1 FETCH (BODY[] {5}\r\nHELLO\r\n)\r\n", gives(b"HELLO")),
    body("a message in quotes", b'* 1 FETCH (BODY[] "HELLO")\r\n', gives(b"HELLO")),
    body("an item's name in small letters", b"* 1 fetch (body[] {5}\r\nHELLO)\r\n", gives(b"HELLO")),
    body("a literal8 where a literal is due", b"* 1 FETCH (BODY[] ~{5}\r\nHEL\0O)\r\n", survives),
    body(
        "unsolicited flags, with the message",
        b"* 1 FETCH (FLAGS (\\Seen) BODY[] {5}\r\nHELLO)\r\n",
        gives(b"HELLO"),
    ),
    body(
        "unsolicited flags, in a response of their own",
        b"* 1 FETCH (BODY[] {5}\r\nHELLO)\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS ())\r\n",
        gives(b"HELLO"),
    ),
    body(
        "other responses between those of FETCH",
        b"* 4 EXISTS\r\n* 1 FETCH (BODY[] {5}\r\nHELLO)\r\n* OK still here\r\n",
        gives(b"HELLO"),
    ),
    body("MODSEQ of 0 (Zoho)", b"* 1 FETCH (MODSEQ (0) FLAGS (HELLO))\r\n", gives(b"HELLO"), "(FLAGS)"),
    body(
        "an uninitialised date (Lotus Domino)",
        b'* 1 FETCH (INTERNALDATE "00-Jan-0000 00:00:00 +0000" FLAGS (HELLO))\r\n',
        gives(b"HELLO"),
        "(INTERNALDATE FLAGS)",
    ),
    body(
        "spaces between addresses (Outlook.com)",
        b'* 1 FETCH (ENVELOPE (NIL "hi" ((NIL NIL "a" "b") (NIL NIL "c" "HELLO")) NIL NIL NIL NIL NIL NIL NIL))\r\n',
        gives(b"HELLO"),
        "(ENVELOPE)",
    ),
    body(
        "() for NIL in a body structure",
        b'* 1 FETCH (BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL "HELLO" "7BIT" 1 1 NIL NIL NIL ()))\r\n',
        gives(b"HELLO"),
        "(BODYSTRUCTURE)",
    ),
    body(
        "a size of -1 in a body structure (Exchange)",
        b'* 1 FETCH (BODYSTRUCTURE ("APPLICATION" "HELLO" NIL NIL NIL "7BIT" -1 NIL NIL NIL NIL))\r\n',
        gives(b"HELLO"),
        "(BODYSTRUCTURE)",
    ),
    body(
        "a parenthesis that is missing after a literal",
        b"* 1 FETCH (BODY[] {5}\r\nHELLO\r\n* 4 EXISTS\r\n",
        gives(b"HELLO"),
    ),
    body(
        "the same in the last response",
        b"* 1 FETCH (FLAGS () BODY[] {5}\r\nHELLO\r\n",
        gives(b"HELLO"),
    ),
    # The drop-in hands lines on, as the standard library does.
    replace(
        body(
            "a line break in a quoted string",
            b'* 1 FETCH (ENVELOPE (NIL "a\r\nb" NIL NIL NIL NIL NIL NIL NIL NIL) FLAGS (HELLO))\r\n',
            gives(b"HELLO"),
            "(ENVELOPE FLAGS)",
        ),
        interface=TYPED,
    ),
    body(
        "a lone backslash before the closing quote",
        b'* 1 FETCH (ENVELOPE (NIL "a\\" NIL NIL NIL NIL NIL NIL NIL NIL) FLAGS (HELLO))\r\n',
        gives(b"HELLO"),
        "(ENVELOPE FLAGS)",
    ),
    body(
        "names of header fields as literals",
        b"* 1 FETCH (BODY[HEADER.FIELDS ({4}\r\nDATE {2}\r\nTO)] {1}\r\nx FLAGS (HELLO))\r\n",
        gives(b"HELLO"),
        "(FLAGS)",
    ),
    # mailboxes
    listed(
        "a name without quotes that ends in parentheses",
        b'* LIST (\\NoInferiors) "/" Root/HELLO/Sub()\r\n',
        gives(b"Root/HELLO/Sub()"),
    ),
    listed(
        "a line that can't be read, and one that can", b'* LIST ( "/" x\r\n* LIST () "/" HELLO\r\n', gives(b"HELLO")
    ),
    listed("raw UTF-8 in a name", b'* LIST () "/" "Entw\xc3\xbcrfe"\r\n', gives(b"Entw\xc3\xbcrfe")),
    listed("tabs in a name without quotes", b'* LIST () "/" INBOX/a\tb\r\n', gives(b"INBOX/a\tb")),
    listed("flags without a backslash", b'* LIST (HasNoChildren UnMarked) "/" HELLO\r\n', gives(b"HELLO")),
    listed("a delimiter that is NIL", b'* LIST () NIL "HELLO"\r\n', gives(b"HELLO")),
    listed("a name that is a literal", b'* LIST () "/" {5}\r\nHELLO\r\n', gives(b"HELLO")),
    # searches
    searched("an answer in two responses", b"* SEARCH 12\r\n* SEARCH 345\r\nTAG OK done\r\n"),
    searched("two spaces between numbers", b"* SEARCH 12  345\r\nTAG OK done\r\n"),
    searched("a space at the end", b"* SEARCH 12 345 \r\nTAG OK done\r\n"),
    searched("a mod-sequence amid the numbers", b"* SEARCH 12 (modseq 9) 345\r\nTAG OK done\r\n"),
    searched("news before the answer", b"* 4 EXISTS\r\n* SEARCH 12 345\r\nTAG OK done\r\n"),
    searched("OK without text", b"* SEARCH 12 345\r\nTAG OK\r\n"),
    searched("OK in small letters", b"* search 12 345\r\nTAG ok done\r\n"),
    searched("no space before the code", b"* OK[ALERT] {9}\r\n* SEARCH 12 345\r\nTAG OK[READ-WRITE] done\r\n"),
    searched("a code that is no atom (Exchange Online)", b'* SEARCH 12 345\r\nTAG OK [Error="x y" Proxy=z:1] done\r\n'),
    # what the client sends
    appended("a continuation request without text", b"+ \r\n", b"TAG OK done\r\n"),
    appended("a continuation request that is a plus alone (Yandex)", b"+\r\n", b"TAG OK done\r\n"),
    appended("a continuation request without the space before its text", b"+go on\r\n", b"TAG OK done\r\n"),
    appended("news before the continuation request", b"* 4 EXISTS\r\n+ go on\r\n", b"TAG OK [APPENDUID 1 2] done\r\n"),
    Scenario(
        FAMILY,
        "capabilities in the answer to LOGIN",
        (GREETING, Expect(b"LOGIN"), Answer(b"TAG OK [CAPABILITY IMAP4rev1 IDLE ] in\r\n"), Serve()),
        (call("login", "user", "secret"), NOOP),
        gives(b"done"),
        timeout=5,
    ),
    Scenario(
        FAMILY,
        "BYE again and again (Yandex)",
        (PREAUTH, Expect(b"LOGOUT"), Answer(b"* BYE one\r\n* BYE two\r\n* BYE three\r\nTAG OK done\r\n")),
        (call("logout"),),
        survives,
        timeout=5,
    ),
]
