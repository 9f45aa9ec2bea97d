"""Cut: a connection that ends after any octet gives what was complete, and a typed error for what was not."""

from ..scenario import (
    GREETING,
    NOOP,
    PREAUTH,
    SEARCH,
    SELECT,
    SELECTED,
    Scenario,
    both,
    call,
    dead,
    never_gives,
    refused,
    survives,
)
from ..server import Answer, Expect, ReadLine, ReadOctets, Reset, Send, StartTLS

FAMILY = "cut"

SESSION = (
    GREETING,
    Expect(b"LOGIN"),
    Answer(b"TAG OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"),
    Expect(b"SELECT"),
    Answer(b"* FLAGS (\\Seen)\r\n* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\nTAG OK [READ-WRITE] done\r\n"),
    Expect(b"FETCH"),
    Answer(
        b"* 1 FETCH (UID 5 BODY[] {12}\r\nHELLO\r\nWORLD)\r\n"
        b"* 2 FETCH (UID 6 BODY[] {0}\r\n FLAGS ())\r\nTAG OK done\r\n"
    ),
    Expect(b"SEARCH"),
    Answer(b"* SEARCH 12 345\r\nTAG OK done\r\n"),
    Expect(b"APPEND"),
    Send(b"+ go on\r\n"),
    ReadOctets(3),
    ReadLine(),
    Answer(b"TAG OK [APPENDUID 7 9] done\r\n"),
)
CALLS = (
    call("login", "user", "secret"),
    SELECT,
    call("fetch", "1:2", "(UID BODY[])"),
    SEARCH,
    call("append", "INBOX", None, None, b"x\r\n"),
)
LISTS = (
    PREAUTH,
    Expect(b"LIST"),
    Answer(b'* LIST () "/" {5}\r\nINBOX\r\n* LIST (\\Noselect) "/" "a b"\r\nTAG OK done\r\n'),
    Expect(b"STATUS"),
    Answer(b"* STATUS {5}\r\nINBOX (MESSAGES 12)\r\n* NO [ALERT] hi there\r\nTAG OK done\r\n"),
)
LIST_CALLS = (call("list"), call("status", "INBOX", "(MESSAGES)"))
IDLING = (
    *SELECTED,
    Expect(b"IDLE"),
    Send(b"+ idling\r\n* 4 EXPUNGE\r\n* 4 FETCH (BODY[] {2}\r\nhi FLAGS ())\r\n"),
    ReadLine(),
    Answer(b"* 5 EXPUNGE\r\nTAG OK done\r\n"),
    Expect(b"NOOP"),
    Answer(b"TAG OK done\r\n"),
)
FETCH = call("fetch", "1", "(BODY[])")

SCENARIOS = [
    Scenario(FAMILY, f"{how} at every octet of {what}", script, calls, survives, cuts=True, reset=reset)
    for how, reset in (("the end", False), ("a reset", True))
    for what, script, calls in (
        ("a session", SESSION, CALLS),
        ("lists and statuses", LISTS, LIST_CALLS),
        ("IDLE", IDLING, (SELECT, call("idle", 0.05), NOOP)),
    )
]
SCENARIOS += [
    Scenario(FAMILY, "the end as the greeting", (), (), refused),
    Scenario(FAMILY, "a reset as the greeting", (Reset(),), (), refused),
    Scenario(FAMILY, "the end after the greeting", (GREETING,), (call("login", "user", "secret"),), refused),
    Scenario(
        FAMILY,
        "the end in a literal under TLS",
        (StartTLS(), *SELECTED, Expect(b"FETCH"), Send(b"* 1 FETCH (BODY[] {20}\r\n0123456789")),
        (SELECT, FETCH, SEARCH),
        both(dead, never_gives(b"0123456789")),
        tls=True,
    ),
    Scenario(
        FAMILY,
        "a reset in a literal under TLS",
        (StartTLS(), *SELECTED, Expect(b"FETCH"), Send(b"* 1 FETCH (BODY[] {20}\r\n0123456789"), Reset()),
        (SELECT, FETCH, SEARCH),
        both(dead, never_gives(b"0123456789")),
        tls=True,
    ),
    Scenario(FAMILY, "the end in the TLS handshake", (Send(b"\x16\x03\x03\x00\x7a\x02"),), (), refused, tls=True),
    Scenario(FAMILY, "a reset in the TLS handshake", (Reset(),), (), refused, tls=True),
    Scenario(
        FAMILY,
        "a reset while the client sends",
        (*SELECTED, Expect(b"APPEND"), Send(b"+ go on\r\n"), Reset()),
        (SELECT, call("append", "INBOX", None, None, b"x" * 4_000_000), SEARCH),
        dead,
    ),
]
