"""The libraries that the scenarios are run for, each behind the same few methods."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from typing import Any, Protocol

from .scenario import Call

HOST = "localhost"


class Unsupported(Exception):
    """The library has no such method: the scenario says nothing about it."""


class Door(Protocol):
    """A library."""

    @property
    def server_errors(self) -> tuple[type[Exception], ...]:
        """What it may raise because of something that a server did."""

    def open(self, port: int, timeout: float | None, tls: bool) -> None:
        """Connect to `port` of HOST with the library's defaults; `timeout` seconds (None: the default)."""

    def call(self, call: Call) -> Any:
        """Do what imaplib's method of that name does, and return what it returns."""

    def function(self, call: Call) -> Any:
        """Call a function of the module."""

    def close(self) -> None:
        """Close the connection without a word to the server; it may be none."""


class ImaplibDoor:
    """A module with imaplib's interface."""

    def __init__(self, module: str) -> None:
        self._module = importlib.import_module(module)
        self._client: Any = None
        self.server_errors: tuple[type[Exception], ...] = (self._module.IMAP4.error, OSError)

    def open(self, port: int, timeout: float | None, tls: bool) -> None:
        """Connect."""
        self._peer = port, timeout, tls
        client_class = self._module.IMAP4_SSL if tls else self._module.IMAP4
        self._client = client_class(HOST, port, timeout=timeout)

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


DOORS: dict[str, Callable[[], Door]] = {
    "fastimap": lambda: ImaplibDoor("fastimap.imaplib"),
    "imaplib": lambda: ImaplibDoor("imaplib"),
}
