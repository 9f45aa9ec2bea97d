"""Time: with a timeout set, no pace of the server outlasts it by more than a second.

The typed clients wait neither for the answer to DONE nor for more than a while for that to LOGOUT: they have what was
asked for. Where a server only delays, it answers well in the end, but far after the deadline: who has the answer has
waited.
"""

from ..scenario import (
    GREETING,
    MIB,
    NOOP,
    PREAUTH,
    SEARCH,
    SELECT,
    SELECTED,
    Call,
    Demand,
    Scenario,
    call,
    dead,
    refused,
    survives,
    timed_out,
)
from ..server import Answer, Drip, Expect, ReadLine, ReadOctets, Send, Serve, StartTLS, Step, Wait

FAMILY = "time"
TIMEOUT = 0.4
LATE = 2.5  # seconds: the deadline, a second of grace, and some for a slow machine

SILENCE = Wait(LATE)


def drip(octets: bytes) -> Drip:
    """Return the step that makes `octets` last as long as SILENCE, with no gap as long as the timeout."""
    return Drip(octets, LATE / len(octets))


def timed(
    name: str,
    script: tuple[Step, ...],
    *calls: Call,
    demand: Demand = timed_out,
    tls: bool = False,
    typed: Demand | None = None,
) -> Scenario:
    return Scenario(FAMILY, name, script, calls, demand, TIMEOUT, tls, within=TIMEOUT + 1, typed=typed)


FETCH = call("fetch", "1", "(BODY[])")
LOGOUT = call("logout")
APPEND = call("append", "INBOX", None, None, b"x" * 16 * MIB)

SCENARIOS = [
    timed("silence for a greeting", (SILENCE, GREETING, Serve())),
    timed("half a greeting, and silence", (Send(b"* OK [CAPABILITY"), SILENCE, Send(b" IMAP4rev1] x\r\n"), Serve())),
    timed("a greeting octet by octet", (drip(GREETING.octets), Serve())),
    timed("silence to CAPABILITY", (Send(b"* OK x\r\n"), ReadLine(), SILENCE)),
    timed("silence to NOOP", (*SELECTED, Expect(b"NOOP"), SILENCE, Serve()), SELECT, NOOP),
    timed("silence to LOGIN", (GREETING, Expect(b"LOGIN"), SILENCE), call("login", "user", "secret")),
    timed("silence to SELECT", (PREAUTH, Expect(b"SELECT"), SILENCE), SELECT),
    timed(
        "a line octet by octet",
        (*SELECTED, Expect(b"SEARCH"), drip(b"* SEARCH 1 2 3 4 5 6 7\r\n"), Answer(b"TAG OK done\r\n")),
        SELECT,
        SEARCH,
    ),
    timed(
        "a tagged answer octet by octet",
        (*SELECTED, Expect(b"NOOP"), Answer(b"TAG "), drip(b"OK done, done, done\r\n")),
        SELECT,
        NOOP,
    ),
    timed(
        "silence in a literal",
        (
            *SELECTED,
            Expect(b"FETCH"),
            Send(b"* 1 FETCH (BODY[] {20}\r\n0123456789"),
            SILENCE,
            Answer(b"0123456789)\r\nTAG OK done\r\n"),
        ),
        SELECT,
        FETCH,
    ),
    timed(
        "a literal octet by octet",
        (
            *SELECTED,
            Expect(b"FETCH"),
            Send(b"* 1 FETCH (BODY[] {20}\r\n"),
            drip(b"01234567890123456789"),
            Answer(b")\r\nTAG OK done\r\n"),
        ),
        SELECT,
        FETCH,
    ),
    timed(
        "a large literal octet by octet",
        (
            *SELECTED,
            Expect(b"FETCH"),
            Send(b"* 1 FETCH (BODY[] {100020}\r\n" + bytes(100_000)),
            drip(b"01234567890123456789"),
            Answer(b")\r\nTAG OK done\r\n"),
        ),
        SELECT,
        FETCH,
    ),
    timed(
        "silence after a literal",
        (
            *SELECTED,
            Expect(b"FETCH"),
            Send(b"* 1 FETCH (BODY[] {5}\r\nHELLO"),
            SILENCE,
            Answer(b")\r\nTAG OK done\r\n"),
        ),
        SELECT,
        FETCH,
    ),
    timed(
        "silence before the tagged answer",
        (
            *SELECTED,
            Expect(b"FETCH"),
            Send(b"* 1 FETCH (BODY[] {5}\r\nHELLO)\r\n"),
            SILENCE,
            Answer(b"TAG OK done\r\n"),
        ),
        SELECT,
        FETCH,
    ),
    timed(
        "empty lines, one after the other",
        (*SELECTED, Expect(b"NOOP"), drip(b"\r\n" * 15), Answer(b"TAG OK done\r\n")),
        SELECT,
        NOOP,
    ),
    timed(
        "silence to APPEND", (*SELECTED, Expect(b"APPEND"), SILENCE), SELECT, call("append", "INBOX", None, None, b"x")
    ),
    timed(
        "a server that stops reading",
        (
            *SELECTED,
            Expect(b"APPEND"),
            Send(b"+ go on\r\n"),
            SILENCE,
            ReadOctets(16 * MIB),
            ReadLine(),
            Answer(b"TAG OK done\r\n"),
        ),
        SELECT,
        APPEND,
        demand=refused,
    ),
    timed(
        "a server that neither reads nor stops talking",
        (*SELECTED, Expect(b"APPEND"), Send(b"+ go on\r\n"), Send(b"* OK " + b"x" * 8000 + b"\r\n", None)),
        SELECT,
        APPEND,
        demand=refused,
    ),
    timed(
        "silence to AUTHENTICATE",
        (GREETING, Expect(b"AUTHENTICATE"), SILENCE),
        call("authenticate", "PLAIN", lambda _: b"x"),
    ),
    timed(
        "silence to a SASL response",
        (GREETING, Expect(b"AUTHENTICATE"), Send(b"+ \r\n"), ReadLine(), SILENCE),
        call("authenticate", "PLAIN", lambda _: b"x"),
    ),
    timed(
        "silence to IDLE",
        (*SELECTED, Expect(b"IDLE"), SILENCE, Send(b"+ idling\r\n"), ReadLine(), Answer(b"TAG OK done\r\n")),
        SELECT,
        call("idle", 0.1),
        typed=survives,
    ),
    timed(
        "silence to DONE",
        (*SELECTED, Expect(b"IDLE"), Send(b"+ idling\r\n"), ReadLine(), SILENCE, Answer(b"TAG OK done\r\n")),
        SELECT,
        call("idle", 0.1),
        typed=survives,
    ),
    timed(
        "a line octet by octet in IDLE",
        (
            *SELECTED,
            Expect(b"IDLE"),
            Send(b"+ idling\r\n"),
            drip(b"* OK still here, still here\r\n"),
            ReadLine(),
            Answer(b"TAG OK done\r\n"),
        ),
        SELECT,
        call("idle", 0.1),
        typed=survives,
    ),
    timed(
        "silence in a literal in IDLE",
        (
            *SELECTED,
            Expect(b"IDLE"),
            Send(b"+ idling\r\n* 1 FETCH (BODY[] {20}\r\n"),
            SILENCE,
            Send(b"01234567890123456789)\r\n"),
            ReadLine(),
            Answer(b"TAG OK done\r\n"),
        ),
        SELECT,
        call("idle", 0.1),
        typed=survives,
    ),
    timed(
        "silence to LOGOUT",
        (PREAUTH, Expect(b"LOGOUT"), SILENCE, Answer(b"* BYE x\r\nTAG OK done\r\n")),
        LOGOUT,
        typed=survives,
    ),
    timed(
        "BYE octet by octet",
        (PREAUTH, Expect(b"LOGOUT"), drip(b"* BYE see you again soon\r\n"), Answer(b"TAG OK done\r\n")),
        LOGOUT,
        typed=survives,
    ),
    timed("silence in the TLS handshake", (SILENCE, StartTLS(), GREETING, Serve()), tls=True),
    timed(
        "a TLS handshake octet by octet", (drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + bytes(20)),), tls=True
    ),
    timed("silence after the TLS handshake", (StartTLS(), SILENCE, GREETING, Serve()), tls=True),
    timed(
        "silence in the handshake of STARTTLS",
        (GREETING, Expect(b"STARTTLS"), Answer(b"TAG OK go on\r\n"), SILENCE),
        call("starttls"),
    ),
    timed("silence to STARTTLS", (GREETING, Expect(b"STARTTLS"), SILENCE), call("starttls")),
    timed(
        "silence to CAPABILITY after STARTTLS",
        (GREETING, Expect(b"STARTTLS"), Answer(b"TAG OK go on\r\n"), StartTLS(), ReadLine(), SILENCE),
        call("starttls"),
    ),
    timed(
        "a literal octet by octet under TLS",
        (
            StartTLS(),
            *SELECTED,
            Expect(b"FETCH"),
            Send(b"* 1 FETCH (BODY[] {20}\r\n"),
            drip(b"01234567890123456789"),
            Answer(b")\r\nTAG OK done\r\n"),
        ),
        SELECT,
        FETCH,
        tls=True,
    ),
    timed(
        "nothing works on after a timeout",
        (*SELECTED, Expect(b"NOOP"), SILENCE, Serve()),
        SELECT,
        NOOP,
        NOOP,
        demand=dead,
    ),
]
