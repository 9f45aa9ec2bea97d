"""Whatever a method of the clients takes or returns has a public home, where a program can import it from."""

from __future__ import annotations

import array
import builtins
import collections.abc
import datetime
import email.message
import inspect
import os
import pickle
import re
import socket
import ssl
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from types import ModuleType, UnionType
from typing import Any

import pytest

import fastimap
from fastimap import AsyncClient, Client, archive, commands, errors, sasl, search, types
from fastimap.clients import rows
from fastimap.types import Pipeline
from tests.imaplib.scripted import Peer, Server

HOMES: list[ModuleType] = [fastimap, types, commands, search, errors, sasl, rows]
# Where everything else comes from that stands in an annotation.
OUTSIDE = (array, builtins, typing, collections.abc, datetime, email.message, os, socket, ssl)


# Type variables, None's own type, and what only the commands and the protocol speak of.
PRIVATE = {"R", "SecretT", "R_co", "K", "V_co", "NoneType", "_Ranges", "Scope"}


def is_known(name: str) -> bool:
    last = name.rpartition(".")[2]
    return any(last in home.__all__ for home in HOMES) or any(hasattr(module, last) for module in OUTSIDE)


def methods() -> list[Any]:
    return [
        pytest.param(member, id=f"{interface.__name__}.{name}")
        for interface in (Client, AsyncClient, Pipeline)
        for name, member in inspect.getmembers(interface)
        if inspect.isfunction(member) or isinstance(member, property)
        if not name.startswith("_") or (name == "__init__" and interface is not Pipeline)
    ]


def signature(member: Any) -> inspect.Signature:
    function: Callable[..., Any] = member.fget if isinstance(member, property) else member  # type: ignore[assignment]
    return inspect.signature(function)


def names(annotation: Any) -> Iterator[str]:
    """The names of types in an annotation, be it text or made."""
    if isinstance(annotation, str):
        yield from re.findall(r"[A-Za-z_][\w.]*", re.sub(r"\"[^\"]*\"|'[^']*'", "", annotation))
    elif inner := typing.get_args(annotation):
        outer = typing.get_origin(annotation)
        for each in inner if outer is UnionType else (outer, *inner):
            yield from names(each)
    elif isinstance(annotation, typing.ForwardRef):
        yield from names(annotation.__forward_arg__)
    elif isinstance(annotation, type) and annotation is not inspect.Parameter.empty:
        yield annotation.__name__


@pytest.mark.parametrize("member", methods())
def test_what_methods_take_and_return_is_public(member: Any) -> None:
    told = signature(member)
    spoken_of = [told.return_annotation, *(parameter.annotation for parameter in told.parameters.values())]
    unknown = {name for annotation in spoken_of for name in names(annotation) if not is_known(name)}
    # A socket's class has another name there, as `socket` is the parameter; the last is an optional package's.
    assert unknown <= PRIVATE | {"Socket", "pyarrow.Table"}


def held(cls: type) -> set[str]:
    """The names of types in what `cls` holds: fields, properties, results of methods."""
    found = {name for annotation in getattr(cls, "__annotations__", {}).values() for name in names(annotation)}
    for name, value in vars(cls).items():
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            found.update(names(signature(value).return_annotation))
    return found


def values() -> dict[type, set[str]]:
    """What methods return, what that holds, and so on to the bottom: each class, and the names in it."""
    found: dict[type, set[str]] = {}
    waiting = {name for parameter in methods() for name in names(signature(parameter.values[0]).return_annotation)}
    while waiting:
        name = waiting.pop().rpartition(".")[2]
        for home in HOMES:
            cls = getattr(home, name) if name in home.__all__ else None
            if isinstance(cls, type) and cls not in found:
                found[cls] = held(cls)
                waiting |= found[cls]
    return found


VALUES = values()


@pytest.mark.parametrize("cls", sorted(VALUES, key=str), ids=lambda cls: cls.__name__)
def test_what_values_hold_is_public(cls: type) -> None:
    assert {name for name in VALUES[cls] if not is_known(name)} <= PRIVATE


def test_the_walk_gets_everywhere() -> None:
    found = {cls.__name__ for cls in VALUES}
    assert found >= {"SearchResult", "SelectedMailbox", "CopyResult", "StoreResult", "AppendResult", "MailboxQuota"}
    assert found >= {"Pending", "FetchedMessage", "Address", "Quota", "QuotaResource", "ThreadNode", "CopyUID"}


@pytest.mark.parametrize("home", [*HOMES, archive], ids=lambda home: home.__name__)
def test_public_names_are_there(home: ModuleType) -> None:
    for name in home.__all__:
        assert getattr(home, name) is not None


@pytest.mark.parametrize("home", [fastimap, types, search, archive, commands, sasl], ids=lambda home: home.__name__)
def test_dir_tells_public_names_alone(home: ModuleType) -> None:
    assert {name for name in dir(home) if not name.startswith("__")} == set(home.__all__) - {"__version__"}


def test_what_blocks_does_not_pay_for_asyncio_nor_for_openssl() -> None:
    program = (
        "import sys\n"
        "import fastimap.cli.pull, fastimap.archive.stores.maildir\n"
        "from fastimap import Client, Pool\n"
        "from fastimap.archive import pull\n"
        "left_out = 'asyncio', 'email.policy', 'rich', 'dask', 'pyarrow', 'ssl', 'hashlib'\n"
        "print([name for name in left_out if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_program_with_types_does_not_pay_for_follow() -> None:
    program = (
        "import sys\n"
        "from fastimap import Client\n"
        "from fastimap.types import Attachment, Exists, FetchedMessage, FetchResult, MailboxInfo, Rows\n"
        "print([name for name in ('asyncio', 'sqlite3', 'fastimap.sessions.follow') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


# What most programs do without, at the least until they ask for it.
SELDOM = {"_search_program", "clients.pipeline", "clients._pipeline_methods", "model.special_use", "model.headers"}
SELDOM |= {f"conversation.{name}" for name in ("operations", "pieces", "streams", "plan", "deflate")}
SELDOM |= {f"sessions.{name}" for name in ("alike", "cursor", "follow", "pool", "resume", "tokens", "writes")}
# Of the commands, those that begin and end a connection.
BEGINNING = {"_homes", "base", "refusals", "session"}


@pytest.mark.parametrize("client", ["Client", "AsyncClient"])
def test_a_client_does_not_pay_for_what_it_is_not_asked_for(client: str) -> None:
    program = f"import sys; from fastimap import {client}; {client}('imap.example.org'); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = {name.removeprefix("fastimap.") for name in ended.stdout.split() if name.startswith("fastimap.")}
    assert not imported & SELDOM
    assert {name.removeprefix("commands.") for name in imported if name.startswith("commands.")} == BEGINNING
    mechanisms = {f"sasl.{kind.__module__.rpartition('.')[2]}" for kind in mechanism_classes()}
    assert len(mechanisms) == 9
    assert not imported & mechanisms


def mechanism_classes() -> list[type[sasl.Mechanism]]:
    classes = [getattr(sasl, name) for name in sasl.__all__]
    return [
        kind
        for kind in classes
        if isinstance(kind, type) and issubclass(kind, sasl.Mechanism) and kind is not sasl.Mechanism
    ]


def test_a_client_that_python_takes_apart_at_its_end_logs_out(serve: Callable[..., Server]) -> None:
    """Nothing can be imported then."""

    def script(peer: Peer) -> None:
        peer.greet()
        peer.log_out()

    program = (
        "import sys\n"
        "from fastimap import Client\n"
        "class Holder:\n"
        "    client = Client('127.0.0.1', int(sys.argv[1]), tls=False)\n"
        "    def __del__(self): self.client.close()\n"
        "holder = Holder()\n"
        "holder.client.connect()\n"
    )
    subprocess.run([sys.executable, "-c", program, f"{serve(script).port}"], check=True)


def test_commands_by_a_star_import_and_by_pickle() -> None:
    """In a process where no family of commands was imported before."""
    program = (
        "from fastimap.commands import *\n"
        "from fastimap import commands\n"
        "assert Store is commands.Store\n"
        "print(len(set(globals()) & set(commands.__all__)) == len(commands.__all__))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "True\n"
    value = pickle.dumps(commands.QResync(1, 2))
    program = f"import pickle; print(pickle.loads({value!r}))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == f"{commands.QResync(1, 2)}\n"


def test_a_login_of_who_logs_nothing_does_not_pay_for_logging() -> None:
    program = (
        "import sys\n"
        "from fastimap import commands, sasl\n"
        "from fastimap.conversation.protocol import Protocol\n"
        "def receive(octets):\n"
        "    protocol.get_buffer()[:len(octets)] = octets\n"
        "    protocol.buffer_updated(len(octets))\n"
        "protocol = Protocol()\n"
        "receive(b'* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\\r\\n')\n"
        "pending = protocol.submit(commands.Authenticate(sasl.Plain('user', 'password')))\n"
        "tag = b''.join(protocol.data_to_send()).split()[0]\n"
        "receive(b'+ \\r\\n')\n"
        "answer = b''.join(protocol.data_to_send())\n"
        "print(answer == b'AHVzZXIAcGFzc3dvcmQ=\\r\\n', 'logging' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "True False\n"


def test_a_star_import_of_search_keys_brings_nothing_else() -> None:
    brought: dict[str, Any] = {}
    exec("from fastimap.search import *", brought)
    del brought["__builtins__"]
    for name, value in brought.items():
        assert isinstance(value, search.SearchKey) or value.__module__ == "fastimap.search", name
    assert not {"encode_search", "search_program", "re", "date"} & set(brought)
