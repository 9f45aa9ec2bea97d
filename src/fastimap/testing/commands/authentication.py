"""Commands of any state, and those that lead to the authenticated one (RFC 3501, sections 6.1 and 6.2)."""

from __future__ import annotations

import binascii
import platform

from ..grammar import Bad, No, write_string
from ..session import Session, State
from .registry import ANY, AUTHENTICATED, Request, command


@command("CAPABILITY", ANY)
def capability(session: Session, request: Request) -> None:
    request.arguments.end()
    session.respond(b"CAPABILITY ", session.capabilities().encode())


@command("NOOP", ANY)
def noop(session: Session, request: Request) -> None:
    request.arguments.end()


@command("LOGOUT", ANY)
def logout(session: Session, request: Request) -> None:
    request.arguments.end()
    session.unselect()
    session.respond(b"BYE Until next time")
    session.state = State.LOGOUT


@command("ID", ANY)
def identify(session: Session, request: Request) -> None:
    """RFC 2971. What the client says of itself is checked for form and otherwise ignored."""
    arguments = request.arguments
    arguments.space()
    if not arguments.take(b"NIL"):
        arguments.expect(b"(")
        first = True
        while not arguments.take(b")"):
            if not first:
                arguments.space()
            first = False
            arguments.string()
            arguments.space()
            if not arguments.take(b"NIL"):
                arguments.string()
    arguments.end()
    python = write_string(platform.python_version().encode())
    session.respond(b'ID ("name" "fastimap.testing" "python" ', python, b")")


@command("ENABLE", AUTHENTICATED)
def enable(session: Session, request: Request) -> None:
    """RFC 5161. The server has no extension that must be enabled: it says that none was."""
    request.arguments.space()
    request.arguments.atom()
    while request.arguments.take(b" "):
        request.arguments.atom()
    request.arguments.end()
    session.respond(b"ENABLED")


@command("STARTTLS", State.NOT_AUTHENTICATED, locked=False)
def starttls(session: Session, request: Request) -> None:
    request.arguments.end()
    context = session.store.starttls
    if context is None or not session.starttls_offered():
        raise Bad("STARTTLS is not offered")
    session.start_tls(context)


@command("LOGIN", State.NOT_AUTHENTICATED)
def login(session: Session, request: Request) -> str:
    arguments = request.arguments
    arguments.space()
    user = arguments.astring()
    arguments.space()
    password = arguments.astring()
    arguments.end()
    return _log_in(session, user, password)


@command("AUTHENTICATE", State.NOT_AUTHENTICATED, locked=False)
def authenticate(session: Session, request: Request) -> str:
    """The mechanism PLAIN (RFC 4616), with or without an initial response (RFC 4959)."""
    arguments = request.arguments
    arguments.space()
    mechanism = arguments.keyword()
    initial = arguments.atom().encode() if arguments.take(b" ") else None
    arguments.end()
    if mechanism != "PLAIN" or session.login_disabled():
        raise No("[CANNOT] That mechanism is not offered")
    response = session.read_continuation() if initial is None else initial
    if response == b"*":
        raise Bad("Cancelled by the client")
    try:
        identities = binascii.a2b_base64(b"" if response == b"=" else response, strict_mode=True)
        authorization, user, password = identities.split(b"\0")
    except ValueError:
        raise Bad("That is not a response of PLAIN in base64") from None
    if authorization not in (b"", user):
        raise No("[AUTHORIZATIONFAILED] A user can act only as that user")
    return _log_in(session, user, password)


def _log_in(session: Session, user: bytes, password: bytes) -> str:
    if session.login_disabled():
        raise No("[PRIVACYREQUIRED] No password is taken before STARTTLS")
    session.log_in(user.decode("utf-8", "replace"), password.decode("utf-8", "replace"))
    return f"[CAPABILITY {session.capabilities()}] Logged in"
