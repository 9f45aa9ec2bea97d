"""Rows of FETCH into columns: a column at a time, so that little is done for each row by itself."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from hashlib import sha256
from itertools import accumulate, chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..model._dates import DATE
from ..model.message import BodyStructure, Defect, Envelope, FetchedMessage
from ..model.text import decoded_field, plain_text
from ..model.words import MONTHS
from .schema import ADDRESSES, Columns, address_type, pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Builder", "Values"]

_V = TypeVar("_V")
_ROWS: Final = 4000
_OCTETS: Final = 8 * 1024 * 1024
"""So many rows, or octets in them, make a record batch."""
_REMEMBERED: Final = 20_000
_NOTHING: Final = Envelope(None, None, (), (), (), (), (), (), None, None)
_EPOCH: Final = date(1970, 1, 1).toordinal()
_SECOND: Final = 1_000_000  # microseconds
_DAY: Final = 86_400 * _SECOND


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
        self._large = [name for name in columns.names if name in ("text", "body")] + [*columns.sections]
        self._addresses = Values()
        self._addresses_built: Any = None
        self._months = _Read(_month)
        self._days = _Read(int)
        self._clock = _Read(_clock)
        self._seconds = _Read(_seconds)
        self._zones = _Read(_zone)

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
        fields: list[tuple[Any, ...]] = list(zip(*[row._values() for row in rows], strict=True)) or [()] * 12
        _, uids, flags, sizes, dates, mod_sequences, envelopes, structures, bodies, _, defects, _ = fields
        if "subject" in self.columns.names:
            arrays |= self._envelopes(envelopes)
        if "media_type" in self.columns.names:
            arrays |= self._structures(rows, structures)
        if "body" in self.columns.names:
            arrays["body"] = arrow.array(bodies, arrow.large_binary())
            arrays["digest"] = arrow.array([None if body is None else _digest(body) for body in bodies], arrow.binary())
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
            "uid": lambda: arrow.array(uids, arrow.int64()),
            "flags": lambda: self._flags(flags),
            "internal_date": lambda: self._moments(dates),
            "save_date": lambda: self._moments([row.save_date for row in rows]),
            "size": lambda: arrow.array(sizes, arrow.int64()),
            "mod_sequence": lambda: arrow.array(mod_sequences, arrow.int64()),
            "text": lambda: self.strings([row.text for row in rows], arrow.large_string()),
            "defects": lambda: self._defects(defects),
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
        values = [None if moment is None else round(moment.timestamp()) * _SECOND for moment in moments]
        return self._pa.array(values, self._pa.int64()).cast(self._pa.timestamp("us", tz="UTC"))

    def _defects(self, those: Sequence[tuple[Defect, ...]]) -> Any:
        type_ = self.columns.type_of("defects")
        if not any(those):
            return self._pa.array([[]], type_).take(self._pa.array([0] * len(those), self._pa.int8()))
        return self._pa.array(
            [[{"item": _clean(each.item), "reason": _clean(each.reason)} for each in defects] for defects in those],
            type_,
        )

    def _structures(self, rows: Sequence[FetchedMessage], structures: Sequence[BodyStructure | None]) -> dict[str, Any]:
        pa = self._pa
        types = Values()
        numbers = [None if each is None else types[each.type, each.subtype] for each in structures]
        media_types = self.strings([f"{type_}/{subtype}" for type_, subtype in types])
        found = [
            None
            if each is None
            else []
            if each.type == "text" and each.disposition is None
            else [
                {
                    "name": file.name,
                    "type": _clean(file.media_type),
                    "size": file.size,
                    "part": file.part,
                }
                for file in row.attachments or ()
            ]
            for row, each in zip(rows, structures, strict=True)
        ]
        return {
            "media_type": self._taken(media_types, numbers),
            "attachments": pa.array(found, self.columns.type_of("attachments")),
        }

    def _envelopes(self, envelopes: Sequence[Envelope | None]) -> dict[str, Any]:
        pa = self._pa
        absent = None if all(envelopes) else pa.array([each is None for each in envelopes])
        dates, subjects, *lists, in_reply_to, message_ids = zip(*[each or _NOTHING for each in envelopes], strict=True)
        arrays = {
            "date": pa.array(list(map(self._moment, dates)), pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            "subject": self.strings([None if octets is None else decoded_field(octets) for octets in subjects]),
            "message_id": self.strings([None if octets is None else plain_text(octets) for octets in message_ids]),
            "in_reply_to": self.strings([None if octets is None else plain_text(octets) for octets in in_reply_to]),
        }
        if len(self._addresses) > _REMEMBERED:
            self._addresses = Values()
            self._addresses_built = None
        numbers = [list(map(self._addresses.__getitem__, chain.from_iterable(each))) for each in lists]
        values = self._known_addresses()
        for name, addresses, those in zip(ADDRESSES, lists, numbers, strict=True):
            offsets = pa.array(list(accumulate(map(len, addresses), initial=0)), pa.int32())
            arrays[name] = pa.ListArray.from_arrays(offsets, self._taken(values, those), mask=absent)
        return arrays

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

    def _moment(self, octets: bytes | None) -> int | None:
        """Return a Date field in microseconds since 1970; as `Envelope.date` has it."""
        if octets is None:
            return None
        found = DATE.fullmatch(octets)
        if found is not None:
            day, month, clock, second, zone = found.groups()
            began, length = self._months[month]
            days = self._days[day]
            if 0 < days <= length:
                return began + days * _DAY + self._clock[clock] + self._seconds[second] - self._zones[zone]
        from ..model._email import parsed_date  # which imports the standard library's email, and that takes long

        moment = parsed_date(octets)
        return None if moment is None else round(moment.timestamp()) * _SECOND


class _Read(dict[bytes, _V]):
    """What pieces of dates mean, each read once."""

    def __init__(self, read: Callable[[bytes], _V]) -> None:
        self._read = read

    def __missing__(self, octets: bytes) -> _V:
        if len(self) > _REMEMBERED:
            self.clear()
        value = self[octets] = self._read(octets)
        return value


def _month(octets: bytes) -> tuple[int, int]:
    """Return when the day before a month began, and how many days the month has."""
    name, year = octets.decode().split()
    month = MONTHS.index(name) + 1
    return (date(int(year), month, 1).toordinal() - 1 - _EPOCH) * _DAY, monthrange(int(year), month)[1]


def _seconds(octets: bytes) -> int:
    return int(octets) * _SECOND


def _clock(octets: bytes) -> int:
    return (int(octets[:2]) * 60 + int(octets[3:])) * 60 * _SECOND


def _zone(octets: bytes) -> int:
    ahead = (int(octets[1:3]) * 60 + int(octets[3:])) * 60 * _SECOND
    return -ahead if octets[:1] == b"-" else ahead


def _octets_in(row: FetchedMessage) -> int:
    return len(row.body or b"") + sum(len(value) for _, value in row.items if isinstance(value, bytes))


def _digest(body: bytes) -> bytes:
    return sha256(body, usedforsecurity=False).digest()


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
