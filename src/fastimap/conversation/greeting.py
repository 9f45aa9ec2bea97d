"""What a connection begins with, and what responses say about its state."""

from __future__ import annotations

from ..commands.base import Command, Session
from ..commands.refusals import delay_in
from ..errors import Advice, ConnectFailed, ConnectionLost, Disconnected
from ..model.response_codes import CapabilityCode
from ..model.responses import Capabilities, Exists, Response, ServerID, StatusResponse, Vanished
from .events import is_expunge

__all__ = ["Greeting", "learn", "no_server", "refused"]


class Greeting(Command[StatusResponse]):
    """What a client waits for before all else; it is not sent."""

    name = "the greeting"


def learn(session: Session, response: Response) -> None:
    """Note what a response says about the connection or the selected mailbox, whoever claims it."""
    if isinstance(response, StatusResponse):
        if isinstance(response.response_code, CapabilityCode):
            session.learn_capabilities(response.response_code.capabilities)
    elif isinstance(response, Capabilities):
        session.learn_capabilities(response.names)
    elif isinstance(response, Exists):
        session.exists = response.count
    elif is_expunge(response):
        session.expunged(len(response.uids) if isinstance(response, Vanished) else 1)
    elif isinstance(response, ServerID):
        session.server_id = dict(response.fields)


def refused(greeting: StatusResponse) -> ConnectionLost:
    """Return the error for a server that greets with BYE, or with NO or BAD (IceWarp, MailKit#1073)."""
    code = f" [{greeting.response_code.name}]" if greeting.response_code is not None else ""
    delay = delay_in(greeting.text)
    again = f" (try again in {delay:g} s)" if delay else ""
    text = f"the server refuses connections: {greeting.status}{code} {greeting.text}{again}"
    error = Disconnected(text) if greeting.status == "BYE" else ConnectFailed(text)
    error.delay = delay
    return error


def no_server(line: bytes) -> ConnectFailed:
    """Return the error for what begins as no IMAP server does."""
    began = line[:80].decode("ascii", "backslashreplace")
    return ConnectFailed(f"this is no IMAP server: it began with {began!r}; check host and port", Advice.FIX)
