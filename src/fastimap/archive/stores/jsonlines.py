"""JSON Lines: a message a line, for programs that work through all of it. Flags that change come as lines of their own.

Without suffix it is plain; compressed files (``.jsonl.zst``) are frames of Zstandard, one after the other.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ...model.headers import Headers
from ..state import Entry, Place
from .appending import AppendingStore
from .base import Message, unlike

__all__ = ["JSONLines", "JSONLinesZstd", "read_jsonlines"]


class JSONLines(AppendingStore):
    """A file ``<mailbox>.jsonl`` a mailbox. `read_jsonlines` has the lines folded: each message once, as it is now.

    :param root: the directory.

    A line of a message has ``account``, ``mailbox``, ``uid_validity``, ``uid``, ``date`` (seconds since 1970),
    ``flags``, ``size``, ``sha256``, ``subject``, ``from``, ``labels`` where the server has such, and the octets: as
    ``message`` where they are UTF-8, else in base64 as ``message_base64``. Other lines have ``change``: ``"flags"``,
    ``"deleted"``, ``"moved"``, or ``"renamed"`` of the mailbox.
    """

    kind: ClassVar[str] = "jsonl"
    suffix: ClassVar[str] = ".jsonl"

    def write(self, place: Place, messages: Sequence[Message]) -> list[int | None]:
        return [self._line(place, _message(place, message)) for message in messages]

    def _line(self, place: Place, values: dict[str, Any]) -> int:
        line = json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        return self.append(self.file_of(place), self._packed(line))

    def _packed(self, line: bytes) -> bytes:
        return line

    def _unpacked(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        yield from pieces

    def read(self, place: Place, entry: Entry) -> bytes:
        return self._read_line(place, entry)[1]

    def check(self, place: Place, entry: Entry) -> tuple[str, str] | None:
        try:
            line, octets = self._read_line(place, entry)
        except (LookupError, OSError) as exc:
            return "missing", str(exc).strip("'\"")
        if (found := unlike(octets, entry)) is not None:
            return found
        # What never changes of a line: programs go by that, and not by the state.
        wanted = {
            "account": place.account,
            "uid_validity": place.uid_validity,
            "uid": entry.uid,
            "date": entry.date,
            "size": entry.size,
            "sha256": entry.digest.hex(),
        }
        others = [name for name, value in wanted.items() if line.get(name) != value]
        return ("octets", f"its line has another {', '.join(others)}") if others else None

    def _read_line(self, place: Place, entry: Entry) -> tuple[dict[str, Any], bytes]:
        """Return the line of a message, and the octets in it; raises LookupError."""
        line = bytearray()
        for piece in self._unpacked(self.piece(place, entry)):
            end = piece.find(b"\n")
            if end >= 0:
                line += piece[:end]
                break
            line += piece
        try:
            values = json.loads(line.decode("utf-8", "surrogatepass"))
            return values, octets_of(values)
        except (ValueError, KeyError, TypeError):
            raise LookupError(f"{place.path}: no line of UID {entry.uid}") from None

    def set_flags(self, place: Place, changes: Sequence[tuple[Entry, str, str | None]]) -> None:
        for entry, flags, extra in changes:
            self._line(place, {"change": "flags", **_name(place, entry.uid), "flags": flags.split(), **_extra(extra)})

    def mark(self, place: Place, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._line(place, {"change": "deleted", **_name(place, entry.uid)})

    def rename(self, place: Place, name: str, path: str) -> tuple[str, str]:
        named = {"account": place.account, "mailbox": place.name, "uid_validity": place.uid_validity}
        self._line(place, {"change": "renamed", **named, "to": name})
        return place.path, place.key

    def move(self, source: Place, entry: Entry, target: Place, uid: int) -> int | None:
        octets = self.read(source, entry)
        message = Message(uid, octets, entry.date, entry.flags, entry.digest, entry.extra)
        (where,) = self.write(target, [message])
        self._line(source, {"change": "moved", **_name(source, entry.uid), "to": _name(target, uid)})
        return where


class JSONLinesZstd(JSONLines):
    """The same compressed: ``<mailbox>.jsonl.zst``, a frame of Zstandard a line.

    It needs Python 3.14, or ``pip install zstandard``.
    """

    kind: ClassVar[str] = "jsonl.zst"
    suffix: ClassVar[str] = ".jsonl.zst"

    def _packed(self, line: bytes) -> bytes:
        packed: bytes = _zstd()[0](line)
        return packed

    def _unpacked(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        _, decompressor_of, error = _zstd()
        decompressor = decompressor_of()
        for piece in pieces:
            try:
                yield decompressor.decompress(piece)
            except error as exc:
                raise LookupError(f"not to be decompressed: {exc}") from None
            if decompressor.eof:
                return


def _zstd() -> tuple[Any, Any, Any]:
    """Return a function that compresses, one that makes a decompressor of one frame, and what that raises."""
    try:
        from compression import zstd

        return zstd.compress, zstd.ZstdDecompressor, zstd.ZstdError
    except ImportError:
        pass
    try:
        import zstandard
    except ImportError:
        raise ValueError("the format jsonl.zst needs Python 3.14, or: pip install zstandard") from None
    return zstandard.ZstdCompressor().compress, zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError


def _name(place: Place, uid: int) -> dict[str, Any]:
    return {"account": place.account, "mailbox": place.name, "uid_validity": place.uid_validity, "uid": uid}


def _extra(extra: str | None) -> dict[str, Any]:
    return {} if extra is None else dict(json.loads(extra))


def _message(place: Place, message: Message) -> dict[str, Any]:
    headers = Headers(message.octets)
    values = {
        **_name(place, message.uid),
        "date": message.date,
        "flags": message.flags.split(),
        "size": len(message.octets),
        "sha256": message.digest.hex(),
        "subject": headers.get("subject"),
        "from": headers.get("from"),
        **_extra(message.extra),
    }
    try:
        values["message"] = message.octets.decode("utf-8")
    except UnicodeDecodeError:
        values["message_base64"] = base64.b64encode(message.octets).decode("ascii")
    return values


def octets_of(line: dict[str, Any]) -> bytes:
    """Return the octets of a line's message."""
    if "message" in line:
        return str(line["message"]).encode("utf-8")
    return base64.b64decode(line["message_base64"])


def read_jsonlines(path: str | Path) -> list[dict[str, Any]]:
    """Return the messages of a file ``.jsonl`` as they are now: changes applied, those that were moved left out.

    A message that was deleted on the server has ``"deleted": true``. For a compressed file: ``zstd -dc`` first.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    with open(path, encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        for text in file:
            line = json.loads(text)
            change = line.pop("change", None)
            mailbox = line["account"], line["mailbox"], line["uid_validity"]
            if change == "renamed":
                for key in [key for key in found if key[:3] == mailbox]:
                    message = found.pop(key)
                    message["mailbox"] = line["to"]
                    found[message["account"], line["to"], *key[2:]] = message
                continue
            key = (*mailbox, line["uid"])
            if change is None:
                found[key] = line
            elif change == "moved":
                found.pop(key, None)
            elif key in found:
                found[key]["deleted"] = True
                if change == "flags":  # it is there, perhaps again
                    found[key] |= line
                    del found[key]["deleted"]
    return list(found.values())
