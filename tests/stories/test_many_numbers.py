"""Somebody has the UIDs of 20,000 messages in a list, and uses it: no line is longer than servers take."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import UIDSet, errors
from fastimap.commands import Search
from fastimap.search import seen, uid, unseen
from tests.client.peers import DONE, converse, flags_row

SCATTERED = range(1, 40_000, 2)  # no two of them make a range
LONGEST = 8192


class Server:
    """Answers as one with all the messages; refuses lines that are longer than it takes."""

    def __init__(self, longest: int = LONGEST) -> None:
        self.longest = longest
        self.commands: list[bytes] = []
        self.refuses: Callable[[bytes], bytes | None] = lambda command: None

    def reply(self, command: bytes) -> bytes:
        self.commands.append(command)
        if len(command) + 14 > self.longest:
            return b"<tag> BAD Too long argument\r\n"
        if (refusal := self.refuses(command)) is not None:
            return b"<tag> " + refusal + b"\r\n"
        found = re.match(rb"UID (\w+) (?:RETURN \(.*?\) )?(?:\(?UID )?([0-9:,]+)", command)
        assert found, command[:60]
        verb, numbers = found.groups()
        uids = [*UIDSet.parse(numbers)]
        if verb == b"FETCH" or (verb == b"STORE" and b"SILENT" not in command):
            return b"".join(map(flags_row, uids)) + DONE
        if verb == b"COPY" or verb == b"MOVE":
            copies = UIDSet(number + 100_000 for number in uids)
            code = b"[COPYUID 7 %s %s] " % (numbers, str(copies).encode())
            if verb == b"MOVE":
                return b"* OK " + code + b"\r\n" + DONE
            return b"<tag> OK " + code + b"done\r\n"
        if verb == b"SEARCH":
            return b"* SEARCH " + b" ".join(b"%d" % number for number in uids) + b"\r\n" + DONE
        if verb == b"EXPUNGE":
            return b"* 1 EXPUNGE\r\n" * len(uids) + DONE
        return DONE


@pytest.fixture
def take(scripted: Callable[..., Any]) -> Callable[..., Any]:
    def start(server: Server, capabilities: bytes = b"IMAP4rev1 UIDPLUS MOVE") -> Any:
        client = scripted(converse(server.reply, capabilities))
        client.select("INBOX")
        return client

    return start


@pytest.mark.slow
def test_fetch(take: Callable[..., Any]) -> None:
    server = Server()
    rows = take(server).fetch(SCATTERED, "FLAGS")
    assert [row.uid for row in rows] == [*SCATTERED]
    assert not rows.missing


@pytest.mark.slow
def test_store_and_expunge(take: Callable[..., Any]) -> None:
    client = take(Server())
    assert [row.uid for row in client.store(SCATTERED, "\\Deleted").rows] == [*SCATTERED]
    assert len(client.expunge(SCATTERED)) == len(SCATTERED)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["copy", "move"])
def test_copy_and_move(take: Callable[..., Any], verb: str) -> None:
    result = getattr(take(Server()), verb)(SCATTERED, "Archive")
    assert result.source == UIDSet(SCATTERED)
    assert list(result.pairs()) == [(number, number + 100_000) for number in SCATTERED]


@pytest.mark.slow
def test_move_by_copy(take: Callable[..., Any]) -> None:
    result = take(Server(), b"IMAP4rev1 UIDPLUS").move(SCATTERED, "Archive")
    assert result.source == UIDSet(SCATTERED)


@pytest.mark.slow
def test_search(take: Callable[..., Any]) -> None:
    found = take(Server()).search(uid(SCATTERED), returns=("ALL", "COUNT", "MIN", "MAX"))
    assert (found.uids, found.count, found.min, found.max) == (UIDSet(SCATTERED), 20_000, 1, 39_999)


@pytest.mark.slow
def test_a_limit_is_learnt_and_kept(take: Callable[..., Any]) -> None:
    server = Server(longest=3000)
    client = take(server)
    assert len(client.fetch(SCATTERED, "FLAGS")) == len(SCATTERED)
    del server.commands[:]
    assert len(client.fetch(SCATTERED, "FLAGS")) == len(SCATTERED)
    assert max(map(len, server.commands)) <= 3000


def test_what_is_bad_in_itself_teaches_nothing(take: Callable[..., Any]) -> None:
    server = Server()
    server.refuses = lambda command: b"BAD what?" if b"X-NONE" in command else None
    client = take(server)
    limit = client.session.line_limit
    with pytest.raises(errors.CommandError, match="what"):
        client.store(SCATTERED, "X-NONE")
    assert client.session.line_limit == limit


@pytest.mark.slow
def test_what_was_done_before_a_refusal(take: Callable[..., Any]) -> None:
    server = Server()
    server.refuses = lambda command: b"NO [OVERQUOTA] full" if b"20001," in command or b",20001" in command else None
    with pytest.raises(errors.OverQuota) as caught:
        take(server).copy(SCATTERED, "Archive")
    done = caught.value.done
    assert done.source
    assert done.source.last < 20_001
    assert next(iter(done.pairs())) == (1, 100_001)
    assert not any(b"30001" in command for command in server.commands)  # nothing after the refusal


def test_a_move_whose_last_step_is_refused_tells_the_copies(take: Callable[..., Any]) -> None:
    server = Server()
    server.refuses = lambda command: b"NO [NOPERM] keep them" if b"EXPUNGE" in command else None
    with pytest.raises(errors.NoPermission) as caught:
        take(server, b"IMAP4rev1 UIDPLUS").move([1, 3], "Archive")
    assert [*caught.value.done.pairs()] == [(1, 100_001), (3, 100_003)]


def test_keys_of_any_shape() -> None:
    for key in (uid(SCATTERED) & unseen, ~uid(SCATTERED), uid(SCATTERED) | seen, ~(uid(SCATTERED) & unseen)):
        pieces = Search(key).pieces(LONGEST)
        assert len(pieces) > 5
        assert not any(piece.pieces(LONGEST) for piece in pieces)
