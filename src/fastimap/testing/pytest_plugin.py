"""The fixture ``imap_server``: a fresh :class:`IMAPServer` for each test that asks for it.

The package registers this plugin with pytest; the account is ``user`` with the password ``password``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import IMAPServer


@pytest.fixture
def imap_server() -> Iterator[IMAPServer]:
    """A running :class:`fastimap.testing.IMAPServer`, empty, on a free port of loopback."""
    # Imported here: pytest loads this plugin in every run, also where no test needs the server.
    from . import IMAPServer

    with IMAPServer() as server:
        yield server
