"""An account as one value: from a URL, with a provider of its password, through a proxy, in a pickle."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastimap import Account, AsyncClient, Client, Limits, Timeouts, errors
from fastimap.testing import IMAPServer

SECRET = "tanstaaf-s3cret"


def password_from_the_vault() -> str:
    return SECRET


def not_in_the_vault() -> Any:
    return None


@pytest.fixture
def account(server: IMAPServer) -> Account:
    return Account(server.host, server.port, user="user", password="password", tls=False, mechanism="PLAIN")


def test_both_clients_take_it(account: Account, interface: Callable[..., Any]) -> None:
    with interface(account) as client:
        assert client.select("INBOX").exists == 0


def test_a_url() -> None:
    account = Account.from_url("imaps://peter%40example.org@imap.example.org", password=password_from_the_vault)
    assert (account.user, account.host, account.port, account.tls) == (
        "peter@example.org",
        "imap.example.org",
        None,
        True,
    )
    assert repr(Client(account)) == "<Client imap.example.org:993, connecting>"


def test_a_url_without_tls_from_the_start_means_starttls() -> None:
    account = Account.from_url("imap://me:a%2Fb@[::1]:1143/")
    assert (account.host, account.port, account.tls, account.password) == ("::1", 1143, "starttls", "a/b")
    # RFC 5092, section 11: the mechanism to use.
    assert Account.from_url("imaps://me;AUTH=EXTERNAL@example.org").mechanism == "EXTERNAL"


@pytest.mark.parametrize(
    "url",
    [
        "pop://me@example.org",
        "imaps://",
        "imap.example.org",
        f"imaps://me:{SECRET}@h/INBOX",
        "imaps://me@example.org@h",
    ],
)
def test_no_url_of_an_account(url: str) -> None:
    with pytest.raises(ValueError, match=r"not the URL of an account: .*\(an @ in the user's name is %40") as caught:
        Account.from_url(url)
    assert SECRET not in str(caught.value)


def test_a_password_of_a_function_is_asked_for_at_each_connection(
    account: Account, interface: Callable[..., Any]
) -> None:
    asked: list[None] = []

    def provider() -> str:
        asked.append(None)
        assert isinstance(account.password, str)
        return account.password

    with interface(dataclasses.replace(account, password=provider)) as client:
        client.reconnect()
        assert len(asked) == 2


def test_a_function_that_has_no_password(account: Account, interface: Callable[..., Any]) -> None:
    client = interface(dataclasses.replace(account, password=not_in_the_vault))
    with pytest.raises(ValueError, match="returned none"):
        client.connect()


def test_a_coroutine_function_for_the_password(account: Account, interface: Callable[..., Any]) -> None:
    async def provider() -> Any:
        return account.password

    client = interface(dataclasses.replace(account, password=provider))
    if isinstance(client, Client):
        with pytest.raises((ValueError, errors.FastimapError)):
            client.connect()
    else:
        client.connect()
        assert client.noop() is None


def test_no_secret_in_a_pickle_nor_in_a_representation() -> None:
    account = Account("imap.example.org", user="me", password=SECRET, timeout=5)
    pickled = pickle.dumps(account)
    assert SECRET.encode() not in pickled
    assert SECRET not in repr(account)
    again = pickle.loads(pickled)
    assert (again.host, again.user, again.timeout) == ("imap.example.org", "me", 5)
    assert callable(again.password)
    with pytest.raises(errors.StateError, match="holds no secrets"):
        again.password()


def test_a_function_comes_through_a_pickle() -> None:
    account = Account("imap.example.org", user="me", password=password_from_the_vault)
    again = pickle.loads(pickle.dumps(account))
    assert again == account
    assert again.password is password_from_the_vault


def test_it_can_not_be_changed_and_says_all_of_it() -> None:
    account = Account("imap.example.org")
    with pytest.raises(AttributeError, match="can't be changed"):
        account.host = "example.org"  # type: ignore[misc]
    for kind in (Client, AsyncClient):
        with pytest.raises(TypeError, match="replace"):
            kind(account, timeout=5)


@pytest.mark.parametrize("kind", [Client, AsyncClient, Account])
@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("imap.example.org:143",), ValueError, r'"imap.example.org", 143'),
        (("[::1]:993",), ValueError, r'"::1", 993'),
        (("imaps://imap.example.org",), ValueError, "from_url"),
        (("imap.example.org", True), ValueError, "port must be a number"),
        (("imap.example.org", {"timeout": "5"}), TypeError, "number of seconds"),
        (("imap.example.org", {"timeout": True}), TypeError, "number of seconds"),
        (("imap.example.org", {"limits": 5}), TypeError, "fastimap.Limits"),
        (("imap.example.org", {"proxy": "proxy:1080"}), ValueError, "proxy must be a URL"),
        (("imap.example.org", {"user": "me", "password": 5}), TypeError, "str, or a function"),
    ],
)
def test_mistakes_are_explained(kind: Any, arguments: tuple[Any, ...], error: type[Exception], said: str) -> None:
    named = arguments[-1] if isinstance(arguments[-1], dict) else {}
    with pytest.raises(error, match=said):
        kind(*(each for each in arguments if each is not named), **named)


def test_an_address_of_ipv6_is_a_host() -> None:
    assert "::1" in repr(Client("::1"))


def test_who_tightens_one_limit_loosens_no_other() -> None:
    assert Limits(line=1 << 20) == dataclasses.replace(Limits(), line=1 << 20)
    assert (Limits(line=1 << 20).literal, Limits(line=1 << 20).other_literal) == (256 * 2**20, 2**20)
    with pytest.raises(TypeError, match=r"Limits\.line"):
        Limits(line=True)
    with pytest.raises(TypeError, match=r"Timeouts\.connect"):
        Timeouts(connect="5")  # type: ignore[arg-type]


@pytest.fixture
def proxy() -> Iterator[tuple[int, list[bytes]]]:
    """An HTTP proxy that knows CONNECT: its port, and where it was asked to connect to."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while octets := source.recv(65536):
                sink.sendall(octets)
        except OSError:
            pass
        with contextlib.suppress(OSError):  # the other way's thread may be reading from it
            sink.shutdown(socket.SHUT_RDWR)

    connections: list[socket.socket] = []
    pumps: list[threading.Thread] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1024)
            target = head.split(b" ")[1]
            asked.append(target)
            name, _, port = target.rpartition(b":")
            if name != b"localhost":
                client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                client.close()
                continue
            connections.append(client)
            server = socket.create_connection(("127.0.0.1", int(port)))
            connections.append(server)
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            for ends in ((client, server), (server, client)):
                pumps.append(threading.Thread(target=pump, args=ends, daemon=True))
                pumps[-1].start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1], asked
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()
    for pumping in pumps:
        pumping.join()
    for connection in connections:
        connection.close()


def test_through_a_proxy(account: Account, proxy: tuple[int, list[bytes]], interface: Callable[..., Any]) -> None:
    port, asked = proxy
    # The proxy looks the name up.
    with interface(dataclasses.replace(account, host="localhost", proxy=f"http://127.0.0.1:{port}")) as client:
        assert client.noop() is None
    assert asked == [b"localhost:%d" % (account.port or 0)]


def test_a_proxy_that_refuses(account: Account, proxy: tuple[int, list[bytes]], interface: Callable[..., Any]) -> None:
    client = interface(dataclasses.replace(account, host="example.org", proxy=f"http://127.0.0.1:{proxy[0]}"))
    with pytest.raises(errors.ConnectFailed, match="the proxy makes no connection"):
        client.connect()


def test_without_the_package_for_proxies(
    account: Account, interface: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_socks", None)
    client = interface(dataclasses.replace(account, proxy="socks5://127.0.0.1:1080"))
    with pytest.raises(errors.ConnectFailed, match=r"fastimap\[proxy\]"):
        client.connect()
