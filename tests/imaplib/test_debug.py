"""What the debug levels write: the same kinds of lines as the standard library's module."""

from __future__ import annotations

import re

import pytest

from fastimap import imaplib
from tests.imaplib.canned import Canned

pytestmark = pytest.mark.usefixtures("implementation")

SELECT = b"* 2 EXISTS\r\n* NO [X y] careful\r\n<tag> OK [READ-ONLY] done\r\n"
FETCH = b"* 1 FETCH (X {3}\r\nabc)\r\n<tag> NO later\r\n"


@pytest.fixture(autouse=True)
def counting_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """They count the commands."""
    monkeypatch.setattr(imaplib, "tag_prefixes", lambda: [b"BAAAAA"] * 64)


def written(level: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of a session at debug `level`, without the clock."""
    monkeypatch.setattr(imaplib, "Debug", level)
    client = Canned(SELECT, FETCH, b"<tag> OK done\r\n", b"* BYE x\r\n")
    client.state = "AUTH"
    with pytest.raises(imaplib.IMAP4.readonly):
        client.select()
    client.is_readonly = True
    client.fetch("1", "X")
    client.noop()
    client.logout()
    lines = []
    for line in capsys.readouterr().err.splitlines():
        assert re.match(r"  \d\d:\d\d\.\d\d |\t\t", line), line
        lines.append(line.replace(client.tagpre.decode(), "<tag>")[11:] if line.startswith("  ") else line)
    return lines


def test_silence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert written(0, monkeypatch, capsys) == []


STATUS_LINES = [
    "new IMAP4 connection, tag=b'<tag>'",
    "NO response: b'[X y] careful'",
    "untagged responses dump:EXISTS: [b'2']",
    "\t\tNO: [b'[X y] careful']",
    "\t\tX: [b'y']",
    "\t\tREAD-ONLY: [b'']",
    "NO response: b'later'",
    "BYE response: b'x'",
]


@pytest.mark.parametrize("level", [1, 2])
def test_status(level: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert written(level, monkeypatch, capsys) == STATUS_LINES


def test_capabilities_and_dump(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(3, monkeypatch, capsys)
    assert "CAPABILITIES: ('IMAP4REV1',)" in lines
    assert [line for line in lines if "dump" in line] == 2 * ["untagged responses dump:EXISTS: [b'2']"]


def test_traffic(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(4, monkeypatch, capsys)
    traffic = [line for line in lines if re.match(r"[<>] |read literal", line)]
    assert traffic == [
        "< b'* OK [CAPABILITY IMAP4rev1] ready'",
        "> b'<tag>0 SELECT INBOX'",
        "< b'* 2 EXISTS'",
        "< b'* NO [X y] careful'",
        "< b'<tag>0 OK [READ-ONLY] done'",
        "> b'<tag>1 FETCH 1 (X)'",
        "< b'* 1 FETCH (X {3}'",
        "read literal size 3",
        "< b')'",
        "< b'<tag>1 NO later'",
        "> b'<tag>2 NOOP'",
        "< b'<tag>2 OK done'",
        "> b'<tag>3 LOGOUT'",
        "< b'* BYE x'",
    ]


def test_matches(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(5, monkeypatch, capsys)
    assert any(line.startswith("\tmatched ") and line.endswith("=> (b'2', b'EXISTS', None)") for line in lines)
    assert "untagged_responses[EXISTS] 0 += [\"b'2'\"]" in lines
    assert "untagged_responses[FETCH] => " not in "".join(lines)  # the answer was NO


def test_literals_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    client = Canned(b"+ go\r\n", b"")
    client.state = "AUTH"
    client.debug = 4
    client.canned.replies = iter([b"+ go\r\n", client.tagpre + b"0 OK done\r\n"])
    client.append("INBOX", None, None, b"abc")
    assert "write literal size 3" in capsys.readouterr().err


def test_idle(capsys: pytest.CaptureFixture[str]) -> None:
    client = Canned()
    client.state, client.capabilities, client.debug = "AUTH", ("IDLE",), 5
    tag = client.tagpre + b"0"
    client.canned.replies = iter([b"* 1 EXISTS\r\n+ idling\r\n* 2 EXISTS\r\n", tag + b" OK done\r\n"])
    with client.idle() as idler:
        next(idler)
        next(idler)
    text = capsys.readouterr().err
    for line in (
        "idle start duration=None",
        "idle: queue untagged EXISTS b'1'",
        "idle continuation prompt: b'idling'",
        "idle _pop(None) reading",
        "idle _pop(None) read EXISTS",
        "idle done",
        "idle status: OK [b'done']",
    ):
        assert line in text


def test_the_last_interactions(capsys: pytest.CaptureFixture[str]) -> None:
    client = Canned(*[b"<tag> OK %d\r\n" % i for i in range(12)])
    for _ in range(12):
        client.noop()
    client.print_log()
    lines = [line[11:] for line in capsys.readouterr().err.splitlines()]
    tag = client.tagpre.decode()
    assert lines == ["last 10 IMAP4 interactions:"] + [
        line for i in range(7, 12) for line in (f"> b'{tag}{i} NOOP'", f"< b'{tag}{i} OK {i}'")
    ]


def test_the_last_interactions_come_with_an_abort(capsys: pytest.CaptureFixture[str]) -> None:
    client = Canned(b"nonsense\r\n")
    client.debug = 1
    with pytest.raises(imaplib.IMAP4.abort):
        client.noop()
    text = capsys.readouterr().err
    assert "IMAP4 interactions:" in text
    assert "< b'nonsense'" in text


def test_a_logger_in_place_of_mesg() -> None:
    """As IMAPClient has it: level 5, into a logger of its own."""
    lines: list[str] = []
    client = Canned(b"<tag> OK done\r\n")
    client.debug = 5
    client._mesg = lambda s, secs=None: lines.append(s)  # type: ignore[method-assign]
    client.noop()
    assert f"> {client.tagpre + b'0 NOOP'!r}" in lines
