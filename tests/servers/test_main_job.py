"""The main job: real mail goes to a real server and comes back, every octet of it."""

import importlib
from collections.abc import Iterator

import pytest

from fastimap import imaplib
from tests.servers.connections import CONNECTIONS
from tests.servers.dovecot import Dovecot
from tests.support import IMPLEMENTATIONS, READERS

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(params=IMPLEMENTATIONS, autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with each implementation of the parser."""
    name: str = request.param
    monkeypatch.setattr(imaplib, "ResponseReader", importlib.import_module(READERS[name]).ResponseReader)
    return name


@pytest.fixture(params=CONNECTIONS)
def client(request: pytest.FixtureRequest, dovecot: Dovecot) -> Iterator[imaplib.IMAP4]:
    """A session of a new user, one for each kind of connection."""
    with CONNECTIONS[request.param](imaplib, dovecot, dovecot.new_user()) as client:
        yield client


def literals(data: list[object]) -> list[bytes]:
    """Return the literals of FETCH data that has one in each response, in the order of the responses."""
    return [item[1] for item in data if isinstance(item, tuple)]


def test_every_octet_comes_back(client: imaplib.IMAP4, real_messages: list[bytes]) -> None:
    for message in real_messages:
        typ, data = client.append("INBOX", r"(\Seen)", None, message, translate_line_endings=False)
        assert typ == "OK", data
    assert client.select("INBOX") == ("OK", [b"%d" % len(real_messages)])

    typ, data = client.fetch("1:*", "(BODY.PEEK[])")
    assert typ == "OK"
    assert literals(data) == real_messages

    typ, data = client.uid("FETCH", "1:*", "(RFC822.SIZE)")
    assert typ == "OK"
    assert data == [
        b"%d (UID %d RFC822.SIZE %d)" % (number, number, len(message))
        for number, message in enumerate(real_messages, start=1)
    ]

    typ, headers = client.fetch("1:*", "(BODY.PEEK[HEADER])")
    assert typ == "OK"
    typ, texts = client.fetch("1:*", "(BODY.PEEK[TEXT])")
    assert typ == "OK"
    joined = [header + text for header, text in zip(literals(headers), literals(texts), strict=True)]
    assert joined == real_messages


def test_thousands_in_one_command(client: imaplib.IMAP4, real_messages: list[bytes]) -> None:
    for message in real_messages:
        client.append("INBOX", None, None, message)
    client.select("INBOX")
    for _ in range(3):
        assert client.copy("1:*", "INBOX")[0] == "OK"
    typ, data = client.fetch("1:*", "(UID FLAGS BODY.PEEK[])")
    assert typ == "OK"
    assert literals(data) == real_messages * 8


def test_line_ends_become_crlf(client: imaplib.IMAP4, real_messages: list[bytes]) -> None:
    for message in real_messages[::10]:
        typ, data = client.append("INBOX", None, None, message.replace(b"\r\n", b"\n"))
        assert typ == "OK", data
    client.select("INBOX", readonly=True)
    typ, data = client.fetch("1:*", "(BODY.PEEK[])")
    assert typ == "OK"
    assert literals(data) == real_messages[::10]


def test_message_larger_than_any_buffer(client: imaplib.IMAP4, real_messages: list[bytes]) -> None:
    message = b"Subject: all of it, eight times\r\n\r\n" + b"".join(real_messages) * 8
    assert client.append("INBOX", None, None, message)[0] == "OK"
    client.select("INBOX")
    for _ in range(2):
        typ, data = client.fetch("1", "(FLAGS BODY.PEEK[])")
        assert typ == "OK"
        assert literals(data) == [message]


def test_messages_one_by_one(client: imaplib.IMAP4, real_messages: list[bytes]) -> None:
    chosen = real_messages[::10]
    for message in chosen:
        client.append("INBOX", None, None, message)
    client.select("INBOX")
    for number, message in enumerate(chosen, start=1):
        typ, data = client.fetch(str(number), "(RFC822)")
        assert typ == "OK"
        assert literals(data) == [message]
