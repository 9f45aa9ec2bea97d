"""Search keys: what they say on the wire, and that a program finds what its keys mean."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastimap import search as keys
from fastimap._search_program import encode_search, return_options, search_program, sort_criteria
from fastimap.search import SearchKey, all_of, any_of, from_, seen, since, subject, to, unseen
from fastimap.testing.grammar import Arguments
from fastimap.testing.search import read_search
from fastimap.wire.encode import Encoding, Part, encode
from tests.support.effort import effort

from .wire import Argument, String, arguments, flattened, sent

PLUS = Encoding(literal_plus=True)
UTF8 = Encoding(utf8=True)
FEBRUARY = date(1994, 2, 1)


def octets(parts: tuple[Part, ...], encoding: Encoding = PLUS) -> bytes:
    return sent(encode(b"T", parts, encoding))[2:-2]


def program(key: SearchKey, encoding: Encoding = PLUS) -> str:
    return octets(encode_search(key), encoding).decode()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (keys.all_, "ALL"),
        (keys.answered, "ANSWERED"),
        (keys.unanswered, "UNANSWERED"),
        (keys.deleted, "DELETED"),
        (keys.undeleted, "UNDELETED"),
        (keys.draft, "DRAFT"),
        (keys.undraft, "UNDRAFT"),
        (keys.flagged, "FLAGGED"),
        (keys.unflagged, "UNFLAGGED"),
        (keys.seen, "SEEN"),
        (keys.unseen, "UNSEEN"),
        (keys.recent, "RECENT"),
        (keys.old, "OLD"),
        (keys.new, "NEW"),
        (keys.keyword("$Forwarded"), "KEYWORD $Forwarded"),
        (keys.before(FEBRUARY), "BEFORE 1-Feb-1994"),
        (keys.on(FEBRUARY), "ON 1-Feb-1994"),
        (keys.since(FEBRUARY), "SINCE 1-Feb-1994"),
        (keys.since(datetime(1994, 2, 1, 23, 59, tzinfo=UTC)), "SINCE 1-Feb-1994"),
        (keys.sent_before(FEBRUARY), "SENTBEFORE 1-Feb-1994"),
        (keys.sent_on(FEBRUARY), "SENTON 1-Feb-1994"),
        (keys.sent_since(FEBRUARY), "SENTSINCE 1-Feb-1994"),
        (keys.saved_before(FEBRUARY), "SAVEDBEFORE 1-Feb-1994"),
        (keys.saved_on(FEBRUARY), "SAVEDON 1-Feb-1994"),
        (keys.saved_since(FEBRUARY), "SAVEDSINCE 1-Feb-1994"),
        (keys.save_date_supported, "SAVEDATESUPPORTED"),
        (keys.older(3600), "OLDER 3600"),
        (keys.younger(timedelta(days=1)), "YOUNGER 86400"),
        (keys.from_("Smith"), "FROM Smith"),
        (keys.to("a b"), 'TO "a b"'),
        (keys.cc(""), 'CC ""'),
        (keys.bcc("NIL"), 'BCC "NIL"'),
        (keys.subject('say "hi"'), 'SUBJECT "say \\"hi\\""'),
        (keys.body("(x"), 'BODY "(x"'),
        (keys.text("{5}"), 'TEXT "{5}"'),
        (keys.header("X-Spam"), 'HEADER X-SPAM ""'),
        (keys.header("Message-ID", "<a@b>"), "HEADER MESSAGE-ID <a@b>"),
        (keys.larger(1000), "LARGER 1000"),
        (keys.smaller(1000), "SMALLER 1000"),
        (keys.smaller(0), "SMALLER 0"),
        (keys.uid([1, 2, 3, 7]), "UID 1:3,7"),
        (keys.uid("5:*"), "UID 5:*"),
        (keys.sequence("2:4,8"), "2:4,8"),
        (keys.saved, "$"),
        # RFC 7162, section 3.1.5
        (keys.mod_sequence(620162338), "MODSEQ 620162338"),
        (keys.mod_sequence(620162338, "\\draft"), 'MODSEQ "/flags/\\\\draft" all 620162338'),
        (keys.mod_sequence(0, "$Junk", "priv"), 'MODSEQ "/flags/$Junk" priv 0'),
        (keys.object_id("M6d99ac3275bb4e"), "EMAILID M6d99ac3275bb4e"),
        (keys.thread_id("T64b478a75b7ea9"), "THREADID T64b478a75b7ea9"),
        (keys.fuzzy(keys.subject("pink")), "FUZZY SUBJECT pink"),
        (keys.fuzzy(keys.subject("pink") & seen), "FUZZY (SUBJECT pink SEEN)"),
        (keys.filter_("on-the-road"), "FILTER on-the-road"),
        (keys.gmail_raw("has:attachment in:unread"), 'X-GM-RAW "has:attachment in:unread"'),
        (keys.gmail_labels("\\Inbox"), "X-GM-LABELS \\Inbox"),
        (keys.gmail_labels("inbox"), "X-GM-LABELS inbox"),
        (keys.gmail_labels("Zu tun"), 'X-GM-LABELS "Zu tun"'),
        (keys.gmail_labels("日本"), "X-GM-LABELS &ZeVnLA-"),
        (keys.gmail_message_id(1278455344230334865), "X-GM-MSGID 1278455344230334865"),
        (keys.gmail_thread_id(2**64 - 1), "X-GM-THRID 18446744073709551615"),
        (keys.raw(" OR SEEN FLAGGED "), "(OR SEEN FLAGGED)"),
        (keys.raw('OR (SEEN  NOT ( FROM "a  (b" ) ) KEYWORD x'), '(OR (SEEN NOT (FROM "a  (b")) KEYWORD x)'),
    ],
)
def test_every_key(key: SearchKey, expected: str) -> None:
    assert program(key) == expected
    assert program(~~key) == expected
    assert eval(repr(key), {**vars(keys), "date": date}) == key


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (~seen, "UNSEEN"),
        (~unseen, "SEEN"),
        (~keys.recent, "OLD"),
        (~keys.keyword("x"), "UNKEYWORD x"),
        (~since(FEBRUARY), "BEFORE 1-Feb-1994"),
        (~keys.before(FEBRUARY), "SINCE 1-Feb-1994"),
        (~keys.larger(9), "NOT LARGER 9"),
        (~keys.smaller(10), "NOT SMALLER 10"),
        # A message without a Date field, or without a save date, is on neither side.
        (~keys.sent_since(FEBRUARY), "NOT SENTSINCE 1-Feb-1994"),
        (~keys.saved_before(FEBRUARY), "NOT SAVEDBEFORE 1-Feb-1994"),
        # Both hold for a message that is exactly so old.
        (~keys.older(5), "NOT OLDER 5"),
        (~keys.new, "NOT NEW"),
        (~from_("x"), "NOT FROM x"),
        (~(seen & keys.flagged), "OR UNSEEN UNFLAGGED"),
        (~(~(seen & from_("x")) | to("y")), "SEEN FROM x NOT TO y"),
        (~(seen | keys.flagged), "UNSEEN UNFLAGGED"),
        (~(unseen & from_("x")), "OR SEEN NOT FROM x"),
        (seen & keys.all_, "SEEN"),
        (seen | keys.all_, "ALL"),
        (~keys.all_, "NOT ALL"),
        (seen | ~keys.all_, "SEEN"),
        (seen & ~keys.all_, "NOT ALL"),
        (seen & (to("x") & (to("y") & from_("z"))), "SEEN TO x TO y FROM z"),
        (keys.uid("1:10") & keys.uid("5:20"), "UID 5:10"),
        (keys.uid(1) | keys.uid(2), "UID 1:2"),
        (keys.uid(1) & keys.uid(2), "NOT ALL"),
        (~keys.uid(1) & ~keys.uid(2), "NOT UID 1:2"),
        (~keys.uid("1:5") | ~keys.uid("4:9"), "NOT UID 4:5"),
        (keys.uid([]), "NOT ALL"),
        (~keys.uid([]), "ALL"),
        (keys.uid(1) & keys.sequence(1), "UID 1 1"),
        (keys.uid("5:*") & keys.uid("7:*"), "UID 7:*"),
        # Which of the two is the largest UID only the server knows.
        (keys.uid("5:*") & keys.uid("1:10"), "UID 5:* UID 1:10"),
        (seen & keys.raw("FROM"), "SEEN (FROM)"),
        (keys.fuzzy(keys.all_), "ALL"),
        (~keys.fuzzy(to("x")), "NOT FUZZY TO x"),
        (all_of([]), "ALL"),
        (any_of([]), "NOT ALL"),
        (all_of([seen]), "SEEN"),
        ((seen | to("x")) & (seen | to("y")), "OR SEEN TO x OR SEEN TO y"),
        (seen | (to("x") & to("y")), "OR SEEN (TO x TO y)"),
        (any_of(map(to, "abcde")), "OR OR OR TO a TO b TO c OR TO d TO e"),
    ],
)
def test_programs(key: SearchKey, expected: str) -> None:
    assert program(key) == expected


def test_the_example_of_the_rfc() -> None:
    # RFC 9051, section 6.4.4: RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"
    key = keys.flagged & since(FEBRUARY) & ~from_("Smith")
    parts = (*return_options(["MIN", "count"]), *encode_search(key))
    assert octets(parts) == b"RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM Smith"


def test_charset() -> None:
    key = subject("übung") & to("x") & keys.text("ы")
    utf8 = "übung".encode()
    assert octets(encode_search(key)) == b"CHARSET UTF-8 SUBJECT {6+}\r\n%s TO x TEXT {2+}\r\n\xd1\x8b" % utf8
    # RFC 6855, section 3: no CHARSET once UTF8=ACCEPT is enabled.
    assert octets(encode_search(key), UTF8) == b'SUBJECT "%s" TO x TEXT "\xd1\x8b"' % utf8
    latin = encode_search(subject("übung"), charset="ISO-8859-1")
    assert octets(latin) == b"CHARSET ISO-8859-1 SUBJECT {5+}\r\n\xfcbung"
    assert octets(latin, UTF8) == b'SUBJECT "%s"' % utf8
    assert octets(encode_search(to("x"), charset="KOI8-R")) == b"TO x"
    assert octets(search_program(subject("ü"))) == b"SUBJECT {2+}\r\n\xc3\xbc"
    # SORT and THREAD name the charset in any case, so that it holds there.
    assert octets(search_program(subject("ü")), UTF8) == b'SUBJECT "\xc3\xbc"'
    for encoding in (PLUS, Encoding(utf8=True, literal_plus=True)):
        assert octets(search_program(subject("ü"), charset="ISO-8859-1"), encoding) == b"SUBJECT {1+}\r\n\xfc"
    for charset in ("ISO-8859-1", "US-ASCII"):
        with pytest.raises(UnicodeEncodeError):
            encode_search(key, charset=charset)
    with pytest.raises(LookupError):
        encode_search(key, charset="X-UNKNOWN")


@pytest.mark.parametrize(
    "make",
    [
        *(keys.from_, keys.to, keys.cc, keys.bcc, keys.subject, keys.body, keys.text, keys.gmail_raw, keys.keyword),
        *(keys.header, lambda value: keys.header("A", value), keys.object_id, keys.thread_id, keys.filter_),
        *(keys.gmail_labels, keys.raw, keys.uid, keys.sequence, lambda value: keys.mod_sequence(1, value)),
    ],
)
@pytest.mark.parametrize("value", ["a\r\nT2 LOGOUT", "1\n", "\r", "a\0b"])
def test_what_no_argument_may_hold(make: Callable[[str], SearchKey], value: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make(value)


HOSTILE = st.text(st.sampled_from('aZ1 "\\(){}[]<>*%$&+-~.,:/{5}NIL\r\n\0\tä\u2028😀'), max_size=12)
TEXT_KEYS = [keys.from_, keys.body, keys.gmail_raw, lambda value: keys.header("X", value)]
WORD_KEYS = [keys.keyword, keys.object_id, keys.filter_, keys.gmail_labels, keys.header, keys.uid, keys.raw]


@given(HOSTILE, st.sampled_from(TEXT_KEYS), st.sampled_from([PLUS, UTF8, Encoding()]))
def test_text_stays_one_argument(value: str, make: Callable[[str], SearchKey], encoding: Encoding) -> None:
    try:
        key = make(value)
    except ValueError:
        assert set(value) & set("\r\n\0")
        return
    found = arguments(sent(encode(b"T", encode_search(key & seen), encoding)))
    assert found[-2:] == [value.encode(), b"SEEN"]
    if value.upper() == "NIL":
        assert isinstance(found[-2], String)


@given(HOSTILE, st.sampled_from(WORD_KEYS))
def test_words_stay_one_argument(value: str, make: Callable[[str], SearchKey]) -> None:
    try:
        key = make(value)
    except ValueError:
        return
    found = arguments(sent(encode(b"T", encode_search(key & keys.flagged))))
    assert found[0] == b"T"
    if key.name == "(":  # type: ignore[attr-defined]
        assert len(found) == 3
        assert isinstance(found[1], list)
    assert found[-1] == b"FLAGGED"
    assert flattened(found).count(b"FLAGGED") == 1


@pytest.mark.parametrize(
    ("act", "wrong"),
    [
        *(
            (keys.raw, text)
            for text in ("", " ", "(", ")", ")(", 'FROM "x', '"', "BODY {5}", "FROM ä", "a\tb", '"a\\x"')
        ),
        *(
            (keys.raw, text)
            for text in (
                "1()",
                "()1",
                "(a)(b)",
                '"a""b"',
                'a"b"',
                '"a"b',
                "(a)b",
                'FROM "a"(b)',
                "a (b",
                "a) b",
                "a{5}",
            )
        ),
        *((keys.keyword, text) for text in ("", "\\Seen", "a b", "x]")),
        *((keys.object_id, text) for text in ("", "a b", "x" * 256, "ä")),
        *((keys.filter_, text) for text in ("", "a/b", "a b")),
        *((keys.header, text) for text in ("", "a:", "a b", "ä")),
        *((keys.larger, size) for size in (-1, 2**63)),
        *((keys.older, seconds) for seconds in (0, -1, 2**32, timedelta(days=-1))),
        *((keys.gmail_message_id, number) for number in (-1, 2**64, True)),
        *((keys.uid, numbers) for numbers in ("", "x", 0)),
        (keys.gmail_labels, "\\"),
        (lambda kind: keys.mod_sequence(1, "x", kind), "all 5 ALL"),
        (keys.mod_sequence, -1),
    ],
)
def test_what_is_refused(act: Callable[[Any], object], wrong: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        act(wrong)


def test_composing() -> None:
    a, b, c = seen, from_("x"), to("y")
    assert a & (b & c) == (a & b) & c == all_of([a, b, c])
    assert hash(a & (b & c)) == hash((a & b) & c)
    assert a | (b | c) == any_of([a, b, c])
    assert a & b != b & a
    assert a & b != a | b
    assert (a & b) | c != a & (b | c)
    assert ~~a == a
    assert ~a != a
    assert keys.older(3600) == keys.older(timedelta(hours=1))
    assert len({a & b, a & b, a | b}) == 2
    assert a != "SEEN"
    key = (a & b) | ~keys.fuzzy(c)
    assert copy.deepcopy(key) == key == pickle.loads(pickle.dumps(key))
    with pytest.raises(TypeError, match="and, or and not"):
        bool(a and b)
    anything: Any = a
    wrongs: list[Callable[[], object]] = [
        lambda: anything & "SEEN",
        lambda: anything | None,
        lambda: all_of([a, anything.name]),
    ]
    for wrong in wrongs:
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError):
        a.name = "DELETED"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (unseen & since(FEBRUARY) & ~from_("x"), "unseen & since(date(1994, 2, 1)) & ~from_('x')"),
        ((seen | unseen) & keys.uid("1:5"), '(seen | unseen) & uid("1:5")'),
        (seen | (unseen & keys.uid([])), "seen | unseen & uid([])"),
        (~(seen & keys.flagged) | ~keys.fuzzy(to("a") | to("b")), "~(seen & flagged) | ~fuzzy(to('a') | to('b'))"),
        (~all_of([]) & any_of([]), "~all_of([]) & any_of([])"),
    ],
)
def test_repr_is_the_code(key: SearchKey, code: str) -> None:
    assert repr(key) == code
    assert eval(code, {**vars(keys), "date": date}) == key


def test_requires() -> None:
    assert (seen & from_("x")).requires == frozenset()
    key = keys.older(5) & ~(keys.saved | keys.object_id("x")) & keys.mod_sequence(1)
    assert key.requires == {"WITHIN", "SEARCHRES", "OBJECTID", "CONDSTORE"}
    assert keys.fuzzy(seen).requires == {"SEARCH=FUZZY"}
    assert keys.save_date_supported.requires == {"SAVEDATE"}
    assert (keys.filter_("x") | keys.gmail_raw("x")).requires == {"FILTERS", "X-GM-EXT-1"}


# A program finds what its keys mean: an independent reading of both.


@dataclass(frozen=True)
class Message:
    number: int
    uid: int
    flags: frozenset[str]
    recent: bool
    size: int
    day: int
    sent_day: int | None
    words: frozenset[str]
    like: Message | None
    """What a fuzzy search takes it for."""


@dataclass(frozen=True)
class Largest:
    number: int
    uid: int


V = TypeVar("V")
Test: TypeAlias = Callable[[Message, Largest], bool]


def day(number: int) -> date:
    return date(2024, 1, number)


def of(value: V, test: Callable[[V, Message], bool]) -> Test:
    """Return a test that compares messages with `value`."""
    return lambda message, _: test(value, message)


def flag_pairs() -> Iterator[tuple[SearchKey, Test]]:
    for name in ("seen", "flagged", "draft"):
        yield getattr(keys, name), of(name, lambda name, message: name in message.flags)
        yield getattr(keys, f"un{name}"), of(name, lambda name, message: name not in message.flags)
    yield keys.keyword("k"), lambda message, _: "k" in message.flags
    yield keys.recent, lambda message, _: message.recent
    yield keys.old, lambda message, _: not message.recent
    yield keys.new, lambda message, _: message.recent and "seen" not in message.flags
    yield keys.all_, lambda *_: True
    yield all_of([]), lambda *_: True
    yield any_of([]), lambda *_: False


def numbered(value: int) -> st.SearchStrategy[tuple[SearchKey, Test]]:
    return st.sampled_from(
        [
            (keys.larger(value), lambda message, _: message.size > value),
            (keys.smaller(value), lambda message, _: message.size < value),
            (keys.before(day(value + 1)), lambda message, _: message.day < value + 1),
            (keys.on(day(value + 1)), lambda message, _: message.day == value + 1),
            (since(day(value + 1)), lambda message, _: message.day >= value + 1),
            (keys.sent_before(day(value + 1)), lambda message, _: (message.sent_day or 99) < value + 1),
            (keys.sent_on(day(value + 1)), lambda message, _: message.sent_day == value + 1),
            (keys.sent_since(day(value + 1)), lambda message, _: (message.sent_day or 0) >= value + 1),
        ]
    )


def text_pair(word: str) -> tuple[SearchKey, Test]:
    return subject(word), lambda message, _: word in message.words


def within(text: str, number: int, largest: int) -> bool:
    """Whether `number` is in the sequence set `text` (RFC 9051, section 9)."""
    for item in text.split(","):
        ends = [largest if end == "*" else int(end) for end in item.split(":")]
        if min(ends) <= number <= max(ends):
            return True
    return False


ENDS = st.one_of(st.integers(1, 12).map(str), st.just("*"))
SETS = st.lists(st.one_of(ENDS, st.tuples(ENDS, ENDS).map(":".join)), min_size=1, max_size=3).map(",".join)


def set_pairs(text: str) -> st.SearchStrategy[tuple[SearchKey, Test]]:
    return st.sampled_from(
        [
            (keys.uid(text), lambda message, largest: within(text, message.uid, largest.uid)),
            (keys.sequence(text), lambda message, largest: within(text, message.number, largest.number)),
        ]
    )


def joined(pairs: list[tuple[SearchKey, Test]]) -> st.SearchStrategy[tuple[SearchKey, Test]]:
    tests = [test for _, test in pairs]
    parts = [key for key, _ in pairs]
    return st.sampled_from(
        [
            (all_of(parts), lambda *facts: all(test(*facts) for test in tests)),
            (any_of(parts), lambda *facts: any(test(*facts) for test in tests)),
        ]
    )


def turned(pair: tuple[SearchKey, Test]) -> st.SearchStrategy[tuple[SearchKey, Test]]:
    key, test = pair
    return st.sampled_from(
        [
            (~key, lambda *facts: not test(*facts)),
            (keys.fuzzy(key), lambda message, largest: test(message.like or message, largest)),
        ]
    )


PAIRS: st.SearchStrategy[tuple[SearchKey, Test]] = st.recursive(
    st.one_of(
        st.sampled_from(list(flag_pairs())),
        st.integers(0, 4).flatmap(numbered),
        st.sampled_from(["a", "b c", "NIL", "ä"]).map(text_pair),
        SETS.flatmap(set_pairs),
    ),
    lambda pairs: st.one_of(st.lists(pairs, min_size=2, max_size=4).flatmap(joined), pairs.flatmap(turned)),
    max_leaves=12,
)

PLAIN_MESSAGES = st.builds(
    Message,
    st.integers(1, 10),
    st.integers(1, 10),
    st.frozensets(st.sampled_from(["seen", "flagged", "draft", "k"])),
    st.booleans(),
    st.integers(0, 6),
    st.integers(1, 6),
    st.one_of(st.none(), st.integers(1, 6)),
    st.frozensets(st.sampled_from(["a", "b c", "NIL", "ä"])),
    st.none(),
)
MESSAGES = st.builds(
    lambda message, like: Message(**{**vars(message), "like": like}),
    PLAIN_MESSAGES,
    st.one_of(st.none(), PLAIN_MESSAGES),
)


class Reader:
    """Reads the search keys of a command (RFC 9051, section 9, search-key) and says whether a message matches."""

    def __init__(self, found: list[Argument], message: Message, largest: Largest) -> None:
        self.rest = iter(found)
        self.message = message
        self.largest = largest

    def all(self) -> bool:
        results = [self.key(item) for item in self.rest]
        assert results
        return all(results)

    def key(self, item: Argument) -> bool:
        message = self.message
        if isinstance(item, list):
            return Reader(item, message, self.largest).all()
        name = item.decode()
        assert not isinstance(item, String)
        if name[0] in "0123456789*":
            return within(name, message.number, self.largest.number)
        match name:
            case "ALL":
                return True
            case "NOT":
                return not self.key(next(self.rest))
            case "OR":
                results = [self.key(next(self.rest)), self.key(next(self.rest))]
                return any(results)
            case "FUZZY":
                self.message = message.like or message
                try:
                    return self.key(next(self.rest))
                finally:
                    self.message = message
            case "SEEN" | "FLAGGED" | "DRAFT":
                return name.lower() in message.flags
            case "UNSEEN" | "UNFLAGGED" | "UNDRAFT":
                return name[2:].lower() not in message.flags
            case "KEYWORD" | "UNKEYWORD":
                return (self.word() in message.flags) is (name == "KEYWORD")
            case "RECENT" | "OLD":
                return message.recent is (name == "RECENT")
            case "NEW":
                return message.recent and "seen" not in message.flags
            case "LARGER":
                return message.size > int(self.word())
            case "SMALLER":
                return message.size < int(self.word())
            case "SUBJECT":
                return self.word() in message.words
            case "UID":
                return within(self.word(), message.uid, self.largest.uid)
        wanted = datetime.strptime(self.word(), "%d-%b-%Y").date()
        found = message.sent_day if name.startswith("SENT") else message.day
        if found is None:
            return False
        compare = {"BEFORE": date.__lt__, "ON": date.__eq__, "SINCE": date.__ge__}[name.removeprefix("SENT")]
        return compare(day(found), wanted)

    def word(self) -> str:
        word = next(self.rest)
        assert isinstance(word, bytes)
        return word.decode()


@settings(max_examples=effort(600), deadline=None)
@given(PAIRS, st.lists(MESSAGES, min_size=1, max_size=8), st.sampled_from([PLUS, UTF8]))
def test_the_program_finds_what_the_keys_mean(
    pair: tuple[SearchKey, Test], messages: list[Message], encoding: Encoding
) -> None:
    key, test = pair
    mailbox = messages + [message.like for message in messages if message.like]
    largest = Largest(max(message.number for message in mailbox), max(message.uid for message in mailbox))
    found = arguments(sent(encode(b"T", encode_search(key), encoding)))[1:]
    if found[0] == b"CHARSET":
        assert found[1] == b"UTF-8"
        found = found[2:]
    for message in messages:
        assert Reader(found, message, largest).all() == test(message, largest), program(key)


@given(PAIRS, PAIRS)
def test_keys_are_values(one: tuple[SearchKey, Test], other: tuple[SearchKey, Test]) -> None:
    key = one[0]
    code = repr(key)
    again = eval(code, {**vars(keys), "date": date})
    assert repr(again) == code
    assert program(again) == program(key)
    assert (one[0] == other[0]) == (other[0] == one[0])
    if one[0] == other[0]:
        assert hash(one[0]) == hash(other[0])


# As large as a program makes them.

COUNT = 10_000


def nested(step: Callable[[SearchKey, SearchKey], SearchKey]) -> SearchKey:
    key: SearchKey = subject("0")
    for number in range(1, COUNT):
        key = step(key, subject(str(number)))
    return key


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        lambda key, more: key & more,
        lambda key, more: more & key,
        lambda key, more: key | more,
        lambda key, more: ~(key & more),
        lambda key, more: ~(~key | ~more),
        lambda key, more: keys.fuzzy(key & more),
        lambda key, more: (key | more) & more | ~keys.fuzzy(key),
    ],
    ids=["and", "and the other way round", "or", "not and", "de morgan", "fuzzy", "mixed"],
)
def test_no_depth_is_too_deep(step: Callable[[SearchKey, SearchKey], SearchKey], request: Any) -> None:
    key = nested(step) if "mixed" not in request.node.name else step(nested(lambda a, b: ~(a | b)), seen)
    line = octets(encode_search(key))
    assert line.count(b"SUBJECT") >= COUNT
    assert line.count(b"(") == line.count(b")")
    assert hash(key) == hash(key & key) or key == key
    assert len(repr(key)) > COUNT
    assert key.requires <= {"SEARCH=FUZZY"}


class NoMessages:
    """A mailbox without messages, as far as the reader of searches in fastimap.testing asks."""

    recent: frozenset[object] = frozenset()

    def select(self, ranges: object, *, uid: bool) -> list[tuple[int, object]]:
        return []


@pytest.mark.slow
def test_servers_that_bound_the_nesting_take_an_or_of_ten_thousand() -> None:
    key = nested(lambda key, more: key | more)
    line = octets(encode_search(key))
    assert line.count(b"OR ") == COUNT - 1
    read_search(Arguments(b" " + line), NoMessages())  # type: ignore[arg-type]  # BAD where it is nested 100 deep


@pytest.mark.slow
def test_many_sets_become_one() -> None:
    key = any_of(keys.uid(number) for number in range(1, 100_000, 2))
    assert program(key) == "UID " + ",".join(map(str, range(1, 100_000, 2)))


# What SEARCH and SORT return.


def test_return_options() -> None:
    assert octets(return_options([])) == b"RETURN ()"
    assert octets(return_options(["all", "SAVE"])) == b"RETURN (ALL SAVE)"
    # RFC 9394, section 3.1
    assert octets(return_options([], partial=(23500, 24000))) == b"RETURN (PARTIAL 23500:24000)"
    assert octets(return_options(["UPDATE"], partial=(-1, -100))) == b"RETURN (UPDATE PARTIAL -1:-100)"
    for partial in ((0, 1), (1, 0), (1, -1), (-1, 1), (1, 2**32)):
        with pytest.raises(ValueError, match=r"not two positions|not from"):
            return_options([], partial=partial)
    for wrong in ("", "PARTIAL 1:5", "ALL)", "X"):
        with pytest.raises(ValueError, match="return option"):
            return_options([wrong])
    with pytest.raises(TypeError):
        return_options("ALL")


def test_sort_criteria() -> None:
    # RFC 5256, section 3
    assert octets((sort_criteria(("REVERSE DATE", "subject")),)) == b"(REVERSE DATE SUBJECT)"
    sort_keys = (keys.SortKey.SIZE.reverse, keys.SortKey.DISPLAY_FROM)
    assert octets((sort_criteria(sort_keys),)) == b"(REVERSE SIZE DISPLAYFROM)"
    for wrong in ([], ["REVERSE"], ["REVERSE REVERSE DATE"], ["DATE SUBJECT"], ["DATE)"], [""]):
        with pytest.raises(ValueError, match="sort key"):
            sort_criteria(wrong)
    with pytest.raises(TypeError):
        sort_criteria("DATE")
