"""The blocking client after os.fork(), as multiprocessing does it: one connection is not for two processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import Client, Pool, errors
from fastimap.testing import IMAPServer

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # the server's threads
]


def in_a_child(function: Callable[[], object]) -> None:
    """Have a forked process do it; AssertionError if that fails."""
    child = os.fork()
    if not child:
        try:
            function()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def account(server: IMAPServer) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "tls": False,
        "user": "user",
        "password": "password",
        "mechanism": "LOGIN",
        "timeout": 10,
    }


def test_the_connection_is_the_parents(server: IMAPServer) -> None:
    server.append("INBOX", b"Subject: one\r\n\r\nbody\r\n")
    with Client(**account(server)) as client:
        client.select("INBOX")
        rows = client.fetch_iter("1", "FLAGS")
        sent = client.counters.octets_out

        def child() -> None:
            for call in (client.noop, lambda: next(iter(rows))):
                with pytest.raises(errors.Disconnected, match="forked"):
                    call()
            client.close()
            assert client.counters.octets_out == sent
            client.reconnect()
            assert client.session.mailbox == "INBOX"

        in_a_child(child)
        assert [row.uid for row in rows] == [1]


def test_a_pool_has_others_in_the_child(server: IMAPServer) -> None:
    with Pool(**account(server)) as pool:
        with pool.client() as client:
            before = client.session

        def child() -> None:
            with pool.client() as client:
                assert client.session is not before
                client.noop()

        in_a_child(child)
        with pool.client() as client:
            assert client.session is before
            client.noop()
