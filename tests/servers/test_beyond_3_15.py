"""What no stdlib to compare with has, and what needs two sessions: IDLE, the keywords of 3.16, on a real server."""

from __future__ import annotations

import importlib
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from fastimap import imaplib
from tests.servers.connections import plain, tls
from tests.servers.dovecot import Dovecot
from tests.support import IMPLEMENTATIONS, READERS

MESSAGES = [
    b"From: anna@example.org\r\nSubject: Gr\xc3\xbc\xc3\x9fe aus Z\xc3\xbcrich\r\n\r\none\r\n",
    b"From: bert@example.org\r\nSubject: trip report\r\n\r\ntwo\r\n",
    b"From: anna@example.org\r\nSubject: what? a (question)\r\n\r\nthree\r\n",
]


@pytest.fixture(params=IMPLEMENTATIONS, autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with each implementation of the parser."""
    monkeypatch.setattr(imaplib, "ResponseReader", importlib.import_module(READERS[request.param]).ResponseReader)


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    """Somebody without mail."""
    return dovecot.new_user()


@pytest.fixture
def client(dovecot: Dovecot, user: str) -> Iterator[imaplib.IMAP4]:
    """A session with three messages in INBOX, selected."""
    with plain(imaplib, dovecot, user) as session:
        for message in MESSAGES:
            assert session.append("INBOX", None, None, message)[0] == "OK"
        session.select("INBOX")
        yield session


def uids(result: tuple[str, list[bytes]]) -> list[int]:
    assert result[0] == "OK"
    return [int(uid) for uid in result[1][0].split()]


def test_idle_hears_of_another_session(dovecot: Dovecot, user: str, client: imaplib.IMAP4) -> None:
    with tls(imaplib, dovecot, user) as other:
        # Dovecot tells of new mail half a second late, so the other session can't be too early.
        sender = threading.Timer(0.2, other.append, ("INBOX", None, None, MESSAGES[0]))
        with client.idle(duration=20) as idler:
            sender.start()
            assert next(idler) == ("EXISTS", [b"4"])
            assert [typ for typ, _ in idler.burst(interval=1)] == ["RECENT"]
        sender.join()
    assert client.state == "SELECTED"
    assert client.noop()[0] == "OK"


def test_idle_ends_after_its_duration(client: imaplib.IMAP4) -> None:
    with client.idle(duration=0.3) as idler:
        assert [typ for typ, _ in idler if typ not in ("OK", "RECENT")] == []
    assert uids(client.search(None, "ALL")) == [1, 2, 3]


def test_uid_keyword(client: imaplib.IMAP4) -> None:
    client.create("Archive")
    assert client.move([1], "Archive", uid=True)[0] == "OK"
    assert client.response("EXPUNGE") == ("EXPUNGE", [b"1"])
    assert uids(client.search(None, "ALL", uid=True)) == [2, 3]
    assert client.copy([(2, 3)], "Archive", uid=True)[0] == "OK"
    typ, data = client.store([2, 3], "+FLAGS", [r"\Deleted", "done"], uid=True)
    assert typ == "OK"
    assert data == [b"1 (UID 2 FLAGS (\\Deleted \\Recent done))", b"2 (UID 3 FLAGS (\\Deleted \\Recent done))"]
    assert client.expunge([3], uid=True) == ("OK", [b"2"])
    assert client.fetch("1:*", ["UID", "FLAGS"], uid=True) == ("OK", [b"1 (UID 2 FLAGS (\\Deleted \\Recent done))"])
    assert uids(client.sort(["REVERSE", "DATE"], "UTF-8", "ALL", uid=True)) == [2]
    assert client.thread("REFERENCES", "UTF-8", "ALL", uid=True) == ("OK", [b"(2)"])
    assert client.status("Archive", ["MESSAGES"]) == ("OK", [b"Archive (MESSAGES 3)"])
    assert client.uid("MOVE", "2", "Archive")[0] == "OK"
    assert uids(client.search(None, "ALL")) == []


def test_params_are_data(client: imaplib.IMAP4) -> None:
    assert uids(client.search(None, "FROM ? SUBJECT ?", params=["bert@example.org", "trip report"])) == [2]
    assert uids(client.search(None, "SUBJECT ?", params=["what? a (question)"])) == [3]
    assert uids(client.search(None, "SUBJECT ?", params=['") ALL (OR "'])) == []
    typ, data = client.fetch("2", "BODY.PEEK[HEADER.FIELDS ?]", params=[["SUBJECT"]])
    assert typ == "OK"
    assert data[0][1] == b"Subject: trip report\r\n\r\n"


def test_text_in_a_charset(client: imaplib.IMAP4) -> None:
    assert uids(client.search("UTF-8", "SUBJECT", '"Zürich"')) == [1]
    assert uids(client.search("ISO-8859-1", "SUBJECT", '"Zürich"')) == [1]
    assert uids(client.sort("SUBJECT", "UTF-8", "TEXT", '"Grüße"')) == [1]


def test_mailbox_names_as_text(client: imaplib.IMAP4) -> None:
    for name in ("Entwürfe", "台北/日本語", "A&B", "two words"):
        assert client.create(name)[0] == "OK"
        assert client.append(name, None, None, MESSAGES[0])[0] == "OK"
        assert client.select(name) == ("OK", [b"1"])
    assert client.list("", "Entw*") == ("OK", [rb'(\HasNoChildren) "/" Entw&APw-rfe'])
    assert client.select("Entw&APw-rfe") == ("OK", [b"1"])


def test_append_as_it_is_with_date_and_flags(client: imaplib.IMAP4) -> None:
    moment = datetime(2024, 1, 25, 10, 20, 30, tzinfo=UTC)
    typ, data = client.append("INBOX", [r"\Seen", "kept"], moment, MESSAGES[1], translate_line_endings=False)
    assert (typ, b"[APPENDUID" in data[0]) == ("OK", True)
    typ, data = client.fetch("4", "(INTERNALDATE FLAGS BODY.PEEK[])")
    assert typ == "OK"
    assert data[0][1] == MESSAGES[1]
    kept = imaplib.Internaldate2tuple(data[0][0])
    assert kept is not None
    assert time.mktime(kept) == moment.timestamp()
    assert set(imaplib.ParseFlags(data[0][0])) == {rb"\Seen", b"kept", rb"\Recent"}


def test_id(client: imaplib.IMAP4) -> None:
    assert client.id({"name": "fastimap", "os": None}) == ("OK", [b'("name" "Dovecot")'])
    assert client.id() == ("OK", [b'("name" "Dovecot")'])


def test_certfile_and_ssl(dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        imaplib, "_create_default_ssl_context", lambda: ssl.create_default_context(cafile=dovecot.ca_file)
    )
    certificate = str(dovecot.directory / "certificate.pem")
    with pytest.warns(DeprecationWarning, match="keyfile and certfile are deprecated"):
        client = imaplib.IMAP4_SSL("localhost", dovecot.tls_port, certificate, certificate)
    with client:
        assert client.login(user, dovecot.password)[0] == "OK"
        assert client.ssl() is client.sock
        assert client.ssl().version() in ("TLSv1.2", "TLSv1.3")
