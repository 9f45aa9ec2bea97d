"""The mechanisms against a real server, over TLS, with and without initial response (RFC 4959)."""

from __future__ import annotations

import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRWPair

import pytest

from fastimap.sasl import Credentials, External, Mechanism, MechanismError, ScramSHA256, choose
from tests.servers.dovecot import Dovecot

PASSWORD_MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]


@contextmanager
def connected(dovecot: Dovecot, *, certified: bool = False) -> Iterator[tuple[BufferedRWPair, set[str]]]:
    """A connection after its greeting, and the mechanisms on offer."""
    context = ssl.create_default_context(cafile=dovecot.ca_file)
    if certified:
        assert dovecot.client_certificate is not None
        context.load_cert_chain(dovecot.client_certificate)
    with (
        socket.create_connection((dovecot.host, dovecot.tls_port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
        secured.makefile("rwb") as stream,
    ):
        greeting = stream.readline().decode("ascii")
        capabilities = greeting.partition("[CAPABILITY ")[2].partition("]")[0].split()
        yield stream, {name.removeprefix("AUTH=") for name in capabilities if name.startswith("AUTH=")}


def authenticate(stream: BufferedRWPair, mechanism: Mechanism, *, initial_response: bool) -> bytes:
    """Have the exchange and return the condition of the tagged response."""
    initial = mechanism.start()
    command = b"A1 AUTHENTICATE " + mechanism.name.encode("ascii")
    if initial is not None and initial_response:
        command += b" " + (b64encode(initial) or b"=")
        initial = None
    stream.write(command + b"\r\n")
    stream.flush()
    while (line := stream.readline()).startswith(b"+ "):
        challenge = b64decode(line[2:], validate=False)
        if initial is not None:
            assert challenge == b""
            response, initial = initial, None
        else:
            response = mechanism.step(challenge)
        stream.write(b64encode(response) + b"\r\n")
        stream.flush()
    while not line.startswith(b"A1 "):
        line = stream.readline()
    return line.split()[1]


@pytest.mark.parametrize("initial_response", [True, False], ids=["SASL-IR", "no SASL-IR"])
@pytest.mark.parametrize("name", PASSWORD_MECHANISMS)
def test_password(dovecot: Dovecot, name: str, initial_response: bool) -> None:
    user = dovecot.new_user()
    with connected(dovecot) as (stream, offered):
        wrong = choose(offered, Credentials(user=user, password="wrong"), tls=True, mechanism=name)
        assert authenticate(stream, wrong, initial_response=initial_response) == b"NO"
        right = choose(offered, Credentials(user=user, password=dovecot.password), tls=True, mechanism=name)
        assert authenticate(stream, right, initial_response=initial_response) == b"OK"
        right.finish()


def test_the_strongest_is_chosen(dovecot: Dovecot) -> None:
    with connected(dovecot) as (stream, offered):
        mechanism = choose(offered, Credentials(user=dovecot.new_user(), password=dovecot.password), tls=True)
        assert isinstance(mechanism, ScramSHA256)
        assert authenticate(stream, mechanism, initial_response=True) == b"OK"
        mechanism.finish()


def test_a_refusal_in_scram_proves_nothing(dovecot: Dovecot) -> None:
    mechanism = ScramSHA256(dovecot.new_user(), "wrong")
    with connected(dovecot) as (stream, _):
        assert authenticate(stream, mechanism, initial_response=True) == b"NO"
    with pytest.raises(MechanismError, match="without having proven"):
        mechanism.finish()


@pytest.mark.parametrize("initial_response", [True, False], ids=["SASL-IR", "no SASL-IR"])
def test_external(dovecot: Dovecot, initial_response: bool) -> None:
    with connected(dovecot, certified=True) as (stream, offered):
        mechanism = choose(offered, Credentials(), tls=True)
        assert isinstance(mechanism, External)
        assert authenticate(stream, mechanism, initial_response=initial_response) == b"OK"


@pytest.mark.parametrize("initial_response", [True, False], ids=["SASL-IR", "no SASL-IR"])
def test_anonymous(dovecot: Dovecot, initial_response: bool) -> None:
    with connected(dovecot) as (stream, offered):
        mechanism = choose(offered, Credentials(user="sirhc"), tls=True, mechanism="ANONYMOUS")
        assert authenticate(stream, mechanism, initial_response=initial_response) == b"OK"
