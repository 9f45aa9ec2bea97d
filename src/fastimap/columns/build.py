"""Rows of FETCH into columns: a column at a time, so that little is done for each row by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import accumulate, chain
from operator import attrgetter, methodcaller
from typing import TYPE_CHECKING, Any, Final

from ..model._dates import mail_date
from ..model._digest import sha256
from ..model.message import Defect, Envelope, FetchedMessage
from ..model.text import decoded_field, plain_text
from ..parser import mail_seconds
from .schema import ADDRESSES, Columns, address_type, pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

    from ..model.content import Attachment

__all__ = ["Builder", "Values"]

_ROWS: Final = 4000
_OCTETS: Final = 8 * 1024 * 1024
"""So many rows, or octets in them, make a record batch."""
_REMEMBERED: Final = 20_000
_NOTHING: Final = Envelope(None, None, (), (), (), (), (), (), None, None)
_SECOND: Final = 1_000_000  # microseconds
_TIMESTAMP: Final = methodcaller("timestamp")


class Values(dict[Any, int]):
    """Numbers different values from 0 on, in the order in which they are first asked for."""

    def __missing__(self, key: Any) -> int:
        number = self[key] = len(self)
        return number


class Builder:
    """Makes record batches of rows.

    :param columns: which columns.
    :param recent: whether to keep the flag ``\\Recent``, which belongs to the session.
    """

    def __init__(self, columns: Columns, *, recent: bool = True) -> None:
        self.columns = columns
        self.schema: pa.Schema = columns.schema()
        self._pa: Any = pyarrow()
        self._recent = recent
        self._rows: list[FetchedMessage] = []
        self._octets = 0
        self._batches: list[Any] = []
        self.octets: int = 0
        """How large the record batches are."""
        self._large = [name for name in columns.names if name in ("text", "html", "body")] + [*columns.sections]
        self._addresses = Values()
        self._addresses_built: Any = None

    def add(self, rows: Sequence[FetchedMessage]) -> None:
        """Add rows."""
        self._rows += rows
        if self._large:
            self._octets += sum(map(_octets_in, rows))
        if len(self._rows) >= _ROWS or self._octets >= _OCTETS:
            self._finish()

    def _finish(self) -> None:
        if self._rows:
            batch: Any = self.batch(self._rows)
            self.octets += int(batch.nbytes)
            self._batches.append(batch)
            self._rows = []
            self._octets = 0

    def table(self) -> pa.Table:
        """Return all that was added."""
        self._finish()
        made: pa.Table = self._pa.Table.from_batches(self._batches, self.schema)
        return made

    def batch(self, rows: Sequence[FetchedMessage]) -> pa.RecordBatch:
        """Return rows as one record batch."""
        arrow = self._pa
        arrays: dict[str, Any] = {}
        if "subject" in self.columns.names:
            arrays |= self._envelopes([row.envelope for row in rows])
        if "media_type" in self.columns.names:
            arrays |= self._structures(rows)
        if "body" in self.columns.names:
            bodies = [row.body for row in rows]
            arrays["body"] = arrow.array(bodies, arrow.large_binary())
            arrays["digest"] = arrow.array([None if body is None else sha256(body) for body in bodies], arrow.binary())
        if "text" in self.columns.names:
            texts = [row.text for row in rows]
            arrays["text"] = self.strings(texts, arrow.large_string())
            if "html" in self.columns.names:
                html = [None if text else row.html or None for row, text in zip(rows, texts, strict=True)]
                arrays["html"] = self.strings(html, arrow.large_string())
        if self.columns.headers:
            headers = [row.headers for row in rows]
            for name, field in self.columns.headers.items():
                values = ["\n".join(each.get_all(field)) if field in each else None for each in headers]
                arrays[name] = self.strings(values)
        for name, item in self.columns.sections.items():
            found = (row.item(item) for row in rows)
            arrays[name] = arrow.array(
                [value if isinstance(value, bytes) else None for value in found], arrow.large_binary()
            )
        simple: dict[str, Callable[[], Any]] = {
            "uid": lambda: arrow.array([row._uid for row in rows], arrow.int64()),
            "flags": lambda: self._flags([row.flags for row in rows]),
            "internal_date": lambda: self._moments([row.internal_date for row in rows]),
            "save_date": lambda: self._moments([row.save_date for row in rows]),
            "size": lambda: arrow.array([row.size for row in rows], arrow.int64()),
            "mod_sequence": lambda: arrow.array([row.mod_sequence for row in rows], arrow.int64()),
            "defects": lambda: self._defects([row.defects for row in rows]),
        }
        for name in self.columns.names:
            if name in arrays:
                continue
            if name in simple:
                arrays[name] = simple[name]()
            else:
                others: list[Any] = list(map(attrgetter(name), rows))
                if name == "gmail_labels":
                    others = [None if labels is None else [*map(_clean, labels)] for labels in others]
                arrays[name] = arrow.array(others, self.columns.type_of(name))
        made: pa.RecordBatch = arrow.RecordBatch.from_arrays(
            [arrays[name] for name in self.columns.names], schema=self.schema
        )
        return made

    # Columns by what they hold.

    def strings(self, values: list[str | None], type_: Any = None) -> Any:
        """Return text; half characters, which UTF-8 does not have, as U+FFFD or ``?``."""
        type_ = type_ or self._pa.string()
        try:
            return self._pa.array(values, type_)
        except UnicodeEncodeError:
            return self._pa.array([value and _clean(value) for value in values], type_)

    def _taken(self, values: Any, numbers: Iterable[int | None]) -> Any:
        return values.take(self._pa.array(numbers, self._pa.int32()))

    def _flags(self, those: Sequence[frozenset[str] | None]) -> Any:
        known = Values()
        numbers = [None if flags is None else known[flags] for flags in those]
        sets = [sorted(map(_clean, flags if self._recent else flags - {"\\Recent"})) for flags in known]
        return self._taken(self._pa.array(sets, self._pa.list_(self._pa.string())), numbers)

    def _moments(self, moments: Sequence[datetime | None]) -> Any:
        pa = self._pa
        if all(moments):
            seconds = pa.array(list(map(_TIMESTAMP, moments)), pa.float64())
            try:
                return seconds.cast(pa.int64()).cast(pa.timestamp("s", tz="UTC")).cast(pa.timestamp("us", tz="UTC"))
            except pa.ArrowInvalid:  # a fraction of a second, in a row that was made by hand
                pass
        values = [None if moment is None else round(moment.timestamp()) * _SECOND for moment in moments]
        return pa.array(values, pa.int64()).cast(pa.timestamp("us", tz="UTC"))

    def _dates(self, dates: Sequence[bytes | None]) -> Any:
        """Return Date fields as `Envelope.date` has them."""
        pa = self._pa
        seconds = mail_seconds(dates)
        if None in seconds:
            moments = [
                octets and mail_date(octets) if known is None else None
                for octets, known in zip(dates, seconds, strict=True)
            ]
            seconds = [
                round(moment.timestamp()) if moment else known for moment, known in zip(moments, seconds, strict=True)
            ]
        return pa.array(seconds, pa.timestamp("s", tz="UTC")).cast(pa.timestamp("us", tz="UTC"))

    def _defects(self, those: Sequence[tuple[Defect, ...]]) -> Any:
        type_ = self.columns.type_of("defects")
        if not any(those):
            return self._pa.array([[]], type_).take(self._pa.array([0] * len(those), self._pa.int8()))
        return self._pa.array(
            [[{"item": _clean(each.item), "reason": _clean(each.reason)} for each in defects] for defects in those],
            type_,
        )

    def _structures(self, rows: Sequence[FetchedMessage]) -> dict[str, Any]:
        pa = self._pa
        structures = [row.body_structure for row in rows]
        types = Values()
        numbers = [None if each is None else types[each.type, each.subtype] for each in structures]
        media_types = self.strings([f"{type_}/{subtype}" for type_, subtype in types])
        lengths: list[int] = []
        files: list[Attachment] = []
        for row, each in zip(rows, structures, strict=True):
            before = len(files)
            if each is not None and (each.type != "text" or each.disposition is not None):
                files += row.attachments or ()
            lengths.append(len(files) - before)
        columns = [
            self.strings([file.name for file in files]),
            self.strings([file.media_type for file in files]),
            pa.array([file.size for file in files], pa.int64()),
            self.strings([file.part for file in files]),
        ]
        absent = pa.array([each is None for each in structures])
        type_ = self.columns.type_of("attachments")
        values = pa.StructArray.from_arrays(columns, fields=list(type_.value_type))
        return {
            "media_type": self._taken(media_types, numbers),
            "attachments": self._lists(lengths, values, absent),
        }

    def _lists(self, lengths: Iterable[int], values: Any, absent: Any) -> Any:
        """Return lists that hold `values` one after the other; null where `absent` is true."""
        pa = self._pa
        return pa.ListArray.from_arrays(pa.array([*accumulate(lengths, initial=0)], pa.int32()), values, mask=absent)

    def _envelopes(self, envelopes: Sequence[Envelope | None]) -> dict[str, Any]:
        pa = self._pa
        absent = None if all(envelopes) else pa.array([each is None for each in envelopes])
        dates, subjects, *lists, in_reply_to, message_ids = zip(*[each or _NOTHING for each in envelopes], strict=True)
        arrays = {
            "date": self._dates(dates),
            "subject": self._texts([None if octets is None else _subject(octets) for octets in subjects]),
            "message_id": self._texts(message_ids),
            "in_reply_to": self._texts(in_reply_to),
        }
        if len(self._addresses) > _REMEMBERED:
            self._addresses = Values()
            self._addresses_built = None
        everyone = chain.from_iterable(chain.from_iterable(lists))
        numbers = list(map(self._addresses.__getitem__, everyone))
        values = self._taken(self._known_addresses(), numbers)  # all in one: each column has its part of it
        start = 0
        for name, addresses in zip(ADDRESSES, lists, strict=True):
            lengths = list(map(len, addresses))
            count = sum(lengths)
            arrays[name] = self._lists(lengths, values.slice(start, count), absent)
            start += count
        return arrays

    def _texts(self, those: Sequence[bytes | str | None]) -> Any:
        """Return text of octets without a label, as `plain_text` reads them; text among them stays as it is."""
        pa = self._pa
        try:
            return pa.array(those, pa.binary()).cast(pa.string())
        except (pa.ArrowInvalid, UnicodeEncodeError):
            return self.strings([plain_text(each) if isinstance(each, bytes) else each for each in those])

    def _known_addresses(self) -> Any:
        """Return a column of all different addresses."""
        pa = self._pa
        built = self._addresses_built
        before = 0 if built is None else len(built)
        if before < len(self._addresses) or built is None:
            new = [address for address, number in self._addresses.items() if number >= before]
            fields = zip(*[(each.name, each.mailbox, each.host, each.email) for each in new], strict=True)
            columns = [self.strings(list(field)) for field in fields] or [self.strings([])] * 4
            made = pa.StructArray.from_arrays(columns, fields=list(address_type()))
            self._addresses_built = built = made if built is None else pa.concat_arrays([built, made])
        return built


def _subject(octets: bytes) -> bytes | str:
    """Return `octets` themselves where there is nothing to decode but UTF-8."""
    return decoded_field(octets) or "" if b"=?" in octets or b"\n" in octets else octets


def _octets_in(row: FetchedMessage) -> int:
    return len(row.body or b"") + sum(len(value) for _, value in row.items if isinstance(value, bytes))


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
