"""Mistakes in a call are told when it is made, in words that name the remedy."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fastimap import commands, search
from fastimap.commands import Append, Fetch, FetchInto, MultiAppend, Search, Store
from fastimap.model.message import FetchedMessage
from fastimap.model.sequence_set import SAVED, UIDSet
from tests.commands.harness import sent, server

# As a program without a type checker writes them.
lax: Any = commands
keys: Any = search
TYPE_MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "search by str": (lambda: lax.Search("UNSEEN"), r"raw\('UNSEEN'\)"),
    "search by function": (lambda: lax.Search(search.since), "since is no search key, but makes one: call it"),
    "search by None": (lambda: lax.Search(None), "not a search key: None"),
    "sort by str": (lambda: lax.Sort(["DATE"], "ALL"), "fastimap.search"),
    "thread by str": (lambda: lax.Thread("REFERENCES", "ALL"), "fastimap.search"),
    "searches of many mailboxes by str": (
        lambda: lax.MultiSearch(commands.MailboxFilter("inboxes"), "ALL"),
        "fastimap.search",
    ),
    "mailboxes by name": (lambda: lax.MultiSearch("INBOX", search.unseen), "MailboxFilter"),
    "all of str": (lambda: keys.all_of(["UNSEEN"]), "fastimap.search"),
    "fuzzy str": (lambda: keys.fuzzy("x"), "fastimap.search"),
    "since str": (lambda: keys.since("2026-01-01"), r"datetime\.date"),
    "text as octets": (lambda: keys.from_(b"boss"), "given as str"),
    "header as number": (lambda: keys.header("X-Spam", 1), "given as str"),
    "append str": (lambda: lax.Append("INBOX", "Subject: x"), r"encode\(\) it; or, for the name of a file"),
    "append number": (lambda: lax.Append("INBOX", 5), "a binary file, a pathlib.Path or an EmailMessage, not 5"),
    "append text file": (lambda: lax.Append("INBOX", io.StringIO("x")), 'mode "rb"'),
    "internal date as str": (lambda: lax.Append("x", b"", internal_date="2020-01-01"), "datetime that is aware"),
    "internal date as date": (lambda: lax.Append("x", b"", internal_date=date(2020, 1, 1)), "datetime that is aware"),
    "append flag as octets": (lambda: lax.Append("x", b"", flags=b"\\Seen"), "flags are one str or several"),
    "append flag as number": (
        lambda: lax.Append("x", b"", flags=[5]),
        "flags are one str or several, of which none is 5",
    ),
    "one message to many": (lambda: lax.MultiAppend("x", b"Subject: x"), "as a list"),
    "one file to many": (lambda: lax.MultiAppend("x", io.BytesIO(b"x")), "as a list"),
    "one attributed message to many": (lambda: lax.MultiAppend("x", commands.AppendMessage(b"")), "as a list"),
    "catenate file": (lambda: lax.Catenate("x", [io.BytesIO()]), "octets, or an IMAP URL"),
    "items as list": (lambda: lax.Fetch(1, ["FLAGS"]), r"each an argument of its own .*: \['FLAGS'\]"),
    "items as octets": (lambda: lax.Fetch(1, b"FLAGS"), "data items are str"),
    "status items as list": (lambda: lax.Status("INBOX", ["MESSAGES"]), "each an argument of its own"),
    "entries as list": (lambda: lax.GetMetadata("", ["/private/comment"]), "each an argument of its own"),
    "entries without values": (lambda: lax.SetMetadata("", ["/private/comment"]), "mapping"),
    "capabilities as list": (lambda: lax.Enable(["QRESYNC"]), "each an argument of its own"),
    "languages as list": (lambda: lax.Language(["de"]), "each an argument of its own"),
    "collations as list": (lambda: lax.Comparator(["cz;*"]), "each an argument of its own"),
    "events by name": (lambda: lax.Notify("MessageNew"), "EventGroup"),
    "into a name": (lambda: lax.FetchInto(1, "BODY[]", into="x.eml"), '"wb"'),
    "into a path": (lambda: lax.FetchInto(1, "BODY[]", into=Path("x.eml")), '"wb"'),
    "into a text file": (lambda: lax.FetchInto(1, "BODY[]", into=io.StringIO()), '"wb"'),
    "ID as list": (lambda: lax.ID(["x"]), "mapping"),
    "select nothing": (lambda: lax.Select(None), "by its name, a str, not by None"),
    "select a number": (lambda: lax.Select(1), "by its name, a str, not by 1"),
    "status of nothing": (lambda: lax.Status(None), "by its name"),
    "list a number": (lambda: lax.List("", 5), "patterns are one str or several, not 5"),
    "list octets": (lambda: lax.List("", b"*"), "patterns are one str or several"),
    "copy to a number": (lambda: lax.Copy(1, 5), "by its name"),
    "store a number": (lambda: lax.Store(1, 5), "one str or several, not 5"),
    "all is Python's": (lambda: lax.Search(all), "search.all_"),
    "any is Python's": (lambda: lax.Search(any), "search.any_of"),
    "len is Python's": (lambda: lax.Search(len), "not a search key: <built-in"),
    "search for all by str": (lambda: lax.Search("ALL"), r"fastimap.search.all_, or search.raw\('ALL'\)"),
    "search for a flag by str": (lambda: lax.Search("unseen"), r"fastimap.search.unseen, or"),
    "search for a word": (lambda: lax.Search("FROM ann"), "a key of fastimap.search, such as unseen, or"),
    "keys in a list": (lambda: lax.Search([search.unseen]), "combined by & and |"),
    "several texts": (lambda: keys.subject(["a", "b"]), r"any_of\(\)"),
    "several keywords": (lambda: keys.keyword(("a", "b")), r"any_of\(\)"),
    "messages by a key": (lambda: lax.Fetch(search.unseen, "FLAGS"), r"pass what client.search\(unseen\) found"),
    "a message by itself": (lambda: lax.Fetch([FetchedMessage(uid=5)], "FLAGS"), "pass its uid"),
    "one message by itself": (lambda: lax.Fetch(FetchedMessage(uid=5), "FLAGS"), "pass its uid"),
    "messages as octets": (lambda: lax.Fetch([b"5"], "FLAGS"), r"decode\(\)"),
    "messages None": (lambda: lax.Fetch(None, "FLAGS"), "None is not a message number"),
}


@pytest.mark.parametrize(("call", "remedy"), TYPE_MISTAKES.values(), ids=TYPE_MISTAKES)
def test_wrong_types(call: Callable[[], object], remedy: str) -> None:
    with pytest.raises(TypeError, match=remedy):
        call()


@pytest.mark.parametrize("item", ["FLAGS ENVELOPE", "(FLAGS)"])
def test_items_in_one_text(item: str) -> None:
    with pytest.raises(ValueError, match='each is an argument of its own: "FLAGS", "ENVELOPE"'):
        lax.Fetch(1, item)


def test_messages_are_told_short() -> None:
    with pytest.raises(TypeError) as caught:
        lax.MultiAppend("x", b"m" * 10_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "items", [("FLAGS",), ("RFC822.SIZE", "ENVELOPE"), ("BINARY.SIZE[1]",), ("BODY",)], ids=" ".join
)
def test_nothing_for_a_file(items: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="no body section"):
        FetchInto(1, *items, into=io.BytesIO())


@pytest.mark.parametrize(
    ("messages", "items"),
    [
        ([1, 2], ("BODY.PEEK[]",)),
        ("1:*", ("BODY.PEEK[]",)),
        (SAVED, ("BODY.PEEK[]",)),
        (1, ("BODY.PEEK[1]", "BODY.PEEK[2]")),
        (1, ("BODY.PEEK[HEADER]", "RFC822.TEXT")),
    ],
)
def test_several_sections_do_not_go_into_one_file(messages: Any, items: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="pass a function"):
        FetchInto(messages, *items, into=io.BytesIO())
    FetchInto(messages, *items, into=lambda number, name, size: io.BytesIO())


def test_one_section_of_one_message_goes_into_a_file() -> None:
    for messages in (7, [7], "7", UIDSet("7:7"), "*"):
        for item in ("BODY.PEEK[]", "RFC822", "RFC822.TEXT", "BINARY.PEEK[1]", "BODY[1.MIME]<0.10>"):
            FetchInto(messages, item, "FLAGS", into=io.BytesIO())


@pytest.mark.parametrize("make", [lambda: Store(1, "Seen"), lambda: Append("INBOX", b"", flags=["DRAFT"])])
def test_a_system_flag_without_its_backslash_is_a_slip(make: Callable[[], Any]) -> None:
    """RFC 9051, section 9, has it as a keyword; nobody means that one, and the mailbox would keep it for ever."""
    with pytest.raises(ValueError, match=r"begin with a backslash: '\\\\(Seen|Draft)'"):
        make()


def test_a_keyword_in_which_a_system_flag_stands_is_one() -> None:
    assert sent(Store(1, "Seenit"), server()) == [b"A1 UID STORE 1 +FLAGS (Seenit)\r\n"]


def test_what_is_right_stays_so() -> None:
    for call in (Search(search.unseen), Fetch(1, *["FLAGS"]), Append("x", b""), MultiAppend("x", (b"",))):
        assert sent(call, server())
