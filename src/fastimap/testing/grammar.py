"""The grammar of commands (RFC 3501, section 9): read arguments, write strings and dates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

from fastimap.model import mailbox_name

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_MAILBOX = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"')
_LITERAL = re.compile(rb"~?\{(\d+)\+?\}\r\n")
_NUMBER = re.compile(rb"\d+")
_SEQUENCE_SET = re.compile(rb"(?:\d+|\*)(?::(?:\d+|\*))?(?:,(?:\d+|\*)(?::(?:\d+|\*))?)*")
_DATE = re.compile(rb'"?(\d{1,2})-([A-Za-z]{3})-(\d{4})"?')
_DATE_TIME = re.compile(rb'"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"')
_NOT_QUOTABLE = re.compile(rb"[\x00\r\n\x80-\xff]")
_ESCAPED = re.compile(rb'(["\\])')
_UNESCAPE = re.compile(rb'\\(["\\])')

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SYSTEM_FLAGS = {name.lower(): name for name in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}

MAX_NUMBER = 0xFFFFFFFF


class No(ValueError):
    """The command is answered NO; the text says why and may open with a response code."""


class Bad(ValueError):
    """The command is answered BAD; the text says what in it was not understood."""


class SequenceRange(NamedTuple):
    """One range of a sequence set; None stands for ``*``."""

    first: int | None
    last: int | None


class Arguments:
    """The arguments of one command, read from left to right; every method raises :exc:`Bad` on a mismatch.

    `octets` is the command without its last CRLF; a literal stands in it as it was sent.
    """

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._position = 0

    def at_end(self) -> bool:
        return self._position == len(self._octets)

    def end(self) -> None:
        if not self.at_end():
            raise Bad(f"Unexpected {self._ahead()}")

    def space(self) -> None:
        if not self.take(b" "):
            raise Bad(f"Expected a space before {self._ahead()}")

    def next_is(self, one_of: bytes) -> bool:
        """Whether the next octet is one of those given."""
        return not self.at_end() and self._octets[self._position] in one_of

    def take(self, octets: bytes) -> bool:
        """Step over `octets` if they come next (case-insensitively), and say whether they did."""
        end = self._position + len(octets)
        if self._octets[self._position : end].upper() != octets:
            return False
        self._position = end
        return True

    def expect(self, octets: bytes) -> None:
        if not self.take(octets):
            raise Bad(f"Expected {octets.decode()} before {self._ahead()}")

    def match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        """Step over what `pattern` matches here; `what` names it in the error."""
        match = pattern.match(self._octets, self._position)
        if match is None:
            raise Bad(f"Expected {what} before {self._ahead()}")
        self._position = match.end()
        return match

    def atom(self) -> str:
        return self.match(_ATOM, "an atom")[0].decode("ascii")

    def keyword(self) -> str:
        """An atom that is compared without case: in upper case."""
        return self.atom().upper()

    def number(self) -> int:
        return _number(self.match(_NUMBER, "a number")[0])

    def string(self) -> bytes:
        if self.next_is(b'"'):
            return _UNESCAPE.sub(rb"\1", self.match(_QUOTED, "a quoted string")[1])
        return self.literal()

    def literal(self) -> bytes:
        size = int(self.match(_LITERAL, "a string")[1])
        start = self._position
        self._position += size
        return self._octets[start : self._position]

    def astring(self) -> bytes:
        match = _ASTRING_ATOM.match(self._octets, self._position)
        if match is None:
            return self.string()
        self._position = match.end()
        return match[0]

    def mailbox(self) -> str:
        return _mailbox(self.astring())

    def list_mailbox(self) -> str:
        """A mailbox name that may hold the wildcards ``*`` and ``%``."""
        match = _LIST_MAILBOX.match(self._octets, self._position)
        if match is None:
            return _mailbox(self.string())
        self._position = match.end()
        return _mailbox(match[0])

    def sequence_set(self) -> list[SequenceRange]:
        ranges = []
        for item in self.match(_SEQUENCE_SET, "a sequence set")[0].split(b","):
            first, _, last = item.partition(b":")
            ranges.append(SequenceRange(_sequence_number(first), _sequence_number(last or first)))
        return ranges

    def flags(self) -> frozenset[str]:
        """Flags in parentheses, or (as STORE allows) a bare series of them up to the end."""
        found: list[str] = []
        if self.take(b"("):
            while not self.take(b")"):
                if found:
                    self.space()
                found.append(self.flag())
        else:
            found.append(self.flag())
            while self.take(b" "):
                found.append(self.flag())
        return frozenset(found)

    def flag(self) -> str:
        return canonical_flag(self.match(_FLAG, "a flag")[0].decode("ascii"))

    def date(self) -> date:
        match = self.match(_DATE, "a date")
        try:
            return date(int(match[3]), _month(match[2]), int(match[1]))
        except ValueError:
            raise Bad(f"No such date: {match[0].decode()}") from None

    def date_time(self) -> datetime:
        match = self.match(_DATE_TIME, "a date and time")
        day, year, hour, minute, second, *zone = (int(match[group]) for group in (1, 3, 4, 5, 6, 8, 9))
        offset = timedelta(hours=zone[0], minutes=zone[1])
        try:
            tzinfo = timezone(-offset if match[7] == b"-" else offset)
            return datetime(year, _month(match[2]), day, hour, minute, second, tzinfo=tzinfo)
        except ValueError:
            raise Bad(f"No such date and time: {match[0].decode()}") from None

    def _ahead(self) -> str:
        """What comes next, for an error text."""
        ahead = self._octets[self._position : self._position + 20]
        return ascii(ahead.decode("latin-1")) if ahead else "the end"


def canonical_flag(flag: str) -> str:
    """Return `flag` in the spelling under which it is kept; raises Bad for one that no client may set."""
    if not flag.startswith("\\"):
        return flag
    try:
        return _SYSTEM_FLAGS[flag.lower()]
    except KeyError:
        raise Bad(f"{flag} is not a flag that can be set") from None


def _mailbox(octets: bytes) -> str:
    try:
        return mailbox_name.decode(octets)
    except ValueError as exc:
        raise Bad(str(exc)) from None


def _number(digits: bytes) -> int:
    # The length is looked at first: int() refuses absurdly long digits with an error of its own.
    if len(digits) > 20 or int(digits) > MAX_NUMBER:
        raise Bad("A number is larger than 32 bits")
    return int(digits)


def _sequence_number(octets: bytes) -> int | None:
    if octets == b"*":
        return None
    number = _number(octets)
    if number == 0:
        raise Bad("0 is neither a sequence number nor a UID")
    return number


def _month(name: bytes) -> int:
    return _MONTHS.index(name.decode().capitalize()) + 1


def write_string(octets: bytes) -> bytes:
    """`octets` as a quoted string, or as a literal where a quoted string can't hold them."""
    if _NOT_QUOTABLE.search(octets) is not None:
        return write_literal(octets)
    return b'"' + _ESCAPED.sub(rb"\\\1", octets) + b'"'


def write_nstring(octets: bytes | None) -> bytes:
    return b"NIL" if octets is None else write_string(octets)


def write_literal(octets: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(octets), octets)


def write_mailbox(name: str) -> bytes:
    octets = mailbox_name.encode(name)
    return octets if _ATOM.fullmatch(octets) else write_string(octets)


def write_flags(flags: Iterable[str]) -> bytes:
    return b"(" + " ".join(sorted(flags)).encode("ascii") + b")"


def write_date_time(moment: datetime) -> bytes:
    """`moment` (aware) as a date-time, in double quotes; the zone to the minute."""
    minutes = (moment.utcoffset() or timedelta()) // timedelta(minutes=1)
    sign = "-" if minutes < 0 else "+"
    hours, minutes = divmod(abs(minutes), 60)
    day = f"{moment.day:2}-{_MONTHS[moment.month - 1]}-{moment.year:04}"
    return f'"{day} {moment:%H:%M:%S} {sign}{hours:02}{minutes:02}"'.encode()


def write_uid_set(uids: Iterable[int]) -> bytes:
    """Ascending `uids` as a sequence set with ranges."""
    ranges: list[list[int]] = []
    for uid in uids:
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in ranges)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
