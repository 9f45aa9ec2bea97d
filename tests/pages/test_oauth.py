"""The blocks of docs/oauth.md: a token is fetched from an endpoint on this machine, and a server takes it."""

from __future__ import annotations

import functools
import json
import re
import ssl
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.imaplib.scripted import Peer, Server
from tests.pages.blocks import Block, blocks
from tests.pages.conftest import HOST, Stage
from tests.support.tokens import TOKEN, Endpoint, endpoint


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

    def __init__(self, url: str) -> None:
        self.url = url

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
        with urlopen(self.url, urlencode(data).encode()) as answer:
            return Response(answer.read().decode())

    def close(self) -> None:
        pass


TENANT = "https://login.example/tenant"
CLIENT = {"client_id": "id", "client_secret": "hidden", "auth_uri": "https://accounts.example/"}


def here(block: Block) -> Block:
    """The block, for the server of this test."""
    source = re.sub(r'"(imap\.gmail\.com|outlook\.office365\.com)", user="[^"]*"', f'"{HOST}", user="me"', block.source)
    assert source != block.source
    return block._replace(source=source.replace("https://login.microsoftonline.com/the tenant's identifier", TENANT))


def google(stage: Stage, consent: Block, program: Block, tokens: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner consents in a browser, which is not here, once."""
    from google.oauth2.credentials import Credentials
    from google_auth_oauthlib.flow import InstalledAppFlow

    def run_local_server(flow: Any) -> Any:
        config = flow.client_config
        assert flow.oauth2session.scope == ["https://mail.google.com/"]
        return Credentials(
            "for the first hour",
            refresh_token="kept",
            token_uri=config["token_uri"],
            client_id=config["client_id"],
            client_secret=config["client_secret"],
            expiry=datetime(2020, 1, 1),  # as google-auth has it: UTC, without a zone
        )

    monkeypatch.setattr(InstalledAppFlow, "run_local_server", run_local_server)
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", tokens.url)
    client = {"installed": {**CLIENT, "token_uri": tokens.url, "redirect_uris": ["http://localhost"]}}
    (stage.directory / "client.json").write_text(json.dumps(client))
    stage.run(consent)
    assert (stage.directory / "token.json").stat().st_mode & 0o77 == 0
    assert stage.run(here(program)) == "INBOX\n"


def service(stage: Stage, tokens: Endpoint, program: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    import msal

    network = {"http_client": Network(tokens.url), "validate_authority": False, "instance_discovery": False}
    there = functools.partial(msal.ConfidentialClientApplication, **network)
    monkeypatch.setattr(msal, "ConfidentialClientApplication", there)
    assert stage.run(here(program)) == "INBOX\n"


def person(
    move: Callable[[int], Stage], port: int, program: Block, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice: the first time it asks in a browser, which is not here; the second time it need not."""
    import msal

    stage = move(port)
    network = {"http_client": Network(""), "validate_authority": False, "instance_discovery": False}
    asked: list[list[str]] = []

    class Application(msal.PublicClientApplication):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **given: Any) -> None:
            super().__init__(*arguments, **given, **network)

        def acquire_token_interactive(self, scopes: list[str], **given: Any) -> Any:
            asked.append(scopes)
            claims = {"iss": TENANT, "sub": "me", "aud": self.client_id, "exp": 2**33, "iat": 0}
            claims |= {"preferred_username": "me@example.org"}
            encoded = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
            answer = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer", "refresh_token": "kept"}
            answer |= {"id_token": f"e30.{encoded}.x", "client_info": INFO, "scope": " ".join(scopes)}
            event = {"client_id": self.client_id, "scope": scopes, "token_endpoint": f"{TENANT}/token"}
            self.token_cache.add({**event, "environment": "login.example", "response": answer})
            return answer

    monkeypatch.setattr(msal, "PublicClientApplication", Application)
    assert stage.run(here(program)) == "INBOX\n"
    with Server(takes_the_token, context) as again:
        move(again.port)
        assert stage.run(here(program)) == "INBOX\n"
    assert asked == [["https://outlook.office.com/IMAP.AccessAsUser.All"]]
    assert (stage.directory / "cache.json").stat().st_mode & 0o77 == 0


INFO = urlsafe_b64encode(json.dumps({"uid": "me", "utid": "tenant"}).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("who", ["google", "person", "service"])
def test_a_token_is_fetched_and_used(
    who: str, stage: Callable[[int], Stage], context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google_auth_oauthlib" if who == "google" else "msal")
    consent, program, interactive, alone = [block for block in blocks("oauth.md") if block.language == "python"]
    with endpoint() as tokens, Server(takes_the_token, context) as server:
        if who == "google":
            google(stage(server.port), consent, program, tokens, monkeypatch)
            assert [form["grant_type"] for form in tokens.asked] == ["refresh_token"]
        elif who == "service":
            service(stage(server.port), tokens, alone, monkeypatch)
            assert [form["grant_type"] for form in tokens.asked] == ["client_credentials"]
        else:
            person(stage, server.port, interactive, context, monkeypatch)
