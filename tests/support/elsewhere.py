"""A plugin for pytest that takes away what not every platform has: ``-p tests.support.elsewhere``.

A program for Windows, which has none of these, is not tested by it; but one that needs them is found out here.
"""

import os
import select
import shutil
import socket
from typing import Any

for module, names in (
    (os, ("fork", "forkpty", "memfd_create", "sendfile", "register_at_fork")),
    (select, ("poll", "epoll", "devpoll", "kqueue")),
    (socket, ("AF_UNIX", "socketpair_unix", "SO_REUSEPORT")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

_socket = socket.socket  # tests put others in its place


def _socketpair(family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, proto: int = 0) -> tuple[Any, Any]:
    """Two connected sockets of loopback, as on Windows, where the system has no call for it."""
    with _socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        one = _socket()
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    return one, other


socket.socketpair = _socketpair  # type: ignore[assignment]
shutil._USE_CP_SENDFILE = False  # type: ignore[attr-defined]
