"""Programs under asyncio whose disk is slow, with a real Dovecot: the event loop goes on."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from fastimap import AsyncClient, errors
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.usefixtures("implementation")

MESSAGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 20_000


class Turnstile:
    """Lets a file go on when the event loop has: on the loop, it would wait in vain."""

    def __init__(self) -> None:
        self.loops = threading.current_thread()
        self.passed = threading.Event()

    def wait(self) -> None:
        assert threading.current_thread() is not self.loops, "the file was used on the event loop"
        assert self.passed.wait(20)
        self.passed.clear()

    async def turn(self) -> None:
        while True:
            self.passed.set()
            await asyncio.sleep(0)


class SlowFile(io.BytesIO):
    """Its octets come and go when the event loop has gone on."""

    turnstile: Turnstile

    def read(self, size: int | None = -1, /) -> bytes:
        self.turnstile.wait()
        return super().read(size)

    def write(self, octets: Any, /) -> int:
        self.turnstile.wait()
        return super().write(octets)


class NoIOBase:
    """A file as some libraries have them: what it gives is not known before it is read."""

    def __init__(self, file: SlowFile) -> None:
        self.read = file.read


Program = Callable[[AsyncClient, Turnstile], Coroutine[Any, Any, None]]


@pytest.fixture
def run(dovecot: Dovecot) -> Callable[[Program], None]:
    def run(program: Program) -> None:
        async def main() -> None:
            turnstile = Turnstile()
            turning = asyncio.create_task(turnstile.turn())
            arguments: dict[str, Any] = {"user": dovecot.new_user(), "password": dovecot.password}
            async with AsyncClient(
                dovecot.host, dovecot.port, tls=False, mechanism="PLAIN", timeout=30, **arguments
            ) as client:
                await client.select()
                await asyncio.wait_for(program(client, turnstile), 60)
            turning.cancel()

        asyncio.run(main())

    return run


def slow(turnstile: Turnstile, octets: bytes = b"") -> SlowFile:
    file = SlowFile(octets)
    file.turnstile = turnstile
    return file


def test_a_message_from_a_slow_file_and_into_one(run: Callable[[Program], None]) -> None:
    async def program(client: AsyncClient, turnstile: Turnstile) -> None:
        told: list[tuple[int, int]] = []

        def progress(done: int, size: int) -> None:
            assert threading.current_thread() is turnstile.loops
            told.append((done, size))

        appended = await client.append("INBOX", slow(turnstile, MESSAGE), progress=progress)
        assert (told[-1], len(told) > 1) == ((len(MESSAGE), len(MESSAGE)), True)
        told.clear()
        file = slow(turnstile)
        assert appended.uid is not None
        await client.fetch_into(appended.uid, "BODY.PEEK[]", into=file, progress=progress)
        assert file.getvalue() == MESSAGE
        assert told[-1] == (len(MESSAGE), len(MESSAGE))

    run(program)


def test_other_kinds_of_files(run: Callable[[Program], None], tmp_path: Path) -> None:
    async def program(client: AsyncClient, turnstile: Turnstile) -> None:
        await client.append("INBOX", NoIOBase(slow(turnstile, MESSAGE)), size=len(MESSAGE))  # type: ignore[arg-type]
        path = tmp_path / "message.eml"
        path.write_bytes(MESSAGE)
        await client.append("INBOX", path)
        async with client.pipeline() as pipeline:
            pending = [pipeline.append("INBOX", slow(turnstile, MESSAGE)) for _ in range(3)]
            flags = pipeline.noop()
        assert [p.result().uid for p in pending] == [3, 4, 5]
        assert flags.result() is None
        files: dict[int | None, SlowFile] = {}

        def into(uid: int | None, item: str, size: int) -> SlowFile:
            assert size == len(MESSAGE)
            return files.setdefault(uid, slow(turnstile))

        await client.fetch_into("1:*", "BODY.PEEK[]", into=into)
        assert {uid: file.getvalue() for uid, file in files.items()} == dict.fromkeys(range(1, 6), MESSAGE)

    run(program)


def test_a_file_that_fails(run: Callable[[Program], None]) -> None:
    class Full(SlowFile):
        def write(self, octets: Any, /) -> int:
            raise OSError(28, "No space left on device")

    class Text:
        def read(self, size: int) -> str:
            return "x" * size

    def progress(done: int, size: int) -> None:
        if done > 200_000:
            raise ValueError("enough")

    async def program(client: AsyncClient, turnstile: Turnstile) -> None:
        with pytest.raises(TypeError, match="text mode"):
            await client.append("INBOX", Text(), size=10)  # type: ignore[arg-type]
        await client.append("INBOX", slow(turnstile, MESSAGE))
        with pytest.raises(OSError, match="No space left"):
            await client.fetch_into(1, "BODY.PEEK[]", into=Full())
        with pytest.raises(ValueError, match="enough"):
            await client.fetch_into(1, "BODY.PEEK[]", into=slow(turnstile), progress=progress)
        file = slow(turnstile)
        await client.fetch_into(1, "BODY.PEEK[]", into=file)  # the connection is in step
        assert file.getvalue() == MESSAGE
        with pytest.raises(ValueError, match="enough"):
            await client.append("INBOX", slow(turnstile, MESSAGE), progress=progress)
        with pytest.raises(errors.Disconnected):  # a message that was half sent
            await client.noop()

    run(program)


@pytest.mark.parametrize("turns", [0, 1, 5, 30])
def test_who_is_cancelled_has_the_file_back(run: Callable[[Program], None], turns: int) -> None:
    """When the cancelled call returns nobody writes to its file any more, or ever again."""

    async def program(client: AsyncClient, turnstile: Turnstile) -> None:
        await client.append("INBOX", MESSAGE)
        file = slow(turnstile)
        writing = 0

        def write(octets: Any) -> int:
            nonlocal writing
            writing += 1
            written = SlowFile.write(file, octets)
            writing -= 1
            return written

        file.write = write  # type: ignore[method-assign]
        fetching = asyncio.create_task(client.fetch_into(1, "BODY.PEEK[]", into=file))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        fetching.cancel()
        await asyncio.wait([fetching])
        assert not writing
        file.close()
        (row,) = await client.fetch(1, "RFC822.SIZE")
        assert row.size == len(MESSAGE)

    run(program)
