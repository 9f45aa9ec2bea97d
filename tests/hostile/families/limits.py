"""Limits: what a server may make a client hold. What honest servers send passes under the same limits."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastimap import Limits

from ..scenario import (
    GREETING,
    IMAPLIB,
    IN_STEP,
    MIB,
    NOOP,
    PREAUTH,
    SEARCH,
    SELECT,
    SELECTED,
    TYPED,
    Scenario,
    call,
    dead,
    fetched,
    gives,
    gives_count,
    gives_length,
    gives_numbers,
    refused,
    survives,
)
from ..server import Answer, Expect, Numbered, ReadLine, Send, Serve, Step

FAMILY = "limits"


MEBIBYTE = b"x" * MIB
TEN_THOUSAND = {"limits": Limits(unsolicited=10_000, answers=10_000)}


def unsolicited(
    name: str, *steps: Step, interface: str = "", settings: Mapping[str, Any] = MappingProxyType({})
) -> Scenario:
    """Return a scenario in which the `steps` come in answer to NOOP, before OK: too much to take."""
    return Scenario(
        FAMILY,
        name,
        (*SELECTED, Expect(b"NOOP"), *steps, Answer(b"TAG OK done\r\n"), *IN_STEP),
        (SELECT, NOOP, SEARCH),
        dead,
        interface=TYPED if settings else interface,
        settings=settings,
    )


def kept(name: str, unit: bytes, start: bytes, end: bytes) -> Scenario:
    """Return a scenario in which 15 MiB that nobody asked for would become a multiple of it, were they all kept."""
    line = start + unit * (15 * MIB // len(unit)) + end + b"\r\n"
    return Scenario(
        FAMILY,
        f"15 MiB of {name} that is not read",
        (*SELECTED, Expect(b"NOOP"), Send(line), Answer(b"TAG OK done\r\n"), *IN_STEP),
        (SELECT, NOOP, SEARCH),
        survives,
        interface=TYPED,
    )


SCENARIOS = [
    fetched(
        FAMILY,
        "a line of 17 MiB",
        Send(b"* 1 FETCH ("),
        Send(b"x" * MIB, 17),
        Answer(b")\r\nTAG OK done\r\n"),
        demand=dead,
        ends_in_step=True,
    ),
    fetched(FAMILY, "a line without end", Send(b"* 1 FETCH ("), Send(b"x" * MIB, None), demand=refused),
    fetched(
        FAMILY,
        "a line of 17 MiB after a literal",
        Send(b"* 1 FETCH (BODY[] {1}\r\nx"),
        Send(b"x" * MIB, 17),
        Answer(b")\r\nTAG OK done\r\n"),
        demand=refused,
    ),
    fetched(FAMILY, "a line without end of NULs", Send(bytes(MIB), None), demand=refused),
    fetched(FAMILY, "a status line without end", Send(b"* OK "), Send(b"x" * MIB, None), demand=refused),
    fetched(FAMILY, "a tagged answer without end", Answer(b"TAG OK "), Send(b"x" * MIB, None), demand=refused),
    fetched(FAMILY, "a continuation request without end", Send(b"+ "), Send(b"x" * MIB, None), demand=refused),
    fetched(FAMILY, "a line without end of CRs", Send(b"\r" * MIB, None), demand=refused),
    Scenario(FAMILY, "a greeting without end", (Send(b"* OK "), Send(b"x" * MIB, None)), (), refused),
    Scenario(FAMILY, "a greeting without end, not IMAP", (Send(b"x" * MIB, None),), (), refused),
    Scenario(
        FAMILY,
        "2,000,000 empty lines before the greeting",
        (Send(b"\r\n" * 1_000_000, 2), GREETING, Serve()),
        (),
        refused,
    ),
    fetched(
        FAMILY,
        "150,000 literals in one response",
        Send(b"* 1 FETCH (X {1}\r\na"),
        Send(b" {1}\r\na" * 1000, 150),
        Answer(b")\r\nTAG OK done\r\n"),
        demand=dead,
        ends_in_step=True,
    ),
    fetched(
        FAMILY,
        "150,000 literals, read line by line",
        Send(b"*  LIST {1}\r\na"),
        Send(b" {1}\r\na" * 1000, 150),
        Answer(b"\r\nTAG OK done\r\n"),
        demand=dead,
        ends_in_step=True,
    ),
    fetched(
        FAMILY, "literals without end", Send(b"* 1 FETCH (X {0}\r\n"), Send(b" {0}\r\n" * 10_000, None), demand=refused
    ),
    fetched(
        FAMILY,
        "literals without end, read line by line",
        Send(b"*  LIST {0}\r\n"),
        Send(b" {0}\r\n" * 10_000, None),
        demand=refused,
    ),
    unsolicited("1,100,000 unsolicited responses", Send(b"* 1 EXISTS\r\n" * 10_000, 110)),
    unsolicited(
        "1,100,000 responses of as many types",
        Numbered(lambda n: b"* X-%s Y\r\n" % bytes(65 + int(digit) for digit in str(n)), 1_100_000),
        interface=IMAPLIB,
    ),
    unsolicited("80 MiB of unsolicited responses", Send(b"* X-UNASKED " + b"x" * MIB + b"\r\n", 80)),
    unsolicited("80 MiB of unsolicited literals", Send(b"* 1 FETCH (BODY[] {1048576}\r\n" + b"x" * MIB + b")\r\n", 80)),
    unsolicited("80 MiB of status responses", Send(b"* OK " + b"\1" * 8 * MIB + b"\r\n", 10)),
    unsolicited("1,100,000 response codes", Send(b"* OK [X-CODE y] z\r\n" * 10_000, 110), interface=IMAPLIB),
    unsolicited("11,000 response codes", Send(b"* OK [X-CODE y] z\r\n" * 1000, 11), settings=TEN_THOUSAND),
    unsolicited("1,100,000 continuation requests", Send(b"+ go on\r\n" * 10_000, 110), interface=IMAPLIB),
    unsolicited("11,000 continuation requests", Send(b"+ go on\r\n" * 1000, 11), settings=TEN_THOUSAND),
    unsolicited("responses without end", Send(b"* 1 EXISTS\r\n" * 10_000, None), interface=IMAPLIB),
    unsolicited("responses without end, to a limit", Send(b"* 1 EXISTS\r\n" * 100, None), settings=TEN_THOUSAND),
    kept("updates of a search", b"1 2 ", b"* ESEARCH UID ADDTO (", b")"),
    unsolicited("2,000,000 empty lines", Send(b"\r\n" * 1_000_000, 2)),
    Scenario(
        FAMILY,
        "untagged responses without end, before the greeting's",
        (Send(b"* 1 EXISTS\r\n" * 10_000, None),),
        (),
        refused,
    ),
    Scenario(
        FAMILY,
        "100 continuation requests to one literal",
        (PREAUTH, Expect(b"APPEND"), Send(b"+ go on\r\n", 100), ReadLine(), Answer(b"TAG OK done\r\n"), *SELECTED[1:]),
        (call("append", "INBOX", None, None, b"x\r\n"), SELECT),
        survives,
    ),
    Scenario(
        FAMILY,
        "SEARCH of 1,000,000 ids, honest",
        (
            *SELECTED,
            Expect(b"SEARCH"),
            Send(b"* SEARCH"),
            Numbered(lambda n: b" %d" % n, 1_000_000),
            Answer(b"\r\nTAG OK done\r\n"),
        ),
        (SELECT, SEARCH),
        gives(b"1 2 3 4 5 ", b" 999999 1000000"),
        typed=gives_numbers(1_000_000),
    ),
    Scenario(
        FAMILY,
        "200,000 mailboxes, honest",
        (
            PREAUTH,
            Expect(b"LIST"),
            Numbered(lambda n: b'* LIST (\\HasNoChildren) "/" mailbox%d\r\n' % n, 200_000),
            Answer(b"TAG OK done\r\n"),
        ),
        (call("list"),),
        gives_count(200_000, b"mailbox"),
    ),
    Scenario(
        FAMILY,
        "1,200,000 FETCH responses asked for, honest",
        (
            *SELECTED,
            Expect(b"FETCH"),
            Numbered(lambda n: b"* %d FETCH (FLAGS ())\r\n" % n, 1_200_000),
            Answer(b"TAG OK done\r\n"),
        ),
        (SELECT, call("fetch", "1:*", "(FLAGS)")),
        gives_count(1_200_000, b"FLAGS"),
        interface=IMAPLIB,
    ),
    Scenario(
        FAMILY,
        "100,000 FETCH responses asked for, honest",
        (
            *SELECTED,
            Expect(b"FETCH"),
            Numbered(lambda n: b"* %d FETCH (FLAGS ())\r\n" % n, 100_000),
            Answer(b"TAG OK done\r\n"),
        ),
        (SELECT, call("fetch", "1:*", "(FLAGS)")),
        gives_length(100_000),
        interface=TYPED,
        settings=TEN_THOUSAND,
    ),
    Scenario(
        FAMILY,
        "100 messages of 1 MiB, honest",
        (
            *SELECTED,
            Expect(b"FETCH"),
            *(
                step
                for n in range(1, 101)
                for step in (Send(b"* %d FETCH (BODY[] {1048576}\r\n" % n), Send(MEBIBYTE), Send(b")\r\n"))
            ),
            Answer(b"TAG OK done\r\n"),
        ),
        (SELECT, call("fetch", "1:100", "(BODY[])")),
        gives_count(100, b"x" * MIB),
    ),
    fetched(
        FAMILY,
        "90,000 literals in one response, honest",
        Send(b"* 1 FETCH (ENVELOPE (NIL NIL ((NIL NIL {1}\r\na {1}\r\nb)"),
        Send(b"(NIL NIL {1}\r\na {1}\r\nb)" * 1000, 44),
        Answer(b") NIL NIL NIL NIL NIL NIL NIL))\r\nTAG OK done\r\n"),
        demand=gives_count(44_001, b"b"),
        parts="(ENVELOPE)",
    ),
]
