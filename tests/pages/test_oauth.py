"""The blocks of docs/oauth.md: a token is fetched from an endpoint on this machine, and a server takes it."""

from __future__ import annotations

import json
import ssl
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest

from tests.imaplib.scripted import Peer, Server
from tests.pages.blocks import blocks
from tests.pages.conftest import Stage
from tests.support.tokens import endpoint


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


@pytest.mark.parametrize("library", ["google.oauth2", "msal"])
def test_a_token_is_fetched_and_used(library: str, stage: Callable[[int], Stage], context: ssl.SSLContext) -> None:
    pytest.importorskip(library)
    (block,) = [block for block in blocks("oauth.md") if library in block.source]
    with endpoint() as tokens, Server(takes_the_token, context) as server:
        kept = {"refresh_token": "kept", "client_id": "id", "client_secret": "hidden", "token_uri": tokens.url}
        shown = stage(server.port)
        shown.names |= {
            "kept": kept,
            "client_id": "id",
            "secret": "hidden",
            "authority": "https://login.example/tenant",
            "network": {"http_client": Network(tokens.url), "validate_authority": False, "instance_discovery": False},
        }
        assert shown.run(block) == "INBOX\n"
        (asked,) = tokens.asked
    assert asked["grant_type"] == ("refresh_token" if library == "google.oauth2" else "client_credentials")
