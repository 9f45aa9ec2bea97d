"""Pulls by several connections: what holds for one holds for all of them; and what becomes of connections that fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client, Retry, archive
from fastimap.archive.compare import compare
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, instead_of_compare, message, stored
from tests.support.odd import odd


@pytest.mark.parametrize("connections", [1, 3])
def test_a_mailbox_that_is_made_anew_before_it_is_fetched(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connections: int
) -> None:
    mail.fill("a", 2, create=True)
    mail.fill("b", 1, create=True)
    archive.pull(mail.account, tmp_path)
    mail.fill("a", 3)
    mail.fill("b", 1)
    made_anew: list[bool] = []

    def late(client: Client, name: Any, *arguments: Any) -> Any:
        found = compare(client, name, *arguments)
        if name.name == "b" and not made_anew:  # a was compared
            made_anew.append(True)
            mail.client.rename_mailbox("a", "c")
            mail.fill("a", 7, create=True)
        return found

    before = mail.all()
    with monkeypatch.context() as patched:
        instead_of_compare(patched, late)
        report = archive.pull(mail.account, tmp_path, connections=connections)
    assert report.failed == {"a": "the mailbox was made anew meanwhile: the next run sees to it"}
    assert stored(tmp_path)["a"] == before["a"][:2]
    report = archive.pull(mail.account, tmp_path, connections=connections)
    assert (report.complete, report.mailboxes["c"].found, report.mailboxes["a"].written) == (True, 5, 7)
    there = [octets for messages in stored(tmp_path).values() for _, octets, *_ in messages]
    assert sorted(there) == sorted(octets for messages in mail.all().values() for _, octets, *_ in messages)
    assert archive.verify(tmp_path, mail.account, octets=True).good


def account_at(port: int) -> Account:
    return Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")


@pytest.mark.parametrize("connections", [1, 3])
def test_a_stop_is_heard_while_it_waits_for_the_server(tmp_path: Path, connections: int) -> None:
    slept: list[float] = []
    told: list[str | None] = []
    cut: list[bytes] = []

    def hears(line: bytes) -> bytes:
        if b"BODY" in line:
            cut.append(line)
            raise ConnectionResetError
        return line

    with IMAPServer(users={"me": "secret"}) as server, odd(server, hears=hears) as port:
        for number in range(350):
            server.append("INBOX", message(number))
        report = archive.pull(
            account_at(port),
            tmp_path,
            connections=connections,
            newest_first=False,  # all are one block, of which each connection has its part
            retry=Retry(first=2.0, longest=2.0, random=lambda: 1.0, sleep=slept.append),
            stopping=lambda: len(slept) == 2,
            progress=lambda now: told.append(now.waiting),
        )
    assert (report.stopped, report.failed) == ("asked to stop", {})
    assert slept == [0.5, 0.5]
    assert len(cut) == connections  # none has tried again
    assert "waiting 2 s for the server" in told


def test_known_mailboxes_are_not_looked_at_where_no_connection_comes_about_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would cost its attempts."""
    names = ["INBOX", "a", "b", "c", "d"]
    compared: list[str] = []
    examined: list[bytes] = []

    def noted(client: Client, name: Any, *arguments: Any) -> Any:
        compared.append(name.name)
        return compare(client, name, *arguments)

    def hears(line: bytes) -> bytes:
        if b" EXAMINE " in line and compared:
            examined.append(line)
            raise ConnectionResetError
        return line

    with IMAPServer(users={"me": "secret"}) as server:
        for turn in range(2):
            for name in names:
                if not turn and name != "INBOX":
                    server.create(name)
                server.append(name, message(len(name) + turn))
            if not turn:
                assert archive.pull(account_at(server.port), tmp_path).complete
        with odd(server, hears=hears) as port, monkeypatch.context() as patched:
            instead_of_compare(patched, noted)
            retry = Retry(attempts=2, first=0.0, longest=0.0, burst=1000)
            report = archive.pull(account_at(port), tmp_path, retry=retry, deleted="delete")
        assert list(report.failed) == names
        assert ["not looked at" in error for error in report.failed.values()] == [False, False, True, True, True]
        assert compared == names[:2]
        assert len(examined) <= 2 * 2
        assert (report.deleted, archive.pull(account_at(server.port), tmp_path).written) == (0, 5)
