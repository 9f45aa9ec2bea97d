"""What a connection prints at a debug level, and the last lines that it keeps for that."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping

from .exceptions import Exceptions, shown
from .names import Data

# Octets of each of the last lines that print_log() can show, where they were not printed in whole.
LOGGED = 1000
# The level of that name in logging.
DEBUG = 10


class Log(Exceptions):
    """Debug output: what is sent and received from level 4 on, at 5 all that is made of it."""

    debug: int
    _cmd_log: deque[tuple[str, str | bytes, float]]

    def _mesg(self, s: str, secs: float | None = None) -> None:
        if secs is None:
            secs = time.time()
        clock = time.strftime("%M:%S", time.localtime(secs))
        sys.stderr.write(f"  {clock}.{int(secs * 100) % 100:02d} {s}\n")
        sys.stderr.flush()

    def _trace(self, mark: str, octets: bytes) -> None:
        """Print what was sent (">") or received ("<"), or keep the beginning of it for print_log()."""
        if self.debug >= 4:
            self._mesg(f"{mark} {octets!r}")
        elif type(self)._log is not Log._log or "_log" in self.__dict__:
            self._log(f"{mark} {shown(octets, LOGGED)}")
        else:  # made readable when it is read
            self._cmd_log.append((mark, octets if len(octets) <= LOGGED else octets[: LOGGED + 1], time.time()))

    def _log(self, line: str) -> None:
        self._cmd_log.append(("", line, time.time()))

    def print_log(self) -> None:
        """Write the last lines sent and received to stderr; below debug level 1, received data is not among them."""
        self._mesg(f"last {len(self._cmd_log)} IMAP4 interactions:")
        for mark, line, seconds in self._cmd_log:
            self._mesg(line if isinstance(line, str) else f"{mark} {shown(line, LOGGED)}", seconds)

    def _prints(self) -> bool:
        """Whether debug output has somebody to read it: not if it goes to a logger that leaves it out (IMAPClient)."""
        if not self.debug:
            return False
        printing = self.__dict__.get("_mesg")
        is_enabled = getattr(getattr(printing, "__self__", None), "isEnabledFor", None)
        return is_enabled is None or getattr(printing, "__name__", "") != "debug" or bool(is_enabled(DEBUG))

    def _dump_ur(self, untagged_resp_dict: Mapping[str, Data]) -> None:
        if untagged_resp_dict:
            items = (f"{name}: {data!r}" for name, data in untagged_resp_dict.items())
            self._mesg("untagged responses dump:" + "\n\t\t".join(items))
