"""Which mechanism is chosen, and that nothing weaker is chosen in silence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fastimap import sasl
from fastimap.sasl import Credentials, MechanismError, NotOffered, Plain, ScramSHA256, choose
from fastimap.sasl.choose import candidates

PASSWORD = Credentials(user="tim", password="tanstaaf")
TOKEN = Credentials(user="tim", token="t0ken")
BINDINGS = {"tls-unique": b"unique", "tls-exporter": b"exporter", "other": b"x"}

BY_STRENGTH = [
    "SCRAM-SHA-512-PLUS",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "CRAM-MD5",
    "PLAIN",
    "LOGIN",
]
OTHERS = ["EXTERNAL", "GSSAPI", "OAUTHBEARER", "XOAUTH2", "ANONYMOUS", "DIGEST-MD5", "NTLM"]


@pytest.mark.parametrize("strongest", range(len(BY_STRENGTH)))
def test_the_strongest_that_is_offered(strongest: int) -> None:
    offered = [*OTHERS, *reversed(BY_STRENGTH[strongest:])]
    assert choose(offered, PASSWORD, tls=True, channel_bindings=BINDINGS).name == BY_STRENGTH[strongest]


@pytest.mark.parametrize("credentials", [PASSWORD, TOKEN, Credentials()], ids=["password", "token", "neither"])
def test_the_strongest_come_first(credentials: Credentials) -> None:
    """They are tried in the order of the names; what a mechanism says of its strength agrees."""
    classes = [getattr(sasl, name) for name in sasl.__all__]
    kinds = {each.name: each for each in classes if hasattr(each, "strength")}
    strengths = [kinds[name].strength for name in candidates(credentials, None)]
    assert strengths == sorted(strengths, reverse=True)
    assert len(strengths) == len(set(strengths)) > 1


def test_no_other_mechanism_is_imported_than_the_one_that_is_used() -> None:
    program = (
        "import sys\n"
        "from fastimap.sasl import Credentials, choose\n"
        "offered = ['SCRAM-SHA-256-PLUS', 'PLAIN', 'LOGIN', 'XOAUTH2', 'GSSAPI']\n"
        "print(choose(offered, Credentials(user='tim', password='tanstaaf'), tls=True).name)\n"
        "print(*(name for name in sys.modules if name.startswith('fastimap.sasl.') and '._' not in name))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "PLAIN\nfastimap.sasl.choose fastimap.sasl.plain\n"


def test_names_are_case_insensitive() -> None:
    assert choose(["plain"], PASSWORD, tls=True).name == "PLAIN"
    assert choose(["PLAIN", "LOGIN"], PASSWORD, tls=True, mechanism="login").name == "LOGIN"


def test_without_channel_binding_data_no_plus() -> None:
    for bindings in ({}, {"tls-unique": b""}, {"other": b"x"}):
        mechanism = choose(BY_STRENGTH, PASSWORD, tls=True, channel_bindings=bindings)
        assert mechanism.name == "SCRAM-SHA-512"
        assert (mechanism.start() or b"").startswith(b"n,,")
    with pytest.raises(MechanismError, match="channel binding data"):
        choose(BY_STRENGTH, PASSWORD, tls=True, mechanism="SCRAM-SHA-256-PLUS")
    with pytest.raises(MechanismError, match="channel binding data"):
        choose(["SCRAM-SHA-256-PLUS"], PASSWORD, tls=True)


def test_gs2_flags() -> None:
    """RFC 5802, section 6: "p" binds; "y" where the server seems unable; "n" where the client chose not to."""

    def initial(offered: list[str], mechanism: str | None = None) -> bytes:
        return choose(offered, PASSWORD, tls=True, channel_bindings=BINDINGS, mechanism=mechanism).start() or b""

    assert initial(["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]).startswith(b"p=tls-exporter,,")
    assert initial(["SCRAM-SHA-256", "PLAIN"]).startswith(b"y,,")
    assert initial(["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], "SCRAM-SHA-256").startswith(b"n,,")
    assert initial(["SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"], "SCRAM-SHA-256").startswith(b"n,,")


def test_what_a_listener_could_read_needs_tls_or_a_wish() -> None:
    assert choose(["PLAIN", "LOGIN", "CRAM-MD5"], PASSWORD, tls=False).name == "CRAM-MD5"
    assert choose(["PLAIN", "SCRAM-SHA-1"], PASSWORD, tls=False).name == "SCRAM-SHA-1"
    for offered, credentials in [(["PLAIN", "LOGIN"], PASSWORD), (["OAUTHBEARER", "XOAUTH2"], TOKEN)]:
        with pytest.raises(MechanismError, match=f"without TLS.*offered: {', '.join(sorted(offered))}$"):
            choose(offered, credentials, tls=False)
        for name in offered:
            assert choose(offered, credentials, tls=False, mechanism=name).name == name


def test_tokens() -> None:
    assert choose([*BY_STRENGTH, *OTHERS], TOKEN, tls=True).name == "OAUTHBEARER"
    assert choose(["XOAUTH2", "PLAIN"], TOKEN, tls=True).start() == b"user=tim\1auth=Bearer t0ken\1\1"
    mechanism = choose(["OAUTHBEARER"], TOKEN, tls=True, host="mail.example", port=993)
    assert mechanism.start() == b"n,a=tim,\1host=mail.example\1port=993\1auth=Bearer t0ken\1\1"
    with pytest.raises(MechanismError, match="does not offer OAUTHBEARER or XOAUTH2; offered: PLAIN"):
        choose(["PLAIN"], TOKEN, tls=True)


def test_neither_password_nor_token() -> None:
    assert choose(["PLAIN", "EXTERNAL"], Credentials(), tls=True).start() == b""
    assert choose(["EXTERNAL", "GSSAPI"], Credentials(user="tim"), tls=True).start() == b"tim"
    assert choose(["EXTERNAL"], Credentials(user="tim", authzid="ursel"), tls=True).start() == b"ursel"
    with pytest.raises(MechanismError, match="offered: ANONYMOUS, PLAIN"):
        choose(["PLAIN", "ANONYMOUS"], Credentials(), tls=True)
    assert choose(["ANONYMOUS"], Credentials(user="tim"), tls=True, mechanism="ANONYMOUS").start() == b"tim"


def test_gssapi_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    with pytest.raises(MechanismError, match=r"fastimap\[gssapi\]"):
        choose(["GSSAPI"], Credentials(), tls=True, host="mail.example")


def test_an_authzid_is_never_dropped() -> None:
    credentials = Credentials(user="tim", password="x", authzid="ursel")
    assert choose(["PLAIN", "CRAM-MD5", "LOGIN"], credentials, tls=True).start() == b"ursel\0tim\0x"
    mechanism = choose(["SCRAM-SHA-1", "CRAM-MD5"], credentials, tls=True)
    assert (mechanism.start() or b"").startswith(b"n,a=ursel,n=tim,")
    mechanism = choose(["SCRAM-SHA-1-PLUS"], credentials, tls=True, channel_bindings=BINDINGS)
    assert (mechanism.start() or b"").startswith(b"p=tls-exporter,a=ursel,n=tim,")
    with pytest.raises(MechanismError, match="CRAM-MD5 and LOGIN cannot carry an authzid; offered: CRAM-MD5, LOGIN"):
        choose(["CRAM-MD5", "LOGIN"], credentials, tls=True)
    token = Credentials(user="tim", token="t", authzid="ursel")
    assert choose(["OAUTHBEARER"], token, tls=True).start() == b"n,a=ursel,\1auth=Bearer t\1\1"
    with pytest.raises(MechanismError, match="XOAUTH2 cannot carry an authzid"):
        choose(["XOAUTH2"], token, tls=True)


@pytest.mark.parametrize(
    ("credentials", "mechanism", "message"),
    [
        (PASSWORD, "SCRAM-SHA-256", "does not offer SCRAM-SHA-256; offered: LOGIN, PLAIN"),
        (PASSWORD, "DIGEST-MD5", "unknown SASL mechanism 'DIGEST-MD5'; known are SCRAM"),
        (PASSWORD, "XOAUTH2", "XOAUTH2 needs a token"),
        (TOKEN, "PLAIN", "PLAIN needs a password"),
        (Credentials(user="tim", password="x", token="t"), None, "not both"),
        (Credentials(password="x"), "PLAIN", "user must not be empty"),
    ],
)
def test_what_does_not_fit(credentials: Credentials, mechanism: str | None, message: str) -> None:
    with pytest.raises(MechanismError, match=message):
        choose(["PLAIN", "LOGIN"], credentials, tls=True, mechanism=mechanism)


def test_nothing_is_offered() -> None:
    for offered in ([], ["XOAUTH2", "DIGEST-MD5"]):
        with pytest.raises(NotOffered, match=f"offered: {', '.join(sorted(offered)) or 'none'}$"):
            choose(offered, PASSWORD, tls=True)


@pytest.mark.parametrize(
    ("offered", "credentials", "tls"),
    [
        (["SCRAM-SHA-256-PLUS"], PASSWORD, True),  # no channel binding data
        (["PLAIN"], PASSWORD, False),
        (["CRAM-MD5"], Credentials(user="tim", password="x", authzid="ursel"), True),
        (["SCRAM-SHA-256"], Credentials(user="tim", password="\U0001f511"), True),  # not in Unicode 3.2
    ],
)
def test_what_is_offered_and_unusable_is_no_leave_to_try_weaker(
    offered: list[str], credentials: Credentials, tls: bool
) -> None:
    with pytest.raises(MechanismError) as caught:
        choose(offered, credentials, tls=tls)
    assert not isinstance(caught.value, NotOffered)


def test_one_pass_over_the_offer_is_enough() -> None:
    assert isinstance(choose(iter(["PLAIN", "SCRAM-SHA-256"]), PASSWORD, tls=True), ScramSHA256)
    assert isinstance(choose((name for name in ["PLAIN"]), PASSWORD, tls=True), Plain)
