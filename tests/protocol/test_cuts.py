"""What comes of a server's octets does not depend on where the network cuts them (found by fuzzing)."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any

import pytest

from fastimap import commands
from fastimap.commands import fetch
from fastimap.conversation import protocol
from fastimap.errors import Disconnected, ProtocolError
from tests.parser.conftest import twin
from tests.protocol.talk import Talk

__all__ = ["twin"]


@pytest.fixture(autouse=True)
def parsing_by(twin: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ResponseReader", twin.ResponseReader)
    monkeypatch.setattr(fetch, "split_rows", twin.split_rows)
    monkeypatch.setattr(fetch, "last_ascending", twin.last_ascending)


@pytest.fixture(params=["whole", "octet by octet"])
def cut(request: pytest.FixtureRequest) -> int:
    """The octets that arrive at once."""
    return 1_000_000 if request.param == "whole" else 1


def says(talk: Talk, octets: bytes, cut: int) -> None:
    for start in range(0, len(octets), cut):
        talk.feed(octets[start : start + cut])


def in_flight(command: Any) -> tuple[Talk, Any, bytes]:
    talk = Talk(selected=True)
    pending = talk.submit(command)
    talk.sent()
    return talk, pending, talk.tags[0]


def test_events_stand_in_the_servers_order(cut: int) -> None:
    talk, pending, tag = in_flight(commands.Fetch("1:9", "FLAGS"))
    # 7: asked for. 7 again: news. 3 has no UID, so that it is no answer. 8 has no flags.
    says(
        talk,
        b"* 7 FETCH (UID 7 FLAGS ())\r\n* 7 FETCH (UID 7 FLAGS (a))\r\n* 3 FETCH (FLAGS (b))\r\n"
        b"* 8 FETCH (UID 8 RFC822.SIZE 1)\r\n* 3 FETCH (FLAGS ())\r\n" + tag + b" OK done\r\n",
        cut,
    )
    assert [row.uid for row in pending.result()] == [7]
    assert [row.sequence_number for row in talk.events()] == [7, 3, 8, 3]


def test_rows_stand_in_the_servers_order(cut: int) -> None:
    talk, pending, tag = in_flight(commands.Fetch("1:9", "FLAGS", "RFC822.SIZE"))
    says(
        talk,
        b"* 7 FETCH (UID 7 RFC822.SIZE 1)\r\n* 5 FETCH (UID 5 FLAGS () RFC822.SIZE 1)\r\n"
        b"* 7 FETCH (UID 7 FLAGS ())\r\n* 6 FETCH (UID 6 FLAGS () RFC822.SIZE 1)\r\n" + tag + b" OK done\r\n",
        cut,
    )
    rows = pending.result()
    assert [(row.uid, row.size, row.defects) for row in rows] == [(5, 1, ()), (7, 1, ()), (6, 1, ())]
    assert [(row.sequence_number, row.flags) for row in talk.events()] == [(7, frozenset())]


def test_nothing_behind_its_answer_goes_to_a_commands_file(cut: int) -> None:
    file = io.BytesIO()
    talk, pending, tag = in_flight(commands.FetchInto("7", "BODY.PEEK[]", into=file))
    says(
        talk,
        b"* 7 FETCH (UID 7 BODY[] {5}\r\nhello)\r\n" + tag + b" OK done\r\n* 7 FETCH (UID 7 BODY[] {4}\r\nevil)\r\n",
        cut,
    )
    assert [row.streamed for row in pending.result()] == [{"BODY[]": 5}]
    assert file.getvalue() == b"hello"
    assert [row.body for row in talk.events()] == [b"evil"]


def test_nothing_behind_a_fatal_response_goes_to_a_commands_file(cut: int) -> None:
    file = io.BytesIO()
    talk, pending, _ = in_flight(commands.FetchInto("7", "BODY.PEEK[]", into=file))
    says(talk, b"A1 OK never sent\r\n* 7 FETCH (UID 7 BODY[] {4}\r\nevil)\r\n", cut)
    with pytest.raises(ProtocolError, match="not sent"):
        pending.result()
    assert file.getvalue() == b""


def test_a_literal_of_an_item_with_any_name_has_a_file(cut: int) -> None:
    file = io.BytesIO()
    asked: list[object] = []

    def into(*literal: object) -> io.BytesIO:
        asked.append(literal)
        return file

    talk, pending, tag = in_flight(commands.FetchInto("7", "BODY.PEEK[]", into=into))
    says(talk, b"* 7 FETCH (UID 7 BODY[\xe9] {5}\r\nhello BODY[] NIL)\r\n" + tag + b" OK done\r\n", cut)
    assert [row.uid for row in pending.result()] == [7]
    assert asked == [(7, "BODY[\udce9]", 5)]
    assert file.getvalue() == b"hello"


def test_nothing_is_taken_behind_the_last_word(cut: int) -> None:
    talk, pending, tag = in_flight(commands.Noop())
    says(talk, b"* BYE so long\r\n* 3 EXISTS\r\n" + tag + b" OK done\r\n* 4 EXISTS\r\n", cut)
    assert pending.result() is None
    assert [getattr(event, "count", "BYE") for event in talk.events()] == ["BYE", 3]
    assert isinstance(talk.protocol.error, Disconnected)
