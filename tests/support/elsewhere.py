"""A plugin for pytest that takes away what not every platform has: ``-p tests.support.elsewhere``.

A program for Windows, which has none of these, is not tested by it; but one that needs them is found out here.
"""

import os
import select
import socket

for module, names in (
    (os, ("fork", "forkpty", "memfd_create", "sendfile", "register_at_fork")),
    (select, ("poll", "epoll", "devpoll", "kqueue")),
    (socket, ("AF_UNIX", "socketpair_unix", "SO_REUSEPORT")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
