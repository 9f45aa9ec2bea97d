"""Servers that answer a command by a function of its text, for what the server in memory does not do."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterable

from fastimap import UIDSet
from tests.imaplib.scripted import Peer, Script, Server

Reply = Callable[[bytes], bytes | None]
"""From a command without its tag to what the server says, in which ``<tag>`` stands for the tag; None hangs up."""

DONE = b"<tag> OK done\r\n"


def converse(reply: Reply, capabilities: bytes = b"IMAP4rev1 IDLE UIDPLUS MOVE", *, selects: bool = False) -> Script:
    """A script: the client is logged in from the start, LOGOUT and SELECT are answered, `reply` answers the rest.

    With `selects`, SELECT too.

    `reply` gets the literals of LITERAL+ within the command.
    """

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY " + capabilities + b"] ready\r\n")
        while line := peer.line():
            while literal := _LITERAL_PLUS.search(line):
                line += peer.octets(int(literal[1])) + peer.line()
            tag, _, command = line.removesuffix(b"\r\n").partition(b" ")
            if command == b"LOGOUT":
                answer: bytes | None = b"* BYE see you\r\n" + DONE
            elif command.startswith(b"SELECT ") and not selects:
                answer = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 1] noted\r\n" + DONE
            else:
                answer = reply(command)
            if answer is None:
                return
            try:
                peer.send(answer.replace(b"<tag>", tag))
            except ConnectionError:  # the client left, as it may amid what it asked for
                return

    return script


_LITERAL_PLUS = re.compile(rb"\{(\d+)\+\}\r\n\Z")
_FETCH = re.compile(rb"UID FETCH ([0-9:,]+) \((.*)\)\Z")


def asked_for(command: bytes) -> list[int]:
    """The UIDs of a UID FETCH command, in ascending order."""
    match = _FETCH.match(command)
    assert match, command
    return list(UIDSet.parse(match[1]))


def flags_row(uid: int, more: bytes = b"") -> bytes:
    """A FETCH response; the message with UID n has the sequence number n."""
    return b"* %d FETCH (UID %d FLAGS (\\Seen)%s)\r\n" % (uid, uid, more)


def silent(peer: Peer) -> None:
    """Say nothing, until the client goes."""
    while peer.line():
        pass


def swallow(peer: Peer) -> None:
    """Take whatever octets come, and say nothing."""
    with contextlib.suppress(ConnectionError):
        while peer.sock.recv(4096):
            pass


def in_turn(servers: Iterable[Server]) -> Callable[[str, int], socket.socket]:
    """A function for `socket=`: each connection goes to the next of `servers`."""
    ports = iter([server.port for server in servers])
    return lambda host, port: socket.create_connection((host, next(ports)))
