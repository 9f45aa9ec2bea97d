"""What a server's NO means: by its code, else by the words of servers that send none."""

from __future__ import annotations

import pytest

from fastimap.commands import Login
from fastimap.commands.base import Session
from fastimap.commands.refusals import refusal
from fastimap.errors import (
    Advice,
    AuthenticationFailed,
    CommandError,
    MailboxExists,
    MailboxNotFound,
    NoPermission,
    OverQuota,
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
    ("User is authenticated but not connected.", Unavailable),  # Exchange
    ("Too many simultaneous connections. (Failure)", Unavailable),  # Gmail
    ("LOGIN Rate limit hit", Unavailable),  # Yahoo
    ("Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", Unavailable),  # Dovecot
    ("Too many failed login attempts", Unavailable),
    ("The service is temporarily unavailable", Unavailable),
    ("Temporary authentication failure.", Unavailable),  # Dovecot
    ("Mailbox doesn't exist: Temporary failures (0.001 + 0.000 secs).", MailboxNotFound),
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


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        # Exchange Online (postalsys/imapflow, "BAD with throttling")
        ("Request is throttled. Suggested Backoff Time: 92415 milliseconds", 92.415),
        ("Too many connections, try again in 5 minutes", 300.0),
        ("Rate limit hit: retry after 30 seconds", 30.0),
        ("Rate limit hit. Please wait 1.5 s", 1.5),
        ("Throttled: retry-after: 2 hours", 7200.0),
        ("Too many failures: blocked for 15 min", 900.0),
        # How long the server took is not how long to wait.
        ("Server is too busy (0.001 + 60.000 secs).", None),
        ("Throttled (took 2 ms)", None),
        ("Throttled: try again later (0.001 + 0.298 + 0.297 secs).", None),
        ("Throttled: try again in 10 seconds (0.001 + 0.298 secs).", 10.0),
        ("Too many connections", None),
    ],
)
def test_when_to_come_back(text: str, delay: float | None) -> None:
    error = refusal("LOGIN", Tagged(b"T1", "NO", None, text))
    assert type(error) is Unavailable
    assert error.delay == delay
    assert error.advice is Advice.RETRY
    assert str(error).endswith(text if delay is None else f"{text} (try again in {delay:g} s)")


def test_bandwidth_is_no_quota() -> None:
    """Gmail: what is used up comes back by itself, where a full mailbox does not (ljmerza/ha-email-sensor#16)."""
    code = ResponseCode("OVERQUOTA")
    throttled = refusal("FETCH", Tagged(b"T1", "NO", code, "Account exceeded command or bandwidth limits."))
    assert (type(throttled), throttled.code, throttled.advice) == (Unavailable, "OVERQUOTA", Advice.RETRY)
    full = refusal("APPEND", Tagged(b"T1", "NO", code, "Quota exceeded (mailbox for user is full)"))
    assert (type(full), full.advice) == (OverQuota, Advice.FIX)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INUSE", "LIMIT", "THROTTLED"])
def test_codes_of_what_may_work_later(code: str) -> None:
    error = refusal("FETCH", Tagged(b"T1", "NO", ResponseCode(code), "Timeout after 60 seconds (60.001 + 0.000 secs)."))
    assert (type(error), error.delay, error.advice) == (Unavailable, None, Advice.RETRY)


def test_a_session_that_lost_its_mailbox_needs_a_new_connection() -> None:
    error = refusal("SELECT", Tagged(b"T1", "BAD", None, "User is authenticated but not connected."))
    assert (type(error), error.advice) == (Unavailable, Advice.RECONNECT)


@pytest.mark.parametrize(("code", "advice"), [("SERVERBUG", Advice.RETRY), ("CONTACTADMIN", Advice.FIX)])
def test_a_login_that_fails_by_the_server_is_no_matter_of_credentials(code: str, advice: Advice) -> None:
    error = Login("me", "secret").fail(Tagged(b"T1", "NO", ResponseCode(code), "Internal error"), Session())
    assert isinstance(error, CommandError)
    assert not isinstance(error, AuthenticationFailed)
    assert error.advice is advice


def test_a_login_that_an_alert_refuses_is_about_credentials() -> None:
    """Gmail: the text says what to do, so it is in the error."""
    text = "Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)"
    error = Login("me", "secret").fail(Tagged(b"T1", "NO", ResponseCode("ALERT"), text), Session())
    assert isinstance(error, AuthenticationFailed)
    assert error.advice is Advice.REAUTHENTICATE
    assert text in str(error)


def test_a_server_that_wants_to_know_the_client() -> None:
    """imap.163.com and imap.126.com: SELECT is refused until ID was sent."""
    text = "SELECT Unsafe Login. Please contact kefu@188.com for help"
    (note,) = refusal("SELECT", Tagged(b"a02", "NO", None, text)).__notes__
    assert "client_id=" in note
