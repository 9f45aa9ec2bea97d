"""README's examples run as they stand: imap.example.org is on this machine, with a certificate that is verified."""

from __future__ import annotations

import ast
import asyncio
import imaplib
import inspect
import re
import socket
import ssl
import sys
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastimap import Client
from fastimap.testing import IMAPServer
from tests.imaplib.scripted import Peer, Server
from tests.support import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
HOST = "imap.example.org"
TOKEN = "vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg=="  # RFC 7628, section 4.1
MESSAGE = b"From: Ann <ann@example.org>\r\nSubject: hello\r\n\r\nworld\r\n"


def block(part: str) -> str:
    """The one example that holds `part`."""
    (found,) = [text for text in BLOCKS if part in text]
    return found


@pytest.fixture
def certified(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server whose certificate is good for imap.example.org, as the system believes."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    return context


@pytest.fixture
def found_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that has port 993 of imap.example.org be another port, here."""
    look_up = socket.getaddrinfo

    def move(port: int) -> None:
        def getaddrinfo(host: Any, service: Any, *args: Any, **kwargs: Any) -> Any:
            if host == HOST:
                assert service == 993
                host, service = "127.0.0.1", port
            return look_up(host, service, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return move


def run(source: str, **names: Any) -> dict[str, Any]:
    """Run an example in which `names` are known, `await` at its top level too; what it has made known."""
    names = {"__name__": "example", **names}
    result = eval(compile(source, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.iscoroutine(result):

        async def main() -> None:
            await result

        asyncio.run(main())
    return names


def test_the_blocking_client(
    certified: ssl.SSLContext, found_at: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    archived: list[bytes] = []
    with IMAPServer(users={"me": "secret"}, tls=certified) as server:
        when = datetime(2026, 11, 2, tzinfo=UTC)
        server.append("INBOX", b"From: newsletter@example.org\r\n\r\n", internal_date=when)
        server.append("INBOX", MESSAGE, internal_date=when)
        server.append("INBOX", MESSAGE, internal_date=datetime(2026, 10, 30, tzinfo=UTC))
        found_at(server.port)
        run(block('fastimap.Client("imap'), password="secret", archive=archived.append)
        assert all("\\Seen" not in message.flags for message in server.messages("INBOX"))
    assert archived == [MESSAGE]
    assert capsys.readouterr().out == "2 hello\n"


def test_the_asyncio_client(
    certified: ssl.SSLContext, found_at: Callable[[int], None], serve: Callable[..., Server]
) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=OAUTHBEARER AUTH=PLAIN")
        tag, _, initial = peer.line().partition(b" AUTHENTICATE OAUTHBEARER ")
        assert b64decode(initial).startswith(b"n,a=me,\1host=imap.example.org\1port=993\1")
        assert b64decode(initial).endswith(f"\1auth=Bearer {TOKEN}\1\1".encode())
        peer.send(tag + b" OK [CAPABILITY IMAP4rev1] welcome\r\n")
        peer.select()
        envelope = b'(NIL "hello" NIL NIL NIL NIL NIL NIL NIL NIL)'
        peer.answer(b"UID SEARCH UID 1:*", b"* SEARCH 1")
        peer.answer(b"UID FETCH 1 (ENVELOPE)", b"* 1 FETCH (UID 1 ENVELOPE " + envelope + b")")
        peer.log_out()

    found_at(serve(script, certified).port)
    names = run("import fastimap\n" + block("fastimap.AsyncClient("), fresh_token=lambda: TOKEN)
    assert names["message"].envelope.subject == "hello"


def test_the_pipeline(server: IMAPServer) -> None:
    (source,) = re.findall(
        r"`(with client\.pipeline\(\).*?)`", (PROJECT / "docs" / "clients.md").read_text(encoding="utf-8")
    )
    server.append("INBOX", MESSAGE)
    with Client(server.host, server.port, tls=False, user="user", password="password", mechanism="PLAIN") as client:
        client.select("INBOX")
        (pending,) = run(source, client=client, uids=[1])["pending"]
    assert pending.result()[0].uid == 1


@pytest.mark.parametrize("source", [text for text in BLOCKS if HOST not in text])
def test_the_others(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imaplib", imaplib)  # which one of them exchanges
    run(source)
