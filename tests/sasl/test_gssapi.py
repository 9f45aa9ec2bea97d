"""GSSAPI (RFC 4752), with a stand-in for the package gssapi that keeps its names and a context of two rounds."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from fastimap.sasl import GSSAPI, Credentials, MechanismError, choose

MUTUAL = "mutual authentication"


class GSSError(Exception):
    pass


class SecurityContext:
    """Tokens b"token 1" and b"token 2", then nothing; what is wrapped stands between angle brackets."""

    flags_granted: tuple[str, ...] = (MUTUAL,)
    tokens: tuple[bytes | None, ...] = (b"token 1", b"token 2", None)

    def __init__(self, **arguments: Any) -> None:
        assert arguments == {
            "name": ("imap@mail.example", "hostbased service"),
            "mech": "Kerberos",
            "flags": [MUTUAL],
            "usage": "initiate",
        }
        self.heard: list[bytes | None] = []

    @property
    def complete(self) -> bool:
        return len(self.heard) == len(self.tokens)

    @property
    def actual_flags(self) -> tuple[str, ...]:
        return self.flags_granted

    def step(self, token: bytes | None) -> bytes | None:
        if token == b"bad":
            raise GSSError("the ticket has expired")
        self.heard.append(token)
        return self.tokens[len(self.heard) - 1]

    def wrap(self, message: bytes, encrypt: bool) -> SimpleNamespace:
        assert not encrypt
        return SimpleNamespace(message=b"<" + message + b">")

    def unwrap(self, message: bytes) -> SimpleNamespace:
        if not (message.startswith(b"<") and message.endswith(b">")):
            raise GSSError("the signature is wrong")
        return SimpleNamespace(message=message[1:-1])


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    stand_in = SimpleNamespace(
        SecurityContext=SecurityContext,
        Name=lambda name, kind: (name, kind),
        NameType=SimpleNamespace(hostbased_service="hostbased service"),
        MechType=SimpleNamespace(kerberos="Kerberos"),
        RequirementFlag=SimpleNamespace(mutual_authentication=MUTUAL),
        exceptions=SimpleNamespace(GSSError=GSSError),
    )
    monkeypatch.setitem(sys.modules, "gssapi", stand_in)
    return stand_in


def established(authzid: str = "") -> GSSAPI:
    mechanism = GSSAPI("mail.example", authzid=authzid)
    assert mechanism.start() == b"token 1"
    assert mechanism.step(b"server 1") == b"token 2"
    assert mechanism.step(b"server 2") == b""  # RFC 4752, section 3.1: complete, and without a token
    return mechanism


@pytest.mark.parametrize("authzid", ["", "jürgen"])
def test_exchange(authzid: str) -> None:
    """RFC 4752, section 3.1: the layers as bits, the buffer's size in three octets, then the authzid."""
    mechanism = established(authzid)
    assert mechanism.step(b"<\x07\0\x10\0>") == b"<\x01\0\0\0" + authzid.encode() + b">"
    mechanism.finish()
    with pytest.raises(MechanismError, match="none may come"):
        mechanism.step(b"")
    assert repr(mechanism) == f"<GSSAPI user={authzid!r}>"


@pytest.mark.parametrize("size", [b"\0\0\0", b"\0\x10\0", b"\xff\xff\xff"])  # the last is Dovecot's
def test_no_layer_but_none_is_offered(size: bytes) -> None:
    """The size of a buffer that no layer will fill is no reason to refuse (RFC 4752, section 3.1, wants zero)."""
    assert established().step(b"<\x01" + size + b">") == b"<\x01\0\0\0>"


@pytest.mark.parametrize(
    ("offer", "message"),
    [
        (b"<\x06\0\x10\0>", "insists on a security layer"),
        (b"<\0\0\0\0>", "insists on a security layer"),
        (b"<\x01\0\0>", "malformed"),
        (b"<\x01\0\0\0\0>", "malformed"),
        (b"<>", "malformed"),
        (b"\x01\0\0\0", "the signature is wrong"),
        (b"", "the signature is wrong"),
    ],
)
def test_offers_that_are_refused(offer: bytes, message: str) -> None:
    mechanism = established()
    with pytest.raises(MechanismError, match=message):
        mechanism.step(offer)
    with pytest.raises(MechanismError, match="none may come"):
        mechanism.step(b"<\x01\0\0\0>")
    with pytest.raises(MechanismError, match="before the exchange was complete"):
        mechanism.finish()


def test_ok_comes_too_early() -> None:
    with pytest.raises(MechanismError, match="before the exchange was complete"):
        established().finish()


def test_a_context_that_fails() -> None:
    mechanism = GSSAPI("mail.example")
    mechanism.start()
    with pytest.raises(MechanismError, match="the ticket has expired"):
        mechanism.step(b"bad")
    with pytest.raises(MechanismError, match="none may come"):
        mechanism.step(b"server 1")


def test_a_context_that_cannot_be_made(package: SimpleNamespace) -> None:
    def refuse(**arguments: Any) -> None:
        raise GSSError("no ticket")

    package.SecurityContext = refuse
    with pytest.raises(MechanismError, match="no ticket"):
        GSSAPI("mail.example").start()


def test_a_server_that_does_not_prove_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SecurityContext, "flags_granted", ())
    mechanism = GSSAPI("mail.example")
    mechanism.start()
    mechanism.step(b"server 1")
    with pytest.raises(MechanismError, match="has not proven who it is"):
        mechanism.step(b"server 2")


def test_challenges_out_of_turn() -> None:
    with pytest.raises(MechanismError, match="none may come"):
        GSSAPI("mail.example").step(b"")


def test_chosen_without_password_and_token() -> None:
    mechanism = choose(["GSSAPI", "PLAIN"], Credentials(user="tim"), tls=False, host="mail.example")
    assert isinstance(mechanism, GSSAPI)
    assert mechanism.user == "tim"
    assert mechanism.start() == b"token 1"


def test_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MechanismError, match="host name"):
        GSSAPI("")
    with pytest.raises(MechanismError, match="authzid"):
        GSSAPI("mail.example", authzid="a\0b")
    monkeypatch.setitem(sys.modules, "gssapi", None)
    with pytest.raises(MechanismError, match=r"pip install fastimap\[gssapi\]"):
        GSSAPI("mail.example")
