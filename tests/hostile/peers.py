"""Other libraries behind the same adapter: what of imaplib's methods they have under another name."""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import Callable
from typing import Any

from .scenario import Call, Scenario
from .server import HOST


class Unsupported(Exception):
    """The library has no such method: the scenario says nothing about it."""


class Refused(Exception):
    """The server said NO or BAD, which the library returns and does not raise."""


class PeerAdapter:
    """What the three have in common."""

    interface = ""
    server_errors: tuple[type[Exception], ...] = (OSError,)
    timeouts: tuple[type[Exception], ...] = (TimeoutError,)
    _methods: dict[str, Callable[..., Any]]

    def __init__(self) -> None:
        self._client: Any = None

    def open(self, port: int, scenario: Scenario) -> None:
        """Connect."""
        self._peer = port, scenario
        self._connect(port, scenario)

    def _connect(self, port: int, scenario: Scenario) -> None:
        raise NotImplementedError

    def call(self, call: Call) -> Any:
        """Call what stands for the method here."""
        if call.method == "connect_again":
            self.close()
            return self.open(*self._peer)
        method = self._methods.get(call.method)
        if method is None or call.keywords:
            raise Unsupported(call.method)
        return self._run(method, *call.arguments)

    def _run(self, method: Callable[..., Any], *arguments: Any) -> Any:
        return method(self._client, *arguments)

    def function(self, call: Call) -> Any:
        """Call a function of the module: they have none of imaplib's."""
        raise Unsupported(call.method)

    def close(self) -> None:
        """Close the connection."""


def _items(text: str) -> list[str]:
    return text.removeprefix("(").removesuffix(")").split()


def _criteria(charset: str | None, *criteria: Any) -> list[Any]:
    if any(not isinstance(part, str) for part in criteria):
        raise Unsupported("search by octets")
    return list(criteria)


def _idle(client: Any, seconds: float) -> Any:
    client.idle()
    found = client.idle_check(timeout=seconds)
    return found, client.idle_done()


class IMAPClientAdapter(PeerAdapter):
    """IMAPClient."""

    _methods = {  # noqa: RUF012
        "append": lambda client, mailbox, flags, date, message: client.append(mailbox, message, flags or (), date),
        "capability": lambda client: client.capabilities(),
        "copy": lambda client, messages, mailbox: client.copy(messages, mailbox),
        "create": lambda client, mailbox: client.create_folder(mailbox),
        "delete": lambda client, mailbox: client.delete_folder(mailbox),
        "enable": lambda client, name: client.enable(name),
        "fetch": lambda client, messages, parts: client.fetch(messages, _items(parts)),
        "getacl": lambda client, mailbox: client.getacl(mailbox),
        "getquota": lambda client, root: client._get_quota(root),
        "getquotaroot": lambda client, mailbox: client.get_quota_root(mailbox),
        "id": lambda client, fields: client.id_(fields),
        "idle": _idle,
        "list": lambda client, reference="", pattern="*": client.list_folders(reference, pattern),
        "login": lambda client, user, password: client.login(user, password),
        "login_plain": lambda client, user, password: client.plain_login(user, password),
        "logout": lambda client: client.logout(),
        "move": lambda client, messages, mailbox: client.move(messages, mailbox),
        "namespace": lambda client: client.namespace(),
        "noop": lambda client: client.noop(),
        "rename": lambda client, mailbox, new_name: client.rename_folder(mailbox, new_name),
        "search": lambda client, charset, *criteria: list(client.search(_criteria(charset, *criteria), charset)),
        "select": lambda client, mailbox: client.select_folder(mailbox),
        "setacl": lambda client, mailbox, who, what: client.setacl(mailbox, who, what),
        "sort": lambda client, criteria, charset, key: client.sort(criteria, key, charset),
        "starttls": lambda client: client.starttls(),
        "status": lambda client, mailbox, names: client.folder_status(mailbox, _items(names)),
        "store": lambda client, messages, command, flags: client.add_flags(messages, flags),
        "subscribe": lambda client, mailbox: client.subscribe_folder(mailbox),
        "thread": lambda client, name, charset, key: client.thread(name, key, charset),
        "unsubscribe": lambda client, mailbox: client.unsubscribe_folder(mailbox),
    }

    def __init__(self) -> None:
        super().__init__()
        self._module = importlib.import_module("imapclient")
        self.server_errors = (self._module.exceptions.IMAPClientError, OSError)

    def _connect(self, port: int, scenario: Scenario) -> None:
        timeout = self._module.SocketTimeout(scenario.timeout, scenario.timeout) if scenario.timeout else None
        self._client = self._module.IMAPClient(HOST, port, ssl=scenario.tls, use_uid=False, timeout=timeout)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.shutdown()


class ImapToolsAdapter(PeerAdapter):
    """imap_tools; its fetch() searches first, which no script of a FETCH expects."""

    _methods = {  # noqa: RUF012
        "append": lambda box, mailbox, flags, date, message: box.append(message, mailbox, flag_set=flags, dt=date),
        "create": lambda box, mailbox: box.folder.create(mailbox),
        "delete": lambda box, mailbox: box.folder.delete(mailbox),
        "idle": lambda box, seconds: box.idle.wait(timeout=seconds),
        "list": lambda box, reference="", pattern="*": [info.name for info in box.folder.list(reference, pattern)],
        "login": lambda box, user, password: box.login(user, password, None) and "done",
        "logout": lambda box: box.logout(),
        "noop": lambda box: box.client.noop(),
        "rename": lambda box, mailbox, new_name: box.folder.rename(mailbox, new_name),
        "search": lambda box, charset, *criteria: box.numbers(
            " ".join(_criteria(charset, *criteria)), charset or "US-ASCII"
        ),
        "select": lambda box, mailbox: box.folder.set(mailbox),
        "status": lambda box, mailbox, names: box.folder.status(mailbox, _items(names)),
        "subscribe": lambda box, mailbox: box.folder.subscribe(mailbox, True),
        "unsubscribe": lambda box, mailbox: box.folder.subscribe(mailbox, False),
    }

    def __init__(self) -> None:
        super().__init__()
        self._module = importlib.import_module("imap_tools")
        imaplib = importlib.import_module("imaplib")
        self.server_errors = (self._module.errors.ImapToolsError, imaplib.IMAP4.error, OSError)

    def _connect(self, port: int, scenario: Scenario) -> None:
        if scenario.calls and scenario.calls[0].method == "starttls":
            raise Unsupported("STARTTLS by itself")
        box = self._module.MailBox if scenario.tls else self._module.MailBoxUnencrypted
        self._client = box(HOST, port, timeout=scenario.timeout)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.client.shutdown()


async def _aio_idle(client: Any, seconds: float) -> Any:
    idle = await client.idle_start(timeout=seconds)
    found = await client.wait_server_push(seconds)
    client.idle_done()
    await asyncio.wait_for(idle, 1)
    return found


class AioimaplibAdapter(PeerAdapter):
    """aioimaplib, in an event loop that runs while a method does."""

    _methods = {  # noqa: RUF012
        "append": lambda client, mailbox, flags, date, message: client.append(message, mailbox, flags, date),
        "capability": lambda client: client.capability(),
        "copy": lambda client, messages, mailbox: client.copy(messages, mailbox),
        "create": lambda client, mailbox: client.create(mailbox),
        "delete": lambda client, mailbox: client.delete(mailbox),
        "enable": lambda client, name: client.enable(name),
        "fetch": lambda client, messages, parts: client.fetch(messages, parts),
        "getquotaroot": lambda client, mailbox: client.getquotaroot(mailbox),
        "id": lambda client, fields: client.id(**fields),
        "idle": _aio_idle,
        "list": lambda client, reference='""', pattern="*": client.list(reference, pattern),
        "login": lambda client, user, password: client.login(user, password),
        "logout": lambda client: client.logout(),
        "lsub": lambda client, reference='""', pattern="*": client.lsub(reference, pattern),
        "move": lambda client, messages, mailbox: client.move(messages, mailbox),
        "namespace": lambda client: client.namespace(),
        "noop": lambda client: client.noop(),
        "rename": lambda client, mailbox, new_name: client.rename(mailbox, new_name),
        "search": lambda client, charset, *criteria: client.search(*_criteria(charset, *criteria), charset=charset),
        "select": lambda client, mailbox: client.select(mailbox),
        "status": lambda client, mailbox, names: client.status(mailbox, names),
        "store": lambda client, messages, command, flags: client.store(messages, command, flags),
        "subscribe": lambda client, mailbox: client.subscribe(mailbox),
        "unsubscribe": lambda client, mailbox: client.unsubscribe(mailbox),
    }

    def __init__(self) -> None:
        super().__init__()
        self._module = importlib.import_module("aioimaplib")
        errors = (self._module.aioimaplib.Error, self._module.aioimaplib.AioImapException)
        self.server_errors = (*errors, asyncio.IncompleteReadError, OSError, Refused)
        self.timeouts = (TimeoutError, self._module.aioimaplib.CommandTimeout)

    def _connect(self, port: int, scenario: Scenario) -> None:
        timeout = {} if scenario.timeout is None else {"timeout": scenario.timeout}
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)

        async def connect() -> None:
            if scenario.tls:
                context = ssl.create_default_context()
                self._client = self._module.IMAP4_SSL(HOST, port, ssl_context=context, **timeout)
            else:
                self._client = self._module.IMAP4(HOST, port, **timeout)
            await self._client.wait_hello_from_server()

        self._loop.run_until_complete(connect())

    def _run(self, method: Callable[..., Any], *arguments: Any) -> Any:
        async def run() -> Any:
            return await method(self._client, *arguments)

        answer = self._loop.run_until_complete(run())
        if getattr(answer, "result", "OK") != "OK":
            raise Refused(str(answer))
        lines = getattr(answer, "lines", None)
        return answer if lines is None else lines[:-1] or lines  # the last is what the tagged answer says

    def close(self) -> None:
        """Close the connection, and the event loop."""
        transport = getattr(getattr(self._client, "protocol", None), "transport", None)
        if transport is not None:
            transport.abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


PEERS: dict[str, Callable[[], PeerAdapter]] = {
    "IMAPClient": IMAPClientAdapter,
    "imap_tools": ImapToolsAdapter,
    "aioimaplib": AioimaplibAdapter,
}
