"""Errors: whatever the octets, what comes out is what is documented."""

import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

from fastimap.model.message import FetchedMessage
from fastimap.parser import ResponseReader
from fastimap.types import ThreadResponse
from fastimap.wire import decode

from ..scenario import (
    GREETING,
    IN_STEP,
    NOOP,
    SEARCH,
    SELECT,
    SELECTED,
    TYPED,
    Call,
    Demand,
    Outcome,
    Returned,
    Scenario,
    call,
    dead,
    gives,
    in_step,
    refused,
    shown,
    survives,
)
from ..server import Answer, Capabilities, Expect, ReadLine, Send, Serve

FAMILY = "errors"


def greeting(name: str, octets: bytes, demand: Demand = refused, typed: Demand | None = None) -> Scenario:
    return Scenario(FAMILY, f"a greeting: {name}", (Send(octets), Serve()), (), demand, timeout=3, typed=typed)


def answer(name: str, command: Call, octets: bytes, demand: Demand = survives, typed: Demand | None = None) -> Scenario:
    """Return a scenario in which `octets` (with TAG) are the answer to `command`, and SEARCH follows."""
    return Scenario(
        FAMILY,
        f"{command.method}: {name}",
        (*SELECTED, Expect(command.method.upper().encode()), Answer(octets), Serve()),
        (SELECT, command, SEARCH),
        demand,
        timeout=3,
        typed=typed,
    )


def login(name: str, octets: bytes, demand: Demand = refused) -> Scenario:
    return Scenario(
        FAMILY,
        f"login: {name}",
        (GREETING, Expect(b"LOGIN"), Answer(octets), Serve()),
        (call("login", "user", "x"),),
        demand,
        timeout=3,
    )


def capability(name: str, octets: bytes, demand: Demand = survives, typed: Demand | None = None) -> Scenario:
    """Return a scenario in which `octets` answer the first CAPABILITY."""
    return Scenario(
        FAMILY,
        f"capability: {name}",
        (Send(b"* OK x\r\n"), Capabilities(b""), Expect(b"CAPABILITY"), Answer(octets), Serve()),
        (NOOP,),
        demand,
        timeout=3,
        typed=typed,
    )


def garbage(seed: int) -> bytes:
    """Return random octets, with what IMAP is made of more often than the rest."""
    source = random.Random(seed)
    words = [
        b"* ",
        b"OK",
        b"NO",
        b"BYE",
        b"[",
        b"]",
        b"(",
        b")",
        b'"',
        b"\\",
        b"{",
        b"}",
        b"{3}\r\n",
        b"{3+}",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"1",
        b"FETCH",
        b"+ ",
        b"~",
        b"TAG ",
        b"\xff",
        b"&",
        b"NIL",
        b"BODY[",
    ]
    return b"".join(source.choice(words) if source.random() < 0.9 else source.randbytes(3) for _ in range(400))


def message(octets: bytes) -> Any:
    """Return what the standard library makes of a message's octets."""
    row = FetchedMessage(uid=1, body=octets)
    email = row.email()
    assert [*email.items()]
    return email.get_content_type(), email["subject"]


def nested(depth: int) -> bytes:
    """Return a message in which so many multiparts stand in each other."""
    return b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (level, level) for level in range(depth)
    )


def copies_of_threads(depth: int) -> Any:
    """Copy and pickle a THREAD response in which each message answers the one before it."""
    numbers = b" ".join(b"%d" % number for number in range(1, depth + 1))
    thread = decode.response((b"* THREAD (%s)(1 (2)(3 4))" % numbers,))
    assert isinstance(thread, ThreadResponse)
    same = copy.deepcopy(thread) == thread == pickle.loads(pickle.dumps(thread)) == copy.copy(thread)
    return same, [*copy.deepcopy(thread).threads[1].numbers()]


def copies_of_parts(depth: int) -> Any:
    """Copy and pickle a BODYSTRUCTURE of multiparts in multiparts."""
    reader = ResponseReader()
    octets = b"* 1 FETCH (BODYSTRUCTURE %s)\r\n" % (
        b"(" * depth + b'("text" "plain" NIL NIL NIL "7bit" 1 1)' + b' "mixed")' * depth
    )
    reader.get_buffer()[: len(octets)] = octets
    reader.buffer_updated(len(octets))
    [rows] = reader.batch()
    structure = rows[0].body_structure if isinstance(rows[0], FetchedMessage) else None
    assert structure is not None
    same = copy.deepcopy(rows) == rows and pickle.loads(pickle.dumps(structure)) == structure == copy.copy(structure)
    return same, hash(structure) == hash(copy.deepcopy(structure))


def of_value(name: str, function: Callable[[Any], Any], argument: Any, expected: Any) -> Scenario:
    """Return a scenario in which `function`, one of this module, makes `expected` of `argument`."""

    def demand(outcome: Outcome) -> str:
        [result] = outcome.results
        return "" if isinstance(result, Returned) and result.value == expected else shown(result)

    path = f"tests.hostile.families.errors:{function.__name__}"
    return Scenario(FAMILY, name, None, (call(path, argument),), demand, interface=TYPED)


SCENARIOS = [
    of_value(
        "a message whose boundary has no value",
        message,
        b"Subject: x\r\nContent-Type: ; boundary*\r\n\r\nx",
        ("text/plain", "x"),
    ),
    of_value(
        "a message of comments in comments",
        message,
        b"Subject: x\r\nContent-Type: " + b"(" * 20_000 + b"\r\n\r\nx",
        ("text/plain", "x"),
    ),
    of_value(
        "a sender of comments in comments",
        message,
        b"Subject: x\r\nFrom: " + b"(" * 20_000 + b"\r\n\r\nx",
        ("text/plain", "x"),
    ),
    of_value(
        "a message of 2,000 multiparts in multiparts",
        message,
        b"Subject: x\r\n" + nested(2000),
        ("multipart/mixed", "x"),
    ),
    of_value("copies of 200,000 answers to answers", copies_of_threads, 200_000, (True, [1, 2, 3, 4])),
    of_value("copies of multiparts in multiparts", copies_of_parts, 250, (True, True)),
    greeting("a mail server of another kind", b"220 mail.example ESMTP\r\n"),
    greeting("POP3", b"+OK ready\r\n"),
    greeting("a web server", b"HTTP/1.0 400 Bad Request\r\nServer: x\r\n\r\n<html>"),
    greeting("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x28"),
    greeting("BYE", b"* BYE overloaded\r\n"),
    greeting("BYE that is no text", b"* BYE \xff\xfe\r\n"),
    greeting("BYE with a literal", b"* BYE {5}\r\nHELLO\r\n"),
    greeting("NO", b"* NO go away\r\n"),
    greeting("BAD", b"* BAD go away\r\n"),
    greeting("data", b"* 5 EXISTS\r\n"),
    greeting("a continuation request", b"+ go on\r\n"),
    greeting("an empty line, then one that is good", b"\r\n* OK [CAPABILITY IMAP4rev1] x\r\n", survives),
    greeting("not IMAP4rev1", b"* OK [CAPABILITY IMAP2] x\r\n", typed=survives),
    greeting("capabilities that are no text", b"* OK [CAPABILITY IMAP4rev1 \xff\xfe] x\r\n", survives),
    greeting("capabilities that nothing closes", b"* OK [CAPABILITY IMAP4rev1\r\n", survives),
    greeting("an empty response code", b"* OK [] x\r\n", survives),
    greeting("OK alone", b"* OK\r\n", survives),
    greeting("OK in small letters", b"* ok x\r\n", survives),
    greeting("a literal", b"* OK {5}\r\nHELLO\r\n", survives),
    greeting("two", b"* OK x\r\n* OK y\r\n", survives),
    greeting("octets that are no text", b"\xff\xfe\x00\x80\r\n"),
    capability("nothing", b"* CAPABILITY\r\nTAG OK done\r\n", refused, typed=survives),
    capability("no response", b"TAG OK done\r\n", refused, typed=survives),
    capability("NO", b"TAG NO no\r\n", refused),
    capability("BAD", b"TAG BAD no\r\n", refused),
    capability("a literal", b"* CAPABILITY {9}\r\nIMAP4rev1\r\nTAG OK done\r\n"),
    capability("a literal in the middle", b"* CAPABILITY IMAP4rev1 {3}\r\nX-Y Z\r\nTAG OK done\r\n"),
    capability("no text", b"* CAPABILITY IMAP4rev1 \xff\r\nTAG OK done\r\n"),
    capability("twice, and different", b"* CAPABILITY IMAP4rev1\r\n* CAPABILITY X\r\nTAG OK done\r\n"),
    login("NO without text", b"TAG NO\r\n"),
    login("NO that is no text", b"TAG NO \xff\xfe\r\n"),
    login("NO with a literal in front", b"* NO {5}\r\nHELLO\r\nTAG NO no\r\n"),
    login("BAD", b"TAG BAD \xff\r\n"),
    login("BYE", b"* BYE \xff\xfe\r\n"),
    login("OK with capabilities that are no text", b"TAG OK [CAPABILITY IMAP4rev1 \xff] done\r\n", survives),
    login("OK with capabilities of nothing", b"TAG OK [CAPABILITY ] done\r\n", survives),
    login("OK with CAPABILITY alone", b"TAG OK [CAPABILITY] done\r\n", survives),
    answer(
        "numbers that no machine has", NOOP, b"* 99999999999999999999999999 EXISTS\r\n* -1 EXPUNGE\r\nTAG OK done\r\n"
    ),
    answer("BAD", NOOP, b"TAG BAD \xff\xfe\r\n"),
    answer("BAD without text", NOOP, b"TAG BAD\r\n"),
    answer("BYE without text", NOOP, b"* BYE\r\nTAG OK done\r\n", dead, typed=refused),
    answer("BYE with a literal", NOOP, b"* BYE {5}\r\nHELLO\r\nTAG OK done\r\n", dead, typed=refused),
    answer("BYE with a number", NOOP, b"* 1 BYE\r\nTAG OK done\r\n"),
    answer("NO with a literal", NOOP, b"* NO {5}\r\nHELLO\r\nTAG OK done\r\n"),
    answer("a response code with a literal", NOOP, b"* NO [X {5}\r\nHELLO] x\r\nTAG OK done\r\n"),
    answer(
        "types like attributes of the class", NOOP, b"* READ-ONLY x\r\n* STATE x\r\n* __DICT__ x\r\nTAG OK done\r\n"
    ),
    answer("the mailbox turns READ-ONLY", NOOP, b"* OK [READ-ONLY] now\r\nTAG OK done\r\n", refused, typed=survives),
    answer("EXISTS with a literal", call("select", "x"), b"* 1 EXISTS {5}\r\nHELLO\r\nTAG OK done\r\n"),
    answer("nothing", call("list"), b"* LIST\r\nTAG OK done\r\n"),
    answer("a name that is no text", call("list"), b'* LIST () "/" \xff\xfe\r\nTAG OK done\r\n'),
    answer("a parenthesis that nothing closes", call("list"), b"* LIST (((\r\nTAG OK done\r\n"),
    answer("words for numbers", call("search", None, "ALL"), b"* SEARCH one two\r\nTAG OK done\r\n"),
    answer("nothing", call("status", "x", "(MESSAGES)"), b"* STATUS\r\nTAG OK done\r\n"),
    answer("nothing", call("namespace"), b"* NAMESPACE\r\nTAG OK done\r\n"),
    answer("QUOTA without QUOTAROOT", call("getquotaroot", "x"), b"* QUOTA\r\nTAG OK done\r\n"),
    answer("no literal where one is due", call("fetch", "1", "(BODY[])"), b"* 1 FETCH (BODY[])\r\nTAG OK done\r\n"),
    answer(
        "a parenthesis too many", call("fetch", "1", "(BODY[])"), b"* 1 FETCH (BODY[] {2}\r\nhi))\r\nTAG OK done\r\n"
    ),
    answer("no parenthesis", call("fetch", "1", "(BODY[])"), b"* 1 FETCH BODY[] {2}\r\nhi\r\nTAG OK done\r\n"),
    answer("no number", call("fetch", "1", "(BODY[])"), b"* FETCH (BODY[] {2}\r\nhi)\r\nTAG OK done\r\n"),
    answer(
        "a literal8",
        call("fetch", "1", "(BINARY[])"),
        b"* 1 FETCH (BINARY[] ~{2}\r\n\0\1)\r\nTAG OK done\r\n",
        gives(b""),
        typed=survives,
    ),
    Scenario(
        FAMILY,
        "starttls: NO that is no text",
        (GREETING, Expect(b"STARTTLS"), Answer(b"TAG NO \xff\r\n"), Serve()),
        (call("starttls"),),
        refused,
    ),
    Scenario(
        FAMILY,
        "idle: a continuation request that is no text",
        (*SELECTED, Expect(b"IDLE"), Send(b"+ \xff\xfe\r\n"), ReadLine(), Answer(b"TAG OK \xff\r\n"), *IN_STEP),
        (SELECT, call("idle", 0.05), SEARCH),
        in_step,
    ),
    Scenario(
        FAMILY,
        "idle: BYE that is no text",
        (*SELECTED, Expect(b"IDLE"), Send(b"+ x\r\n* BYE \xff\xfe\r\n"), ReadLine()),
        (SELECT, call("idle", 0.05)),
        refused,
    ),
    Scenario(
        FAMILY,
        "idle: BYE with a literal",
        (*SELECTED, Expect(b"IDLE"), Send(b"+ x\r\n* BYE {5}\r\nHELLO\r\n"), ReadLine()),
        (SELECT, call("idle", 0.05)),
        refused,
    ),
    *(answer(f"garbage {seed}", NOOP, garbage(seed)) for seed in range(20)),
    *(
        Scenario(FAMILY, f"garbage {seed} for a greeting", (Send(garbage(seed)),), (NOOP,), survives)
        for seed in range(20, 30)
    ),
    *(
        Scenario(
            FAMILY,
            f"idle: garbage {seed}",
            (*SELECTED, Expect(b"IDLE"), Send(b"+ x\r\n" + garbage(seed))),
            (SELECT, call("idle", 0.05)),
            survives,
        )
        for seed in range(30, 40)
    ),
    *(
        Scenario(
            FAMILY,
            f"{function}: garbage {seed}",
            None,
            (call(function, garbage(seed) + b'INTERNALDATE "99-Xyz-9999 99:99:99 +9999"'),),
            survives,
        )
        for function in ("ParseFlags", "Internaldate2tuple")
        for seed in range(40, 43)
    ),
]
