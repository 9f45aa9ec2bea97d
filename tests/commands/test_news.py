"""What servers say at any time is decoded when it is read, unless a command in flight may claim it."""

from __future__ import annotations

import pytest

from fastimap import commands
from fastimap.conversation.protocol import Protocol
from fastimap.types import Exists, ExpungeResponse, Recent, StatusResponse
from fastimap.wire import decode

from ..fuzz.conversations import ONE

NEWS = (b"* OK [COPYUID 1 2 3] x", b"* OK [APPENDUID 1 2] x", b"* OK [UIDNEXT 5] x", b"* NO [ALERT] x",
        b"* OK [READ-ONLY] x", b"* 3 EXISTS", b"* 1 RECENT", b"* 2 EXPUNGE")  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_a_command_that_claims_news_says_so(name: str) -> None:
    command = ONE[name]()
    claims = [line for line in NEWS if command.take(decode.response((line,)))]
    assert not claims or type(command).claims_news, claims


def receive(protocol: Protocol, octets: bytes) -> None:
    buffer = protocol.get_buffer(len(octets))
    buffer[: len(octets)] = octets
    protocol.buffer_updated(len(octets))


def test_what_was_learnt_does_not_wait() -> None:
    """The state is up to date at once, and the events come in their order, as they were sent."""
    protocol = Protocol()
    receive(protocol, b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
    noop = protocol.submit(commands.Noop())
    protocol.data_to_send()
    receive(
        protocol,
        b"* 17 EXISTS\r\n* 3 expunge\r\n* OK [ALERT] Disk is nearly full\r\n* 0 EXPUNGE\r\n* 2 RECENT\r\n"
        b"* OK [capability IMAP4rev1 IDLE] changed\r\n",
    )
    assert not noop.done
    assert protocol.session.exists == 16
    assert protocol.session.expunges == 1
    assert protocol.session.capabilities == {"IMAP4REV1", "IDLE"}
    events = []
    while (event := protocol.next_event()) is not None:
        events.append(event)
    kinds = [type(event).__name__ for event in events]
    assert kinds == [
        "Exists", "ExpungeResponse", "StatusResponse", "UnknownResponse", "Recent", "StatusResponse",
    ]  # fmt: skip
    assert (events[0], events[1], events[4]) == (Exists(17), ExpungeResponse(3), Recent(2))
    alert = events[2]
    assert isinstance(alert, StatusResponse)
    assert alert.response_code is not None
    assert alert.response_code.name == "ALERT"
    assert alert.text == "Disk is nearly full"
