"""fetch_table: the messages of a mailbox as columns, by both clients."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap import SAVED, SequenceSet
from tests.columns.test_columns import expected
from tests.servers.dovecot import Dovecot

pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")

ITEMS = ("ENVELOPE", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODYSTRUCTURE")
MESSAGES = [
    (
        b'From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: a@b.c, "d, e" <f@g.h>\r\nSubject: =?utf-8?b?w7w=?=\r\n'
        b"Date: Mon, 2 Jan 2006 15:04:05 -0700\r\nList-Id: <x.y>\r\n\r\nH\xc3\xa4\r\n"
    ),
    b"Subject: none\r\nDate: tomorrow\r\n\r\n",
    (
        b"From: group: a@b.c, d@e.f;\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nthe text\r\n"
        b"--x\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n\r\nPDF\r\n--x--\r\n"
    ),
]


@pytest.fixture
def filled(client: Any) -> Any:
    for octets in MESSAGES:
        client.append("INBOX", octets, flags=["\\Flagged", "$Junk"])
    client.select("INBOX")
    return client


def test_a_table_has_what_the_rows_have(filled: Any) -> None:
    table = filled.fetch_table("1:*", *ITEMS)
    rows = filled.fetch("1:*", *ITEMS)
    assert len(rows) == 3
    assert table.to_pylist() == [
        {name: value for name, value in expected(row).items() if name in table.column_names} for row in rows
    ]
    assert "subject" in table.column_names


def test_the_columns_are_those_of_the_items(filled: Any) -> None:
    assert filled.fetch_table([1, 3]).column_names == ["uid", "defects"]
    assert filled.fetch_table([1, 3])["uid"].to_pylist() == [1, 3]
    assert filled.fetch_table("1:*", "FAST").column_names == ["uid", "flags", "internal_date", "size", "defects"]
    table = filled.fetch_table("1:*", "BODY.PEEK[HEADER.FIELDS (List-Id)]", "BODY.PEEK[1]<0.3>")
    assert table["header_list_id"].to_pylist() == ["<x.y>", None, None]
    assert table["BODY[1]<0>"].to_pylist() == [b"H\xc3\xa4", b"", b"the"]
    assert filled.fetch_table([], "ENVELOPE").num_rows == 0
    assert filled.fetch_table(SequenceSet("2:*"), "FLAGS")["uid"].to_pylist() == [2, 3]


def test_a_column_of_uids_names_messages(filled: Any) -> None:
    """What a DataFrame was filtered by, as it is."""
    column = filled.fetch_table([1, 3])["uid"]
    for uids in (column, column.to_numpy(), pytest.importorskip("pandas").Series([1, 3])):
        assert [row.uid for row in filled.fetch(uids, "FLAGS")] == [1, 3]
        assert filled.fetch_table(uids[:0])["uid"].to_pylist() == []
    with pytest.raises(TypeError, match="is not a message number"):
        filled.fetch(column.to_numpy() / 2, "FLAGS")


def test_the_text_is_fetched_without_the_attachments(filled: Any) -> None:
    texts = ["Hä\n", "", "the text"]
    table = filled.fetch_table("1:*", "ENVELOPE", text=True)
    assert table["text"].to_pylist() == [row.text for row in filled.fetch_text("1:*")] == texts
    assert [[each["name"] for each in files] for files in table["attachments"].to_pylist()] == [[], [], ["a.pdf"]]
    whole = filled.fetch_table(SequenceSet("1:*"), "BODY.PEEK[]", text=True)
    assert whole["text"].to_pylist() == texts
    assert whole["body"].to_pylist() == MESSAGES
    assert filled.fetch_table(SequenceSet("2:3"), text=True)["text"].to_pylist() == texts[1:]


def test_what_makes_no_sense_is_refused_before_anything_is_sent(filled: Any) -> None:
    sent = filled.counters.octets_out
    with pytest.raises(ValueError, match="there is no column for"):
        filled.fetch_table("1:*", "X-UNKNOWN")
    with pytest.raises(ValueError, match="changed_since"):
        filled.fetch_table("1:*", text=True, changed_since=1)
    with pytest.raises(TypeError, match="SAVED"):
        filled.fetch_table(SAVED, text=True)
    assert filled.counters.octets_out == sent


def test_thousands_of_a_real_server(dovecot: Dovecot, interface: Any) -> None:
    client = interface(
        dovecot.host, dovecot.port, user=dovecot.new_user(), password=dovecot.password, tls=False, mechanism="LOGIN"
    )
    client.connect()
    client.multi_append("INBOX", MESSAGES * 70)
    client.select("INBOX")
    table = client.fetch_table("1:*", *ITEMS, "MODSEQ")
    rows = client.fetch("1:*", *ITEMS, "MODSEQ")
    assert table.num_rows == len(rows) == 210
    assert table.to_pylist() == [
        {name: value for name, value in expected(row).items() if name in table.column_names} for row in rows
    ]
    since = rows[0].mod_sequence
    client.add_flags([7], "\\Seen")
    assert client.fetch_table("1:*", "FLAGS", changed_since=max(row.mod_sequence or 0 for row in rows))[
        "uid"
    ].to_pylist() == [7]
    assert since


def test_a_message_of_html_alone_comes_as_html(client: Any) -> None:
    """With text there is no HTML: a program that reads texts would get all of it twice."""
    both = (
        b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\nplain\r\n"
        b"--x\r\nContent-Type: text/html\r\n\r\n<p>plain</p>\r\n--x--\r\n"
    )
    for octets in (b"Content-Type: text/html\r\n\r\n<p>please help</p>\r\n", both, b"Subject: nothing\r\n\r\n"):
        client.append("INBOX", octets)
    client.select("INBOX")
    for items in ((), ("BODY.PEEK[]",)):
        table = client.fetch_table("1:*", *items, text=True)
        assert [text.strip() for text in table["text"].to_pylist()] == ["", "plain", ""]
        assert table["html"].to_pylist() == ["<p>please help</p>\n", None, None]
