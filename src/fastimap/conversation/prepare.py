"""The beginning of a connection: from the greeting to the state that the settings ask for, and back after a cut.

A flow is a generator of commands: the driver runs each and sends its result back in, or throws its error in. It serves
the blocking client and the asyncio client alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from .. import commands
from ..commands.base import BeginTLS, Flow, Session, State
from ..commands.session import Capability, Compress, StartTLS
from ..errors import CapabilityMissing, CommandError, NotOffered, TLSError, UIDValidityChanged
from ..sasl import choose
from ..settings import Settings
from .protocol import Protocol

__all__ = ["log_in_by", "prepare", "select_again"]


def prepare(protocol: Protocol, settings: Settings, bindings: Callable[[], Mapping[str, bytes]]) -> Flow[None]:
    """Bring a connection from its greeting to the state that `settings` ask for.

    `bindings` gives the connection's TLS channel bindings, by type.
    """
    session = protocol.session
    if settings.tls == "starttls":
        yield from _start_tls(protocol)
    if not session.capabilities:
        yield Capability()
    if settings.credentials is not None and session.state is State.NOT_AUTHENTICATED:
        yield from _log_in(protocol, settings, bindings())
    if session.state is not State.NOT_AUTHENTICATED:
        yield from _settle(session, settings)


def log_in_by(protocol: Protocol, settings: Settings, command: commands.Login | commands.Authenticate) -> Flow[None]:
    """Log in by a command of the caller's, and go on as after the login that `settings` ask for."""
    yield command
    yield from _settle(protocol.session, settings)


def _settle(session: Session, settings: Settings) -> Flow[None]:
    """Do what follows a login."""
    if {"IMAP4REV1", "IMAP4REV2", "ENABLE"} <= session.capabilities:
        # A server that can't after all speaks IMAP4rev1 with us.
        with contextlib.suppress(CommandError):
            yield commands.Enable("IMAP4rev2")
    if "UTF8=ONLY" in session.capabilities and not session.utf8:
        yield commands.Enable("UTF8=ACCEPT")  # RFC 6855, section 6: nothing else is allowed before
    if settings.client_id is not None and session.has("ID"):
        yield commands.ID(settings.client_id)
    if settings.compress and not session.compressed:
        yield Compress()


def _start_tls(protocol: Protocol) -> Flow[None]:
    session = protocol.session
    if session.state is not State.NOT_AUTHENTICATED:
        raise TLSError("the server greets with PREAUTH, so that TLS can't be had: that may be an attack")
    if not session.capabilities:
        yield Capability()
    try:
        yield StartTLS()
    except CapabilityMissing:
        raise TLSError("the server does not offer STARTTLS") from None
    except CommandError as exc:
        raise TLSError(f"the server refuses STARTTLS: {exc.text}") from exc
    yield BeginTLS()


def _log_in(protocol: Protocol, settings: Settings, bindings: Mapping[str, bytes]) -> Flow[None]:
    session = protocol.session
    credentials = settings.credentials
    assert credentials is not None
    offered = [name.removeprefix("AUTH=") for name in session.capabilities if name.startswith("AUTH=")]
    wished = settings.mechanism
    # LOGIN the command is for servers that offer no mechanism for a password (Courier).
    by_command = wished is None and credentials.password is not None and not credentials.authzid
    if wished is not None and wished.upper() == "LOGIN" and "LOGIN" not in offered:
        by_command = credentials.password is not None
    try:
        mechanism = choose(
            offered,
            credentials,
            tls=session.tls,
            host=settings.host,
            port=settings.port,
            channel_bindings=bindings,
            mechanism=wished,
        )
    except NotOffered:
        if not by_command:
            raise
        assert credentials.password is not None
        yield commands.Login(credentials.user, credentials.password, insecure=wished is not None)
    else:
        yield commands.Authenticate(mechanism)


def select_again(before: Session) -> Flow[None]:
    """Select the mailbox that was selected before the connection was lost."""
    assert before.asked_for is not None
    select = commands.Select(before.asked_for, read_only=before.examined)
    select.keeps_hold = True
    selected = yield select
    if before.uid_validity is not None and selected.uid_validity != before.uid_validity:
        assert before.mailbox is not None
        raise UIDValidityChanged(before.mailbox, before.uid_validity, selected.uid_validity)
