"""The blocks of the site's pages run as they stand, against fastimap.testing, or a server that takes a token.

imap.example.org is this machine; what a page takes as given (a password, a certificate's file) is given here.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme

from fastimap import AsyncClient, Client
from fastimap.testing import IMAPServer
from tests.imaplib.scripted import Peer, Server
from tests.support import PROJECT

PAGES = ("index.md", "install.md", "providers.md", "connections.md", "testing.md", "throttles.md", "errors.md")
MESSAGE = b"From: Ann <ann@example.org>\r\nSubject: hello\r\n\r\nworld\r\n"
Here = Callable[..., None]


def blocks(page: str) -> list[str]:
    text = (PROJECT / "docs" / page).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(source: str, names: dict[str, Any]) -> None:
    result = eval(compile(source, "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.iscoroutine(result):
        asyncio.run(result)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """A function that has imap.example.org be a server on this machine, without TLS."""

    def move(port: int, **settings: Any) -> None:
        def client_of(cls: type[Any]) -> Any:
            def make(host: str, *rest: Any, **arguments: Any) -> Any:
                if host != "imap.example.org":
                    return cls(host, *rest, **arguments)
                assert arguments["user"] == "me"
                return cls("127.0.0.1", port, tls=False, **{**settings, **arguments})

            return make

        monkeypatch.setattr("fastimap.Client", client_of(Client))
        monkeypatch.setattr("fastimap.AsyncClient", client_of(AsyncClient))

    return move


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page(page: str, here: Here, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ExitStack() as stack:
        server = stack.enter_context(IMAPServer(users={"me": "secret"}))
        secured = stack.enter_context(IMAPServer(tls=context))
        here(server.port, mechanism="PLAIN")
        account = {"user": "me", "password": "secret", "tls": False, "mechanism": "PLAIN"}
        client = stack.enter_context(Client(server.host, server.port, **account))  # type: ignore[arg-type]
        client.create_mailbox("Archive")
        client.append("INBOX", MESSAGE)
        names: dict[str, Any] = {"__name__": "page", "password": "secret", "client": client}
        names |= {"certificate": certificate, "host": "localhost", "port": secured.port}
        exec("import fastimap", names)
        found = blocks(page)
        assert found
        for block in found:
            run(block, names)
            if "def test_" in block:
                with IMAPServer() as fresh:
                    names["test_the_inbox_is_empty_at_first"](fresh)
            opened = names.get("client")
            if opened is not client and opened is not None:
                opened.close()
                names["client"] = client
        assert all(message.octets == MESSAGE for message in server.messages("INBOX", user="me")), "nothing was changed"
    printed = capsys.readouterr().out
    expected = {"index.md": "hello", "throttles.md": f"1 {len(MESSAGE)}", "errors.md": "MailboxNotFound"}
    assert expected.get(page, "") in printed


class Tokens(BaseHTTPRequestHandler):
    """A token endpoint: what it was asked is in the server's `asked`."""

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append({key: value for key, (value,) in form.items()})  # type: ignore[attr-defined]
        answer = json.dumps({"access_token": "a-fresh-token", "expires_in": 3600, "token_type": "Bearer"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def endpoint() -> Iterator[Any]:
    with HTTPServer(("127.0.0.1", 0), Tokens) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def takes_the_token(peer: Peer) -> None:
    peer.greet(b"IMAP4rev1 SASL-IR AUTH=OAUTHBEARER")
    tag, _, initial = peer.line().partition(b" AUTHENTICATE OAUTHBEARER ")
    assert b64decode(initial).endswith(b"\1auth=Bearer a-fresh-token\1\1")
    peer.send(tag + b" OK [CAPABILITY IMAP4rev1] welcome\r\n")
    peer.answer(b'LIST "" *', b'* LIST () "/" INBOX')
    peer.log_out()


class Response:
    """What msal's http_client gives back."""

    def __init__(self, text: str) -> None:
        self.status_code, self.text, self.headers = 200, text, {"Content-Type": "application/json"}

    def raise_for_status(self) -> None:
        pass


class Network:
    """The endpoint as msal sees it, which insists on https and on a description of what it will talk to."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, url: str, **arguments: Any) -> Response:
        address = f"https://login.example/{'tenant'}"
        return Response(
            json.dumps(
                {
                    "issuer": address,
                    "authorization_endpoint": f"{address}/authorize",
                    "token_endpoint": f"{address}/token",
                    "tenant_discovery_endpoint": f"{address}/.well-known/openid-configuration",
                }
            )
        )

    def post(self, url: str, data: dict[str, str], **arguments: Any) -> Response:
        from urllib.parse import urlencode
        from urllib.request import urlopen

        assert url == "https://login.example/tenant/token"
        with urlopen(f"http://127.0.0.1:{self.port}/token", urlencode(data).encode()) as answer:
            return Response(answer.read().decode())

    def close(self) -> None:
        pass


@pytest.mark.parametrize("library", ["google.oauth2", "msal"])
def test_a_token_is_fetched_and_used(library: str, here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(library)
    (block,) = [text for text in blocks("oauth.md") if library in text]
    with endpoint() as tokens, Server(takes_the_token) as server:
        here(server.port, mechanism="OAUTHBEARER")
        port = tokens.server_port
        kept = {"refresh_token": "kept", "client_id": "id", "client_secret": "hidden"}
        names: dict[str, Any] = {
            "kept": {**kept, "token_uri": f"http://127.0.0.1:{port}/token"},
            "client_id": "id",
            "secret": "hidden",
            "authority": "https://login.example/tenant",
            "network": {"http_client": Network(port), "validate_authority": False, "instance_discovery": False},
        }
        run(block, names)
        (asked,) = tokens.asked
    assert asked["grant_type"] == ("refresh_token" if library == "google.oauth2" else "client_credentials")
    assert capsys.readouterr().out == "INBOX\n"
