"""What a scenario is: what the server does, what the client is asked, and what is demanded of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeAlias

from fastimap import SequenceSet, UIDSet
from fastimap.model._shown import Value
from fastimap.types import FetchedMessage

from .server import Answer, Expect, Script, Send, Serve, Step

KIB = 1024
MIB = 1024 * KIB

GREETING = Send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS IDLE ENABLE UIDPLUS MOVE ID AUTH=PLAIN AUTH=CRAM-MD5] ready\r\n")
PREAUTH = Send(
    b"* PREAUTH [CAPABILITY IMAP4rev1 ACL BINARY CONDSTORE ENABLE ID IDLE METADATA MOVE NAMESPACE QUOTA QUOTASET SORT "
    b"THREAD=REFERENCES UIDPLUS UNSELECT] ready\r\n"
)
SELECTED: tuple[Step, ...] = (PREAUTH, Expect(b"SELECT"), Answer(b"* 3 EXISTS\r\nTAG OK [READ-WRITE] done\r\n"))
"""A session up to the point where a mailbox is selected; the first call is then SELECT."""

MARK = b"4711"
IN_STEP: tuple[Step, ...] = (Expect(b"SEARCH"), Answer(b"* SEARCH " + MARK + b"\r\nTAG OK done\r\n"))
"""The end of a session whose last call is SEARCH, and must give MARK if it gives anything."""


@dataclass(frozen=True)
class Call:
    """A call of the client's method `method`, by imaplib's name."""

    method: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


def call(method: str, *arguments: Any, **keywords: Any) -> Call:
    return Call(method, arguments, keywords)


SELECT = call("select", "INBOX")
SEARCH = call("search", None, "ALL")
NOOP = call("noop")


@dataclass(frozen=True)
class Returned:
    """What a call returned, and after how many seconds."""

    value: Any
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Raised:
    """What a call raised, and after how many seconds; whether it is what the library raises when its time is up."""

    exception: BaseException
    seconds: float = field(default=0.0, compare=False)
    timed_out: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario: the result of opening the connection (where there is a server), then of each call.

    `received` and `connections` are what the server saw of the client.
    """

    results: Sequence[Returned | Raised]
    received: Sequence[bytes] = ()
    connections: int = 0


IMAPLIB = "imaplib"
TYPED = "typed"

Demand: TypeAlias = Callable[[Outcome], str]
"""Returns "" if the demand holds, and else what happened instead."""


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    `script` is None where there is nothing to connect to: the calls are then functions of the library's module.
    `typed` is what is demanded of the typed clients, where that is not the same as of the others. `interface` says
    that it is for the typed clients alone (TYPED), or for imaplib's interface alone (IMAPLIB); `settings` are arguments
    for the typed clients.

    `tls` is for a connection under TLS from the first octet on, with the library's default context; `timeout` is in
    seconds. `cuts` repeats the scenario with the connection ended (by RST if `reset`) after each octet in turn; its
    own demand is that what was complete is returned, and an error raised for what was not, within 100 ms; nothing
    depends on the last `trailer` octets. With `argument_errors`, TypeError and ValueError are documented, too.
    `within` is how many seconds a call may take. `grown` gives the scenario for another size, in octets.
    """

    family: str
    name: str
    script: Script | None
    calls: Sequence[Call]
    demand: Demand
    timeout: float | None = None
    tls: bool = False
    cuts: bool = False
    reset: bool = False
    trailer: int = 0
    argument_errors: bool = False
    within: float | None = None
    typed: Demand | None = None
    interface: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    grown: Callable[[int], Scenario] | None = None

    def __str__(self) -> str:
        return f"{self.family}: {self.name}"


# Demands.


def pieces(value: Any) -> Iterator[bytes]:
    """Yield the octets of all strings and numbers in what a library returned."""
    if isinstance(value, (bytes, bytearray)):
        yield bytes(value)
    elif isinstance(value, str):
        yield value.encode("utf-8", "surrogateescape")
    elif isinstance(value, int):
        yield str(value).encode()
    elif isinstance(value, FetchedMessage):
        yield from pieces(value._values())
    elif isinstance(value, Mapping):
        for item in value.items():
            yield from pieces(item)
    elif isinstance(value, (Sequence, set, frozenset)):
        for item in value:
            yield from pieces(item)
    elif isinstance(value, (UIDSet, SequenceSet)):
        yield str(value).encode()
    elif is_dataclass(value):
        for known in fields(value):
            yield from pieces(getattr(value, known.name))
    elif isinstance(value, Value):
        for inner in vars(value).values():
            yield from pieces(inner)


def shown(result: Returned | Raised) -> str:
    if isinstance(result, Raised):
        return f"{type(result.exception).__name__}: {result.exception}"[:200]
    return f"returned {result.value!r:.120}"


def survives(outcome: Outcome) -> str:
    """Whatever happens is fine, if it ends, and by a documented exception if by one."""
    return ""


def refused(outcome: Outcome) -> str:
    """The last call raises."""
    last = outcome.results[-1]
    return "" if isinstance(last, Raised) else shown(last)


def timed_out(outcome: Outcome) -> str:
    """The last call raises what the library raises when its time is up."""
    last = outcome.results[-1]
    return "" if isinstance(last, Raised) and last.timed_out else shown(last)


def works_on(outcome: Outcome) -> str:
    """Return what a call gave after one that raised; "" if each one raised."""
    raised = [isinstance(result, Raised) for result in outcome.results]
    after = outcome.results[raised.index(True) :] if True in raised else ()
    return next((f"works on after an error: {shown(result)}" for result in after if isinstance(result, Returned)), "")


def dead(outcome: Outcome) -> str:
    """A call before the last one raises, and so does each one behind it."""
    if len(outcome.results) > 1 and not any(isinstance(result, Raised) for result in outcome.results[:-1]):
        return f"nothing was refused: {shown(outcome.results[-2])}, then {shown(outcome.results[-1])}"
    return works_on(outcome)


def in_step(outcome: Outcome) -> str:
    """The last call, SEARCH, returns MARK and nothing else, or raises."""
    last = outcome.results[-1]
    if isinstance(last, Returned) and [piece for piece in pieces(last.value) if piece not in (b"OK", b"")] != [MARK]:
        return f"out of step: {shown(last)}"
    return ""


def refused_in_step(outcome: Outcome) -> str:
    """The last call but SEARCH raises, and SEARCH, the last, returns MARK and nothing else, or raises."""
    odd = outcome.results[-2] if len(outcome.results) > 1 else outcome.results[-1]
    return in_step(outcome) if isinstance(odd, Raised) else f"nothing was refused: {shown(odd)}"


def gives(*expected: bytes) -> Demand:
    """The last call returns data that contain each of `expected`."""

    def demand(outcome: Outcome) -> str:
        last = outcome.results[-1]
        if isinstance(last, Raised):
            return shown(last)
        found = list(pieces(last.value))
        missing = [octets for octets in expected if not any(octets in piece for piece in found)]
        return f"{missing[0][:60]!r} is not in what was {shown(last)}" if missing else ""

    return demand


def gives_count(count: int, octets: bytes) -> Demand:
    """The last call returns `octets` `count` times."""

    def demand(outcome: Outcome) -> str:
        last = outcome.results[-1]
        if isinstance(last, Raised):
            return shown(last)
        found = sum(piece.count(octets) for piece in pieces(last.value))
        return "" if found == count else f"{octets!r} {found} times, not {count}"

    return demand


def gives_numbers(count: int) -> Demand:
    """The last call returns the numbers from 1 to `count`."""

    def demand(outcome: Outcome) -> str:
        last = outcome.results[-1]
        if isinstance(last, Returned) and last.value == [*range(1, count + 1)]:
            return ""
        return shown(last)

    return demand


def gives_length(count: int) -> Demand:
    """The last call returns `count` values."""

    def demand(outcome: Outcome) -> str:
        last = outcome.results[-1]
        return "" if isinstance(last, Returned) and len(last.value) == count else shown(last)

    return demand


def never_gives(octets: bytes) -> Demand:
    """No call returns data that contain `octets`."""

    def demand(outcome: Outcome) -> str:
        for result in outcome.results:
            if isinstance(result, Returned) and any(octets in piece for piece in pieces(result.value)):
                return f"{octets!r} is in what was {shown(result)}"
        return ""

    return demand


def never_sends(*octets: bytes) -> Demand:
    """The server gets to see none of `octets`."""

    def demand(outcome: Outcome) -> str:
        for line in outcome.received:
            for secret in octets:
                if secret in line:
                    return f"sent {line[:100]!r}"
        return ""

    return demand


def one_connection(outcome: Outcome) -> str:
    """The client connects once."""
    return "" if outcome.connections == 1 else f"{outcome.connections} connections"


def both(*demands: Demand) -> Demand:
    def demand(outcome: Outcome) -> str:
        return "; ".join(filter(None, (demand(outcome) for demand in demands)))

    return demand


_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\["\\])*)"|\(([^()"]*)\)|([^ "()]+)')
_ESCAPED = re.compile(rb'\\(["\\])')


def _arguments(octets: bytes) -> list[bytes] | None:
    """Return the arguments of a command as a server reads them; None where they are not in IMAP's grammar."""
    arguments = []
    position = 0
    while position < len(octets):
        found = _ARGUMENT.match(octets, position)
        if found is None or octets[found.end() : found.end() + 1] not in (b"", b" "):
            return None
        arguments.append(_ESCAPED.sub(rb"\1", found[1]) if found[1] is not None else found[2] or found[3])
        position = found.end() + 1
    return arguments


def one_command(*expected: bytes) -> Demand:
    """The last call but NOOP is refused before an octet is sent, or becomes one command with the arguments `expected`.

    Without `expected`, they may be any. The server is to Serve(), so a literal that was not meant eats the NOOP.
    """

    def demand(outcome: Outcome) -> str:
        lines = [line.partition(b" ")[2] for line in outcome.received]
        lines = [line for line in lines if not line.startswith((b"CAPABILITY", b"SELECT INBOX", b'SELECT "INBOX"'))]
        if not lines or lines.pop() != b"NOOP":
            return f"the server read {outcome.received!r:.200}"
        attempt = outcome.results[-2]
        if isinstance(attempt, Raised) and not lines:
            return ""
        if len(lines) != 1:
            return f"{shown(attempt)}, and the server read {lines!r:.200}"
        found = _arguments(lines[0].partition(b" ")[2])
        if expected and found != [*expected]:
            return f"the server read the arguments {found!r:.200} in {lines[0]!r:.200}"
        return ""

    return demand


def injection(name: str, evil: Call, *expected: bytes, selected: bool = False) -> Scenario:
    """Return a scenario in which `evil`, with an argument that tries to be more than one, is the call."""
    return Scenario(
        "injection",
        name,
        (PREAUTH, Serve()),
        ((SELECT,) if selected else ()) + (evil, NOOP),
        one_command(*expected),
        timeout=2,
        argument_errors=True,
    )


def fetched(
    family: str,
    name: str,
    *steps: Step,
    demand: Demand,
    ends_in_step: bool = False,
    parts: str = "(BODY[])",
    timeout: float | None = None,
    typed: Demand | None = None,
) -> Scenario:
    """Return a scenario in which the `steps` are the server's answer to a FETCH."""
    return Scenario(
        family,
        name,
        (*SELECTED, Expect(b"FETCH"), *steps, *(IN_STEP if ends_in_step else ())),
        (SELECT, call("fetch", "1", parts), *((SEARCH,) if ends_in_step else ())),
        demand,
        timeout,
        typed=typed,
    )
