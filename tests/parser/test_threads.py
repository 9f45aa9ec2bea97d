"""One reader wrongly shared between threads: wrong results, never corrupt memory (run it on a sanitizer build too)."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from fastimap.model.message import FetchedMessage


def test_threads_on_one_reader(twin: Any) -> None:
    reader = twin.ResponseReader()
    untagged: dict[str, list[Any]] = {}
    rows: list[Any] = []
    sinks = [None, lambda *_: bytearray().extend]
    small = b'* 3 FETCH (UID 5 FLAGS (\\Seen k) INTERNALDATE "17-Jul-1996 02:44:25 -0700" ENVELOPE (NIL "s" '
    small += b'((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL NIL) BODY[HEADER] {3}\r\nabc)\r\n'
    octets = 9 * small + b"* 1 FETCH (UID 5 BODY[] {70000}\r\n" + b"x" * 70_000 + b")\r\n* 2 EXISTS\r\n" + b"y" * 3_000

    def abuse(seed: int) -> None:
        for turn in range(300):
            # Any exception is right: that each call returns at all, and the process lives, is the test.
            with contextlib.suppress(Exception):
                match (seed + turn) % 7:
                    case 0 | 1:
                        room = reader.get_buffer()
                        size = min(len(room), 20_000 + turn)
                        room[:size] = octets[turn : turn + size].ljust(size, b"\n")
                        reader.buffer_updated(size)
                    case 2:
                        reader.drain(untagged)
                    case 3:
                        reader.readline()
                        reader.read(70_000)
                    case 4:
                        rows.extend(row for run in reader.batch() if isinstance(run, list) for row in run)
                    case 5:
                        reader.set_sink(sinks[turn % 2])
                        reader.batch()
                    case _:
                        reader.responses()
                        reader.take_rest()

    threads = [threading.Thread(target=abuse, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for values in untagged.values():
        assert all(isinstance(value, (bytes, tuple)) for value in values)
    assert all(isinstance(row, FetchedMessage) for row in rows)
