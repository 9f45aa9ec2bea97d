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
from ..model._patterns import pattern
from ..model.responses import Tagged

__all__ = ["delay_in", "refusal"]

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
    (pattern(r"mailbox (?:does not|doesn't) exist", re.IGNORECASE), MailboxNotFound),
    (pattern(r"mailbox already exists", re.IGNORECASE), MailboxExists),
    (pattern(r"permission denied|\bno permission\b", re.IGNORECASE), NoPermission),
)
_ADVICE = {"CORRUPTION": Advice.FIX, "SERVERBUG": Advice.RETRY, "CONTACTADMIN": Advice.FIX, "LIMIT": Advice.RETRY}

# Servers that say in words that it may work later: Exchange ("Request is throttled. Suggested Backoff Time: 92415
# milliseconds", "User is authenticated but not connected"), Gmail ("Too many simultaneous connections", "Account
# exceeded command or bandwidth limits", under [OVERQUOTA] too), Yahoo ("Rate limit hit"), Dovecot ("Maximum number of
# connections from user+IP exceeded", "Temporary authentication failure").
_LATER = pattern(
    r"throttl|rate limit|bandwidth limits|back ?off|try again later|overloaded|too busy"
    r"|temporar(?:y|ily) (?:\w+ )?(?:fail|error|problem|unavailable|disabled|block|lock|suspend|reject|refus)"
    r"|server (?:is )?(?:busy|unavailable)|authenticated but not connected"
    r"|too many (?:[\w-]+ ){0,3}(?:connections|sessions|requests|commands|attempts|failures|logins)"
    r"|(?:maximum number of|limit of) (?:[\w-]+ ){0,3}(?:connections|sessions)",
    re.IGNORECASE,
)
_UNSAFE_LOGIN = "unsafe login"  # 163.com, 126.com, to SELECT
_NO_LONGER_CONNECTED = pattern("authenticated but not connected", re.IGNORECASE)
# How long a server took for its answer: Dovecot's "(0.001 + 60.000 secs)", iCloud's "(took 2 ms)".
_TOOK = pattern(r"\((?:took )?[0-9.+ ]{1,60}(?:ms|secs?)\)", re.IGNORECASE)
_DELAY = pattern(
    r"(?:back ?off|retry|again|wait|block|lock|later)[^0-9\n]{0,40}?"
    r"([0-9]{1,9}(?:\.[0-9]{1,3})?)[ -]?(milliseconds?|ms\b|seconds?|secs?\b|s\b|minutes?|mins?\b|hours?|h\b)",
    re.IGNORECASE,
)
_UNITS = {"mi": 60.0, "s": 1.0, "h": 3600.0}


def refusal(command: str, tagged: Tagged) -> CommandError:
    """Return the error for a tagged NO or BAD."""
    code = tagged.response_code.name if tagged.response_code is not None else None
    kind = _BY_CODE.get(code) if code is not None else None
    if kind is None and code is None and tagged.status == "NO":
        kind = next((known for text, known in _BY_TEXT if text.search(tagged.text)), None)
    if kind in (None, OverQuota) and _LATER.search(tagged.text):
        kind = Unavailable
    if kind is None:
        kind = CommandError
    advice = _ADVICE.get(code or "")
    if advice is None and kind is Unavailable and _NO_LONGER_CONNECTED.search(tagged.text):
        advice = Advice.RECONNECT
    error = kind(
        command,
        tagged.tag,
        tagged.status,
        tagged.response_code,
        tagged.text,
        advice=advice,
        delay=delay_in(tagged.text) if kind is Unavailable else None,
    )
    if _UNSAFE_LOGIN in tagged.text.lower():
        error.add_note(
            "this server wants to know the client after login (ID, RFC 2971): give the client "
            'client_id={"name": ..., "version": ...}, or call id() after login()'
        )
    return error


def delay_in(text: str) -> float | None:
    """Return after how many seconds a server says that it may be asked again, or None."""
    found = _DELAY.search(_TOOK.sub("", text))
    if found is None:
        return None
    unit = found[2].lower()
    if unit.startswith(("ms", "milli")):
        return float(found[1]) / 1000
    return float(found[1]) * next(seconds for begin, seconds in _UNITS.items() if unit.startswith(begin))
