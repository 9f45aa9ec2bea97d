"""NO and BAD -> the error that fits: by response code (RFC 5530), else by what known servers write in the text."""

from __future__ import annotations

import re

from ..errors import (
    Advice,
    AuthenticationFailed,
    CommandError,
    MailboxExists,
    MailboxNotFound,
    NoPermission,
    OverQuota,
    Unavailable,
)
from ..model.responses import Tagged

__all__ = ["refusal"]

_BY_CODE: dict[str, type[CommandError]] = {
    "ALREADYEXISTS": MailboxExists,
    "AUTHENTICATIONFAILED": AuthenticationFailed,
    "AUTHORIZATIONFAILED": AuthenticationFailed,
    "EXPIRED": AuthenticationFailed,
    "INUSE": Unavailable,
    "LIMIT": Unavailable,
    "NONEXISTENT": MailboxNotFound,
    "NOPERM": NoPermission,
    "OVERQUOTA": OverQuota,
    "THROTTLED": Unavailable,
    "TRYCREATE": MailboxNotFound,
    "UNAVAILABLE": Unavailable,
}
# The same in the words of servers that send no code: Cyrus, Courier, and Dovecot 2.3 to SELECT and STATUS.
_BY_TEXT: tuple[tuple[re.Pattern[str], type[CommandError]], ...] = (
    (re.compile(r"mailbox (?:does not|doesn't) exist", re.IGNORECASE), MailboxNotFound),
    (re.compile(r"mailbox already exists", re.IGNORECASE), MailboxExists),
    (re.compile(r"permission denied|\bno permission\b", re.IGNORECASE), NoPermission),
)
_ADVICE = {"CORRUPTION": Advice.FIX, "SERVERBUG": Advice.RETRY, "CONTACTADMIN": Advice.FIX, "LIMIT": Advice.RETRY}

# Servers that throttle in words: Exchange ("Request is throttled. Suggested Backoff Time: 92415 milliseconds"),
# Gmail ("Too many simultaneous connections", "Account exceeded command or bandwidth limits"),
# Yahoo ("Rate limit hit"), Dovecot's auth_failure_delay and login limits ("Maximum number of connections").
_THROTTLED = re.compile(
    r"throttl|rate limit|bandwidth limits|back ?off"
    r"|too many (?:simultaneous )?connections|maximum number of connections",
    re.IGNORECASE,
)
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(milliseconds|ms\b|seconds|secs?\b|s\b|minutes|mins?\b)", re.IGNORECASE)


def refusal(command: str, tagged: Tagged) -> CommandError:
    """Return the error for a tagged NO or BAD."""
    code = tagged.response_code.name if tagged.response_code is not None else None
    kind = _BY_CODE.get(code) if code is not None else None
    if kind is None:
        kind = Unavailable if _THROTTLED.search(tagged.text) else CommandError
        if kind is CommandError and code is None and tagged.status == "NO":
            kind = next((known for text, known in _BY_TEXT if text.search(tagged.text)), kind)
    return kind(
        command,
        tagged.tag,
        tagged.status,
        tagged.response_code,
        tagged.text,
        advice=_ADVICE.get(code or ""),
        delay=_delay(tagged.text) if kind is Unavailable else None,
    )


def _delay(text: str) -> float | None:
    found = _DELAY.search(text)
    if found is None:
        return None
    unit = found[2].lower()
    return float(found[1]) * (0.001 if unit.startswith(("ms", "milli")) else 60.0 if unit.startswith("min") else 1.0)
