"""Somebody logs in by hand: the connection is then the one that the client's own login makes. With real servers."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap import errors, sasl
from tests.client.interfaces import Interface
from tests.servers.server import Server

ASKED_FOR = {"tls": False, "compress": True, "client_id": {"name": "archiver"}}


@pytest.fixture(params=["dovecot", "cyrus_3_6", "cyrus_3_10"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("by", ["login", "authenticate"])
def test_it_ends_where_the_clients_own_login_does(server: Server, interface: Interface, by: str) -> None:
    user = server.new_user()
    own = interface(server.host, server.port, user=user, password=server.password, mechanism="PLAIN", **ASKED_FOR)
    own.connect()
    hand = interface(server.host, server.port, **ASKED_FOR)
    if by == "login":
        hand.login(user, server.password, insecure=True)
    else:
        hand.authenticate(sasl.Plain(user, server.password))
    assert hand.session.compressed == own.session.compressed
    assert hand.session.compressed == ("COMPRESS=DEFLATE" in hand.capabilities)
    assert hand.capabilities == own.capabilities
    assert hand.session.has("UIDPLUS")
    assert hand.session.enabled == own.session.enabled
    assert hand.session.server_id == own.session.server_id != {}
    assert hand.counters.round_trips == own.counters.round_trips


def test_a_client_that_asks_for_nothing_logs_in_and_no_more(dovecot: Server, interface: Interface) -> None:
    client = interface(dovecot.host, dovecot.port, tls=False)
    client.connect()
    before = client.counters.commands
    client.login(dovecot.new_user(), dovecot.password, insecure=True)
    assert client.counters.commands == before + 1
    assert client.session.has("MOVE")


def test_a_wrong_password_leaves_the_connection(dovecot: Server, interface: Interface) -> None:
    client = interface(dovecot.host, dovecot.port, **ASKED_FOR)
    user = dovecot.new_user()
    with pytest.raises(errors.AuthenticationFailed):
        client.login(user, "wrong", insecure=True)
    client.login(user, dovecot.password, insecure=True)
    assert client.session.compressed
    assert client.session.server_id


def test_in_a_pipeline_it_is_the_command_alone(dovecot: Server, interface: Interface) -> None:
    client = interface(dovecot.host, dovecot.port, **ASKED_FOR)
    with client.pipeline() as pipeline:
        pipeline.login(dovecot.new_user(), dovecot.password, insecure=True)
    assert client.session.has("MOVE")
    assert not client.session.compressed
