"""A link with a round-trip time: a proxy that passes everything on, half of that time later in each direction."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator
from threading import Thread

from benchmarks.replay import Account


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    later = asyncio.get_running_loop().call_later
    with contextlib.suppress(OSError):
        while octets := await reader.read(64 * 1024):
            later(seconds, writer.write, octets)
    later(seconds, writer.close)


@contextlib.contextmanager
def delayed(account: Account, round_trip: float) -> Iterator[Account]:
    """Give the account behind a link with that many seconds of round-trip time, until the block ends."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = await asyncio.open_connection(account.host, account.port)
        try:
            await asyncio.gather(
                _pass_on(reader, to_server[1], round_trip / 2), _pass_on(to_server[0], writer, round_trip / 2)
            )
            await asyncio.sleep(round_trip)  # until what is on its way has arrived
        except asyncio.CancelledError:
            pass  # by end(), which wants no more: asyncio would report a cancelled connection as an error
        finally:
            to_server[1].close()
            writer.close()

    async def end() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(connected, "127.0.0.1", 0))
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield dataclasses.replace(account, host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
