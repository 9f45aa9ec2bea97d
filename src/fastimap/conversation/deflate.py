"""A compressed connection (COMPRESS=DEFLATE, RFC 4978)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from ..errors import ProtocolError

__all__ = ["Deflate"]

_STEP = 1024 * 1024
_BUFFER = 64 * 1024


class Deflate:
    """Both directions of a compressed connection: `buffer` is received into."""

    def __init__(self) -> None:
        self.buffer: bytearray = bytearray(_BUFFER)
        self.inflated: int = 0
        """Octets received, inflated: a server that sends empty blocks makes no progress."""
        self._inflate: Any = zlib.decompressobj(-zlib.MAX_WBITS)
        self._deflate: Any = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    @property
    def ended(self) -> bool:
        """Whether the compressed stream has ended: nothing can follow."""
        return bool(self._inflate.eof)

    def deflate(self, chunk: bytes | memoryview) -> bytes:
        """Return `chunk` compressed, so that the server can read all of it."""
        return self._deflate.compress(chunk) + self._deflate.flush(zlib.Z_SYNC_FLUSH)  # type: ignore[no-any-return]

    def inflate(self, data: memoryview | bytes) -> Iterator[bytes]:
        """Yield what `data` holds, in bounded pieces. Raises ProtocolError."""
        octets: Any = data
        while True:
            try:
                piece = self._inflate.decompress(octets, _STEP)
            except zlib.error as exc:
                raise ProtocolError(f"the compressed stream is broken: {exc}") from exc
            octets = self._inflate.unconsumed_tail
            self.inflated += len(piece)
            yield piece
            if self.ended or (not octets and len(piece) < _STEP):
                return
