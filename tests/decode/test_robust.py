"""Real servers' quirks get their right values, and nothing at all raises or takes more than linear time."""

from __future__ import annotations

import copy
import importlib
import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastimap.model.sequence_set import SequenceSet, UIDSet
from fastimap.types import (
    Acl,
    BadCharset,
    Capabilities,
    ContinuationRequest,
    CopyUID,
    Exists,
    Flags,
    HighestModSeq,
    MailboxInfo,
    MailboxStatus,
    PermanentFlags,
    Quota,
    QuotaResource,
    ReadOnlyDict,
    Response,
    ResponseCode,
    SearchResponse,
    ServerID,
    StatusResponse,
    Tagged,
    ThreadResponse,
    UIDNext,
    UIDValidity,
    UnknownResponse,
)
from fastimap.wire import _codes, _values, decode
from fastimap.wire.decode import response
from tests.parser.conftest import TWINS, built
from tests.parser.harness import framed, quirks
from tests.support.effort import effort

from .conftest import Decode

QUIRKS = quirks()


def info(name: str, delimiter: str, *attributes: str) -> MailboxInfo:
    return MailboxInfo(name, name.encode(), delimiter, frozenset(attributes))


# What the lines of tests/corpus/quirks.txt that are not about FETCH mean; where that file has their sources.
MEANINGS: list[tuple[bytes, Response]] = [
    (
        b"[COPYUID 55 31 6]",
        StatusResponse(
            "OK", CopyUID("COPYUID", b"55 31 6", uid_validity=55, source=UIDSet(31), destination=UIDSet(6)), ""
        ),
    ),
    (
        b"* [COPYUID 123456 1 2]",
        StatusResponse(
            "OK", CopyUID("COPYUID", b"123456 1 2", uid_validity=123456, source=UIDSet(1), destination=UIDSet(2)), ""
        ),
    ),
    (b"A00000005 BYE IMAP4rev1 Server logging out", StatusResponse("BYE", None, "IMAP4rev1 Server logging out")),
    (
        b"* capability imap4rev1 starttls login special-use",
        Capabilities(frozenset({"IMAP4REV1", "STARTTLS", "LOGIN", "SPECIAL-USE"})),
    ),
    (rb'* List (\HasNoChildren \Trash) "/" "Trash"', info("Trash", "/", r"\HasNoChildren", r"\Trash")),
    (b"* 9.3736e+06 EXISTS", Exists(9373600)),
    (b"* OK [COPYUID 701  ]", StatusResponse("OK", ResponseCode("COPYUID", b"701  "), "")),
    (
        rb"* FLAGS (\Answered \Deleted \Draft \Flagged \Seen \*)",
        Flags(frozenset({r"\Answered", r"\Deleted", r"\Draft", r"\Flagged", r"\Seen"})),
    ),
    (b"* FLAGS (OIB-Seen-[Gmail]/All)", Flags(frozenset({"OIB-Seen-[Gmail]/All"}))),
    (b"* SEARCH 1 2 3 ", SearchResponse(SequenceSet("1:3"))),
    (b"* SEARCH 87216 87221 (MODSEQ 7667567)", SearchResponse(SequenceSet("87216,87221"), 7667567)),
    (b"* THREAD ", ThreadResponse(())),
    (b"* STATUS INBOX (UIDNEXT 1 UIDVALIDITY 1234) ", MailboxStatus("INBOX", b"INBOX", uid_next=1, uid_validity=1234)),
    (b'* STATUS "INBOX" ()', MailboxStatus("INBOX", b"INBOX")),
    (
        "* STATUS Segregator/Spo\u0142eczno\u015bci (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)".encode(),
        MailboxStatus(
            "Segregator/Spo\u0142eczno\u015bci",
            "Segregator/Spo\u0142eczno\u015bci".encode(),
            messages=0,
            uid_next=1,
            uid_validity=1,
        ),
    ),
    (
        b'* LIST () "/" "\xe2\x98\x83\xef\xb8\x8f&\xe2\x98\xba\xef\xb8\x8f"',
        info("\u2603\ufe0f&\u263a\ufe0f", "/"),
    ),
    (b"* LIST (HasNoChildren UnMarked) \"/\" 'a", info("'a", "/", r"\HasNoChildren", r"\Unmarked")),
    (rb'* LIST (\UnMarked) "." INBOX.[Airmail].Snooze', info("INBOX.[Airmail].Snooze", ".", r"\Unmarked")),
    (
        b'* ACL "INBOX/share" "imshare2copy1366146467@xxxxxxxxxxxxxxxxxx.com" lrswickxteda',
        Acl(
            "INBOX/share",
            b"INBOX/share",
            ReadOnlyDict({"imshare2copy1366146467@xxxxxxxxxxxxxxxxxx.com": "lrswickxteda"}),
        ),
    ),
    (b"+", ContinuationRequest()),
    (b"+idling", ContinuationRequest(b"idling")),
    (b"A1 NO[TRYCREATE] no such mailbox", Tagged(b"A1", "NO", ResponseCode("TRYCREATE"), "no such mailbox")),
    (b"* OK[UIDNEXT 5] next", StatusResponse("OK", UIDNext("UIDNEXT", b"5", uid=5), "next")),
    (b"* NO [BADCHARSET ()] error", StatusResponse("NO", BadCharset("BADCHARSET", b"()"), "error")),
    (
        b"A5 NO [BADCHARSET (US-ASCII)] The specified charset is not supported.",
        Tagged(
            b"A5",
            "NO",
            BadCharset("BADCHARSET", b"(US-ASCII)", charsets=("US-ASCII",)),
            "The specified charset is not supported.",
        ),
    ),
    (b"* BYE", StatusResponse("BYE")),
    (b"* OK [IMAP4rev1]", StatusResponse("OK", ResponseCode("IMAP4REV1"), "")),
    (b"* CAPABILITY IMAP4REV1 ", Capabilities(frozenset({"IMAP4REV1"}))),
    (b'* ID ("name" "imap-codec" )', ServerID(ReadOnlyDict({"name": "imap-codec"}))),
    (
        b'* QUOTA "#user/alice" (STORAGE 54 111 MESSAGE 42  1000)',
        Quota("#user/alice", (QuotaResource("STORAGE", 54, 111), QuotaResource("MESSAGE", 42, 1000))),
    ),
    (b"\x00\x00\x00* OK ready", StatusResponse("OK", None, "ready")),
    (
        "F OK [READ-WRITE] [Gmail]/Visi lai\u0161kai selected. (Success) [THROTTLED]".encode(),
        Tagged(
            b"F", "OK", ResponseCode("READ-WRITE"), "[Gmail]/Visi lai\u0161kai selected. (Success) [THROTTLED]"
        ),
    ),
    (b"*  1843 EXISTS", Exists(1843)),
    (b'* LIST (\\HasNoChildren) "/" {9}\r\nMy (box)"', info('My (box)"', "/", r"\HasNoChildren")),
    (
        b"* OK [HIGHESTMODSEQ 715194045007]",
        StatusResponse("OK", HighestModSeq("HIGHESTMODSEQ", b"715194045007", mod_sequence=715194045007), ""),
    ),
    (
        b"* OK [UIDVALIDITY 0] UIDs valid",
        StatusResponse("OK", UIDValidity("UIDVALIDITY", b"0", uid_validity=0), "UIDs valid"),
    ),
    (b"* NOOP", UnknownResponse("NOOP", (b"* NOOP",))),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "meaning"), MEANINGS, ids=lambda value: repr(value)[:40])
def test_quirks_mean_what_was_meant(decoded: Decode, octets: bytes, meaning: Response) -> None:
    assert octets + b"\r\n" in QUIRKS
    assert decoded(octets) == meaning


def test_exchange_code_that_is_none(decoded: Decode) -> None:
    """net-imap#597: what Exchange puts into brackets is not an atom, so it is text."""
    (octets,) = (quirk for quirk in QUIRKS if b"WrongServerException" in quirk)
    line = octets.removesuffix(b"\r\n")
    assert decoded(line) == Tagged(b"RUBY0001", "OK", None, line.decode().removeprefix("RUBY0001 OK "))


def test_tabs_in_a_mailbox_name(decoded: Decode) -> None:
    """MailKit#945."""
    name = "INBOX/Da\tOggetto\tRicevuto\tDimensione\tCategorie\t"
    assert decoded(rb'* LIST (\HasNoChildren) "/" ' + name.encode()) == info(name, "/", r"\HasNoChildren")


@pytest.mark.parametrize("twin", built())
def test_no_quirk_is_fatal(twin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = importlib.import_module(TWINS[twin])
    monkeypatch.setattr(_values, "tokenize", parser.tokenize)
    seen = 0
    for octets in QUIRKS:
        for fragments in framed(parser, [octets]):
            if isinstance(fragments, tuple) and fragments and all(isinstance(part, bytes) for part in fragments):
                assert isinstance(response(fragments), Response)
                seen += 1
    assert seen > 100


_WORDS = {word for octets, _ in MEANINGS for word in re.findall(rb"[A-Za-z0-9]+|.", octets, re.DOTALL)}
_PIECES = st.sampled_from([
    *sorted(_WORDS),
    b"* ", b"* OK [", b"A1 NO [", b"ESEARCH ", b"NAMESPACE ", b"METADATA ", b"PARTIAL (1:2 ", b"ADDTO (", b'"a" ',
    b"* LIST (", b'"/" ', b"NIL ", b"OLDNAME (", b"MAILBOXID (", b"4294967296", b"9" * 20, b"{1}", b"\\", b"\0",
    b"INPROGRESS (", b"PERMANENTFLAGS (", b"COPYUID ", b"1:4294967295 ", b"(EARLIER) ", b"VANISHED ", b"(TAG ",
])  # fmt: skip
_LINES = st.one_of(
    st.binary(max_size=80),
    st.lists(_PIECES, max_size=20).map(b"".join),
    st.tuples(st.sampled_from([octets for octets, _ in MEANINGS]), st.integers(0, 80), st.integers(0, 5), _PIECES).map(
        lambda drawn: drawn[0][: drawn[1]] + drawn[3] + drawn[0][drawn[1] + drawn[2] :]
    ),
    st.sampled_from(sorted(decode._DECODERS)).flatmap(
        lambda name: st.lists(_PIECES, max_size=12).map(lambda words: b" ".join([b"*", name.encode(), *words]))
    ),
    st.sampled_from(sorted(_codes.CODES)).flatmap(
        lambda name: st.lists(_PIECES, max_size=6).map(
            lambda words: b" ".join([b"* OK [" + name.encode(), *words]) + b"] x"
        )
    ),
)


@pytest.mark.parametrize("twin", built())
def test_nothing_raises(twin: str) -> None:
    parser = importlib.import_module(TWINS[twin])

    @settings(max_examples=effort(3_000), deadline=None, database=None)
    @given(st.lists(_LINES, max_size=4).map(tuple), st.booleans())
    def check(fragments: tuple[bytes, ...], utf8: bool) -> None:
        result = response(fragments, utf8=utf8)
        assert isinstance(result, Response)
        assert result == response(fragments, utf8=utf8)
        assert hash(result) == hash(response(fragments, utf8=utf8))
        assert len(repr(result)) < 3000

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_values, "tokenize", parser.tokenize)
        check()


@pytest.mark.slow
@pytest.mark.parametrize("head", [
    b"", b"* ", b"* 1", b"A1 OK [", b"* OK [", b"* OK [PERMANENTFLAGS (", b"* OK [COPYUID 1 ", b"* OK [BADURL ",
    b"* LIST () NIL ", b"* LIST (", b"* STATUS a (", b"* SEARCH ", b"* THREAD ", b"* ESEARCH ", b"* FLAGS (",
    b"* METADATA a ", b"* VANISHED ", b"* ID (", b"+ [",
])  # fmt: skip
def test_hostile_lines_are_linear(decoded: Decode, head: bytes) -> None:
    """A million octets each (in CI): were one of these quadratic, it would run into the suite's time limit."""
    size = min(effort(1_000_000, at_least=100_000), 1_000_000)
    for piece in (b"(", b")", b"(1)", b'"', b'\\"', b"[", b"]", b" ", b"0", b"1 ", b"1,", b"e+", b"&", b"{1}", b"a"):
        assert isinstance(response((head + piece * (size // len(piece)),)), Response)


@pytest.mark.slow
def test_million_numbers(decoded: Decode) -> None:
    numbers = tuple(range(1_000_000, 2_000_000))
    assert decoded(b"* SEARCH " + b" ".join(b"%d" % number for number in numbers)) == SearchResponse(
        SequenceSet(numbers)
    )


def test_values_show_themselves_on_one_short_line(decoded: Decode) -> None:
    assert (
        repr(decoded(b"A1 OK [UIDNEXT 4] done"))
        == "Tagged(tag=b'A1', status='OK', response_code=UIDNext(uid=4), text='done')"
    )
    assert repr(decoded(b"* SEARCH " + b"1 " * 1000)) == 'SearchResponse(numbers=SequenceSet("1"))'
    assert (
        repr(decoded(b"* OK [ALERT] x"))
        == "StatusResponse(status='OK', response_code=ResponseCode(name='ALERT'), text='x')"
    )
    assert repr(decoded(b"* STATUS a (MESSAGES 1)")) == "MailboxStatus(name='a', octets=b'a', messages=1)"


@pytest.mark.parametrize("octets", [
    b'* ID ("name" "x")', rb"* OK [PERMANENTFLAGS (\*)] x", b"* THREAD (1 2)(3)", b'* LIST () "/" a (x (y))',
    b'* ESEARCH (TAG "a") UID ALL 1:3 XNEW (1 2)',
])  # fmt: skip
def test_values_can_be_copied_and_hashed(decoded: Decode, octets: bytes) -> None:
    value = decoded(octets)
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value
    assert hash(copy.copy(value)) == hash(value)


def test_values_cannot_be_changed(decoded: Decode) -> None:
    status = decoded(b"* STATUS a (X 1)")
    assert isinstance(status, MailboxStatus)
    with pytest.raises(AttributeError):
        status.messages = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        status.other["X"] = 2  # type: ignore[index]


def test_code_of_one_class_is_not_that_of_another() -> None:
    flags = PermanentFlags("PERMANENTFLAGS", b"()", flags=frozenset())
    assert flags != ResponseCode("PERMANENTFLAGS", b"()")
