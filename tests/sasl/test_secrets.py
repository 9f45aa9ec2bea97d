"""Secrets do not get into representations, nor into the tracebacks of a server's misconduct."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from fastimap.sasl import (
    CramMD5,
    Credentials,
    Login,
    Mechanism,
    MechanismError,
    OAuthBearer,
    Plain,
    ScramSHA1,
    ScramSHA256Plus,
    XOAuth2,
)

SECRET = "tanstaaftanstaaf"

MECHANISMS = [
    Plain("tim", SECRET),
    Login("tim", SECRET),
    CramMD5("tim", SECRET),
    ScramSHA1("tim", SECRET),
    ScramSHA256Plus("tim", SECRET, channel_binding=("tls-unique", SECRET.encode())),
    OAuthBearer("tim", SECRET),
    XOAuth2("tim", SECRET),
]


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda mechanism: mechanism.name)
def test_representations(mechanism: Mechanism) -> None:
    assert repr(mechanism) == str(mechanism) == f"<{mechanism.name} user='tim'>"


def test_credentials() -> None:
    text = repr(Credentials(user="tim", password=SECRET, token=SECRET))
    assert "tim" in text
    assert SECRET not in text


def traceback_with_locals(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda mechanism: mechanism.name)
def test_tracebacks_with_local_variables(mechanism: Mechanism) -> None:
    def misbehave() -> None:
        mechanism.start()
        for _ in range(3):
            mechanism.step(b"\xff")

    with pytest.raises(MechanismError) as caught:
        misbehave()
    assert SECRET not in traceback_with_locals(caught.value)


def test_keys_are_not_in_the_traceback_of_a_wrong_signature() -> None:
    """RFC 5802, section 3: the keys of section 5's example, computed by OpenSSL's command line."""
    mechanism = ScramSHA1("user", "pencil", nonce="fyko+d2lbbFgONRv9qkxdawL")
    mechanism.start()
    mechanism.step(b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")
    with pytest.raises(MechanismError) as caught:
        mechanism.step(b"v=AAAA")
    text = traceback_with_locals(caught.value)
    for key in (
        "1d96ee3a529b5a5f9e47c01f229a2cb8a6e15f7d",  # SaltedPassword
        "e234c47bf6c36696dd6d852b99aaa2ba26555728",  # ClientKey
        "0fe09258b3ac852ba502cc62ba903eaacdbf7d31",  # ServerKey
    ):
        assert repr(bytes.fromhex(key)) not in text


@pytest.mark.parametrize("provider", [lambda: f"{SECRET}\n", lambda: SECRET.encode()])
def test_a_token_that_cannot_be_sent_is_not_in_the_traceback(provider: Any) -> None:
    mechanism = OAuthBearer("tim", provider)
    with pytest.raises(MechanismError) as caught:
        mechanism.start()
    assert SECRET not in traceback_with_locals(caught.value)
