"""A server that is unlike others: a proxy before `fastimap.testing` that changes lines on their way."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from fastimap.testing import IMAPServer

__all__ = ["Change", "odd"]

Change = Callable[[bytes], bytes]


def _same(line: bytes) -> bytes:
    return line


@contextlib.contextmanager
def odd(server: IMAPServer, *, says: Change = _same, hears: Change = _same) -> Iterator[int]:
    """Have another port of this machine lead to the server; give it.

    :param says: what becomes of a line of the server's.
    :param hears: what becomes of a line of the client's.
    """
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                upstream = socket.create_connection((server.host, server.port))
                sockets.extend((client, upstream))
                for each in (client, upstream):  # each line is sent by itself, and must not wait for the one before
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for source, target, change in ((client, upstream, hears), (upstream, client, says)):
                    threads.append(threading.Thread(target=_copy, args=(source, target, change), daemon=True))
                    threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    for each in sockets:
        each.close()


def _copy(source: socket.socket, target: socket.socket, change: Change) -> None:
    with contextlib.suppress(OSError), source.makefile("rb") as file:
        for line in file:
            target.sendall(change(line))
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
