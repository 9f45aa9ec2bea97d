"""Linear time: 8 MiB of what makes parsers go back to where they have been. Quadratic means hours: the wall limit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from fastimap import SequenceSet
from fastimap.model.message import BodyStructure
from fastimap.parser import tokenize

from ..scenario import (
    GREETING,
    MIB,
    NOOP,
    PREAUTH,
    SEARCH,
    SELECT,
    SELECTED,
    TYPED,
    Call,
    Scenario,
    call,
    fetched,
    survives,
)
from ..server import Answer, Expect, Script, Send, Serve

FAMILY = "linear time"
SIZE = 8 * MIB
_CHUNK = 64 * 1024


def fill(unit: bytes, size: int) -> Send:
    """Return the step that sends some `size` octets of repeated `unit`."""
    return Send(unit * (_CHUNK // len(unit)), size // _CHUNK)


def linear(build: Callable[[int], Scenario]) -> Scenario:
    return replace(build(SIZE), grown=build)


def in_fetch(name: str, unit: bytes, start: bytes = b"* 1 FETCH (X ", end: bytes = b")") -> Scenario:
    """Return a scenario in which the answer to FETCH is one line filled with `unit`."""
    return linear(
        lambda size: fetched(
            FAMILY, name, Send(start), fill(unit, size), Answer(end + b"\r\nTAG OK done\r\n"), demand=survives
        )
    )


def of_function(name: str, function: str, octets: Callable[[int], bytes]) -> Scenario:
    return linear(lambda size: Scenario(FAMILY, name, None, (call(function, octets(size)),), survives))


def of_argument(name: str, evil: Callable[[str], Call], unit: str) -> Scenario:
    """Return a scenario in which the caller passes 2 MiB of `unit`."""
    return linear(
        lambda size: Scenario(
            FAMILY,
            name,
            (PREAUTH, Serve()),
            (SELECT, evil(unit * (size // 4 // len(unit)))),
            survives,
            argument_errors=True,
        )
    )


def file_name(pieces: int) -> int:
    """Ask for a file name in so many pieces (RFC 2231), one of them as large as the others together."""
    octets = b'("name*0" "%s"%s)' % (b"x" * (pieces * 12), b' "name*1" "y"' * pieces)
    [values] = tokenize((octets,))
    assert isinstance(values, tuple)
    names = [value.decode() for value in values[::2] if isinstance(value, bytes)]
    parameters = tuple(zip(names, values[1::2], strict=True))
    none: Any = None
    part = BodyStructure(
        "1", "text", "plain", cast(Any, parameters), none, none, "7bit", 1, 1, none, (), none, none, (), none, ()
    )
    return len(part.filename or "")


def into_nothing(client: Any) -> Any:
    return client.fetch_into(SequenceSet(1), "BODY.PEEK[]", into=lambda number, name, size: None)


def for_a_file(name: str, unit: bytes) -> Scenario:
    """Return a scenario in which a literal that may go to a file stands after repeated `unit`."""
    return linear(
        lambda size: Scenario(
            FAMILY,
            f"before a literal for a file: {name}",
            (
                *SELECTED,
                Expect(b"FETCH"),
                Send(b"* 1 FETCH ("),
                fill(unit, size),
                Answer(b" {1}\r\nx)\r\nTAG OK done\r\n"),
            ),
            (SELECT, call("typed", into_nothing)),
            survives,
            interface=TYPED,
        )
    )


def idle_backlog(size: int) -> Scenario:
    script: Script = (PREAUTH, Expect(b"IDLE"), fill(b"* 1 EXISTS\r\n", size), Send(b"+ idling\r\n"), Serve())
    return Scenario(FAMILY, "responses before IDLE's continuation request", script, (call("idle", 0.1),), survives)


def literals(size: int) -> Scenario:
    # 100 octets for each: what the limit of literals allows for
    steps = (Send(b"* 1 FETCH (X"), fill(b" {60}\r\n" + b"x" * 94, size), Answer(b")\r\nTAG OK done\r\n"))
    return fetched(FAMILY, "literals", *steps, demand=survives)


def many_responses(name: str, unit: bytes) -> Scenario:
    return linear(
        lambda size: Scenario(
            FAMILY,
            name,
            (*SELECTED, Expect(b"NOOP"), fill(unit, size), Answer(b"TAG OK done\r\n")),
            (SELECT, NOOP),
            survives,
        )
    )


SCENARIOS = [
    in_fetch("opening parentheses", b"("),
    in_fetch("closing parentheses", b")"),
    in_fetch("pairs of parentheses", b"()"),
    in_fetch("quotes", b'"'),
    in_fetch("a quoted string that nothing closes", b"x", b'* 1 FETCH (X "'),
    in_fetch("escapes", b"\\\\"),
    in_fetch("escaped quotes", b'\\"'),
    in_fetch("spaces", b" "),
    in_fetch("spaces before the type", b" ", b"* ", b"1 FETCH (X)"),
    in_fetch("digits", b"1", b"* ", b" FETCH (X)"),
    in_fetch("a number that is no size", b"1", b"* 1 FETCH (X {", b"x}"),
    in_fetch("opening braces", b"{"),
    in_fetch("announcements of literals inside a line", b"{1}"),
    in_fetch("brackets", b"["),
    in_fetch("sections that nothing closes", b"BODY[ "),
    in_fetch("flags", b"\\Seen ", b"* 1 FETCH (FLAGS (", b"))"),
    in_fetch("lists of flags that nothing closes", b"FLAGS ("),
    in_fetch("addresses", b"(NIL NIL NIL NIL)", b"* 1 FETCH (ENVELOPE (NIL NIL (", b")))"),
    in_fetch("NULs", b"\0", b"", b""),
    in_fetch("CRs", b"\r"),
    in_fetch("a bare response code", b" ", b"* [X", b"]"),
    in_fetch("a response code that nothing closes", b"A", b"* OK [", b""),
    in_fetch("a response code of brackets", b"]", b"* OK [A ", b""),
    in_fetch("spaces in a tagged answer of another", b" ", b"ABCDE0", b"OK"),
    in_fetch("after a literal: opening parentheses", b"(", b"* 1 FETCH (X {1}\r\nx"),
    in_fetch("after a literal: quotes", b'"', b"* 1 FETCH (X {1}\r\nx"),
    in_fetch("literals after quotes", b'"\\ {1}\r\nx', b"* 1 FETCH (X {1}\r\nx"),
    in_fetch("empty lines after a literal, in a list", b"\r\n", b"* 1 FETCH (X {1}\r\nx\r\n"),
    in_fetch("empty lines after a literal, read line by line", b"\r\n", b"*  LIST (X {1}\r\nx\r\n"),
    for_a_file("sections that nothing closes", b"BODY["),
    for_a_file("sections", b"BODY[] "),
    for_a_file("quotes", b'"\\'),
    for_a_file("UIDs", b"UID 1 "),
    linear(
        lambda size: Scenario(
            FAMILY,
            "a file name in pieces",
            None,
            (call("tests.hostile.families.linear_time:file_name", size // 28),),
            survives,
            interface=TYPED,
        )
    ),
    linear(literals),
    linear(idle_backlog),
    many_responses("FETCH responses", b"* 1 FETCH (FLAGS (\\Seen))\r\n"),
    many_responses("status responses with codes", b"* OK [X-CODE y] z\r\n"),
    many_responses("empty lines", b"\r\n"),
    linear(
        lambda size: Scenario(
            FAMILY,
            "capabilities",
            (Send(b"* PREAUTH [CAPABILITY IMAP4rev1"), fill(b" X", size), Send(b"] x\r\n"), Serve()),
            (NOOP,),
            survives,
        )
    ),
    linear(
        lambda size: Scenario(
            FAMILY,
            "a challenge",
            (GREETING, Expect(b"AUTHENTICATE"), Send(b"+ "), fill(b"AAAA", size), Send(b"\r\n"), Serve()),
            (call("login_cram_md5", "user", "secret"),),
            survives,
        )
    ),
    linear(
        lambda size: Scenario(
            FAMILY,
            "a set in a response code",
            (
                *SELECTED,
                Expect(b"SEARCH"),
                Send(b"* OK [COPYUID 1 "),
                fill(b"1:4294967295,", size),
                Answer(b"1 1] x\r\n* SEARCH\r\nTAG OK done\r\n"),
            ),
            (SELECT, SEARCH),
            survives,
        )
    ),
    of_function("ParseFlags: lists that nothing closes", "ParseFlags", lambda size: b"FLAGS (" * (size // 7)),
    of_function("ParseFlags: lines", "ParseFlags", lambda size: b"FLAGS (\n" * (size // 8)),
    of_function("ParseFlags: flags", "ParseFlags", lambda size: b"1 (FLAGS (" + b"\\Seen " * (size // 6) + b"))"),
    of_function("ParseFlags: parentheses", "ParseFlags", lambda size: b"FLAGS (" + b")" * size),
    of_function(
        "Internaldate2tuple: dates without end",
        "Internaldate2tuple",
        lambda size: b'INTERNALDATE "01-Jan-2000 00:00:00 +' * (size // 37),
    ),
    of_argument("a mailbox of '&'", lambda text: call("create", text), "&"),
    of_argument("a mailbox of '&-'", lambda text: call("create", text), "&-"),
    of_argument("a mailbox of other letters", lambda text: call("create", text), "\u00e9&"),
    of_argument("a mailbox of quotes", lambda text: call("create", text), '"'),
    of_argument("a mailbox of escapes in quotes", lambda text: call("create", '"' + text), '\\"'),
    of_argument("params of question marks", lambda text: call("search", None, text, params=[]), "??"),
]
