"""One client in a process of its own, doing one thing so many times: what `benchmarks.instructions` counts.

python -m benchmarks.operations '{"client": ..., "operation": ..., "times": ..., "port": ..., "cafile": ...}'

Only what every version of fastimap calls alike is used here, so that an older tree can be counted by this file.
"""

import asyncio
import importlib
import json
import os
import ssl
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.workloads import FIRST_UID, WORKLOADS

CLIENTS = ("imaplib", "drop-in", "Client", "AsyncClient", "IMAPClient", "drop-in, Python", "Client, Python")
"""By the extension, where nothing else is said; "Python" is by its twin, on which only PARSED are counted."""

PARSED = ("a", "b", "d")

MESSAGE = "d/16"
"""The mailbox of which one message is fetched: the sixteen together have 80 KiB."""

TLS = ", TLS"

OPERATIONS = {
    "noop": 400,
    "message": 200,
    "noop, TLS": 400,
    "message, TLS": 200,
    "a": 4000,
    "b": 2000,
    "d": 2000,
    "read a": 4000,
    "read b": 2000,
    "record": 1000,
    "iter a": 4000,
    "iter d": 2000,
}
"""How often each is done.

"noop" is a NOOP; "message" a FETCH of one message of some 5 KB, both also over TLS; "a", "b", "d" are rows of the
workload, of one FETCH, kept; "read" are rows of which every value is read that IMAPClient's have, made to the same
extent: dates are datetimes, addresses octets; "record" is a TLS record of 4 KiB of d: a turn of the loop; "iter" are
rows by fetch_iter(), none kept.
"""


def mailbox(operation: str, times: int) -> str:
    """The recording that an operation is done on."""
    if operation.removesuffix(TLS) in ("noop", "message"):
        return MESSAGE
    if operation == "record":
        return f"d/{max(times * 4 // 5, 1)}"  # a message of 5 KiB and its framing
    return f"{operation[-1]}/{times}"


def _items(operation: str) -> str:
    return WORKLOADS[operation[-1] if operation[-1] in "abd" and operation != "record" else "d"].items


def _read(operation: str, rows: Any) -> Any:
    """Read the values of fastimap's rows; those of the others are values once they are there."""
    for row in rows if operation.startswith("read") else ():
        _ = (row.uid, row.flags, row.size, row.internal_date)
        if operation == "read b":
            envelope = row.envelope
            _ = (envelope.date, envelope.subject, envelope.in_reply_to, envelope.message_id, row.body_structure)
            for group in (envelope.from_, envelope.sender, envelope.reply_to, envelope.to, envelope.cc, envelope.bcc):
                for address in group:
                    _ = (address.name_octets, address.mailbox_octets, address.host_octets)
    return rows


def _module(client: str) -> Any:
    name = client.removesuffix(", Python")
    return importlib.import_module({"imaplib": "imaplib", "drop-in": "fastimap.imaplib"}.get(name, name))


def _imaplib(client: str, operation: str, times: int, port: int, context: ssl.SSLContext | None) -> Callable[[], Any]:
    module = _module(client)
    ssl_context = {} if context is None else {"ssl_context": context}
    connection = getattr(module, "IMAP4_SSL" if context else "IMAP4")("localhost", port, **ssl_context)
    connection.login("user", "secret")
    connection.select(mailbox(operation, times), readonly=True)
    items = _items(operation)
    match operation.removesuffix(TLS):
        case "noop":
            return lambda: [connection.noop() for _ in range(times)]
        case "message":
            return lambda: [connection.fetch("1", items) for _ in range(times)]
    return lambda: connection.fetch("1:*", items)


def _imapclient(client: str, operation: str, times: int, port: int, context: Any) -> Callable[[], Any]:
    connection = _module("imapclient").IMAPClient("localhost", port, ssl=bool(context), ssl_context=context)
    connection._imap.debug = 0  # it is 5 as shipped: each literal is formatted for a log that nobody reads
    connection.login("user", "secret")
    exists = connection.select_folder(mailbox(operation, times), readonly=True)[b"EXISTS"]
    items = _items(operation).strip("()").split()
    match operation.removesuffix(TLS):
        case "noop":
            return lambda: [connection.noop() for _ in range(times)]
        case "message":
            return lambda: [connection.fetch([FIRST_UID], items) for _ in range(times)]
    return lambda: connection.fetch(range(FIRST_UID, FIRST_UID + exists), items)


def _given(port: int, context: Any) -> dict[str, Any]:
    return {
        "host": "localhost",
        "port": port,
        "user": "user",
        "password": "secret",
        "mechanism": "LOGIN",
        "tls": bool(context),
        "ssl_context": context,
    }


def _client(client: str, operation: str, times: int, port: int, context: Any) -> Callable[[], Any]:
    connection = _module("fastimap").Client(**_given(port, context))
    exists = connection.select(mailbox(operation, times)).exists
    every = range(FIRST_UID, FIRST_UID + exists)
    items = _items(operation).strip("()").split()

    def iterate() -> None:
        for _ in connection.fetch_iter(every, *items):
            pass

    match operation.removesuffix(TLS):
        case "noop":
            return lambda: [connection.noop() for _ in range(times)]
        case "message":
            return lambda: [connection.fetch(FIRST_UID, *items) for _ in range(times)]
    return iterate if operation.startswith("iter") else lambda: _read(operation, connection.fetch(every, *items))


def _async_client(client: str, operation: str, times: int, port: int, context: Any) -> Callable[[], Any]:
    runner = asyncio.Runner()
    connection = _module("fastimap").AsyncClient(**_given(port, context))
    exists = runner.run(connection.select(mailbox(operation, times))).exists
    every = range(FIRST_UID, FIRST_UID + exists)
    items = _items(operation).strip("()").split()

    async def noops() -> Any:
        return [await connection.noop() for _ in range(times)]

    async def messages() -> Any:
        return [await connection.fetch(FIRST_UID, *items) for _ in range(times)]

    async def rows() -> Any:
        return _read(operation, await connection.fetch(every, *items))

    async def iterate() -> None:
        async for _ in connection.fetch_iter(every, *items):
            pass

    one = {"noop": noops, "message": messages}.get(operation.removesuffix(TLS), rows)
    chosen = iterate if operation.startswith("iter") else one
    return lambda: runner.run(chosen())


_CLIENTS = {
    "imaplib": _imaplib,
    "drop-in": _imaplib,
    "Client": _client,
    "AsyncClient": _async_client,
    "IMAPClient": _imapclient,
    "drop-in, Python": _imaplib,
    "Client, Python": _client,
}


def main() -> None:
    """Do what the argument says, and end without tidying up, which is not counted."""
    job = json.loads(sys.argv[1])
    context = ssl.create_default_context(cafile=job["cafile"]) if job["cafile"] else None
    run = _CLIENTS[job["client"]](job["client"], job["operation"], job["times"], job["port"], context)
    kept = run()
    assert kept is not None or job["operation"].startswith("iter")
    os._exit(0)


if __name__ == "__main__":
    main()
