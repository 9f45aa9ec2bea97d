"""OAUTHBEARER (RFC 7628) and XOAUTH2."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastimap.sasl import Mechanism, MechanismError, OAuthBearer, OAuthError, XOAuth2

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


def test_oauthbearer_example_of_rfc_7628() -> None:
    """Section 4.1: as IMAP carries it."""
    mechanism = OAuthBearer("user@example.com", TOKEN, host="server.example.com", port=143)
    assert mechanism.start() == b64decode(
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI"
        "HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )
    mechanism.finish()


def test_oauthbearer_failure_of_rfc_7628() -> None:
    """Section 4.3: the error challenge, and "AQ==" in answer to it."""
    challenge = b64decode(
        "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOiJ"
        "odHRwczovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0="
    )
    mechanism = OAuthBearer("user@example.com", TOKEN)
    mechanism.start()
    assert mechanism.error is None
    assert mechanism.step(challenge) == b64decode("AQ==")
    error = mechanism.error
    assert isinstance(error, OAuthError)
    assert error.status == "invalid_token"
    assert error.scope == "example_scope"
    assert error.openid_configuration == "https://example.com/.well-known/openid-configuration"
    with pytest.raises(OAuthError, match="invalid_token"):  # an OK would be a lie
        mechanism.finish()
    with pytest.raises(MechanismError, match="none may come"):
        mechanism.step(challenge)
    mechanism.start()
    assert mechanism.error is None
    mechanism.finish()


def test_xoauth2_example_of_google() -> None:
    """developers.google.com/gmail/imap/xoauth2-protocol: the initial response, an error challenge."""
    mechanism = XOAuth2("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")
    assert mechanism.start() == b64decode(
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )
    challenge = b64decode(
        "eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIG1hYyIsInNjb3BlIjoiaHR0cHM6Ly9tYWlsLmdvb2dsZS5jb20vIn0K"
    )
    assert mechanism.step(challenge) == b""
    error = mechanism.error
    assert isinstance(error, OAuthError)
    assert (error.status, error.scope, error.openid_configuration) == ("401", "https://mail.google.com/", None)


def test_oauthbearer_without_user_and_with_an_odd_one() -> None:
    """RFC 7628, section 3.1: the gs2-header of RFC 5801, whose authzid escapes "," and "="."""
    assert OAuthBearer("", "t").start() == b"n,,\1auth=Bearer t\1\1"
    assert OAuthBearer("a,b=c", "t").start() == b"n,a=a=2Cb=3Dc,\1auth=Bearer t\1\1"


@pytest.mark.parametrize("kind", [OAuthBearer, XOAuth2])
def test_a_token_provider_is_asked_at_each_start(kind: type[OAuthBearer] | type[XOAuth2]) -> None:
    tokens = iter(["one", "two"])
    mechanism = kind("user", lambda: next(tokens))
    assert b"auth=Bearer one\1\1" in mechanism.start()
    assert b"auth=Bearer two\1\1" in mechanism.start()


def test_the_error_of_a_token_provider_is_its_own() -> None:
    def refuse() -> str:
        raise ConnectionError("no network")

    with pytest.raises(ConnectionError):
        XOAuth2("user", refuse).start()


@pytest.mark.parametrize("token", ["", "a b", "a\1auth=Bearer b", "a\r\nb", "é", "a\n"])
def test_tokens_that_cannot_be_sent(token: str) -> None:
    for mechanism in (XOAuth2("user", token), OAuthBearer("user", token)):
        with pytest.raises(MechanismError, match="token") as caught:
            mechanism.start()
        assert caught.value.__context__ is None


@pytest.mark.parametrize("token", [None, b"token", 5, lambda: "token"])
def test_token_providers_that_return_no_str(token: Any) -> None:
    for mechanism in (XOAuth2("user", lambda: token), OAuthBearer("user", lambda: token)):
        with pytest.raises(MechanismError, match="token"):
            mechanism.start()


def test_users_hosts_and_ports_that_cannot_be_sent() -> None:
    for user in ("", "a\0b", "a\1b", "\ud800"):
        with pytest.raises(MechanismError, match="user"):
            XOAuth2(user, TOKEN)
    for user, host, port in [
        ("a\1b", "", 0),
        ("a\0b", "", 0),
        ("", "h\1", 0),
        ("", "h\0", 0),
        ("", "", -1),
        ("", "", 65536),
    ]:
        with pytest.raises(MechanismError):
            OAuthBearer(user, TOKEN, host=host, port=port)


@pytest.mark.parametrize(
    ("challenge", "status"),
    [
        (b'{"status":401}', "401"),
        (b'{"status":true}', None),
        (b'{"status":["a"]}', None),
        (b"[]", None),
        (b"", None),
        (b"{", None),
        (b'"invalid_token"', None),
        (b'{"status":"\xff"}', None),
        (b"[" * 100_000, None),
        (b'{"a":' * 100_000, None),
        (b'{"status":' + b"9" * 10_000 + b"}", None),
    ],
)
def test_odd_error_challenges_are_errors_all_the_same(challenge: bytes, status: str | None) -> None:
    for mechanism, answer in ((XOAuth2("user", TOKEN), b""), (OAuthBearer("user", TOKEN), b"\1")):
        mechanism.start()
        assert mechanism.step(challenge) == answer
        assert isinstance(mechanism.error, OAuthError)
        assert mechanism.error.status == status


@given(st.binary())
def test_any_challenge_is_an_error(challenge: bytes) -> None:
    mechanisms: list[Mechanism] = [XOAuth2("user", TOKEN), OAuthBearer("user", TOKEN)]
    for mechanism in mechanisms:
        mechanism.start()
        mechanism.step(challenge)
        with pytest.raises(OAuthError):
            mechanism.finish()
