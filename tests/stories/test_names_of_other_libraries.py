"""Somebody types what it is called in the library that he comes from; the error says what to type."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from fastimap import AsyncClient, Client, search
from fastimap.model._elsewhere import ELSEWHERE
from fastimap.sessions.follow.message import AsyncMessage, Message
from fastimap.testing import IMAPServer
from fastimap.types import Attachment, BodyStructure, Envelope, FetchedMessage

CLASSES: dict[str, tuple[type, ...]] = {
    "Client": (Client, AsyncClient),
    "FetchedMessage": (FetchedMessage, Message, AsyncMessage),
    "Attachment": (Attachment,),
}
INSIDE = {
    "session": Client("imap.example.org").session,
    "envelope": Envelope,
    "body_structure": BodyStructure,
    "email": EmailMessage,
}
ROWS = [(row, name, instead) for row, names in ELSEWHERE.items() for name, instead in names.items()]
# What users of the others call, by class; without what nobody calls: constants, classes, what their own programs read.
LIBRARIES = {
    "imaplib:IMAP4_SSL": {"abort", "error", "file", "print_log", "read", "readline", "send", "socket"},
    "imapclient:IMAPClient": {"AbortError", "Error", "ReadOnlyError", "socket"},
    "imap_tools:MailBox": {"email_message_class", "folder_manager_class", "idle_manager_class"},
    "aioimaplib:IMAP4_SSL": {"TIMEOUT_SECONDS", "create_client"},
}


def make(cls: Any) -> Any:
    if cls is FetchedMessage:
        return FetchedMessage(uid=1)
    if cls in (Message, AsyncMessage):  # what follow() delivers
        return cls(None, None, FetchedMessage(uid=1))
    return Attachment("a.pdf", "2", "application/pdf", 4) if cls is Attachment else cls("imap.example.org")


@pytest.mark.parametrize(("row", "name", "instead"), ROWS, ids=[f"{row}.{name}" for row, name, _ in ROWS])
def test_each_name_says_one_that_is_there(row: str, name: str, instead: str) -> None:
    for cls in CLASSES[row]:
        made = make(cls)
        with pytest.raises(AttributeError, match=re.escape(f"{cls.__name__} has no attribute '{name}': use {instead}")):
            getattr(made, name)
        assert not hasattr(made, name)
        assert name not in dir(made)
        assert "Not here" in vars(next(each for each in cls.__mro__ if name in vars(each)))[name].__doc__
    paths = re.findall(r"\b(?:client|message|attachment)((?:\.\w+(?:\(\))?)+)", instead)
    known = {*inspect.signature(Client).parameters}
    for path in paths:
        owner: Any = make(CLASSES[row][0])
        for each in re.findall(r"\w+", path):
            assert hasattr(owner, each), instead
            if inspect.isroutine(inspect.getattr_static(owner, each)):
                known |= {*inspect.signature(getattr(owner, each)).parameters}
            owner = INSIDE.get(each, owner)
    keywords = {*re.findall(r"(\w+)=", instead)}
    assert paths or keywords
    assert keywords <= known


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_method_of_the_others_is_here_or_says_what_is(library: str) -> None:
    module, _, name = library.partition(":")
    theirs = getattr(pytest.importorskip(module), name)
    called = {each for each in dir(theirs) if each.islower() and not each.startswith("_")} - LIBRARIES[library]
    assert len(called) > 10
    unknown = {each for each in called if not hasattr(Client, each) and each not in ELSEWHERE["Client"]}
    assert unknown == set()


def test_every_field_of_a_message_of_imap_tools_is_here_or_says_what_is() -> None:
    message = pytest.importorskip("imap_tools").MailMessage
    attachment = importlib.import_module("imap_tools.message").MailAttachment
    for theirs, ours, row in ((message, FetchedMessage, "FetchedMessage"), (attachment, Attachment, "Attachment")):
        fields = {each for each in dir(theirs) if not each.startswith("_")} - {"from_bytes"}
        known = {*dir(make(ours)), *ELSEWHERE[row]}
        assert fields - known == set()


def test_a_name_that_none_has_is_pythons_own_error(client: Any) -> None:
    with pytest.raises(AttributeError, match="object has no attribute 'find_all'"):
        client.find_all(search.unseen)


def test_a_program_may_have_such_a_name_itself() -> None:
    class Mine(Client):
        def logout(self) -> str:
            return "mine"

    assert Mine("imap.example.org").logout() == "mine"
    assert "logout" in dir(Mine("imap.example.org"))


@pytest.mark.usefixtures("implementation")
def test_a_row_is_a_fetched_message(server: IMAPServer, client: Any) -> None:
    """Whichever parser made it, Python's errors name the class that stands in the documentation."""
    client.append("INBOX", b"Subject: hello\r\n\r\nworld\r\n")
    client.select("INBOX")
    message = client.fetch_one("*", "FLAGS")
    mistakes: list[tuple[Callable[[], object], str]] = [
        (lambda: message.flag, "'FetchedMessage' object has no attribute 'flag'"),
        (lambda: message["FLAGS"], "'FetchedMessage' object is not subscriptable"),
        (lambda: setattr(message, "flags", ()), "a FetchedMessage does not change: flags"),
        (lambda: setattr(message, "mine", 1), "a FetchedMessage does not change: mine"),
        (lambda: delattr(message, "flags"), "a FetchedMessage does not change: flags"),
    ]
    for mistake, text in mistakes:
        with pytest.raises((AttributeError, TypeError), match=re.escape(text)):
            mistake()
    assert type(message).__name__ == "FetchedMessage"
