"""Rows as columns: equal to the rows' own attributes, whatever a server sent."""

from __future__ import annotations

import contextlib
import importlib
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastimap.columns import Builder, Columns, column_of_header
from fastimap.errors import LiteralTooLarge
from fastimap.model.message import Address, Envelope, FetchedMessage
from tests.parser.conftest import TWINS, built
from tests.parser.harness import put, quirks

pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")

ALL = Columns(
    ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "MODSEQ", "ENVELOPE", "BODYSTRUCTURE", "BODY[]"), text=True, html=True
)
ADDRESSES = ("from_", "sender", "reply_to", "to", "cc", "bcc")


def expected(row: FetchedMessage) -> dict[str, Any]:
    """Say what the columns are, by the attributes."""
    envelope = row.envelope

    def addresses(name: str) -> list[dict[str, Any]] | None:
        return (
            None
            if envelope is None
            else [
                {"name": each.name, "mailbox": each.mailbox, "host": each.host, "email": each.email}
                for each in getattr(envelope, name)
            ]
        )

    structure = row.body_structure
    files = row.attachments if structure is not None else None
    return {
        "uid": row.uid if "UID" in row else None,
        "flags": None if row.flags is None else sorted(row.flags),
        "internal_date": utc(row.internal_date),
        "size": row.size,
        "mod_sequence": row.mod_sequence,
        "date": utc(envelope and envelope.date),
        "subject": envelope and envelope.subject,
        **{name: addresses(name) for name in ADDRESSES},
        "message_id": envelope and envelope.message_id,
        "in_reply_to": envelope and envelope.in_reply_to,
        "media_type": structure and structure.media_type,
        "attachments": None
        if files is None
        else [{"name": each.name, "type": each.media_type, "size": each.size, "part": each.part} for each in files],
        "text": row.text,
        "html": None if row.text else row.html or None,
        "body": row.body,
        "digest": None if row.body is None else sha256(row.body).digest(),
        "defects": [{"item": each.item, "reason": each.reason} for each in row.defects],
    }


def utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


@pytest.mark.parametrize("twin", built())
def test_quirks_of_servers(twin: str) -> None:
    reader_class = importlib.import_module(TWINS[twin]).ResponseReader
    rows: list[FetchedMessage] = []
    for octets in quirks():
        reader = reader_class()
        put(reader, octets)
        with contextlib.suppress(LiteralTooLarge):
            rows += [row for run in reader.batch() if isinstance(run, list) for row in run]
    assert len(rows) > 50
    made = Builder(ALL).batch(rows).to_pylist()
    assert made == [expected(row) for row in rows]


DATES = [
    b"Mon, 02 Jan 2006 15:04:05 -0700",
    b"2 Jan 2006 15:04:05 -0000",
    b"Thu, 29 Feb 2001 00:00:00 +0000",
    b"Thu, 29 Feb 2024 23:59:60 +0000",
    b"Thu,29 Feb 2024 23:59:59 +1459 (CET)",
    b"29 Feb 0024 23:59:59 -1200",
    b"29 Feb 2024 24:00:00 +0000",
    b"1 Jan 1970 00:00:00 +9999",
    b"31 Dec 1969 23:59:59 +0000",
    b"Mon, 02 Jan 2006 15:04 GMT",
    b"Mon, 02 Jan 06 15:04:05 EST",
    b"01 Jan 0001 00:00:00 +0100",
    b"no date at all",
    b"",
    b"\xff",
]


@pytest.mark.parametrize("octets", DATES, ids=repr)
def test_dates_are_those_of_the_envelope(octets: bytes) -> None:
    check_date(octets)


DAY = st.tuples(st.integers(0, 32), st.sampled_from(["Jan", "Feb", "Dec", "jan", "Foo"]), st.integers(0, 9999))
CLOCK = st.tuples(st.integers(0, 24), st.integers(0, 60), st.integers(0, 61))


@given(
    st.sampled_from(["", "Mon, ", "Mon,", "Foo ", "mon, "]),
    DAY,
    CLOCK,
    st.sampled_from("+-"),
    st.integers(0, 2500),
    st.sampled_from(["", " (CET)", " x"]),
)
@example("", (1, "Jan", 1970), (0, 0, 0), "+", 0, "")
def test_any_date(
    name: str, day: tuple[int, str, int], clock: tuple[int, int, int], sign: str, zone: int, end: str
) -> None:
    text = f"{name}{day[0]:02} {day[1]} {day[2]:04} {clock[0]:02}:{clock[1]:02}:{clock[2]:02} {sign}{zone:04}{end}"
    check_date(text.encode())


def check_date(octets: bytes) -> None:
    envelope = Envelope(octets, None, (), (), (), (), (), (), None, None)
    batch: Any = Builder(Columns(["ENVELOPE"])).batch([FetchedMessage(uid=1, envelope=envelope)])
    (made,) = batch["date"].cast("int64")
    moment = envelope.date
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert made.as_py() == (None if moment is None else (moment - epoch) // timedelta(microseconds=1))


def test_what_has_no_octets_in_utf8() -> None:
    """Half a character, in a flag of octets that are no UTF-8, does not cost the table."""
    address = Address(b"=?utf-7?q?+2AA-?=", None, b"a\xff", b"b")
    envelope = Envelope(None, b"=?utf-7?q?+2AA-?=", (address,), (), (), (), (), (), b"\xff", b"\0")
    row = FetchedMessage(uid=1, flags=frozenset({"\udcff"}), envelope=envelope)
    (made,) = Builder(Columns(["FLAGS", "ENVELOPE"])).batch([row]).to_pylist()
    assert made["flags"] == ["?"]
    assert made["from_"][0]["mailbox"] == "aÿ"
    assert (made["in_reply_to"], made["message_id"]) == ("ÿ", "\0")


def test_fields_of_the_header_and_sections() -> None:
    name = "BODY[HEADER.FIELDS (LIST-ID RECEIVED)]"
    row = FetchedMessage(uid=1, items=((name, b"Received: a\r\nReceived: b\r\n c\r\n\r\n"), ("BODY[1]", b"\xff")))
    columns = Columns([name, "BODY[1]"])
    assert columns.names == ("uid", "header_list_id", "header_received", "BODY[1]", "defects")
    assert column_of_header("List-Id") == "header_list_id"
    assert Builder(columns).batch([row]).to_pylist() == [
        {"uid": 1, "header_list_id": None, "header_received": "a\nb c", "BODY[1]": b"\xff", "defects": []}
    ]


def test_batches_are_bounded_and_make_one_table() -> None:
    builder = Builder(Columns(["BODY[]"]))
    for uid in range(1, 40):
        builder.add([FetchedMessage(uid=uid, body=b"x" * 1_000_000)])
        assert sum(len(row.body or b"") for row in builder._rows) < 8 * 1024 * 1024
    table = builder.table()
    assert table["uid"].to_pylist() == list(range(1, 40))
    assert builder.table().num_rows == 39
    assert Builder(ALL).table().num_rows == 0


def test_items_without_a_column() -> None:
    with pytest.raises(ValueError, match="there is no column for X-UNKNOWN"):
        Columns(["X-UNKNOWN"])


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install fastimap\[parquet\]"):
        Builder(ALL)
