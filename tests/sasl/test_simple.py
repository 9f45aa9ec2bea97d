"""PLAIN, LOGIN, CRAM-MD5, EXTERNAL and ANONYMOUS."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from fastimap.sasl import Anonymous, CramMD5, External, Login, Mechanism, MechanismError, Plain


def test_plain_examples_of_rfc_4616() -> None:
    """Section 4."""
    assert Plain("tim", "tanstaaftanstaaf").start() == b"\0tim\0tanstaaftanstaaf"
    assert Plain("Kurt", "xipj3plmq", authzid="Ursel").start() == b"Ursel\0Kurt\0xipj3plmq"


def test_plain_sends_utf_8() -> None:
    assert Plain("jürgen", "pässwörd").start() == b"\0j\xc3\xbcrgen\0p\xc3\xa4ssw\xc3\xb6rd"


@pytest.mark.parametrize("prompts", [(b"Username:", b"Password:"), (b"User Name\0", b"Password\0"), (b"", b"\xff")])
def test_login(prompts: tuple[bytes, bytes]) -> None:
    """The first pair is Dovecot's, the second Exchange's and of draft-murchison-sasl-login."""
    mechanism = Login("tim", "tanstaaf")
    for _ in range(2):
        assert mechanism.start() is None  # type: ignore[func-returns-value]
        assert mechanism.step(prompts[0]) == b"tim"
        assert mechanism.step(prompts[1]) == b"tanstaaf"
        with pytest.raises(MechanismError, match="none may come"):
            mechanism.step(prompts[1])


def test_cram_md5_example_of_rfc_2195() -> None:
    """Section 2."""
    mechanism = CramMD5("tim", "tanstaaftanstaaf")
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    for _ in range(2):
        assert mechanism.start() is None  # type: ignore[func-returns-value]
        assert mechanism.step(challenge) == b"tim b913a602c7eda7a495b4e6e7334d3890"
        with pytest.raises(MechanismError, match="none may come"):
            mechanism.step(challenge)


def test_cram_md5_without_challenge() -> None:
    mechanism = CramMD5("tim", "tanstaaftanstaaf")
    mechanism.start()
    with pytest.raises(MechanismError, match="empty"):
        mechanism.step(b"")


def test_cram_md5_where_md5_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise ValueError("disabled for FIPS")

    monkeypatch.setattr(hmac, "new", refuse)
    mechanism = CramMD5("tim", "tanstaaftanstaaf")
    mechanism.start()
    with pytest.raises(MechanismError, match="MD5") as caught:
        mechanism.step(b"<1@x>")
    assert caught.value.__context__ is None


def test_external() -> None:
    """RFC 4422, appendix A.3: the empty authzid, and one."""
    assert External().start() == b""
    assert External("fred@example.com").start() == b"fred@example.com"


def test_anonymous() -> None:
    """RFC 4505, section 3."""
    assert Anonymous("sirhc").start() == b"sirhc"
    assert Anonymous().start() == b""
    assert Anonymous("Jürgen at home").start() == "Jürgen at home".encode()
    for trace in ("x" * 256, "a\nb", "a\0b"):
        with pytest.raises(MechanismError, match="255"):
            Anonymous(trace)


@pytest.mark.parametrize("mechanism", [Plain("tim", "secret"), External(), Anonymous()], ids=repr)
def test_no_challenge_may_follow(mechanism: Mechanism) -> None:
    mechanism.start()
    with pytest.raises(MechanismError, match="none may come"):
        mechanism.step(b"")
    mechanism.finish()


@pytest.mark.parametrize("kind", [Plain, Login, CramMD5])
@pytest.mark.parametrize(
    ("user", "password"), [("", "x"), ("x", ""), ("a\0b", "x"), ("x", "a\0b"), ("\udc80", "x"), ("x", "\udc80")]
)
def test_credentials_that_cannot_be_sent(kind: Any, user: str, password: str) -> None:
    with pytest.raises(MechanismError, match=r"the (user|password) must") as caught:
        kind(user, password)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("authzid", ["a\0b", "\ud800"])
def test_authzids_that_cannot_be_sent(authzid: str) -> None:
    with pytest.raises(MechanismError, match="authzid"):
        Plain("tim", "secret", authzid=authzid)
    with pytest.raises(MechanismError, match="authzid"):
        External(authzid)
