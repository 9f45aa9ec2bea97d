"""What a server's NO means: by its code, else by the words of servers that send none."""

from __future__ import annotations

import pytest

from fastimap.commands import Login
from fastimap.commands.base import Session
from fastimap.commands.refusals import refusal
from fastimap.errors import (
    AuthenticationFailed,
    CommandError,
    MailboxExists,
    MailboxNotFound,
    NoPermission,
    Unavailable,
)
from fastimap.types import ResponseCode, Tagged

WORDS = [
    ("Mailbox does not exist", MailboxNotFound),  # Cyrus 3.6
    ("Mailbox does not exist, or must be subscribed to.", MailboxNotFound),  # Courier 5.0
    ("Mailbox doesn't exist: Nowhere (0.001 + 0.000 secs).", MailboxNotFound),  # Dovecot 2.3, SELECT
    ("Mailbox already exists", MailboxExists),  # Cyrus 3.6
    ("Permission denied", NoPermission),  # Cyrus 3.6
    ("SETQUOTA No permission.", NoPermission),  # Courier 5.0
    ("Request is throttled. Suggested Backoff Time: 92415 milliseconds", Unavailable),  # Exchange
    ("Invalid mailbox name", CommandError),
]


@pytest.mark.parametrize(("text", "kind"), WORDS)
def test_words(text: str, kind: type[CommandError]) -> None:
    error = refusal("SELECT", Tagged(b"T1", "NO", None, text))
    assert type(error) is kind
    assert error.code is None
    assert error.text == text


def test_a_code_counts_more_than_words() -> None:
    error = refusal("SELECT", Tagged(b"T1", "NO", ResponseCode("SERVERBUG"), "Permission denied"))
    assert type(error) is CommandError


def test_bad_is_the_call_itself() -> None:
    assert type(refusal("SELECT", Tagged(b"T1", "BAD", None, "Mailbox does not exist"))) is CommandError


@pytest.mark.parametrize("text", ["Permission denied", "Login failed."])
def test_a_refused_login_is_about_credentials(text: str) -> None:
    error = Login("me", "secret").fail(Tagged(b"T1", "NO", None, text), Session())
    assert type(error) is AuthenticationFailed
