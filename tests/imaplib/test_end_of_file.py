"""A server that hangs up, after each octet of a session: a typed error, and never part of a response as all of it."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.conftest import Serve
from tests.imaplib.scripted import Peer

MESSAGE = b"Subject: x\r\n\r\n* 2 EXISTS\r\n"
SESSION: list[tuple[bytes, bytes]] = [
    (b"", b"* OK [CAPABILITY IMAP4rev1] ready\r\n"),
    (b'LOGIN user "secret"', b"TAG OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"),
    (b"SELECT INBOX", b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nTAG OK [READ-WRITE] done\r\n"),
    (b"SEARCH ALL", b"* SEARCH 1 2\r\nTAG OK done\r\n"),
    (
        b"FETCH 1:2 (BODY[] ENVELOPE)",
        b"* 1 FETCH (BODY[] {%d}\r\n%s ENVELOPE (NIL {2}\r\nab))\r\n* 2 FETCH (BODY[] NIL)\r\nTAG OK done\r\n"
        % (len(MESSAGE), MESSAGE),
    ),
    (b"LOGOUT", b"* BYE see you\r\n"),
]
TAG_SIZE = 7
FETCHED = [
    (b"1 (BODY[] {%d}" % len(MESSAGE), MESSAGE),
    (b" ENVELOPE (NIL {2}", b"ab"),
    b"))",
    b"2 (BODY[] NIL)",
]
RESULTS: list[Any] = [
    ("OK", [b"[CAPABILITY IMAP4rev1 IDLE] in"]),
    ("OK", [b"2"]),
    ("OK", [b"1 2"]),
    ("OK", FETCHED),
    ("BYE", [b"see you"]),
]
SIZE = sum(len(reply) + (TAG_SIZE - len(b"TAG")) * reply.count(b"TAG") for _, reply in SESSION)


class Limited:
    """Plays the session up to its octet `budget`."""

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def __call__(self, peer: Peer) -> None:
        for command, reply in SESSION:
            octets = reply.replace(b"TAG", peer.expect(command)) if command else reply
            peer.send(octets[: self.budget])
            self.budget -= len(octets)
            if self.budget < 0:
                return
        peer.expect_end()


class Watched(imaplib.IMAP4):
    def read(self, size: int) -> bytes:
        return super().read(size)


def play(client: imaplib.IMAP4, results: list[Any]) -> None:
    results.append(client.login("user", "secret"))
    results.append(client.select())
    results.append(client.search(None, "ALL"))
    results.append(client.fetch("1:2", "BODY[] ENVELOPE"))
    results.append(client.logout())


@pytest.fixture(autouse=True)
def short_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags of TAG_SIZE octets."""
    monkeypatch.setattr(imaplib, "tag_prefixes", lambda: [b"BAAAAA"] * 64)


@pytest.mark.parametrize("cls", [imaplib.IMAP4, Watched])
def test_the_whole_session(serve: Serve, cls: type[imaplib.IMAP4], implementation: str) -> None:
    results: list[Any] = []
    play(cls("127.0.0.1", serve(Limited(SIZE)).port), results)
    assert results == RESULTS


@pytest.mark.slow
@pytest.mark.parametrize("cls", [imaplib.IMAP4, Watched])
def test_every_octet(serve: Serve, cls: type[imaplib.IMAP4], implementation: str) -> None:
    for budget in range(SIZE):
        results: list[Any] = []
        client = None
        with pytest.raises(imaplib.IMAP4.abort, match=r"EOF|unterminated line"):  # noqa: PT012 - the loop is the test
            client = cls("127.0.0.1", serve(Limited(budget)).port)
            play(client, results)
        assert results == RESULTS[: len(results)]
        if client is not None:
            assert client.sock.fileno() == -1
            assert client.state == "LOGOUT"
            fetched = client.untagged_responses.get("FETCH", [])
            assert fetched in ([], FETCHED[:3], FETCHED)
