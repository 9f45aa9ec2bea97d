"""Commands without a connection: what one sends, and what it makes of the answers, as a trace of octets.

A trace is what the client (``C: ``) and the server (``S: ``) say, line by line without CRLF::

    C: A1 APPEND x {5}
    S: + go ahead
    C: hello
    S: A1 OK done

The tag is always A1. A line of the server that begins with ``+`` stands where the command has to wait for it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from fastimap._parser_py import fetch
from fastimap.commands.base import Command, Session, State
from fastimap.errors import CapabilityMissing, StateError
from fastimap.model.message import FetchedMessage
from fastimap.types import Response, Tagged
from fastimap.wire import decode
from fastimap.wire.encode import Encoding, Wait, encode

TAG = b"A1"


def server(*capabilities: str, enabled: Iterable[str] = (), state: State = State.SELECTED) -> Session:
    """A session with a server of IMAP4rev1 and these capabilities, INBOX selected."""
    session = Session(state, frozenset({"IMAP4REV1", *capabilities}))
    session.enabled = frozenset(enabled)
    session.mailbox = "INBOX" if state is State.SELECTED else None
    return session


def rev2(*capabilities: str) -> Session:
    """A session with a server of IMAP4rev2 alone."""
    session = Session(State.SELECTED, frozenset({"IMAP4REV2", *capabilities}))
    session.mailbox = "INBOX"
    return session


def sent(command: Command[Any], session: Session) -> list[bytes]:
    """What `command` sends; a new item begins where it has to wait. Raises what the protocol raises before sending."""
    if session.state not in command.states:
        raise StateError(command.name)
    for capability in command.requires(session):
        if not session.has(capability):
            raise CapabilityMissing(command.name, capability)
    encoding = Encoding(
        utf8=session.utf8,
        literal_plus=session.has("LITERAL+"),
        literal_minus=session.has("LITERAL-"),
    )
    runs = [b""]
    for fragment in encode(TAG, command.parts(session), encoding):
        if isinstance(fragment, Wait):
            runs.append(b"")
        else:
            runs[-1] += fragment
    return runs


class Talk:
    """Has a command talk as a trace says, with the parser `twin`."""

    def __init__(self, twin: ModuleType) -> None:
        self.twin = twin
        self.left: list[Response | FetchedMessage] = []
        """What the last command did not claim."""

    def __call__(self, command: Command[Any], session: Session, trace: str) -> Any:
        """Check that `command` sends what `trace` says, and return its result, or raise its error."""
        runs, said = _parsed(trace)
        command.tag = TAG
        assert sent(command, session) == runs
        self.left = []
        reader = self.twin.ResponseReader()
        for octets in said:
            reader.get_buffer()[: len(octets)] = octets
            reader.buffer_updated(len(octets))
            for fragments in reader.responses():
                row = fetch(fragments)
                if row is not None:
                    self.left += command.take_rows([row])
                    continue
                response = decode.response(fragments, utf8=session.utf8)
                if isinstance(response, Tagged):
                    assert response.tag == TAG
                    if response.status == "OK":
                        return command.succeed(response, session)
                    raise command.fail(response, session)
                if not command.take(response):
                    self.left.append(response)
        raise AssertionError("the trace has no tagged answer")


def _parsed(trace: str) -> tuple[list[bytes], list[bytes]]:
    """Return the octets of the client, up to each wait, and the lines of the server."""
    runs, said = [b""], []
    for line in textwrap.dedent(trace).strip("\n").split("\n"):
        side, octets = line[:2], line[3:].encode("utf-8", "surrogateescape") + b"\r\n"
        if side == "C:":
            runs[-1] += octets
        elif side == "S:" and octets.startswith(b"+"):
            runs.append(b"")
        elif side == "S:":
            said.append(octets)
        else:
            raise ValueError(f"neither C: nor S: {line!r}")
    return runs, said
