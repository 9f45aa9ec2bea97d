"""SCRAM: the RFCs' exchanges, an independent implementation's, and servers that lie."""

from __future__ import annotations

import copy
import re
from base64 import b64encode
from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastimap.sasl import (
    MAX_ITERATIONS,
    MIN_ITERATIONS,
    Mechanism,
    MechanismError,
    ScramSHA1,
    ScramSHA1Plus,
    ScramSHA256,
    ScramSHA256Plus,
    ScramSHA512,
    ScramSHA512Plus,
)


class Exchange(NamedTuple):
    mechanism: Mechanism
    client_first: bytes
    server_first: bytes
    client_final: bytes
    server_final: bytes


SERVER_FIRST = b"r=cl13nt!nonceS3rv3r%nonce,s=jh/F0qCzlHdmVUQzIhEA/w==,i=5000"
NONCE = "cl13nt!nonce"

EXCHANGES = {
    "RFC 5802, section 5": Exchange(
        ScramSHA1("user", "pencil", nonce="fyko+d2lbbFgONRv9qkxdawL"),
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "RFC 7677, section 3": Exchange(
        ScramSHA256("user", "pencil", nonce="rOprNGfwEbeRWgbNEkqO"),
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
    # The rest is what scramp 1.5.0, client and server, said for these credentials, nonces and salt.
    "scramp: SHA-512": Exchange(
        ScramSHA512("user", "pencil", nonce=NONCE),
        b"n,,n=user,r=cl13nt!nonce",
        SERVER_FIRST,
        b"c=biws,r=cl13nt!nonceS3rv3r%nonce,p=p0dsQMispnW5+A5c/qN4NpCE4wchGa1w4td66nUsA3MhNh2HC+Bv4rleCzYj/9Hv"
        b"Wlw+wlhpko6UzYylcu52EA==",
        b"v=U/XZigBK+H5lygOzaZnXaQdxzyfwuNvuOTgvXNyl4s5117d2myMGm249lBwVvNJ5ldabuQakYLGLHjUuOyl2Qw==",
    ),
    "scramp: SHA-1-PLUS": Exchange(
        ScramSHA1Plus("user", "pencil", nonce=NONCE, channel_binding=("tls-server-end-point", bytes(range(32)))),
        b"p=tls-server-end-point,,n=user,r=cl13nt!nonce",
        SERVER_FIRST,
        b"c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,r=cl13nt!nonceS3rv3r%nonce,"
        b"p=xnBroHRjhnNczSXQl9s6QFYJJlc=",
        b"v=2096q8I3ojCCA0VVMh8MRoFwQRw=",
    ),
    "scramp: SHA-256-PLUS, a user with comma and equals sign, a password beyond ASCII": Exchange(
        ScramSHA256Plus("us,er=1", "péncil", nonce=NONCE, channel_binding=("tls-unique", b"\xff\0unique")),
        b"p=tls-unique,,n=us=2Cer=3D1,r=cl13nt!nonce",
        SERVER_FIRST,
        b"c=cD10bHMtdW5pcXVlLCz/AHVuaXF1ZQ==,r=cl13nt!nonceS3rv3r%nonce,p=45NeI7Nopwh8x6rtm+EU8SYgVcJjkDmVHqEQanpvfnw=",
        b"v=yfRA87973XfYrR8hR81FEaYEdi6tkGKqWhpVMbn9eoo=",
    ),
    "scramp: SHA-512-PLUS": Exchange(
        ScramSHA512Plus("user", "pencil", nonce=NONCE, channel_binding=("tls-unique", bytes(range(64)))),
        b"p=tls-unique,,n=user,r=cl13nt!nonce",
        SERVER_FIRST,
        b"c=cD10bHMtdW5pcXVlLCwAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/,"
        b"r=cl13nt!nonceS3rv3r%nonce,p=ccHF969VI4M2tSt8hJ+qs3QOupM2clc/HLvPt5j3LQBuJRkPnhb7IWtMqlZk+l7B1Js2Vy2NQ7QoNfhW"
        b"kb3hNA==",
        b"v=kO8+VFu8XWlrwhWyT1NuIlJ1YC6dk5RgvWSNT5dKsRqbnjZOey+ObFjCyl9xjaR9NTPZ6ke9md9qvwp7oX4swA==",
    ),
    "scramp: no -PLUS offered to a client that could, a password that SASLprep changes": Exchange(
        ScramSHA256("user", "I\u00adX \u2168\u00aa", nonce=NONCE, could_bind=True),
        b"y,,n=user,r=cl13nt!nonce",
        SERVER_FIRST,
        b"c=eSws,r=cl13nt!nonceS3rv3r%nonce,p=MwC/SrDccXefm2DO89e5IkxwFLTiWK4ayFRY6GBATz4=",
        b"v=ujufJDLYih3xfvMsZAO/mQ1g8VBHmeij818k2a3uZvw=",
    ),
}


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
def test_known_exchanges(exchange: Exchange) -> None:
    mechanism = exchange.mechanism
    for _ in range(2):  # one mechanism serves a reconnection too
        assert mechanism.start() == exchange.client_first
        assert mechanism.step(exchange.server_first) == exchange.client_final
        assert mechanism.step(exchange.server_final) == b""
        mechanism.finish()


SHA256 = EXCHANGES["RFC 7677, section 3"]


def started() -> Mechanism:
    mechanism = ScramSHA256("user", "pencil", nonce="rOprNGfwEbeRWgbNEkqO")
    mechanism.start()
    return mechanism


def final() -> Mechanism:
    """A mechanism that waits for the server's final message."""
    mechanism = started()
    mechanism.step(SHA256.server_first)
    return mechanism


def test_a_nonce_is_used_once() -> None:
    mechanism = ScramSHA256("user", "pencil")
    messages = {mechanism.start() for _ in range(10)}
    assert len(messages) == 10
    assert all(re.fullmatch(rb"n,,n=user,r=[!-+\--~]{24,}", message or b"") for message in messages)


def test_authzid() -> None:
    """RFC 5802, section 7: gs2-header = gs2-cbind-flag "," [ authzid ] ","."""
    mechanism = ScramSHA256("user", "pencil", nonce="abc", authzid="a=b,c")
    assert mechanism.start() == b"n,a=a=3Db=2Cc,n=user,r=abc"
    response = mechanism.step(b"r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert response.startswith(b"c=" + b64encode(b"n,a=a=3Db=2Cc,") + b",r=abcd,p=")


@pytest.mark.parametrize("extension", [b",x=anything=at all", ",Z=é".encode()])
def test_optional_extensions_are_ignored(extension: bytes) -> None:
    """RFC 5802, section 5.1: unknown optional attributes; they are part of the AuthMessage all the same."""
    mechanism = started()
    response = mechanism.step(SHA256.server_first + extension)
    assert response.startswith(b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=")
    assert response != SHA256.client_final
    mechanism = final()
    assert mechanism.step(SHA256.server_final + extension) == b""
    mechanism.finish()


SALT = b"s=W22ZaJ0SNY7soEsUEjb6gQ=="
R = b"r=rOprNGfwEbeRWgbNEkqO"


@pytest.mark.parametrize(
    ("server_first", "message"),
    [
        (b"r=rOprNGfwEbeRWgbNEkqPx," + SALT + b",i=4096", "nonce"),
        (R + b"," + SALT + b",i=4096", "nonce"),  # nothing of the server's own
        (b"r=x," + SALT + b",i=4096", "nonce"),
        (R + b"\x7f," + SALT + b",i=4096", "nonce"),
        (R + b" x," + SALT + b",i=4096", "nonce"),
        (R + "é,".encode() + SALT + b",i=4096", "nonce"),
        (R + b"x,s=!!!!,i=4096", "base64"),
        (R + b"x,s=W22Z=J0S,i=4096", "base64"),
        (R + b"x,s=W22,i=4096", "base64"),
        (R + "x,s=é,i=4096".encode(), "base64"),
        (R + b"x,s=,i=4096", "malformed"),
        (R + b"x," + SALT + b",i=1", "iterations"),
        (R + b"x," + SALT + b",i=4095", "iterations"),
        (R + b"x," + SALT + b",i=1000001", "iterations"),
        (R + b"x," + SALT + b",i=1000000000", "iterations"),
        (R + b"x," + SALT + b",i=" + b"9" * 10_000, "iterations"),
        (R + b"x," + SALT + b",i=-4096", "iterations"),
        (R + b"x," + SALT + b",i=+4096", "iterations"),
        (R + b"x," + SALT + b",i=04096", "iterations"),
        (R + b"x," + SALT + b",i=4_096", "iterations"),
        (R + b"x," + SALT + b",i=4096 ", "iterations"),
        (R + b"x," + SALT + ",i=٤٠٩٦".encode(), "iterations"),
        (R + b"x," + SALT, "out of place"),
        (R + b"x,i=4096," + SALT, "out of place"),
        (SALT + b",i=4096," + R + b"x", "out of place"),
        (R + b"x," + SALT + b",i=4096,v=AAAA", "out of place"),
        (R + b"x," + SALT + b",i=4096,i=5000", "malformed"),
        (R + b"x," + R + b"y," + SALT + b",i=4096", "malformed"),
        (R + b"x," + SALT + b",i=4096,x=1,x=2", "malformed"),
        (R + b"x," + SALT + b",i=4096,", "malformed"),
        (R + b"x," + SALT + b",i=4096,xx=1", "malformed"),
        (R + b"x," + SALT + b",i=4096,x", "malformed"),
        (R + b"x," + SALT + b",i=4096,x=\0", "malformed"),
        (b"", "malformed"),
        (b"m=must," + R + b"x," + SALT + b",i=4096", "extension"),
        (R + b"x," + SALT + b",i=4096,m=must", "extension"),
        (b"e=unknown-user", "refused: 'unknown-user'"),
        (R + b"x," + SALT + b",i=4096\xff", "UTF-8"),
    ],
)
def test_a_server_first_message_is_refused(server_first: bytes, message: str) -> None:
    mechanism = started()
    with pytest.raises(MechanismError, match=message):
        mechanism.step(server_first)
    with pytest.raises(MechanismError):  # there is no way on
        mechanism.step(SHA256.server_first)
    with pytest.raises(MechanismError):
        mechanism.finish()


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [MIN_ITERATIONS, MAX_ITERATIONS])
def test_bounds_of_the_iteration_count_are_inside(iterations: int) -> None:
    assert (MIN_ITERATIONS, MAX_ITERATIONS) == (4_096, 1_000_000)
    mechanism = ScramSHA1("user", "pencil", nonce="abc")
    mechanism.start()
    assert mechanism.step(b"r=abcd,s=QSXCR+Q6sek8bf92,i=%d" % iterations).startswith(b"c=biws,r=abcd,p=")


@pytest.mark.parametrize(
    ("server_final", "message"),
    [
        (b"v=" + b64encode(bytes(32)), "signature is wrong"),
        (SHA256.server_final[:-8] + b"Mg==", "signature is wrong"),
        (b"v=AA==", "signature is wrong"),
        (b"v=", "malformed"),
        (b"v=????", "base64"),
        ("v=é".encode(), "base64"),
        (b"", "malformed"),
        (b"x=1," + SHA256.server_final, "out of place"),
        (SHA256.server_final + b",v=AA==", "malformed"),
        (SHA256.server_final + b",m=x", "extension"),
        (SHA256.server_final + b",e=other-error", "refused"),
        (b"e=invalid-proof", "refused: 'invalid-proof'"),
        (SHA256.server_first, "out of place"),
        (SHA256.client_final, "out of place"),
    ],
)
def test_a_server_final_message_is_refused(server_final: bytes, message: str) -> None:
    mechanism = final()
    with pytest.raises(MechanismError, match=message):
        mechanism.step(server_final)
    with pytest.raises(MechanismError):  # a second try is not to be had
        mechanism.step(SHA256.server_final)
    with pytest.raises(MechanismError, match="without having proven"):
        mechanism.finish()


def test_ok_comes_too_early() -> None:
    mechanism = ScramSHA256("user", "pencil")
    for _ in range(2):
        with pytest.raises(MechanismError, match="without having proven"):
            mechanism.finish()
        mechanism.start()
    with pytest.raises(MechanismError, match="without having proven"):
        final().finish()


def test_a_proof_is_not_carried_over_to_the_next_exchange() -> None:
    mechanism = final()
    mechanism.step(SHA256.server_final)
    mechanism.finish()
    mechanism.start()
    with pytest.raises(MechanismError, match="without having proven"):
        mechanism.finish()


def test_challenges_out_of_turn() -> None:
    with pytest.raises(MechanismError, match="none may come"):
        ScramSHA256("user", "pencil").step(SHA256.server_first)
    mechanism = final()
    mechanism.step(SHA256.server_final)
    with pytest.raises(MechanismError, match="none may come"):
        mechanism.step(b"")


PARTS = st.sampled_from([R.decode() + "x", "r=x", SALT.decode(), "s=!", "i=4096", "i=1", "v=AAAA", "e=x", "m=x", "x=1"])
ODD_PARTS = st.builds("{}{}{}".format, st.sampled_from("rsivemxX\0é,"), st.sampled_from(["=", "", "=="]), st.text())
MESSAGES = st.lists(PARTS | ODD_PARTS, max_size=5).map(lambda parts: ",".join(parts).encode("utf-8", "surrogatepass"))
FINAL = final()


@given(MESSAGES | st.binary())
def test_odd_messages_raise_mechanism_errors_only(message: bytes) -> None:
    with suppress(MechanismError):  # a message may happen to be right
        response = started().step(message)
        assert message.startswith(R + b"x," + SALT + b",i=4096")
        assert response.startswith(b"c=biws," + R + b"x,p=")
    with pytest.raises(MechanismError):
        copy.copy(FINAL).step(message)


@pytest.mark.parametrize(
    "binding", [("tls-exporter", b""), ("tls-server-end-point-unique", b"x"), ("", b"x"), ("tls-unique,", b"x")]
)
def test_channel_binding_data_that_is_none(binding: tuple[str, bytes]) -> None:
    with pytest.raises(MechanismError, match="SCRAM-SHA-256-PLUS needs channel binding data"):
        ScramSHA256Plus("user", "pencil", channel_binding=binding)


@pytest.mark.parametrize("nonce", ["", "a,b", "a b", "é"])
def test_a_nonce_that_is_none(nonce: str) -> None:
    with pytest.raises(MechanismError, match="nonce"):
        ScramSHA256("user", "pencil", nonce=nonce)


def test_credentials_that_saslprep_refuses() -> None:
    for user, password in [("", "pencil"), ("user", ""), ("user\x07", "pencil"), ("user", "pen\ncil"), ("\ud800", "x")]:
        with pytest.raises(MechanismError, match="SASLprep"):
            ScramSHA256(user, password)


def test_user_and_password_are_prepared() -> None:
    """RFC 4013, section 3: U+2168 and U+00AA become "IX" and "a", the soft hyphen nothing."""
    plain, prepared = ScramSHA256("IXa", "IX", nonce="abc"), ScramSHA256("\u2168\xaa", "I\xadX", nonce="abc")
    assert plain.start() == prepared.start() == b"n,,n=IXa,r=abc"
    server_first = b"r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert plain.step(server_first) == prepared.step(server_first)
