"""The libraries that the scenarios are run for, each behind the same few methods."""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import Callable
from typing import Any, Protocol

from fastimap import Client, SequenceSet, commands, errors, sasl
from fastimap import search as keys
from tests.client.interfaces import Awaited

from .peers import PEERS, Unsupported
from .scenario import IMAPLIB, TYPED, Call, Scenario
from .server import HOST

__all__ = ["ADAPTERS", "OURS", "Adapter", "Unsupported"]


class Adapter(Protocol):
    """A library."""

    @property
    def server_errors(self) -> tuple[type[Exception], ...]:
        """What it may raise because of something that a server did."""

    @property
    def timeouts(self) -> tuple[type[Exception], ...]:
        """Which of these say that the time is up."""

    @property
    def interface(self) -> str:
        """IMAPLIB, TYPED, or "" for one of its own."""

    def open(self, port: int, scenario: Scenario) -> None:
        """Connect to `port` of HOST with the library's defaults, and what the scenario has of its own.

        Where the first of the scenario's calls has its own way to connect, this does nothing.
        """

    def call(self, call: Call) -> Any:
        """Do what imaplib's method of that name does, and return its data; "done" where there are none."""

    def function(self, call: Call) -> Any:
        """Call a function of the module."""

    def close(self) -> None:
        """Close the connection; it may be none."""


class ImaplibAdapter:
    """A module with imaplib's interface."""

    def __init__(self, module: str) -> None:
        self._module = importlib.import_module(module)
        self._client: Any = None
        self.server_errors: tuple[type[Exception], ...] = (self._module.IMAP4.error, OSError)
        self.timeouts: tuple[type[Exception], ...] = (TimeoutError,)
        self.interface = IMAPLIB

    def open(self, port: int, scenario: Scenario) -> None:
        """Connect."""
        self._peer = port, scenario
        client_class = self._module.IMAP4_SSL if scenario.tls else self._module.IMAP4
        self._client = client_class(HOST, port, timeout=scenario.timeout)

    def call(self, call: Call) -> Any:
        """Call the method, or what stands for it here."""
        if call.method == "idle":
            return self._idle(*call.arguments)
        if call.method == "connect_again":
            return self._connect_again()
        if not hasattr(self._client, call.method):
            raise Unsupported(call.method)
        try:
            return getattr(self._client, call.method)(*call.arguments, **call.keywords)
        except TypeError as exc:
            if call.keywords and "unexpected keyword argument" in str(exc):
                raise Unsupported(call.method) from exc
            raise

    def _idle(self, seconds: float) -> list[Any]:
        if not hasattr(self._client, "idle"):
            raise Unsupported("idle")
        with self._client.idle(duration=seconds) as idler:
            return list(idler)

    def _connect_again(self) -> None:
        self.close()
        random.seed(0)  # whoever takes tags from there takes the same again
        self.open(*self._peer)

    def function(self, call: Call) -> Any:
        """Call the function."""
        function: Callable[..., Any] | None = getattr(self._module, call.method, None)
        if function is None:
            raise Unsupported(call.method)
        return function(*call.arguments, **call.keywords)

    def close(self) -> None:
        """Close the socket."""
        if self._client is not None:
            self._client.shutdown()


class TypedAdapter:
    """`fastimap.Client`, or `fastimap.AsyncClient` in an event loop that runs while a method does."""

    def __init__(self, asynchronous: bool) -> None:
        self._loop = asyncio.new_event_loop() if asynchronous else None
        self._client: Any = None
        self.server_errors: tuple[type[Exception], ...] = (errors.FastimapError,)
        self.timeouts: tuple[type[Exception], ...] = (errors.Timeout,)
        self.interface = TYPED

    def open(self, port: int, scenario: Scenario) -> None:
        """Connect, unless the first call has its own way to do it."""
        self._peer: dict[str, Any] = {"host": HOST, "port": port, "tls": scenario.tls, **scenario.settings}
        if scenario.timeout is not None:
            self._peer.setdefault("timeout", scenario.timeout)
        if not scenario.calls or scenario.calls[0].method not in ("starttls", "sign_in"):
            self._connect()

    def _connect(self, **settings: Any) -> None:
        settings = {**self._peer, **settings}
        self._client = Client(**settings) if self._loop is None else Awaited(self._loop, **settings)
        self._client.connect()

    def call(self, call: Call) -> Any:
        """Do what stands for imaplib's method here."""
        if call.method == "starttls":
            if self._client is not None:
                raise Unsupported("a second STARTTLS")
            self._connect(tls="starttls")
            return "done"
        if call.method == "sign_in":
            self._connect(**call.keywords)
            return "done"
        method = _TYPED.get(call.method)
        if method is None:
            raise Unsupported(call.method)
        result = method(self._client, *call.arguments, **call.keywords)
        return "done" if result is None else result

    def function(self, call: Call) -> Any:
        """Call a function of the package, by its path."""
        module, _, name = call.method.rpartition(":")
        if not module:
            raise Unsupported(call.method)
        value: Any = importlib.import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
        return value(*call.arguments, **call.keywords)

    def close(self) -> None:
        """Close the connection, and the event loop."""
        if self._client is not None:
            self._client.close()
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


# What stands for imaplib's methods in the typed clients. What they have no counterpart for is not here: arguments that
# are IMAP syntax by design.


def _items(text: str) -> list[str]:
    if text.startswith("(") and text.endswith(")"):
        return text[1:-1].split()
    return [text]


def _search(client: Any, charset: str | None, *criteria: Any, params: Any = None) -> list[int]:
    if params is not None and len(criteria) == 1 and criteria[0] == "SUBJECT ?":
        criteria = ("SUBJECT", *params)
    match criteria:
        case ("ALL",):
            key: keys.SearchKey = keys.all_
        case ("SUBJECT", str() as words):
            key = keys.subject(words)
        case (str() as program,):
            key = keys.raw(program)
        case _:
            raise Unsupported("search by syntax")
    return list(client.search(key, sequence=True, charset=charset))


def _append(client: Any, mailbox: Any, flags: Any, date: Any, message: bytes) -> Any:
    return client.append(mailbox, message, flags=[flags] if flags else (), internal_date=date)


def _store(client: Any, messages: Any, command: str, flags: Any) -> Any:
    if command != "+FLAGS":
        raise Unsupported("store by syntax")
    return client.store(SequenceSet(messages), flags)


def _uid(client: Any, command: str, messages: Any, *arguments: Any) -> Any:
    match command, arguments:
        case "FETCH", (str() as parts,):
            return client.fetch(messages, *_items(parts))
        case "COPY", (mailbox,):
            return client.copy(messages, mailbox)
    raise Unsupported("any command by UID")


class _Scripted(sasl.Mechanism):
    """A mechanism that answers as a function does, as imaplib's `authenticate` has it."""

    clear = True
    strength = 0

    def __init__(self, name: str, answer: Callable[[bytes], bytes | None]) -> None:
        super().__init__("user")
        self.name = name  # type: ignore[misc]
        self._answer = answer

    def start(self) -> None:
        return None

    def step(self, challenge: bytes) -> bytes:
        response = self._answer(challenge)
        if response is None:
            raise sasl.MechanismError("cancelled")
        return response


_TYPED: dict[str, Callable[..., Any]] = {
    "append": _append,
    "authenticate": lambda client, name, answer: client.authenticate(_Scripted(name, answer)),
    "capability": lambda client: client.capability(),
    "connect_again": lambda client: client.reconnect(),
    "copy": lambda client, messages, mailbox: client.copy(SequenceSet(messages), mailbox),
    "create": lambda client, mailbox: client.create_mailbox(mailbox),
    "delete": lambda client, mailbox: client.delete_mailbox(mailbox),
    "deleteacl": lambda client, mailbox, who: client.delete_acl(mailbox, who),
    "enable": lambda client, name: client.enable(name),
    "fetch": lambda client, messages, parts: client.fetch(SequenceSet(messages), *_items(parts)),
    "getacl": lambda client, mailbox: client.get_acl(mailbox),
    "getannotation": lambda client, mailbox, entry, _: client.get_metadata(mailbox, entry),
    "getquota": lambda client, root: client.get_quota(root),
    "getquotaroot": lambda client, mailbox: client.get_quota_root(mailbox),
    "id": lambda client, fields: client.id(fields),
    "idle": lambda client, seconds: list(client.idle(timeout=seconds)),
    "list": lambda client, reference="", pattern="*": [
        info.octets for info in client.list_mailboxes(reference, pattern)
    ],
    "login": lambda client, user, password: client.login(user, password, insecure=True),
    "login_cram_md5": lambda client, user, password: client.authenticate(sasl.CramMD5(user, password)),
    "login_plain": lambda client, user, password: client.authenticate(sasl.Plain(user, password)),
    "login_scram": lambda client, user, password: client.authenticate(sasl.ScramSHA256(user, password)),
    "logout": lambda client: client.close(),
    "lsub": lambda client, reference="", pattern="*": [
        info.octets for info in client.run(commands.LSub(reference, pattern))
    ],
    "move": lambda client, messages, mailbox: client.move(SequenceSet(messages), mailbox),
    "myrights": lambda client, mailbox: client.my_rights(mailbox),
    "namespace": lambda client: client.namespace(),
    "noop": lambda client: client.noop(),
    "rename": lambda client, mailbox, new_name: client.rename_mailbox(mailbox, new_name),
    "response": lambda client, _: client.take_events(),
    "search": _search,
    "select": lambda client, mailbox: client.select(mailbox),
    "setacl": lambda client, mailbox, who, rights: client.set_acl(mailbox, who, rights),
    "setannotation": lambda client, mailbox, entry: client.set_metadata(mailbox, {entry: "x"}),
    "setquota": lambda client, root, resource: client.set_quota(root, {resource: 1}),
    "sort": lambda client, criteria, charset, _: client.sort([criteria], keys.all_, charset=charset),
    "status": lambda client, mailbox, names: client.mailbox_status(mailbox, *_items(names)),
    "store": _store,
    "subscribe": lambda client, mailbox: client.subscribe(mailbox),
    "thread": lambda client, name, charset, _: client.thread(name, keys.all_, charset=charset),
    "typed": lambda client, function: function(client),
    "uid": _uid,
    "unsubscribe": lambda client, mailbox: client.unsubscribe(mailbox),
}

ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "imaplib-fastimap": lambda: ImaplibAdapter("fastimap.imaplib"),
    "Client": lambda: TypedAdapter(asynchronous=False),
    "AsyncClient": lambda: TypedAdapter(asynchronous=True),
    "imaplib": lambda: ImaplibAdapter("imaplib"),
    **PEERS,
}
OURS = ("imaplib-fastimap", "Client", "AsyncClient")
"""The adapters that are fastimap's, which come with two parsers."""
