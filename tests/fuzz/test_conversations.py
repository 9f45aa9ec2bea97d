"""The clients' invariants on what the fuzzer begins with, and on mutations of it: without the fuzzer and its build."""

from __future__ import annotations

import inspect
import random

import pytest

from fastimap import commands
from fastimap.commands.base import Command
from tests.support import IMPLEMENTATIONS
from tests.support.effort import effort

pytestmark = pytest.mark.skipif(IMPLEMENTATIONS == ["py"], reason="FASTIMAP_NO_EXTENSION: there is one twin only")

RUNS = effort(6_000)
TOKENS = [
    b"* ", b"+ ", b"T0 OK ", b"T1 NO ", b"T2 BAD ", b"* BYE ", b"\r\n", b"\n", b"\0", b" ", b"(", b")", b'"', b"\\",
    b"[", b"]", b"{3}\r\n", b"~{2}\r\n", b"{640}\r\n\x01\x0a", b"\x02", b"\x01\x05", b"NIL", b"*", b"1:*", b"0", b"7",
    b"4294967295", b"4294967296", b"9223372036854775808", b"UID 7", b"FLAGS (a)", b"BODY[] {4}\r\nabcd", b"[ALERT] ",
    b"[COPYUID 1 2:3 4:5] ", b"[UIDNEXT 0] ", b"[CAPABILITY IMAP4rev2] ", b"* 7 EXPUNGE\r\n", b"* 1 FETCH (",
]  # fmt: skip


def test_every_command_and_conversation_is_there() -> None:
    from .answers import ANSWERS
    from .conversations import CONVERSATIONS, ONE
    from .inputs import CLIENT_SMALL_LIMITS

    made = {type(make()) for make in ONE.values()}
    classes = {value for name in commands.__all__ if inspect.isclass(value := getattr(commands, name))}
    others = {Command, commands.FetchInto}
    others |= {commands.AddFlags, commands.RemoveFlags, commands.SetFlags}  # Store with its action
    assert made == {cls for cls in classes if issubclass(cls, Command)} - others
    assert list(ANSWERS) == list(CONVERSATIONS)
    assert len(CONVERSATIONS) < CLIENT_SMALL_LIMITS


def test_the_answers_are_taken() -> None:
    """The server's answers are what the commands wait for, so that the fuzzer begins where they are understood."""
    from fastimap import _parser_py as python

    from .answers import seeds
    from .conversations import planned, watched
    from .inputs import CLIENT_SMALL_LIMITS

    for data in seeds():
        plan = planned(data)
        alive, _, answers, *_ = watched(plan, python, len)
        if not data[0] & CLIENT_SMALL_LIMITS and plan.conversation not in ("append from a file", "logout"):
            assert alive, plan
            assert plan.conversation.startswith("compressed by") or "Disconnected" not in [a[0] for a in answers], plan


@pytest.mark.slow
def test_mutated_answers() -> None:
    from .conversations import check
    from .seeds import seeds

    rng = random.Random(20261126)
    inputs = seeds("client")
    for data in inputs:
        check(data)
    for _ in range(RUNS):
        check(_mutated(rng, inputs))


def _mutated(rng: random.Random, inputs: list[bytes]) -> bytes:
    octets = bytearray(rng.choice(inputs))
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(1, len(octets))
        match rng.randrange(6):
            case 0:
                octets[at:at] = bytes([rng.randrange(256)])
            case 1:
                del octets[at : at + rng.randint(1, 20)]
            case 2 | 3:
                octets[at:at] = rng.choice(TOKENS)
            case 4:
                octets[at:at] = octets[rng.randint(1, len(octets)) :][: rng.randint(1, 60)]
            case _:
                octets[at:at] = rng.choice(inputs)[1:]
    return bytes(octets)
