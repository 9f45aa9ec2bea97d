"""Capabilities change with a login (RFC 9051, section 6.1.1): they are asked for unless the answer lists them."""

from __future__ import annotations

import pytest

from fastimap.commands.auth import Login
from fastimap.commands.extensions import Unauthenticate
from fastimap.commands.mailbox import Create
from fastimap.errors import AuthenticationFailed, Disconnected

from .talk import Talk

LOGIN = "<1> LOGIN me secret"


def begun() -> tuple[Talk, Login]:
    talk = Talk("IMAP4rev1 AUTH=PLAIN", logged_in=False)
    talk.protocol.tls_started()
    return talk, Login("me", "secret")


@pytest.mark.parametrize(
    "answer",
    [
        ("<1> OK [CAPABILITY IMAP4rev1 MOVE] welcome",),
        ("* CAPABILITY IMAP4rev1 MOVE", "<1> OK welcome"),
        ("* OK [CAPABILITY IMAP4rev1 MOVE] welcome", "<1> OK welcome"),
    ],
)
def test_capabilities_that_the_answer_lists(answer: tuple[str, ...]) -> None:
    talk, login = begun()
    pending = talk.submit(login)
    talk.sends(LOGIN)
    talk.says(*answer)
    assert pending.done
    talk.sends()
    assert talk.protocol.session.has("MOVE")


def test_capabilities_that_it_does_not_list() -> None:
    talk, login = begun()
    pending = talk.submit(login)
    other = talk.submit(Create("x"))
    talk.sends(LOGIN)
    talk.says("<1> OK welcome")
    assert not pending.done
    assert talk.protocol.session.capabilities == frozenset()
    talk.sends("<2> CAPABILITY")  # before anything that is encoded by them
    talk.says("* CAPABILITY IMAP4rev1 MOVE", "<2> OK")
    assert pending.done
    assert pending.result() is None
    assert talk.protocol.session.has("MOVE")
    talk.sends("<3> CREATE x")
    talk.says("<3> OK")
    assert other.result() is None


def test_a_server_that_does_not_list_them() -> None:
    talk, login = begun()
    pending = talk.submit(login)
    talk.sends(LOGIN)
    talk.says("<1> OK welcome")
    talk.sends("<2> CAPABILITY")
    talk.says("<2> BAD what?")
    assert pending.result() is None


def test_a_connection_that_ends_meanwhile() -> None:
    talk, login = begun()
    pending = talk.submit(login)
    talk.sends(LOGIN)
    talk.says("<1> OK welcome")
    talk.protocol.eof_received()
    with pytest.raises(Disconnected):
        pending.result()


def test_a_login_that_is_refused_changes_nothing() -> None:
    talk, login = begun()
    pending = talk.submit(login)
    talk.sends(LOGIN)
    talk.says("<1> NO wrong")
    with pytest.raises(AuthenticationFailed):
        pending.result()
    assert talk.protocol.session.has("AUTH=PLAIN")
    talk.sends()


def test_after_unauthenticate() -> None:  # RFC 8437, section 2
    talk = Talk("IMAP4rev1 UNAUTHENTICATE MOVE")
    pending = talk.submit(Unauthenticate())
    talk.sends("<1> UNAUTHENTICATE")
    talk.says("<1> OK")
    talk.sends("<2> CAPABILITY")
    talk.says("* CAPABILITY IMAP4rev1 AUTH=PLAIN", "<2> OK")
    assert pending.result() is None
    assert not talk.protocol.session.has("MOVE")
