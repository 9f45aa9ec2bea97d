"""Responses taken in bulk and line by line, by both parsers and by the standard library: all the same."""

from __future__ import annotations

import imaplib as stdlib
import io
import logging
import random
import re
from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.canned import GREETING, Canned, Watched
from tests.parser.harness import quirks

CUTS = [0, 1, 7]
DONE = b"<tag> OK [READ-WRITE] done\r\n"


@pytest.fixture(autouse=True)
def one_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that quote it are to be equal."""
    monkeypatch.setattr(imaplib, "tag_prefixes", lambda: [b"BAAAAA"] * 64)


def outcome(cls: type[Canned], reply: bytes, cut: int = 0) -> Any:
    """What `reply` to a NOOP leads to."""
    client = cls(reply, cut=cut)
    client.untagged_responses.clear()
    try:
        result: Any = client.noop()
    except imaplib.IMAP4.error as exc:
        # Where the end of the octets came, the two paths know differently well.
        text = "EOF" if "EOF" in str(exc) else str(exc).removeprefix("command: NOOP => ").removeprefix("socket error: ")
        result = type(exc).__name__, text
    if client._reader is not None:
        result = result, client._reader.buffered
    return result, client.untagged_responses, client.tagged_commands and "open", client.state


def mutations(count: int) -> list[bytes]:
    """Quirks with a few octets gone, doubled or replaced, one or two in a row."""
    rng = random.Random(20261123)
    samples = quirks()
    replies = []
    for _ in range(count):
        octets = bytearray(b"".join(rng.choices(samples, k=rng.randint(1, 2))))
        for _ in range(rng.randint(1, 3)):
            start = rng.randrange(len(octets) + 1)
            stop = start + rng.randint(0, 3)
            octets[start:stop] = rng.choice(
                [b"", bytes(octets[start:stop]) * 2, rng.randbytes(2), b"\r\n", b"{3}\r\n", b"*", b'"']
            )
        replies.append(bytes(octets))
    return replies


@pytest.mark.slow
@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize("cut", CUTS)
def test_the_fast_path_gives_what_the_slow_path_gives(cut: int) -> None:
    samples = quirks()
    assert len(samples) > 100
    for reply in [*samples, b"".join(samples[30:]), b"\r\n".join(samples[30:])]:
        assert outcome(Canned, reply + DONE, cut) == outcome(Watched, reply + DONE, cut), reply


@pytest.mark.slow
@pytest.mark.usefixtures("implementation")
def test_the_fast_path_gives_what_the_slow_path_gives_on_mutations() -> None:
    for reply in mutations(2000):
        assert outcome(Canned, reply + DONE) == outcome(Watched, reply + DONE), reply


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize("cls", [Canned, Watched])
@pytest.mark.parametrize(
    ("reply", "stored"),
    [
        # An empty line after a literal is skipped where a parenthesis is open: one that stands in no string.
        (b'* 1 FETCH (X "))" Y {1}\r\na\r\n)\r\n', {"FETCH": [(b'1 (X "))" Y {1}', b"a"), b")"]}),
        (rb'* 1 FETCH (X "\"))" Y {1}' + b"\r\na\r\n)\r\n", {"FETCH": [(rb'1 (X "\"))" Y {1}', b"a"), b")"]}),
        (b'* LIST () "(" {1}\r\na\r\n', {"LIST": [(b'() "(" {1}', b"a"), b""]}),
        (b'* 1 FETCH (X (Y {1}\r\na) "(" Z {1}\r\nb\r\n)\r\n', {
            "FETCH": [(b"1 (X (Y {1}", b"a"), (b') "(" Z {1}', b"b"), b")"]
        }),
        (b"* 1 UIDFETCH (BODY[] {1}\r\na\r\n)\r\n", {"UIDFETCH": [(b"1 (BODY[] {1}", b"a"), b")"]}),
    ],
)  # fmt: skip
def test_parentheses_are_counted_outside_of_strings(cls: type[Canned], reply: bytes, stored: dict[str, Any]) -> None:
    for cut in CUTS:
        client = cls(reply + DONE, cut=cut)
        client.untagged_responses.clear()
        client.noop()
        del client.untagged_responses["READ-WRITE"]
        assert client.untagged_responses == stored


def test_the_fast_path_is_taken_unless_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[imaplib.IMAP4] = []

    def drain(self: imaplib.IMAP4, tag: bytes) -> Any:
        taken.append(self)
        return self._get_response()

    monkeypatch.setattr(imaplib.IMAP4, "_drain", drain)
    client = Canned(DONE)
    client.noop()
    assert taken == [client]
    Watched(DONE).noop()
    assert taken == [client]


class StandardLibrary(stdlib.IMAP4):
    """The standard library's class on the same octets, without a socket."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.octets = io.BytesIO(GREETING)
        self.capabilities = ()
        super().__init__()

    def open(self, *args: object) -> None:
        pass

    def _get_capabilities(self) -> None:
        self.capabilities = ("IMAP4REV1",)

    def send(self, data: bytes) -> None:  # type: ignore[override]  # the class sends nothing else
        self.octets = io.BytesIO(self.reply.replace(b"<tag>", data.split(b" ")[0]))

    def read(self, size: int) -> bytes:
        return self.octets.read(size)

    def readline(self) -> bytes:
        return self.octets.readline()

    def shutdown(self) -> None:
        pass


def test_what_the_standard_library_takes_comes_out_the_same(implementation: str) -> None:
    compared = 0
    for reply in quirks():
        reference = StandardLibrary(reply + DONE)
        reference.untagged_responses.clear()
        try:
            result = reference.noop()
        except (stdlib.IMAP4.error, OverflowError):
            continue  # the tests of quirks say which of these are taken now
        if re.match(rb"\* [A-Z]*[a-z]", reply):
            assert b"" in reference.untagged_responses["L"], "it takes a type in lower case by its first capital"
            continue
        if reply.startswith(b"* OK["):
            assert reference.untagged_responses["OK"] == [b""], "it leaves out what follows without a space"
            continue
        client = Canned(reply + DONE)
        client.untagged_responses.clear()
        assert client.noop() == result
        assert client.untagged_responses == reference.untagged_responses, reply
        compared += 1
    assert compared > 80


def test_a_thousand_literals(implementation: str) -> None:
    rng = random.Random(3501)
    bodies = [rng.randbytes(rng.randrange(200)) for _ in range(1000)]
    reply = b"".join(b"* %d FETCH (BODY[] {%d}\r\n%s)\r\n" % (i, len(body), body) for i, body in enumerate(bodies, 1))
    client = Canned(reply + DONE, cut=4096)
    client.state = "SELECTED"
    typ, data = client.fetch("1:*", "BODY[]")
    assert typ == "OK"
    assert data[0::2] == [(b"%d (BODY[] {%d}" % (i, len(body)), body) for i, body in enumerate(bodies, 1)]
    assert data[1::2] == [b")"] * 1000


def test_a_literal_larger_than_the_buffer(implementation: str) -> None:
    body = random.Random(9051).randbytes(3_000_000)
    for cls in (Canned, Watched):
        client = cls(b"* 1 FETCH (BODY[] {3000000}\r\n" + body + b" UID 7)\r\n" + DONE, cut=100_000)
        client.state = "SELECTED"
        assert client.fetch("1", "BODY[]") == ("OK", [(b"1 (BODY[] {3000000}", body), b" UID 7)"])


def test_tags_cannot_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    prefixes = {Canned().tagpre for _ in range(50)}
    assert len(prefixes) > 45
    assert all(re.fullmatch(rb"[A-P]{6}", prefix) for prefix in prefixes)
    client = Canned()
    tags = [client._new_tag() for _ in range(50)]
    assert [tag[6:] for tag in tags] == [b"%d" % number for number in range(50)]
    assert len({tag[:6] for tag in tags}) > 45


@pytest.mark.parametrize(("level", "fast"), [("INFO", True), ("DEBUG", False)])
def test_a_debug_level_that_nobody_reads_costs_nothing(level: str, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMAPClient sets `debug` to 5, and has a logger's debug() print it."""
    taken: list[imaplib.IMAP4] = []
    drain = imaplib.IMAP4._drain

    def counted(self: imaplib.IMAP4, tag: bytes) -> Any:
        taken.append(self)
        return drain(self, tag)

    monkeypatch.setattr(imaplib.IMAP4, "_drain", counted)
    logger = logging.LoggerAdapter(logging.Logger("peer", level), {})
    client = Canned(b"* 3 EXISTS\r\n" + DONE)
    client.debug = 5
    monkeypatch.setattr(client, "_mesg", logger.debug)
    assert client.noop()[0] == "OK"
    assert client.untagged_responses["EXISTS"] == [b"3"]
    assert bool(taken) == fast


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize("cls", [Canned, Watched])
def test_a_response_that_was_left_unfinished(cls: type[Canned]) -> None:
    """The next one, or the tagged one, is not a part of it."""
    client = cls(b"* 1 FETCH (BODY[] {1}\r\nx\r\n* 2 FETCH (BODY[] {1}\r\ny\r\n" + DONE)
    client.state = "SELECTED"
    unfinished = [(b"1 (BODY[] {1}", b"x"), b"", (b"2 (BODY[] {1}", b"y"), b""]
    assert client.fetch("1:2", "BODY[]") == ("OK", unfinished)
