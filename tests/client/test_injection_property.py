"""Whatever the arguments of a client's method, a server sees one command with just these; or the call raises ValueError
or TypeError (or an error of the package that says so), and nothing is sent.

What is compared with the arguments was read by tests/support/command_line.py, which knows nothing of the client.
"""

from __future__ import annotations

import asyncio
import base64
import io
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from fastimap import AsyncClient, Client, commands, sasl, search
from fastimap.commands import AppendMessage, EventGroup, MailboxFilter, QResync
from fastimap.commands.base import State
from fastimap.conversation.protocol import Pending, Protocol
from fastimap.errors import CapabilityMissing, StateError
from fastimap.model.sequence_set import SAVED, SequenceSet, UIDSet
from fastimap.types import Pipeline
from tests.client.interfaces import public
from tests.support.command_line import Arguments, Listener
from tests.support.effort import effort

CALLS = effort(100_000, at_least=10_000)  # in all
SEED = 20261126

CAPABILITIES = frozenset({
    "IMAP4REV1", "ACL", "AUTH=ANONYMOUS", "AUTH=EXTERNAL", "AUTH=PLAIN", "AUTH=XOAUTH2", "BINARY", "CATENATE",
    "COMPRESS=DEFLATE", "CONDSTORE", "CONTEXT=SEARCH", "CONTEXT=SORT", "CREATE-SPECIAL-USE", "ENABLE", "ESEARCH",
    "ESORT", "FILTERS", "I18NLEVEL=2", "ID", "IDLE", "JMAPACCESS", "LANGUAGE", "LIST-EXTENDED", "LIST-METADATA",
    "LIST-MYRIGHTS", "LIST-STATUS", "METADATA", "MOVE", "MULTIAPPEND", "MULTISEARCH", "NAMESPACE", "NOTIFY",
    "OBJECTID", "PARTIAL", "PREVIEW", "QRESYNC", "QUOTA", "REPLACE", "SAVEDATE", "SEARCH=FUZZY", "SEARCHRES", "SORT",
    "SORT=DISPLAY", "SPECIAL-USE", "STATUS=SIZE", "THREAD=REFERENCES", "UIDPLUS", "UNAUTHENTICATE", "UNSELECT",
    "UTF8=ACCEPT", "X-GM-EXT-1", "XLIST",
})  # fmt: skip
TEXT = [
    "\0", "\r", "\n", "\r\n", "\r\nA1 DELETE INBOX", "\r\nA1 DELETE INBOX\r\n", '"', '"', "\\", '\\"', "\\Seen", "{3}",
    "{3+}", "~{3}", "{0}", "{3-}", "{99999999999}", "{", "}", "(", ")", "()", "%", "*", " ", " ", "a", "INBOX", "/",
    "Sent/2026", "NIL", "1:*", "[", "]", "BODY[HEADER.FIELDS (DATE)]", "&", "&-", "&AOk-", "\t", "\x7f", "\x1b", "é",
    "日本", "😀", "\x80", "\ud800", "\udcff", "+", "~", "?", "<0.5>", ",", ":", "=", "ALL", "$", "#",
]  # fmt: skip
NUMBERS = [-(2**70), -1, 0, 1, 2, 77, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64, 2**70]
WRONG: list[Any] = [
    None, True, False, 0, -1, 7, 2**70, 10**5000, 1.5, math.nan, math.inf, 1j, b"x", b"\r\n", bytearray(b"x"),
    memoryview(b"x"), [], {}, ("a",), ["a", "b"], [None], {"a": "b"}, {"a"}, object(), range(3), UIDSet(1),
    SequenceSet(1), SAVED, date(2026, 1, 1), datetime(2026, 1, 1), lambda: None, str, Ellipsis,
]  # fmt: skip

_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_SET_ITEM = re.compile(rb"(\*|[1-9][0-9]*)(?::(\*|[1-9][0-9]*))?")
_DATE = re.compile(rb"([0-9]{1,2})-([A-Z][a-z]{2})-([0-9]{4})")
_DATE_TIME = re.compile(rb'"([0-3 ][0-9]-[A-Z][a-z]{2}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4})"')
_FIELD = re.compile(rb'"((?:[^"\\]|\\["\\])*)"|([^\x00-\x20\x7f-\xff(){%*"\\]+)')
_WORDS = re.compile(rb"[A-Z.]+")

Call = tuple[list[Any], dict[str, Any], Callable[[Arguments], None]]


class Late(NamedTuple):
    """An argument that is made when the call is, since that may raise too."""

    make: Callable[..., Any]
    arguments: tuple[Any, ...]


class Draw:
    """Random arguments."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.chance = rng.random

    def __call__(self, *values: Any) -> Any:
        return self.rng.choice(values)

    def plain(self) -> str:
        text = "".join(self.rng.choices(TEXT, k=self.rng.randrange(6)))
        return text * 3_000 if self.chance() < 0.002 else text

    def text(self) -> Any:
        """Mostly text, now and then what is none."""
        chance = self.chance()
        if chance < 0.8:
            return self.plain()
        if chance < 0.9:
            return self.plain().encode("utf-8", "surrogatepass")
        return self.rng.randbytes(self.rng.randrange(9)) if chance < 0.93 else self.wrong()

    def wrong(self) -> Any:
        return self.rng.choice(WRONG)

    def number(self) -> Any:
        return self.wrong() if self.chance() < 0.1 else self(*NUMBERS, self.rng.getrandbits(30))

    def flag(self) -> Any:
        return self("\\Seen", "$Junk", "\\Recent", self.text(), self.text())

    def some(self, one: Callable[[], Any], least: int = 0) -> Any:
        if self.chance() < 0.04:
            return self.wrong()
        return self.rng.choice([list, tuple])(one() for _ in range(self.rng.randint(least, 3)))

    def several(self, one: Callable[[], Any]) -> list[Any]:
        return [one() for _ in range(self.rng.randint(0, 3))]

    def maybe(self, value: Any) -> dict[str, Any]:
        """Keywords, or none."""
        return dict(value) if self.chance() < 0.6 else {}

    def messages(self) -> Any:
        number = self(*NUMBERS[:9])
        return self(
            number, self.text(), "1:*", "5:2,7", "*", "*:3", "$", SAVED, UIDSet("1:9,12:*"), SequenceSet("2,4:5"),
            [number, 5, range(1, 4)], [], range(1, 9, 3), range(9, 1, -1), [1, self.text()], self.wrong(),
        )  # fmt: skip

    def moment(self) -> Any:
        zone = timezone(timedelta(minutes=self.rng.randint(-1439, 1439), seconds=self(0, 0, 17)))
        aware = datetime(self.rng.randint(1, 9999), 6, self.rng.randint(1, 30), 1, 2, 3, tzinfo=zone)
        return self(aware, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1), self.wrong(), None)


# What was sent for an argument.


def is_octets(octets: bytes | None, value: Any) -> None:
    """The octets are those of `value`: text, or octets."""
    assert octets == (value.encode("utf-8") if isinstance(value, str) else value)
    assert isinstance(value, (str, bytes))


def is_nstring(octets: bytes | None, value: Any) -> None:
    """The octets are those of `value`, or NIL stands for None."""
    if octets is not None or value is not None:
        is_octets(octets, value)


def is_mailbox(arguments: Arguments, value: Any, *, pattern: bool = False) -> None:
    if isinstance(value, bytes):
        octets = arguments.astring()
        assert octets == value or octets.upper() == value.upper() == b"INBOX"
        return
    assert isinstance(value, str)
    assert arguments.mailbox(pattern=pattern) == ("INBOX" if value.upper() == "INBOX" else value)


def is_upper(octets: bytes, value: Any) -> None:
    is_octets(octets, value.upper())


def are_flags(arguments: Arguments, values: Any) -> None:
    seen = arguments.list_of(lambda: arguments.match(_FLAG)[0])
    assert not isinstance(values, str)
    assert seen == [value if isinstance(value, bytes) else value.encode() for value in values]


def numbers(octets: bytes) -> tuple[list[tuple[int, int]], bool]:
    """The numbers that a set holds, as ranges in their order that do not touch; and whether there is a star."""
    pairs, star = [], False
    for item in octets.split(b","):
        found = _SET_ITEM.fullmatch(item)
        assert found is not None, octets
        ends = [found[1], found[2] or found[1]]
        if b"*" in ends:
            star = True
            ends = [end for end in ends if end != b"*"]
            pairs += [(int(end), 2**32 - 1) for end in ends[:1]]
        else:
            low, high = sorted(map(int, ends))
            pairs.append((low, high))
    joined: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(high, joined[-1][1])
        else:
            joined.append((low, high))
    return joined, star


def is_set(arguments: Arguments, value: Any) -> None:
    octets = arguments.match(re.compile(rb"[0-9*:,]+|\$"))[0]
    if octets == b"$" or value is SAVED or value == "$":
        assert octets == b"$"
        assert value is SAVED or value == "$"
        return
    if isinstance(value, (str, UIDSet, SequenceSet)):
        wanted = str(value).encode()
    elif isinstance(value, range):
        wanted = b",".join(b"%d" % number for number in value)
    elif isinstance(value, (list, tuple, set, dict)):
        each = [[*item] if isinstance(item, range) else [item] for item in value]
        wanted = b",".join(b"%d" % number for items in each for number in items)
    else:
        assert type(value) is int, value
        wanted = b"%d" % value
    assert numbers(octets) == numbers(wanted)


def is_verb(arguments: Arguments, name: bytes, messages: Any) -> None:
    """The command, by UIDs unless sequence numbers were given."""
    arguments.take(name if isinstance(messages, SequenceSet) else b"UID " + name)


def is_date_time(arguments: Arguments, value: Any) -> None:
    text = arguments.match(_DATE_TIME)[1].decode()
    seen = datetime.strptime(text.replace(" ", "0", 1) if text[0] == " " else text, "%d-%b-%Y %H:%M:%S %z")
    assert seen == value.replace(microsecond=0)


def is_message(arguments: Arguments, message: bytes, *, flags: Any = (), moment: Any = None) -> None:
    if flags:
        arguments.take(b" ")
        are_flags(arguments, flags)
    if moment is not None:
        arguments.take(b" ")
        is_date_time(arguments, moment)
    arguments.take(b" ")
    assert arguments.literal() == message


def is_item(arguments: Arguments, value: Any) -> None:
    """A data item of FETCH, section and partial included."""
    assert isinstance(value, str)
    name, bracket, rest = value.partition("[")
    if not bracket:
        is_upper(arguments.match(re.compile(rb"PREVIEW \(LAZY\)|[^\x00-\x20\x7f-\xff()\[\]{%*\"\\]+"))[0], value)
        return
    arguments.take(name.upper().encode() + b"[")
    section, _, partial = rest.rpartition("]")
    head, parenthesis, fields = section.partition("(")
    arguments.take(head.rstrip(" ").upper().encode())
    if parenthesis:
        arguments.take(b" ")
        seen = arguments.list_of(lambda: arguments.match(_FIELD), least=1)
        wanted = list(_FIELD.finditer(fields.upper().encode()))
        assert [_unquoted(found) for found in seen] == [_unquoted(found) for found in wanted]
    arguments.take(b"]")
    if partial:
        origin, count = partial[1:-1].split(".")
        arguments.take(b"<%d.%d>" % (int(origin), int(count)))


def _unquoted(found: re.Match[bytes]) -> bytes:
    return found[2] if found[1] is None else re.sub(rb"\\(.)", rb"\1", found[1])


MACROS = {
    "FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
    "ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
    "FULL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
}


def are_items(arguments: Arguments, values: Iterable[Any], *, by_uid: bool) -> None:
    wanted: list[str] = []
    for value in values:
        assert isinstance(value, str)
        wanted += MACROS.get(value.upper(), [value])
    wanted = [value for i, value in enumerate(wanted) if value.upper() not in [v.upper() for v in wanted[:i]]]
    if by_uid and len(wanted) > 1:  # the answer has it anyway
        wanted = [value for value in wanted if value.upper() != "UID"]
    left = iter(wanted)
    arguments.list_of(lambda: is_item(arguments, next(left)), least=1)
    assert next(left, None) is None


def is_entry(octets: bytes, value: Any) -> None:
    assert isinstance(value, str)
    is_octets(octets, value)


# The methods: for each, arguments, and what a server has to read.

CASES: dict[str, Callable[[Draw], Call]] = {}


def case(method: Callable[[Draw], Call]) -> Callable[[Draw], Call]:
    CASES[method.__name__.rstrip("_")] = method
    return method


def without_arguments(name: str, line: bytes) -> None:
    CASES[name] = lambda draw: ([], {}, lambda arguments: arguments.take(line))


for method, line in {
    "capability": b"CAPABILITY", "noop": b"NOOP", "namespace": b"NAMESPACE", "compress": b"COMPRESS DEFLATE",
    "Check": b"CHECK", "close_mailbox": b"CLOSE", "unselect": b"UNSELECT", "unauthenticate": b"UNAUTHENTICATE",
    "notify_none": b"NOTIFY NONE", "get_jmap_access": b"GETJMAPACCESS",
}.items():  # fmt: skip
    without_arguments(method, line)


def of_strings(name: str, command: bytes, *kinds: str) -> None:
    """A command of mailboxes ("m"), patterns ("p") and astrings ("a")."""

    def call(draw: Draw) -> Call:
        values = [draw.text() for _ in kinds]

        def read(arguments: Arguments) -> None:
            arguments.take(command)
            for kind, value in zip(kinds, values, strict=True):
                arguments.take(b" ")
                if kind == "a":
                    is_octets(arguments.astring(), value)
                else:
                    is_mailbox(arguments, value, pattern=kind == "p")

        return values, {}, read

    CASES[name] = call


of_strings("delete_mailbox", b"DELETE", "m")
of_strings("rename_mailbox", b"RENAME", "m", "m")
of_strings("subscribe", b"SUBSCRIBE", "m")
of_strings("unsubscribe", b"UNSUBSCRIBE", "m")
of_strings("LSub", b"LSUB", "m", "p")
of_strings("XList", b"XLIST", "m", "p")
of_strings("login", b"LOGIN", "a", "a")
of_strings("get_quota", b"GETQUOTA", "a")
of_strings("get_quota_root", b"GETQUOTAROOT", "m")
of_strings("get_acl", b"GETACL", "m")
of_strings("delete_acl", b"DELETEACL", "m", "a")
of_strings("list_rights", b"LISTRIGHTS", "m", "a")
of_strings("my_rights", b"MYRIGHTS", "m")


def of_words(name: str, command: bytes, read_one: Callable[[Arguments, Any], None], least: int = 1) -> None:
    """A command of any number of words."""

    def call(draw: Draw) -> Call:
        values = draw.several(draw.text)

        def read(arguments: Arguments) -> None:
            assert len(values) >= least
            arguments.take(command)
            for value in values:
                arguments.take(b" ")
                read_one(arguments, value)

        return values, {}, read

    CASES[name] = call


of_words("enable", b"ENABLE", lambda arguments, value: is_upper(arguments.atom(), value))
of_words("language", b"LANGUAGE", lambda arguments, value: is_octets(arguments.astring(), value), least=0)
of_words("Comparator", b"COMPARATOR", lambda arguments, value: is_octets(arguments.string(), value), least=0)
of_words("cancel_update", b"CANCELUPDATE", lambda arguments, value: is_octets(arguments.string(), value))


@case
def id_(draw: Draw) -> Call:
    fields = draw(None, {draw.plain(): draw(None, draw.text()) for _ in range(3)}, {"x": draw.wrong()}, draw.wrong())

    def read(arguments: Arguments) -> None:
        arguments.take(b"ID ")
        if not fields:
            arguments.take(b"NIL")
            return
        seen = arguments.list_of(arguments.nstring)
        for octets, value in zip(seen[::2], fields, strict=True):
            is_octets(octets, value)
        for octets, value in zip(seen[1::2], fields.values(), strict=True):
            is_nstring(octets, value)

    return [fields], {}, read


@case
def authenticate(draw: Draw) -> Call:
    user, secret = draw.text(), draw.text()
    kind, wanted = draw(
        (lambda: sasl.Plain(user, secret), lambda: b"\0" + user.encode() + b"\0" + secret.encode()),
        (lambda: sasl.Anonymous(user), lambda: user.encode()),
        (lambda: sasl.External(user), lambda: user.encode()),
        (
            lambda: sasl.XOAuth2(user, secret),
            lambda: b"user=" + user.encode() + b"\1auth=Bearer " + secret.encode() + b"\1\1",
        ),
        (lambda: draw.wrong(), lambda: None),
    )

    def read(arguments: Arguments) -> None:
        arguments.take(b"AUTHENTICATE ")
        assert arguments.atom() in (b"PLAIN", b"ANONYMOUS", b"EXTERNAL", b"XOAUTH2")
        octets = arguments.match(re.compile(rb"[A-Za-z0-9+/=]+"))[0] if arguments.take_if(b" ") else arguments.answer()
        assert base64.b64decode(octets if octets != b"=" else b"", validate=True) == wanted()

    return [Late(kind, ())], {}, read


@case
def select(draw: Draw) -> Call:
    mailbox, read_only, condstore = draw.text(), draw(True, False), draw(True, False)

    def read(arguments: Arguments) -> None:
        arguments.take(b"EXAMINE " if read_only else b"SELECT ")
        is_mailbox(arguments, mailbox)
        if condstore:
            arguments.take(b" (CONDSTORE)")

    return [mailbox], {"read_only": read_only, "condstore": condstore}, read


@case
def Examine(draw: Draw) -> Call:  # noqa: N802 - a command, and no method
    mailbox = draw.text()
    known = [draw.number(), draw.number(), draw(None, UIDSet("1:5"), UIDSet("7:*"), draw.wrong())]

    def read(arguments: Arguments) -> None:
        arguments.take(b"EXAMINE ")
        is_mailbox(arguments, mailbox)
        arguments.take(b" (QRESYNC (")
        assert arguments.number() == known[0]
        arguments.take(b" ")
        assert arguments.number() == known[1]
        if known[2]:
            arguments.take(b" ")
            is_set(arguments, known[2])
        arguments.take(b"))")

    return [mailbox], {"qresync": Late(QResync, tuple(known))}, read


@case
def create_mailbox(draw: Draw) -> Call:
    mailbox, uses = draw.text(), draw(draw.flag(), draw.some(draw.flag))

    def read(arguments: Arguments) -> None:
        arguments.take(b"CREATE ")
        is_mailbox(arguments, mailbox)
        if uses or isinstance(uses, str):
            arguments.take(b" (USE ")
            are_flags(arguments, [uses] if isinstance(uses, str) else uses)
            arguments.take(b")")

    return [mailbox], {"special_use": uses}, read


_SELECTION = {
    "subscribed": "SUBSCRIBED", "remote": "REMOTE", "recursive_match": "RECURSIVEMATCH", "special_use": "SPECIAL-USE",
}  # fmt: skip
_WITH = {
    "with_subscribed": "SUBSCRIBED", "with_children": "CHILDREN", "with_special_use": "SPECIAL-USE",
    "with_rights": "MYRIGHTS",
}  # fmt: skip


@case
def list_mailboxes(draw: Draw) -> Call:
    reference, pattern = draw.text(), draw(draw.text(), draw.some(draw.text))
    status, metadata = draw.some(draw.text), draw.some(draw.text)
    chosen = {word: draw(True, False, False) for word in (*_SELECTION, *_WITH)}

    def read(arguments: Arguments) -> None:
        arguments.take(b"LIST ")
        selection = [name for word, name in _SELECTION.items() if chosen[word]]
        if selection:
            assert [octets.decode() for octets in arguments.list_of(arguments.atom)] == selection
            arguments.take(b" ")
        is_mailbox(arguments, reference)
        arguments.take(b" ")
        if isinstance(pattern, (str, bytes)):
            is_mailbox(arguments, pattern, pattern=True)
        elif len(pattern) == 1:
            is_mailbox(arguments, *pattern, pattern=True)
        else:
            left = iter(pattern)
            arguments.list_of(lambda: is_mailbox(arguments, next(left), pattern=True), least=2)
            assert next(left, left) is left
        wanted = {word for word in _WITH if chosen[word]}
        extended = bool(selection or wanted or status or metadata) or not isinstance(pattern, (str, bytes))
        if not arguments.take_if(b" RETURN ("):
            assert not any((wanted, status, metadata))
            return
        assert extended
        words: list[str] = []
        while not words or arguments.take_if(b" "):
            words.append(arguments.atom().decode())
            if words[-1] == "STATUS":
                arguments.take(b" ")
                assert arguments.list_of(arguments.atom) == [*dict.fromkeys(item.upper().encode() for item in status)]
            elif words[-1] == "METADATA":
                arguments.take(b" ")
                for octets, value in zip(arguments.list_of(arguments.astring), metadata, strict=True):
                    is_octets(octets, value)
        arguments.take(b")")
        assert ("STATUS" in words) == bool(status)
        assert ("METADATA" in words) == bool(metadata)
        # Children and special uses are asked for in any case, as some servers tell only what is asked for.
        asked = {_WITH[word] for word in wanted}
        assert asked <= {*words} - {"STATUS", "METADATA"} <= asked | {"CHILDREN", "SPECIAL-USE"}

    return [reference, pattern], {"status": status, "metadata": metadata, **chosen}, read


@case
def mailbox_status(draw: Draw) -> Call:
    mailbox, items = draw.text(), draw.several(lambda: draw("MESSAGES", draw.text()))

    def read(arguments: Arguments) -> None:
        arguments.take(b"STATUS ")
        is_mailbox(arguments, mailbox)
        arguments.take(b" ")
        seen = arguments.list_of(arguments.atom, least=1)
        if items:
            assert seen == [*dict.fromkeys(item.upper().encode() for item in items)]

    return [mailbox, *items], {}, read


def _message(draw: Draw) -> bytes:
    return draw.plain().encode("utf-8", "surrogatepass").replace(b"\0", b"")


@case
def append(draw: Draw) -> Call:
    mailbox, flags, moment = draw.text(), draw.some(draw.flag), draw.moment()
    message = _message(draw)
    binary, file = draw(True, False), draw(True, False)
    message += b"\0" if binary else b""

    def read(arguments: Arguments) -> None:
        arguments.take(b"APPEND ")
        is_mailbox(arguments, mailbox)
        is_message(arguments, message, flags=flags, moment=moment)

    given: Any = Late(io.BytesIO, (message,)) if file else message
    if draw.chance() < 0.05:
        given = draw.wrong()
        message = bytes(given) if isinstance(given, (bytes, bytearray, memoryview)) else b""
    keywords = {"flags": flags, "internal_date": moment, "binary": binary, "progress": draw(None, lambda *_: None)}
    return [mailbox, given], keywords, read


@case
def multi_append(draw: Draw) -> Call:
    mailbox = draw.text()
    made = [(_message(draw), draw.some(draw.flag), draw.moment()) for _ in range(draw(0, 1, 2))]

    def read(arguments: Arguments) -> None:
        arguments.take(b"APPEND ")
        is_mailbox(arguments, mailbox)
        for message, flags, moment in made:
            is_message(arguments, message, flags=flags, moment=moment)

    return [mailbox, Late(lambda *each: [AppendMessage(*one) for one in each], tuple(made))], {}, read


@case
def catenate(draw: Draw) -> Call:
    mailbox, flags, moment = draw.text(), draw.some(draw.flag), draw.moment()
    parts = draw.several(draw.text)

    def read(arguments: Arguments) -> None:
        arguments.take(b"APPEND ")
        is_mailbox(arguments, mailbox)
        if flags:
            arguments.take(b" ")
            are_flags(arguments, flags)
        if moment is not None:
            arguments.take(b" ")
            is_date_time(arguments, moment)
        arguments.take(b" CATENATE (")
        for index, part in enumerate(parts):
            arguments.take(b" " if index else b"")
            if isinstance(part, str):
                arguments.take(b"URL ")
                is_octets(arguments.astring(), part)
            else:
                arguments.take(b"TEXT ")
                assert arguments.literal() == bytes(part)
        arguments.take(b")")

    return [mailbox, parts], {"flags": flags, "internal_date": moment}, read


@case
def replace(draw: Draw) -> Call:
    replaced, mailbox, message = draw.messages(), draw.text(), _message(draw)

    def read(arguments: Arguments) -> None:
        is_verb(arguments, b"REPLACE ", replaced)
        is_set(arguments, replaced)
        arguments.take(b" ")
        is_mailbox(arguments, mailbox)
        is_message(arguments, message)

    return [replaced, mailbox, message], {}, read


@case
def expunge(draw: Draw) -> Call:
    messages = draw(None, draw.messages())

    def read(arguments: Arguments) -> None:
        if messages is None:
            arguments.take(b"EXPUNGE")
        else:
            arguments.take(b"UID EXPUNGE ")
            is_set(arguments, messages)

    return [messages], {}, read


def _items(draw: Draw) -> list[Any]:
    part = draw("1", "1.2", "", "0", draw.plain())
    names = f"{draw('DATE', draw.plain())} {draw('From', draw.plain())}"
    sections = ["", "HEADER", "TEXT", "MIME", part, f"{part}.HEADER", f"HEADER.FIELDS ({names})", draw.plain()]
    partial = draw("", "", f"<{draw(*NUMBERS)}.{draw(*NUMBERS)}>", draw.plain())
    return draw.several(
        lambda: draw(
            "FLAGS", "all", "UID", draw.text(), f"{draw('BODY', 'body.peek')}[{draw(*sections)}]{partial}",
            f"BINARY.PEEK[{part}]", "PREVIEW (LAZY)",
        )
    )  # fmt: skip


@case
def fetch(draw: Draw) -> Call:
    messages, items = draw.messages(), _items(draw)
    since, vanished = draw(None, draw.number()), draw(True, False, False)
    partial = draw(None, None, (draw.number(), draw.number()))

    def read(arguments: Arguments) -> None:
        is_verb(arguments, b"FETCH ", messages)
        is_set(arguments, messages)
        arguments.take(b" ")
        are_items(arguments, items, by_uid=not isinstance(messages, SequenceSet))
        wanted = []
        if partial is not None:
            wanted.append(b"PARTIAL %d:%d" % tuple(partial))
            assert all(type(position) is int for position in partial)
        if since is not None:
            wanted.append(b"CHANGEDSINCE %d" % since)
            assert type(since) is int
        wanted += [b"VANISHED"] * vanished
        if wanted:
            arguments.take(b" (" + b" ".join(wanted) + b")")

    return [messages, *items], {"changed_since": since, "vanished": vanished, "partial": partial}, read


@case
def fetch_into(draw: Draw) -> Call:
    messages, items = draw.messages(), _items(draw)

    def read(arguments: Arguments) -> None:
        is_verb(arguments, b"FETCH ", messages)
        is_set(arguments, messages)
        arguments.take(b" ")
        are_items(arguments, items, by_uid=not isinstance(messages, SequenceSet))

    return [messages, *items], {"into": io.BytesIO()}, read


@case
def fetch_iter(draw: Draw) -> Call:
    args, _, read = fetch_into(draw)
    # As many messages in a chunk as there can be: one command.
    return args, {"chunk": draw(2**32, 2**32, 2**32, 0, -1), "in_flight": draw(1, 2, 3, 0)}, read


@case
def store(draw: Draw) -> Call:
    messages, flags = draw.messages(), draw(draw.flag(), draw.some(draw.flag))
    action, silent, since = draw("add", "remove", "replace", draw.text()), draw(True, False), draw(None, draw.number())

    def read(arguments: Arguments) -> None:
        is_verb(arguments, b"STORE ", messages)
        is_set(arguments, messages)
        if since is not None:
            assert type(since) is int
            arguments.take(b" (UNCHANGEDSINCE %d)" % since)
        sign = {"add": b"+", "remove": b"-", "replace": b""}[action]
        arguments.take(b" " + sign + b"FLAGS" + (b".SILENT " if silent else b" "))
        are_flags(arguments, [flags] if isinstance(flags, str) else flags)

    return [messages, flags], {"action": action, "silent": silent, "unchanged_since": since}, read


@case
def store_gmail_labels(draw: Draw) -> Call:
    messages, labels = draw.messages(), draw(draw.text(), draw.some(draw.text))

    def read(arguments: Arguments) -> None:
        is_verb(arguments, b"STORE ", messages)
        is_set(arguments, messages)
        arguments.take(b" +X-GM-LABELS ")
        left = iter([labels] if isinstance(labels, str) else labels)

        def read_one() -> None:
            label = next(left)
            if isinstance(label, str) and label.startswith("\\"):
                arguments.take(label.encode("ascii"))
            else:
                is_mailbox(arguments, label)

        arguments.list_of(read_one)
        assert next(left, left) is left

    return [messages, labels], {}, read


def _copying(name: str) -> None:
    def call(draw: Draw) -> Call:
        messages, mailbox = draw.messages(), draw.text()

        def read(arguments: Arguments) -> None:
            is_verb(arguments, name.upper().encode() + b" ", messages)
            is_set(arguments, messages)
            arguments.take(b" ")
            is_mailbox(arguments, mailbox)

        return [messages, mailbox], {}, read

    CASES[name] = call


_copying("copy")
_copying("move")


# Search keys: the function that makes one, its arguments, and what a server has to read.


def _text_key(name: str, make: Callable[[Any], Any]) -> Callable[[Draw], tuple[Late, Callable[[Arguments, str], None]]]:
    def drawn(draw: Draw) -> tuple[Late, Callable[[Arguments, str], None]]:
        value = draw.text()

        def read(arguments: Arguments, charset: str) -> None:
            arguments.take(name.encode() + b" ")
            assert arguments.astring() == (value.encode(charset) if isinstance(value, str) else None)

        return Late(make, (value,)), read

    return drawn


def _header_key(draw: Draw) -> tuple[Late, Callable[[Arguments, str], None]]:
    name, value = draw.text(), draw.text()

    def read(arguments: Arguments, charset: str) -> None:
        arguments.take(b"HEADER ")
        is_upper(arguments.astring(), name)
        arguments.take(b" ")
        assert arguments.astring() == value.encode(charset)

    return Late(search.header, (name, value)), read


def _number_key(
    name: str, make: Callable[[Any], Any]
) -> Callable[[Draw], tuple[Late, Callable[[Arguments, str], None]]]:
    def drawn(draw: Draw) -> tuple[Late, Callable[[Arguments, str], None]]:
        value = draw.number()

        def read(arguments: Arguments, charset: str) -> None:
            if name == "SMALLER" and arguments.take_if(b"NOT LARGER "):
                assert arguments.number() == value - 1
            else:
                arguments.take(name.encode() + b" ")
                assert arguments.number() == value
            assert type(value) is int

        return Late(make, (value,)), read

    return drawn


def _set_key(draw: Draw) -> tuple[Late, Callable[[Arguments, str], None]]:
    value = draw.messages()

    def read(arguments: Arguments, charset: str) -> None:
        if arguments.take_if(b"NOT ALL"):  # no message is in the empty set
            assert not value
            return
        arguments.take(b"UID ")
        is_set(arguments, value)

    return Late(search.uid, (value,)), read


def _date_key(draw: Draw) -> tuple[Late, Callable[[Arguments, str], None]]:
    day = draw(date(draw.rng.randint(1, 9999), 2, draw.rng.randint(1, 28)), draw.wrong())

    def read(arguments: Arguments, charset: str) -> None:
        arguments.take(b"SINCE ")
        found = arguments.match(_DATE)
        months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        seen = int(found[3]), months.index(found[2].decode()) + 1, int(found[1])
        assert seen == (day.year, day.month, day.day)

    return Late(search.since, (day,)), read


def _atom_key(name: str, make: Callable[[Any], Any]) -> Callable[[Draw], tuple[Late, Callable[[Arguments, str], None]]]:
    def drawn(draw: Draw) -> tuple[Late, Callable[[Arguments, str], None]]:
        value = draw.text()

        def read(arguments: Arguments, charset: str) -> None:
            arguments.take(name.encode() + b" ")
            is_octets(arguments.atom(), value)

        return Late(make, (value,)), read

    return drawn


def _label_key(draw: Draw) -> tuple[Late, Callable[[Arguments, str], None]]:
    label = draw.text()

    def read(arguments: Arguments, charset: str) -> None:
        arguments.take(b"X-GM-LABELS ")
        if label.startswith("\\"):
            arguments.take(label.encode("ascii"))
            return
        # In modified UTF-7 whatever the connection takes.
        arguments.utf8, utf8 = False, arguments.utf8
        seen = arguments.mailbox()
        arguments.utf8 = utf8
        assert seen == ("INBOX" if label.upper() == "INBOX" else label)

    return Late(search.gmail_labels, (label,)), read


def _flag_key(draw: Draw) -> tuple[Late, Callable[[Arguments, str], None]]:
    value, flag, kind = draw.number(), draw.flag(), draw("all", "priv", "shared", draw.text())

    def read(arguments: Arguments, charset: str) -> None:
        arguments.take(b"MODSEQ ")
        is_octets(arguments.string(), "/flags/" + flag)
        arguments.take(b" " + kind.encode() + b" ")
        assert arguments.number() == value
        assert type(value) is int

    return Late(search.mod_sequence, (value, flag, kind)), read


def _raw_key(draw: Draw) -> tuple[Late, Callable[[Arguments, str], None]]:
    program = draw.text()

    def read(arguments: Arguments, charset: str) -> None:
        """It goes as it is, in parentheses, which nothing in it closes."""
        arguments.take(b"(" + program.strip().encode() + b")")
        depth = 0
        for found in re.finditer(r'"(?:[^"\\]|\\["\\])*"|[()"{]', program):
            assert found[0] not in ('"', "{")
            depth += {"(": 1, ")": -1}.get(found[0], 0)
            assert depth >= 0
        assert depth == 0

    return Late(search.raw, (program,)), read


KEYS = [
    *(_text_key(name.upper(), getattr(search, name)) for name in ("to", "cc", "bcc", "subject", "body", "text")),
    _text_key("FROM", search.from_),
    _text_key("X-GM-RAW", search.gmail_raw),
    _header_key,
    _number_key("LARGER", search.larger),
    _number_key("SMALLER", search.smaller),
    _number_key("OLDER", search.older),
    _number_key("YOUNGER", search.younger),
    _number_key("MODSEQ", search.mod_sequence),
    _number_key("X-GM-MSGID", search.gmail_message_id),
    _number_key("X-GM-THRID", search.gmail_thread_id),
    _set_key,
    _date_key,
    _atom_key("KEYWORD", search.keyword),
    _atom_key("FILTER", search.filter_),
    _atom_key("EMAILID", search.object_id),
    _atom_key("THREADID", search.thread_id),
    _label_key,
    _flag_key,
    _raw_key,
]  # fmt: skip


def draw_key(draw: Draw) -> tuple[Any, Callable[[Arguments, str], None]]:
    key, read = draw(*KEYS)(draw)
    return (draw.wrong() if draw.chance() < 0.03 else key), read


def _charset(draw: Draw) -> Any:
    return draw("UTF-8", "UTF-8", "ISO-8859-1", "UTF-7", draw.text())


def _returns(draw: Draw) -> Any:
    return draw(["ALL"], ["MIN", "count"], [], draw.some(draw.text))


def is_returns(arguments: Arguments, returns: Any, partial: Any = None) -> None:
    """RETURN with these options, which may be left out where that is ALL alone."""
    wanted = [option.upper().encode() for option in returns]
    wanted = [*dict.fromkeys(wanted)]
    if partial is not None:
        wanted.append(b"PARTIAL %d:%d" % tuple(partial))
        assert all(type(position) is int for position in partial)
    if arguments.take_if(b" RETURN "):
        arguments.take(b"(" + b" ".join(wanted) + b")")
    else:
        assert wanted == [b"ALL"]


def is_key(arguments: Arguments, read_key: Callable[[Arguments, str], None], charset: Any) -> None:
    """A key in `charset` after CHARSET; without that it is US-ASCII, or UTF-8 on a connection that takes it."""
    arguments.take(b" ")
    if arguments.take_if(b"CHARSET "):
        is_octets(arguments.atom(), charset)
        arguments.take(b" ")
        read_key(arguments, charset)
    else:
        read_key(arguments, "utf-8" if arguments.utf8 else "ascii")


def _partial(draw: Draw) -> Any:
    return draw(None, None, None, (1, 5), (-1, -5), (draw.number(), draw.number()), draw.wrong())


@case
def search_(draw: Draw) -> Call:
    key, read_key = draw_key(draw)
    charset, returns, sequence, partial = _charset(draw), _returns(draw), draw(True, False), _partial(draw)

    def read(arguments: Arguments) -> None:
        arguments.take(b"SEARCH" if sequence else b"UID SEARCH")
        is_returns(arguments, returns, partial)
        is_key(arguments, read_key, charset)

    return [key], {"returns": returns, "partial": partial, "sequence": sequence, "charset": charset}, read


@case
def sort(draw: Draw) -> Call:
    key, read_key = draw_key(draw)
    charset, returns, sequence = _charset(draw), _returns(draw), draw(True, False)
    criteria = draw(["DATE"], ["reverse subject", "FROM"], draw.some(draw.text))

    def read(arguments: Arguments) -> None:
        arguments.take(b"SORT" if sequence else b"UID SORT")
        is_returns(arguments, returns)
        arguments.take(b" (" + " ".join(word.upper() for word in criteria).encode() + b") ")
        assert _WORDS.fullmatch("".join(criteria).upper().replace(" ", "").encode())
        is_octets(arguments.atom(), charset)
        arguments.take(b" ")
        read_key(arguments, charset)

    return [criteria, key], {"returns": returns, "sequence": sequence, "charset": charset}, read


@case
def thread(draw: Draw) -> Call:
    key, read_key = draw_key(draw)
    algorithm, charset, sequence = draw("REFERENCES", "references", draw.text()), _charset(draw), draw(True, False)

    def read(arguments: Arguments) -> None:
        arguments.take(b"THREAD " if sequence else b"UID THREAD ")
        is_upper(arguments.atom(), algorithm)
        arguments.take(b" ")
        is_octets(arguments.atom(), charset)
        arguments.take(b" ")
        read_key(arguments, charset)

    return [algorithm, key], {"sequence": sequence, "charset": charset}, read


def _filter(draw: Draw) -> tuple[Any, Any]:
    kinds = ["selected", "inboxes", "personal", "subscribed", "subtree", "subtree-one", "mailboxes"]
    return draw(*kinds, draw.text()), draw((), (draw.text(),), tuple(draw.several(draw.text)), draw.wrong())


def is_filter(arguments: Arguments, kind: Any, names: Any) -> None:
    arguments.take(kind.encode())
    if not names:
        return
    arguments.take(b" ")
    left = iter(names)
    if len(names) == 1:
        is_mailbox(arguments, next(left))
    else:
        arguments.list_of(lambda: is_mailbox(arguments, next(left)), least=2)
    assert next(left, left) is left


@case
def multi_search(draw: Draw) -> Call:
    key, read_key = draw_key(draw)
    filters = [_filter(draw) for _ in range(draw(1, 1, 2, 0))]
    charset, returns = _charset(draw), _returns(draw)

    def read(arguments: Arguments) -> None:
        arguments.take(b"ESEARCH IN (")
        for index, (kind, names) in enumerate(filters):
            arguments.take(b" " if index else b"")
            is_filter(arguments, kind, names)
        arguments.take(b")")
        wanted = b" ".join(option.upper().encode() for option in returns)
        arguments.take(b" RETURN (" + wanted + b")")
        is_key(arguments, read_key, charset)

    made = Late(lambda *each: [MailboxFilter(*one) for one in each], tuple(filters))
    return [draw.wrong() if draw.chance() < 0.03 else made, key], {"returns": returns, "charset": charset}, read


@case
def notify(draw: Draw) -> Call:
    groups = [
        (
            _filter(draw),
            draw((), ("MessageNew", "MessageExpunge"), ("MailboxName",), (draw.text(),)),
            tuple(_items(draw)),
        )
        for _ in range(draw(1, 1, 2, 0))
    ]
    groups = [(chosen, events, items if draw.chance() < 0.5 else ()) for chosen, events, items in groups]
    wants_status = draw(True, False)

    def read(arguments: Arguments) -> None:
        arguments.take(b"NOTIFY SET")
        if wants_status:
            arguments.take(b" STATUS")
        for (kind, names), events, items in groups:
            arguments.take(b" (")
            is_filter(arguments, kind, names)
            arguments.take(b" ")
            if not events:
                arguments.take(b"NONE)")
                continue
            arguments.take(b"(")
            for index, event in enumerate(events):
                arguments.take((b" " if index else b"") + event.encode())
                if event == "MessageNew" and items:
                    arguments.take(b" ")
                    are_items(arguments, items, by_uid=False)
            arguments.take(b"))")

    made = [
        Late(lambda chosen, events, items: EventGroup(MailboxFilter(*chosen), events, items), group) for group in groups
    ]
    return [draw.wrong() if draw.chance() < 0.03 else one for one in made], {"status": wants_status}, read


@case
def set_quota(draw: Draw) -> Call:
    root = draw.text()
    limits = draw({}, {draw.plain(): draw.number(), "STORAGE": draw.number()}, draw.wrong())

    def read(arguments: Arguments) -> None:
        arguments.take(b"SETQUOTA ")
        is_octets(arguments.astring(), root)
        arguments.take(b" ")
        seen = arguments.list_of(arguments.atom)
        assert seen == [word for name, limit in limits.items() for word in (name.encode(), b"%d" % limit)]
        assert all(type(limit) is int for limit in limits.values())

    return [root, limits], {}, read


@case
def set_acl(draw: Draw) -> Call:
    values = [draw.text(), draw.text(), draw("lrs", "", draw.text())]
    action = draw("replace", "add", "remove", draw.text())

    def read(arguments: Arguments) -> None:
        arguments.take(b"SETACL ")
        is_mailbox(arguments, values[0])
        arguments.take(b" ")
        is_octets(arguments.astring(), values[1])
        arguments.take(b" ")
        is_octets(arguments.astring(), {"replace": "", "add": "+", "remove": "-"}[action] + values[2])

    return values, {"action": action}, read


@case
def get_metadata(draw: Draw) -> Call:
    mailbox, entries = draw.text(), draw.several(lambda: draw("/private/comment", draw.text(), "/" + draw.plain()))
    size, depth = draw(None, draw.number()), draw(0, 1, "infinity", draw.wrong())

    def read(arguments: Arguments) -> None:
        arguments.take(b"GETMETADATA ")
        wanted = []
        if size is not None:
            assert type(size) is int
            wanted.append(b"MAXSIZE %d" % size)
        if depth:
            wanted.append({1: b"DEPTH 1", "infinity": b"DEPTH infinity"}[depth])
        if wanted:
            arguments.take(b"(" + b" ".join(wanted) + b") ")
        is_mailbox(arguments, mailbox)
        arguments.take(b" ")
        seen = arguments.one_or_list(arguments.astring)
        for octets, entry in zip(seen, entries, strict=True):
            is_entry(octets, entry)

    return [mailbox, *entries], {"max_size": size, "depth": depth}, read


@case
def set_metadata(draw: Draw) -> Call:
    mailbox = draw.text()
    entries = draw(
        {"/private/comment": draw(None, draw.text()), "/" + draw.plain(): draw.text()},
        {draw.plain(): None},
        draw.wrong(),
    )

    def read(arguments: Arguments) -> None:
        arguments.take(b"SETMETADATA ")
        is_mailbox(arguments, mailbox)
        arguments.take(b" (")
        for index, (entry, value) in enumerate(entries.items()):
            arguments.take(b" " if index else b"")
            is_entry(arguments.astring(), entry)
            arguments.take(b" ")
            octets = arguments.nstring()
            is_nstring(octets, value)
        arguments.take(b")")

    return [mailbox, entries], {}, read


@case
def idle(draw: Draw) -> Call:
    def read(arguments: Arguments) -> None:
        arguments.take(b"IDLE")
        assert arguments.answer() == b"DONE"

    return [], {"renew": draw(540.0, draw.number()), "poll": draw(30.0, draw.number())}, read


# The interfaces, each with a server at once behind it.


def exchange(protocol: Protocol, server: Listener) -> None:
    """Hand over what the client writes, and what the server answers."""
    octets = b"".join(map(bytes, protocol.data_to_send()))
    answer = memoryview(server.take(octets)) if octets else memoryview(b"")
    while answer:
        room = protocol.get_buffer()
        size = min(len(room), len(answer))
        room[:size] = answer[:size]
        protocol.buffer_updated(size)
        answer = answer[size:]
    if protocol.error is not None:
        raise protocol.error


def asked(interface: Any, name: str, args: list[Any], keywords: dict[str, Any]) -> Any:
    """Call the method of this name, or run the command of which this is the class."""
    if name in BY_RUN:
        return interface.run(getattr(commands, name)(*args, **keywords))
    return getattr(interface, name)(*args, **keywords)


class Blocking(Client):
    def __init__(self, server: Listener) -> None:
        super().__init__("imap.example.org", tls=False)
        self.server = server

    def connect(self) -> None:
        pass

    def _at_once(self, pending: Pending[Any], began: float) -> None:
        pass

    def _turn(self, *arguments: Any, **keywords: Any) -> None:
        exchange(self._protocol, self.server)

    def call(self, method: str, args: list[Any], keywords: dict[str, Any]) -> None:
        result = asked(self, method, args, keywords)
        if hasattr(result, "__next__"):
            next(result, None)
            result.close()


class Awaiting(AsyncClient):
    def __init__(self, server: Listener) -> None:
        super().__init__("imap.example.org", tls=False)
        self.server = server

    async def connect(self) -> None:
        pass

    async def _wait(self, pending: Any) -> Any:
        while not pending.done:
            exchange(self._protocol, self.server)
        return pending.result()

    def _linked(self) -> Any:
        def at_once() -> None:
            exchange(self._protocol, self.server)

        async def moved(until: float | None, ready: Callable[[], bool]) -> None:
            at_once()

        return SimpleNamespace(moved=moved, flush=at_once, hold=lambda: None, release=lambda: None)

    async def call(self, method: str, args: list[Any], keywords: dict[str, Any]) -> None:
        result = asked(self, method, args, keywords)
        if hasattr(result, "__anext__"):
            await anext(result, None)
            await result.aclose()
        else:
            await result


class Pipelined:
    def __init__(self, server: Listener) -> None:
        self.server = server
        self._protocol = Protocol()

    def call(self, method: str, args: list[Any], keywords: dict[str, Any]) -> None:
        pending = asked(Pipeline(self._protocol), method, args, keywords)
        while not pending.done:
            exchange(self._protocol, self.server)
        pending.result()


INTERFACES: dict[str, Any] = {"Client": Blocking, "AsyncClient": Awaiting, "Pipeline": Pipelined}
BY_RUN = {"Check", "Comparator", "Examine", "LSub", "XList"}
# With those that send what others here send: fetch_batches(), add_flags(), delete_messages(), ...
NO_COMMANDS = {
    "add_flags", "capabilities", "close", "connect", "counters", "deadline", "delete_messages",
    "fetch_batches", "fetch_one", "fetch_table", "fetch_text", "pipeline", "reconnect", "remove_flags", "run",
    "selected", "session", "set_flags", "special_mailbox", "take_events",
}  # fmt: skip
OF_MESSAGES = {"copy", "expunge", "fetch", "fetch_into", "fetch_iter", "move", "store", "store_gmail_labels"}
NOT_IN_PIPELINES = {"fetch_iter", "idle"}
STATES = {"enable": State.AUTHENTICATED, "authenticate": State.NOT_AUTHENTICATED, "login": State.NOT_AUTHENTICATED}
# After these, a client asks for the capabilities.
ASKING_AGAIN = {"login", "authenticate", "unauthenticate"}
# By which fetch_iter() asks for the sizes of messages.
SIZING = re.compile(rb"(UID )?FETCH [0-9:,]+ \(RFC822\.SIZE\)")
# By which the messages of an open set are found.
RESOLVING = re.compile(rb"(UID )?SEARCH (RETURN \(ALL\) )?(UID )?([0-9:,*]+|\$)")
# The package's own words for an argument that can't be used here.
REFUSALS = (TypeError, ValueError, CapabilityMissing, StateError, sasl.MechanismError)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_no_method_is_left_out() -> None:
    for interface in (Client, AsyncClient):
        assert public(interface) == (set(CASES) - BY_RUN) | NO_COMMANDS
    assert public(Pipeline) - NO_COMMANDS == set(CASES) - BY_RUN - NOT_IN_PIPELINES


@pytest.mark.slow
@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("method", CASES)
def test_one_command_with_these_arguments(method: str, interface: str, loop: asyncio.AbstractEventLoop) -> None:
    if interface == "Pipeline" and method in NOT_IN_PIPELINES:
        assert not hasattr(Pipeline, method)
        return
    rng = random.Random(f"{SEED} {method} {interface}")
    draw = Draw(rng)
    sent = 0
    client = None
    rounds = CALLS // (len(INTERFACES) * len(CASES)) + 1
    for _ in range(rounds):
        if client is None or client._protocol.error is not None or client._protocol.session.compressed:
            client = INTERFACES[interface](Listener())
        args, keywords, read = CASES[method](draw)
        try:
            sent += called(client, method, args, keywords, read, rng, loop)
        except BaseException as exc:
            exc.add_note(f"{method}(*{args!r:.600}, **{keywords!r:.600})")
            exc.add_note(f"sent: {client.server.commands!r:.600}")
            raise
    assert sent > 5 or rounds < 500, "hardly any was sent"


def called(
    client: Any,
    method: str,
    args: list[Any],
    keywords: dict[str, Any],
    read: Callable[[Arguments], None],
    rng: random.Random,
    loop: asyncio.AbstractEventLoop,
) -> bool:
    """Call, and compare what was sent; False where nothing was."""
    server, session = client.server, client._protocol.session
    literals = rng.choice([set(), {"LITERAL+"}, {"LITERAL-"}, {"SASL-IR"}])
    utf8 = rng.random() < 0.5
    session.state = STATES.get(method, State.SELECTED)
    session.tls = True
    server.capabilities = session.capabilities = CAPABILITIES | literals
    session.enabled = frozenset({"QRESYNC", "UTF8=ACCEPT"} if utf8 else {"QRESYNC"})
    server.commands.clear()
    taken = server.taken
    try:
        args = [value.make(*value.arguments) if isinstance(value, Late) else value for value in args]
        keywords = {
            name: value.make(*value.arguments) if isinstance(value, Late) else value for name, value in keywords.items()
        }
        made = client.call(method, args, keywords)
        if made is not None:
            loop.run_until_complete(made)
    except Exception as exc:
        error: Exception | None = exc
    else:
        error = None
    if server.taken == taken:
        # UnicodeError is a ValueError; LookupError is for a charset that Python lacks.
        allowed = (*REFUSALS, LookupError) if "charset" in keywords else REFUSALS
        # No messages are nothing to do.
        nothing_to_send = method in OF_MESSAGES and error is None and not args[0]
        if not isinstance(error, allowed) and not nothing_to_send:
            raise AssertionError("an error that nothing announces") from error
        assert client._protocol.idle
        return False
    # The server answers OK and nothing else, which some commands can't make anything of.
    if error is not None and not re.search("did not send the data|sent no message", str(error)):
        raise AssertionError("an error after what was sent") from error
    seen, *more = server.commands
    if method == "fetch_iter" and SIZING.fullmatch(seen.line) and more:
        seen, *more = more
    if method in ("fetch_iter", "fetch_into") and RESOLVING.fullmatch(seen.line):
        return True
    assert [command.line for command in more] in ([], [b"CAPABILITY"] if method in ASKING_AGAIN else [])
    arguments = Arguments(seen, utf8=utf8)
    read(arguments)
    arguments.end()
    return True
