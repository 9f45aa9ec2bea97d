"""The conversation with one client: commands read, handed on, answered."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Flag, auto
from ssl import SSLContext
from threading import RLock

from .connection import Connection, HangUpError
from .grammar import Arguments, Bad, No
from .mailbox import Account, View

_LITERAL_AT_END = re.compile(rb"\{(\d{1,20})(\+?)\}$")
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')

MAX_LITERAL = 1 << 27
"""The largest literal that is accepted, in octets."""

_CAPABILITIES = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE CHILDREN UIDPLUS MOVE UNSELECT"

_log = logging.getLogger("fastimap.testing")


class State(Flag):
    """The states of RFC 3501, section 3."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()


@dataclass(slots=True)
class Store:
    """What the sessions of a server share."""

    accounts: dict[str, Account] = field(default_factory=dict)
    starttls: SSLContext | None = None
    require_tls: bool = False
    """Whether a password is taken only under TLS (LOGINDISABLED)."""
    lock: RLock = field(default_factory=RLock)
    """Held by whoever reads or changes mailboxes."""


class Session:
    """One client's session, from the greeting to its end.

    `carry_out` carries out one command, which its arguments begin with, and returns the text of the OK.
    """

    def __init__(self, connection: Connection, store: Store, carry_out: Callable[[Session, Arguments], str]) -> None:
        self.connection = connection
        self.store = store
        self._carry_out = carry_out
        self.state: State = State.NOT_AUTHENTICATED
        self._account: Account | None = None
        self._view: View | None = None
        self._tls_to_start: SSLContext | None = None

    @property
    def account(self) -> Account:
        """The user's account. Commands that ask for it need a state in which there is one."""
        assert self._account is not None
        return self._account

    @property
    def view(self) -> View:
        """The selected mailbox. Commands that ask for it need the selected state."""
        assert self._view is not None
        return self._view

    def capabilities(self) -> str:
        """The capabilities of this moment: TLS and the login change them."""
        offered = _CAPABILITIES
        if self.state is State.NOT_AUTHENTICATED:
            if self.starttls_offered():
                offered += " STARTTLS"
            offered += " LOGINDISABLED" if self.login_disabled() else " AUTH=PLAIN"
        return offered

    def starttls_offered(self) -> bool:
        return self.store.starttls is not None and not self.connection.secure

    def login_disabled(self) -> bool:
        return self.store.require_tls and not self.connection.secure

    def start_tls(self, context: SSLContext) -> None:
        """Begin TLS once the command that asked for it has been answered."""
        self._tls_to_start = context

    def log_in(self, user: str, password: str) -> None:
        account = self.store.accounts.get(user)
        if account is None or account.password != password:
            raise No("[AUTHENTICATIONFAILED] Wrong user name or password")
        self._account = account
        self.state = State.AUTHENTICATED

    def select(self, view: View) -> None:
        self._view = view
        self.state = State.SELECTED

    def unselect(self) -> None:
        if self._view is not None:
            self._view.close()
            self._view = None
            self.state = State.AUTHENTICATED

    def respond(self, *octets: bytes) -> None:
        """Write one untagged response: ``*``, a space, `octets` in a row, and the line's end."""
        self.connection.write(b"* ", *octets, b"\r\n")

    def sync(self, *, expunge: bool) -> None:
        """Tell the client what has changed in its mailbox."""
        if self._view is not None:
            for update in self._view.updates(expunge=expunge):
                self.respond(update)

    def read_continuation(self) -> bytes:
        """Ask the client to go on, and return the line it sends."""
        self.connection.write(b"+ \r\n")
        self.connection.flush()
        return self.connection.read_line()

    def run(self) -> None:
        """Converse until the client logs out or the connection ends; OSError and EOFError say the latter."""
        self.respond(f"OK [CAPABILITY {self.capabilities()}] fastimap.testing is ready".encode())
        self.connection.flush()
        try:
            while self.state is not State.LOGOUT:
                self._answer(self._read_command())
                self.connection.flush()
                if self._tls_to_start is not None:
                    self.connection.start_tls(self._tls_to_start)
                    self._tls_to_start = None
        except HangUpError as exc:
            self.respond(f"BYE {exc}".encode())
            self.connection.flush()
        finally:
            with self.store.lock:
                self.unselect()

    def _read_command(self) -> bytes:
        """Return one command without its last CRLF; its literals stand in it as they were sent."""
        command = self.connection.read_line()
        line = command
        while (literal := _LITERAL_AT_END.search(line)) is not None:
            size, synchronizing = int(literal[1]), not literal[2]
            if size > MAX_LITERAL:
                raise HangUpError(f"[TOOBIG] A literal is larger than {MAX_LITERAL} octets")
            if synchronizing:
                self.connection.write(b"+ go on\r\n")
                self.connection.flush()
            octets = self.connection.read(size)
            line = self.connection.read_line()
            command = b"".join([command, b"\r\n", octets, line])
        return command

    def _answer(self, octets: bytes) -> None:
        tag = _TAG.match(octets)
        if tag is None:
            self.respond(b"BAD A command begins with a tag")
            return
        try:
            text = self._carry_out(self, Arguments(octets[tag.end() :]))
            status = f"OK {text}"
        except No as exc:
            status = f"NO {exc}"
        except Bad as exc:
            status = f"BAD {exc}"
        except (OSError, EOFError, HangUpError):
            raise
        except Exception:
            _log.exception("A command failed in fastimap.testing: %.200r", octets)
            status = "NO [SERVERBUG] The test server failed at this command; its log says why"
        self.connection.write(tag[0], b" ", status.encode("ascii", "backslashreplace"), b"\r\n")
