"""Arguments to octets: each construct of the grammar, and what the join makes of them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastimap.wire import encode as make
from fastimap.wire.encode import Encoding, IfUTF8, Literal, Part, Secret, Wait, encode

from .wire import String, arguments, sent

PLAIN = Encoding()
UTF8 = Encoding(utf8=True)
PLUS = Encoding(literal_plus=True)
MINUS = Encoding(literal_minus=True)
WAIT = Wait.CONTINUATION_REQUEST


def octets(part: Part, encoding: Encoding = PLUS) -> bytes:
    return sent(encode(b"T", [part], encoding))[2:-2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fred", b"fred"),
        ("a]b", b"a]b"),
        ("", b'""'),
        ("NIL", b'"NIL"'),
        ("nil", b'"nil"'),
        ("two words", b'"two words"'),
        ('a"b\\c', b'"a\\"b\\\\c"'),
        ("{5}", b'"{5}"'),
        ("a(b", b'"a(b"'),
        ("100%", b'"100%"'),
        ("a*", b'"a*"'),
        ("\\Seen", b'"\\\\Seen"'),
        ("tab\t", b"{4+}\r\ntab\t"),
        ("ä", b"{2+}\r\n\xc3\xa4"),
        (b"\xe4", b"{1+}\r\n\xe4"),
        (b"plain", b"plain"),
        ("x" * 1000, b"x" * 1000),
        ("x" * 1001, b"{1001+}\r\n" + b"x" * 1001),
        ("x " * 500, b'"' + b"x " * 500 + b'"'),
    ],
)
def test_astring(text: str | bytes, expected: bytes) -> None:
    assert octets(make.astring(text)) == expected


def test_strings_are_never_atoms() -> None:
    assert octets(make.string("fred")) == b'"fred"'
    assert octets(make.nstring("NIL")) == b'"NIL"'
    assert octets(make.nstring(None)) == b"NIL"
    assert octets(make.quoted("a b")) == b'"a b"'


def test_utf8_in_quoted_strings() -> None:
    assert octets(make.astring("ä"), UTF8) == b'"\xc3\xa4"'
    assert octets(make.string('ä"'), UTF8) == b'"\xc3\xa4\\""'
    assert octets(make.quoted("ä"), UTF8) == b'"\xc3\xa4"'
    # Octets have no charset, and what can't be shown is better not on a line.
    assert list(encode(b"T", [make.astring("ä".encode())], UTF8)) == [b"T {2}\r\n", WAIT, b"\xc3\xa4\r\n"]
    assert list(encode(b"T", [make.astring("\u2028")], UTF8)) == [b"T {3}\r\n", WAIT, b"\xe2\x80\xa8\r\n"]


@pytest.mark.parametrize(
    ("name", "plain", "utf8"),
    [
        ("INBOX", b"INBOX", b"INBOX"),
        ("inBox", b"INBOX", b"INBOX"),
        ("INBOX/Sub", b"INBOX/Sub", b"INBOX/Sub"),
        # RFC 3501, section 5.1.3
        ("~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", None),
        ("R&D", b"R&-D", b"R&D"),
        ("Sent Items", b'"Sent Items"', b'"Sent Items"'),
        ("", b'""', b'""'),
        ("nil", b'"nil"', b'"nil"'),
        ("a%", b'"a%"', b'"a%"'),
        (b"&bad", b"&bad", b"&bad"),
        (b"inbox", b"INBOX", b"INBOX"),
        (b"\xe4", b"{1+}\r\n\xe4", None),
    ],
)
def test_mailbox(name: str | bytes, plain: bytes, utf8: bytes | None) -> None:
    assert octets(make.mailbox(name)) == plain
    if utf8 is not None:
        assert octets(make.mailbox(name), UTF8) == utf8
    elif isinstance(name, str):
        assert octets(make.mailbox(name), UTF8) == b'"%s"' % name.encode()


@pytest.mark.parametrize(
    ("pattern", "plain", "utf8"),
    [
        ("*", b"*", b"*"),
        ("a b%", b'"a b%"', b'"a b%"'),
        ("", b'""', b'""'),
        ("INBOX.%", b"INBOX.%", b"INBOX.%"),
        ("Entwürfe*", b"Entw&APw-rfe*", '"Entwürfe*"'.encode()),
        ("R&D/*", b"R&-D/*", b"R&D/*"),
        ("{5}", b'"{5}"', b'"{5}"'),
    ],
)
def test_list_mailbox(pattern: str, plain: bytes, utf8: bytes) -> None:
    assert octets(make.list_mailbox(pattern)) == plain
    assert octets(make.list_mailbox(pattern), UTF8) == utf8


def test_flags() -> None:
    assert octets(make.flags(["\\Seen", "$Forwarded", "\\X-Ext"])) == b"(\\Seen $Forwarded \\X-Ext)"
    assert octets(make.flags([])) == b"()"
    with pytest.raises(TypeError):
        make.flags("\\Seen")
    for wrong in ("", "\\", "a b", "\\Recent", "\\recent", "\\*", "a\\b", "\\\\Seen", "(x)", "ä", '"', "a]", "{1}"):
        with pytest.raises(ValueError, match=r"flag|Recent"):
            make.flag(wrong)


def test_dates() -> None:
    # RFC 9051, section 9: date-day has no leading zero, date-day-fixed has two octets.
    assert make.date_text(date(1994, 2, 1)) == b"1-Feb-1994"
    assert make.date_text(date(87, 12, 31)) == b"31-Dec-0087"
    assert make.date_text(datetime(1994, 2, 1, 23, tzinfo=UTC)) == b"1-Feb-1994"
    pacific = timezone(timedelta(hours=-8))
    assert make.date_time(datetime(1996, 7, 17, 2, 44, 25, tzinfo=pacific)) == b'"17-Jul-1996 02:44:25 -0800"'
    newfoundland = timezone(-timedelta(hours=3, minutes=30))
    assert make.date_time(datetime(2024, 1, 2, tzinfo=newfoundland)) == b'"02-Jan-2024 00:00:00 -0330"'
    assert make.date_time(datetime(2024, 1, 2, tzinfo=UTC)) == b'"02-Jan-2024 00:00:00 +0000"'
    # Offsets with seconds, as zones had before 1900, have no syntax: the same moment in UTC.
    odd = timezone(timedelta(minutes=19, seconds=32))
    assert make.date_time(datetime(1930, 1, 1, 0, 19, 32, tzinfo=odd)) == b'"01-Jan-1930 00:00:00 +0000"'
    with pytest.raises(ValueError, match="time zone"):
        make.date_time(datetime(2024, 1, 2))


def test_numbers() -> None:
    assert make.number(0) == b"0"
    assert make.number(2**32 - 1) == b"4294967295"
    assert make.number64(2**63 - 1) == b"9223372036854775807"
    assert make.mod_sequence(1) == b"1"
    assert make.mod_sequence(0, zero=True) == b"0"
    for act, wrong in ((make.number, 2**32), (make.number, -1), (make.number64, 2**63), (make.mod_sequence, 0)):
        with pytest.raises(ValueError, match="not from"):
            act(wrong)
    for no_number in (True, 1.0, "1", None):
        with pytest.raises(TypeError):
            make.number(no_number)  # type: ignore[arg-type]


def test_capability() -> None:
    assert make.capability("auth=Plain") == b"AUTH=PLAIN"
    with pytest.raises(ValueError, match="atom"):
        make.capability("IDLE ENABLE")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("FLAGS", b"FLAGS"),
        ("rfc822.size", b"RFC822.SIZE"),
        ("X-GM-MSGID", b"X-GM-MSGID"),
        ("BODY", b"BODY"),
        ("BODY[]", b"BODY[]"),
        ("body.peek[]", b"BODY.PEEK[]"),
        ("BODY[1.2.3]", b"BODY[1.2.3]"),
        ("BODY[HEADER]", b"BODY[HEADER]"),
        ("BODY[4.2.2.1.HEADER]", b"BODY[4.2.2.1.HEADER]"),
        ("BODY[4.1.mime]", b"BODY[4.1.MIME]"),
        ("BODY[TEXT]<0.2048>", b"BODY[TEXT]<0.2048>"),
        ("BODY.PEEK[HEADER.FIELDS (DATE FROM)]<0.1024>", b"BODY.PEEK[HEADER.FIELDS (DATE FROM)]<0.1024>"),
        ('BODY[header.fields.not ("Date" x-spam)]', b"BODY[HEADER.FIELDS.NOT (DATE X-SPAM)]"),
        ("BODY[2.HEADER.FIELDS(To)]", b"BODY[2.HEADER.FIELDS (TO)]"),
        ('BODY[HEADER.FIELDS ("A(B")]', b'BODY[HEADER.FIELDS ("A(B")]'),
        ("BINARY[1]<5.10>", b"BINARY[1]<5.10>"),
        ("BINARY.PEEK[]", b"BINARY.PEEK[]"),
        ("BINARY.SIZE[2]", b"BINARY.SIZE[2]"),
        ("PREVIEW (LAZY)", b"PREVIEW (LAZY)"),
        ("BODY[]<0.9223372036854775807>", b"BODY[]<0.9223372036854775807>"),
    ],
)
def test_fetch_item(item: str, expected: bytes) -> None:
    assert make.fetch_item(item) == expected
    assert octets((make.fetch_item(item),)) == b"(%s)" % expected


@pytest.mark.parametrize(
    "item",
    [
        "",
        " ",
        "FLAGS UID",
        "(FLAGS)",
        "FLAGS)",
        "BODY[",
        "BODY]",
        "BODY[1",
        "BODY[0]",
        "BODY[01]",
        "BODY[1.]",
        "BODY[.1]",
        "BODY[1.0]",
        "BODY[MIME]",
        "BODY[HEADER.MIME]",
        "BODY[TEXT.1]",
        "BODY[HEADER.FIELDS]",
        "BODY[HEADER.FIELDS ()]",
        "BODY[HEADER.FIELDS (A:)]",
        "BODY[HEADER.FIELDS (A B)",
        "BODY[HEADER.FIELDS (A (B))]",
        'BODY[HEADER.FIELDS ("A)]',
        "BODY[HEADER.FIELDS (A)] (B)]",
        "BODY[1TEXT]",
        "BODY[]<>",
        "BODY[]<1>",
        "BODY[]<0.0>",
        "BODY[]<-1.5>",
        "BODY[]<1.2.3>",
        "BODY[]<0.9223372036854775808>",
        "BODY<0.1>",
        "BODY.PEEK",
        "BINARY",
        "BINARY[TEXT]",
        "BINARY[1.MIME]",
        "BINARY.SIZE[1]<0.1>",
        "BODY.PEEK.PEEK[]",
        "RFC822[1]",
        "FLAGS\r\n",
        "BODY[1]\r\n",
        "BODY[1\0]",
        "BODY[\u017f]",
        "ﬂAGS",
        "X{5}",
        "BODY[]{5}",
        "PREVIEW (EAGER)",
        "BODY[HEADER.FIELDS (É)]",
        "BODY[HEADER.FIELDS ({5})]",
        "BODY[1] BODY[2]",
    ],
)
def test_no_message_data_item(item: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make.fetch_item(item)


def test_fetch_items() -> None:
    assert make.fetch_items(["UID", "flags", "UID"]) == (b"UID", b"FLAGS")
    assert make.fetch_items("BODY[]") == (b"BODY[]",)
    # RFC 9051, section 6.4.5: a macro can't be part of a list, so it is sent as what it stands for.
    assert make.fetch_items(["UID", "FAST"]) == (b"UID", b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE")
    assert make.fetch_items("all") == (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE")
    assert make.fetch_items("FULL") == (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY")
    with pytest.raises(ValueError, match="at least one"):
        make.fetch_items([])


def test_header_list() -> None:
    assert make.header_list(["Date", "nil"]) == b'(DATE "NIL")'
    for wrong in ([], [""], ["a b"], ["a:"], ["ä"], ["x" * 2000]):
        with pytest.raises(ValueError, match="header field"):
            make.header_list(wrong)
    with pytest.raises(TypeError):
        make.header_list("Date")


TEXT_MAKERS: list[Callable[[str], Part]] = [
    *(make.atom, make.astring, make.string, make.nstring, make.quoted, make.mailbox, make.list_mailbox, make.flag),
    *(make.capability, make.fetch_item, make.section, lambda text: make.header_list([text])),
]


@pytest.mark.parametrize("maker", TEXT_MAKERS)
@pytest.mark.parametrize("text", ["a\r\nT2 LOGOUT", "a\n", "\r", "a\0b", "\n"])
def test_what_no_text_may_hold(maker: Callable[[str], Part], text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        maker(text)


HOSTILE = st.text(st.sampled_from('aZ1 "\\(){}[]<>*%&+-~.,:{5}NIL\r\n\0\t\x7fä\u017f\u2028😀'), max_size=12)


@given(HOSTILE, st.sampled_from(TEXT_MAKERS), st.builds(Encoding, st.booleans(), st.booleans(), st.booleans()))
def test_text_is_one_argument_or_refused(text: str, maker: Callable[[str], Part], encoding: Encoding) -> None:
    try:
        part = maker(text)
    except ValueError:
        return
    line = sent(encode(b"T", [b"X", part, b"END"], encoding))
    if maker in (make.fetch_item, make.section):  # brackets hold spaces
        assert line.isascii()
        assert line.endswith(b" END\r\n")
        return
    found = arguments(line)
    assert len(found) == 4
    assert (found[0], found[1], found[3]) == (b"T", b"X", b"END")
    if maker in (make.astring, make.string, make.quoted, make.nstring):
        assert found[2] == text.encode()
        if found[2].upper() == b"NIL":
            assert isinstance(found[2], String)


GRAMMAR = re.compile(
    rb"[A-Z0-9!#$&'+,./:;<=>?@^_`|}~-]+|PREVIEW \(LAZY\)"
    rb"|(BODY(\.PEEK)?|BINARY(\.PEEK|\.SIZE)?)\[[0-9A-Z.]*( \([^][()\" ]+( [^][()\" ]+)*\))?\](<[0-9]+\.[0-9]+>)?"
)


@given(HOSTILE)
def test_fetch_items_survive_only_as_the_grammar_has_them(text: str) -> None:
    for item in (text, f"BODY[{text}]", f"BODY[]{text}", f"BODY[HEADER.FIELDS ({text})]"):
        try:
            made = make.fetch_item(item)
        except ValueError:
            continue
        assert make.fetch_item(made.decode()) == made
        assert GRAMMAR.fullmatch(re.sub(rb'"(?:[^"\\]|\\.)*"', b"QUOTED", made)), made


# The join.


def test_a_command_without_literals_is_one_run() -> None:
    parts: list[Part] = [b"UID FETCH", b"1:5", (b"UID", b"FLAGS"), (b"CHANGEDSINCE", b"7"), ()]
    assert list(encode(b"A1", parts)) == [b"A1 UID FETCH 1:5 (UID FLAGS) (CHANGEDSINCE 7) ()\r\n"]
    assert list(encode(b"A1", [(b"A", (b"B", ()), (b"C",))])) == [b"A1 (A (B ()) (C))\r\n"]


def test_literals_wait_unless_the_server_lets_them() -> None:
    parts: list[Part] = [b"LOGIN", Literal(b"fr\r\ned"), (Literal(b""),)]
    waiting = [b"A LOGIN {6}\r\n", WAIT, b"fr\r\ned ({0}\r\n", WAIT, b")\r\n"]
    assert list(encode(b"A", parts)) == waiting
    assert list(encode(b"A", parts, UTF8)) == waiting
    assert list(encode(b"A", parts, PLUS)) == [b"A LOGIN {6+}\r\nfr\r\ned ({0+}\r\n)\r\n"]
    assert list(encode(b"A", parts, MINUS)) == [b"A LOGIN {6+}\r\nfr\r\ned ({0+}\r\n)\r\n"]


def test_literal_minus_ends_at_4096_octets() -> None:
    # RFC 7888, section 5
    assert list(encode(b"A", [Literal(b"x" * 4096)], MINUS)) == [b"A {4096+}\r\n" + b"x" * 4096 + b"\r\n"]
    assert list(encode(b"A", [Literal(b"x" * 4097)], MINUS)) == [b"A {4097}\r\n", WAIT, b"x" * 4097 + b"\r\n"]


def test_a_literal_that_waits_in_any_case() -> None:
    for encoding in (Encoding(), PLUS, MINUS):
        assert list(encode(b"A", [Literal(b"x", waits=True)], encoding)) == [b"A {1}\r\n", WAIT, b"x\r\n"]


def test_binary_literals() -> None:
    part = Literal(b"a\0b", binary=True)
    assert list(encode(b"A", [part])) == [b"A ~{3}\r\n", WAIT, b"a\0b\r\n"]
    assert list(encode(b"A", [part], PLUS)) == [b"A ~{3+}\r\na\0b\r\n"]
    with pytest.raises(ValueError, match="NUL"):
        Literal(b"a\0b")
    with pytest.raises(ValueError, match="NUL"):
        Literal(memoryview(bytearray(b"a\0b")))


def test_large_literals_are_not_copied() -> None:
    message = b"x" * 70_000
    fragments = list(encode(b"A", [b"APPEND", Literal(message)], PLUS))
    assert fragments == [b"A APPEND {70000+}\r\n", message, b"\r\n"]
    assert isinstance(fragments[1], memoryview)
    assert fragments[1].obj is message


@pytest.mark.parametrize("view", [lambda octets: octets, memoryview, lambda octets: memoryview(octets).toreadonly()])
def test_memory_that_may_change_is_copied(view: Callable[[bytearray], bytearray | memoryview]) -> None:
    small = bytearray(b"x" * 10)
    encoded = encode(b"A", [Literal(view(small))], PLUS)
    assert not encoded.may_change
    small[:] = b"y" * 10
    assert list(encoded) == [b"A {10+}\r\n" + b"x" * 10 + b"\r\n"]
    large = bytearray(b"x" * 600_000)
    encoded = encode(b"A", [Literal(view(large))], PLUS)
    assert encoded.may_change
    fragments = iter(encoded)
    assert next(fragments) == b"A {600000+}\r\n"
    piece = next(fragments)
    large[:] = b"y" * 600_000
    assert piece == b"x" * 65_536
    assert b"".join(map(bytes, fragments)) == b"y" * (600_000 - 65_536) + b"\r\n"  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 69_999, 70_001])
def test_memory_of_another_size_than_announced(size: int) -> None:
    message = bytearray(70_000)
    literal = Literal(message, binary=True)
    message[:] = bytes(size)
    with pytest.raises(ValueError, match=f"had 70000 octets, and now has {size}"):
        encode(b"A", [literal], PLUS)


def test_literals_from_files() -> None:
    message = bytes(range(1, 256)) * 4000
    encoded = encode(b"A", [b"APPEND", Literal(io.BytesIO(message + b"more"), len(message)), b"Z"])
    fragments = list(encoded)
    assert fragments[:2] == [b"A APPEND {%d}\r\n" % len(message), WAIT]
    assert fragments[-1] == b" Z\r\n"
    pieces = fragments[2:-1]
    assert len(pieces) > 1
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == message


def test_files_that_end_too_early() -> None:
    encoded = iter(encode(b"A", [Literal(io.BytesIO(b"abc"), 5)], PLUS))
    assert next(encoded) == b"A {5+}\r\n"
    assert next(encoded) == b"abc"
    with pytest.raises(EOFError, match="2 octets before"):
        next(encoded)
    with pytest.raises(ValueError, match="size"):
        Literal(io.BytesIO(b"abc"))
    with pytest.raises(ValueError, match="size is 4"):
        Literal(b"abc", 4)


def test_what_depends_on_the_connection() -> None:
    parts: list[Part] = [IfUTF8(None, b"CHARSET UTF-8"), b"X", IfUTF8((b"a",), b"b"), IfUTF8(b"c", None)]
    assert list(encode(b"A", parts)) == [b"A CHARSET UTF-8 X b\r\n"]
    assert list(encode(b"A", parts, UTF8)) == [b"A X (a) c\r\n"]


@pytest.mark.parametrize("octets", [b"a\r\nb", b"\n", b"\0", b"x{5}", b"{5+}", b"~{3}", b"LOGIN {0}", b"{7-}"])
def test_ready_octets_that_would_break_out(octets: bytes) -> None:
    cases: list[list[Part]] = [[octets], [b"X", (octets,)], [Secret(octets)], [IfUTF8(octets, octets)]]
    for parts in cases:
        with pytest.raises(ValueError, match=r"allowed|announcement"):
            encode(b"T", parts)


def test_tags_are_looked_at_as_well() -> None:
    with pytest.raises(ValueError, match="allowed"):
        encode(b"T\r\n", [b"NOOP"])


def test_no_log_shows_a_secret() -> None:
    parts = [b"LOGIN", make.astring("fred"), Secret(make.astring("pass wörd" * 200)), (Secret(b"x"), Literal(b"12345"))]
    encoded = encode(b"A1", parts, PLUS)
    assert encoded.log_form == "A1 LOGIN fred *** (*** {5})"
    assert "pass wörd".encode() in sent(encoded)
    for shown in (repr(encoded), repr(parts[2])):
        assert "pass" not in shown


def test_the_log_is_short() -> None:
    assert len(encode(b"A1", [b"X" * 5000]).log_form) < 300


def test_lists_as_deep_as_a_program_makes_them() -> None:
    part: Part = b"x"
    for _ in range(100_000):
        part = (part,)
    assert sent(encode(b"T", [part])) == b"T " + b"(" * 100_000 + b"x" + b")" * 100_000 + b"\r\n"
