"""Client, AsyncClient and Pipeline offer the same methods: one for each command, with its signature and text."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from fastimap import AsyncClient, Client, commands
from fastimap.commands.base import Command
from fastimap.commands.search import SearchResult, SortResult
from fastimap.conversation import operations
from fastimap.conversation.protocol import Pending, Protocol
from fastimap.sessions import writes
from fastimap.types import FetchResult, Pipeline, Quota
from tests.client.interfaces import public
from tests.support import PROJECT
from tools.generate_methods import AFTER_LOGIN, LOGINS, RETRY, TOLD_BY_COMMAND, WRITES

INTERFACES = (Client, AsyncClient, Pipeline)
# What the clients do themselves, each in a method of another name.
WITHOUT_METHOD = {"Idle": "idle()", "Logout": "close()", "StartTLS": 'tls="starttls"'}
# What is seldom needed, or has a better way: for `run()`.
WITHOUT_METHOD |= dict.fromkeys(("Check", "Comparator", "Examine", "LSub", "XList"), "run()")
# What acts on a mailbox says so; CLOSE is not `close()`, which ends the connection.
RENAMED = {
    "Close": "close_mailbox",
    "Create": "create_mailbox",
    "Delete": "delete_mailbox",
    "ID": "id",
    "List": "list_mailboxes",
    "Rename": "rename_mailbox",
    "Status": "mailbox_status",
}
RETRIED = "retry: 'Retry | None' = None"
OPERATIONS: dict[str, Callable[..., Any]] = {"search": operations.search, "move": operations.move}

COMMANDS: list[type[Command[Any]]] = [
    value
    for name in commands.__all__
    if isinstance(value := getattr(commands, name), type)
    and issubclass(value, Command)
    and value is not Command
    and value.__name__ not in WITHOUT_METHOD
]


def method_name(command: type[Command[Any]]) -> str:
    name = command.__name__
    return RENAMED.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("GetQuotaRoot", "get_quota_root"), ("SetACL", "set_acl"), ("GetJMAPAccess", "get_jmap_access"), ("ID", "id")],
)
def test_how_methods_are_named(name: str, expected: str) -> None:
    assert method_name(getattr(commands, name)) == expected


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff lays the source out: make lint has it")
def test_the_generated_methods_are_those_of_the_commands() -> None:
    tool = PROJECT / "tools" / "generate_methods.py"
    done = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def parameters(call: Callable[..., Any], leave_out: set[str]) -> list[tuple[str, Any, Any, Any]]:
    signature = inspect.signature(call)
    return [
        # Where a family of commands has a value of its own, the methods say so: it is imported when it is asked for.
        (parameter.name, parameter.kind, parameter.default, str(parameter.annotation).replace("commands.", ""))
        for parameter in signature.parameters.values()
        if parameter.name not in leave_out
    ]


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_method(interface: type, command: type[Command[Any]]) -> None:
    name = method_name(command)
    method = getattr(interface, name)
    added: set[str] = set()
    text = inspect.getdoc(method)
    if interface is not Pipeline and name in WRITES:
        added = {"retry"}
        assert f"\n{RETRY}\n" in (text or "")
        text = (text or "").replace(f"{RETRY}\n", "")
        assert parameters(method, {"self", "retry"}) == parameters(getattr(writes, name), {"client"})
    if interface is not Pipeline and name in LOGINS:
        assert (text or "").endswith(f"\n\n{AFTER_LOGIN}")
        text = (text or "").removesuffix(f"\n\n{AFTER_LOGIN}")
    if interface is not Pipeline and name in OPERATIONS:
        operation = OPERATIONS[name]
        assert text == inspect.getdoc(command if name in TOLD_BY_COMMAND else operation)
        assert parameters(method, {"self", *added}) == parameters(operation, {"protocol"})
        # The operation has to know whether a charset was given, which is None in the place of "UTF-8".
        left_out = {"protocol", "self", "charset"}
        assert parameters(operation, left_out) == parameters(command, left_out)
    else:
        assert text == inspect.getdoc(command)
        assert parameters(method, {"self", *added}) == parameters(command, set())
    assert method.__doc__


def functions(interface: type) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """What stands in the sources of a class and of its bases, as an editor reads them."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for cls in reversed(interface.__mro__[:-1]):
        for node in ast.walk(ast.parse(Path(inspect.getfile(cls)).read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
                found |= {
                    each.name: each for each in node.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
                }
    return found


@pytest.mark.parametrize("interface", INTERFACES)
def test_what_an_editor_shows(interface: type) -> None:
    """Without running anything: a signature, with types, and a text."""
    there = functions(interface)
    for name in public(interface):
        node = there[name]
        assert ast.get_docstring(node), name
        assert node.returns is not None, name
        given = [*node.args.posonlyargs, *node.args.args[1:], *node.args.kwonlyargs]
        assert all(argument.annotation is not None for argument in given), name


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("noop", "(self) -> 'None'"),
        ("capability", "(self) -> 'frozenset[str]'"),
        (
            "copy",
            f"(self, messages: 'MessageSet', mailbox: 'MailboxName', *, {RETRIED}) -> 'commands.CopyResult'",
        ),
        (
            "move",
            f"(self, messages: 'MessageSet', mailbox: 'MailboxName', *, {RETRIED}) -> 'commands.CopyResult'",
        ),
        ("subscribe", "(self, mailbox: 'MailboxName') -> 'None'"),
    ],
)
def test_what_help_shows(name: str, signature: str) -> None:
    for client in (Client, AsyncClient):
        assert str(inspect.signature(getattr(client, name))) == signature
    assert inspect.iscoroutinefunction(getattr(AsyncClient, name))
    assert not inspect.iscoroutinefunction(getattr(Client, name))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipeline_gives_what_the_clients_return_later(command: type[Command[Any]]) -> None:
    name = method_name(command)
    later = get_type_hints(getattr(Pipeline, name))["return"]
    now = get_type_hints(getattr(Client, name))["return"]
    assert get_origin(later) is Pending
    (result,) = get_args(later)
    assert result == now


def test_the_clients_have_the_same_names() -> None:
    assert public(Client) == public(AsyncClient)
    assert public(Pipeline) == {method_name(command) for command in COMMANDS} | {"run"}
    assert public(Pipeline) < public(Client)


@pytest.mark.parametrize("name", sorted(public(Client) | {"__init__"}))
def test_the_clients_have_the_same_signatures(name: str) -> None:
    one, other = getattr(Client, name), getattr(AsyncClient, name)
    if not callable(one):
        assert isinstance(one, property)
        assert one.__doc__ == other.__doc__
        return

    def without_types(call: Callable[..., Any]) -> list[Any]:
        return [(name, kind, default) for name, kind, default, _ in parameters(call, set())]

    assert without_types(one) == without_types(other)


@pytest.mark.parametrize("name", sorted(public(Client)))
def test_everything_is_documented_alike(name: str) -> None:
    one, other = getattr(Client, name).__doc__, getattr(AsyncClient, name).__doc__
    assert one
    assert one.splitlines()[0] == other.splitlines()[0]


@pytest.mark.parametrize("interface", INTERFACES)
def test_results_are_told_at_run_time(interface: type) -> None:
    """help() and get_type_hints() know what a method returns; a pipeline's holds it in a Pending."""
    for name in public(interface):
        method = getattr(interface, name)
        if inspect.isfunction(method):
            # Of an extra, which the module of the client does not import.
            extras = {"pyarrow": pytest.importorskip("pyarrow")} if name == "fetch_table" else {}
            assert "return" in get_type_hints(method, localns=extras), name
    expected: dict[str, Any] = {
        "fetch": FetchResult,
        "noop": type(None),
        "create_mailbox": str | None,
        "get_quota": Quota,
        "get_jmap_access": str,
        "sort": SortResult,
        "search": SearchResult,
    }
    for name, result in expected.items():
        returns = get_type_hints(getattr(interface, name))["return"]
        assert (get_args(returns) == (result,)) if interface is Pipeline else (returns == result)


@pytest.mark.parametrize("interface", INTERFACES)
def test_methods_carry_their_names(interface: type) -> None:
    for name in public(interface):
        method = getattr(interface, name)
        if inspect.isfunction(method):
            assert method.__name__ == name
            assert method.__qualname__ == f"{interface.__name__}.{name}"


@pytest.mark.parametrize("interface", [Client, AsyncClient])
def test_an_error_for_a_call_names_the_method(interface: Any) -> None:
    client = interface("imap.example.org")
    name = interface.__name__
    calls: tuple[tuple[Callable[[], Any], str], ...] = (
        (lambda: client.subscribe(), rf"{name}\.subscribe\(\) missing 1 required positional argument: 'mailbox'"),
        (lambda: client.fetch(1, flags=True), rf"{name}\.fetch\(\) got an unexpected keyword argument 'flags'"),
        (lambda: client.move(1), rf"{name}\.move\(\) missing"),
        (lambda: client.take_events(1), rf"{name}\.take_events\(\) takes"),
        (lambda: client.fetch_iter(), rf"{name}\.fetch_iter\(\) missing"),
        (
            lambda: interface("imap.example.org", usr="me"),
            rf"{name}\.__init__\(\) got an unexpected keyword argument 'usr'",
        ),
    )
    for call, said in calls:
        with pytest.raises(TypeError, match=said):
            call()


def test_a_pipeline_names_the_method() -> None:
    pipeline: Any = Pipeline(Protocol())
    with pytest.raises(TypeError, match=r"Pipeline\.subscribe\(\) missing"):
        pipeline.subscribe()
