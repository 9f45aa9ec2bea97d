"""What a connection prints at a debug level, and the last lines that it keeps for that."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from .exceptions import Exceptions
from .names import Data

# Octets of each of the last lines that print_log() can show, where they were not printed in whole.
LOGGED = 1000


class Log(Exceptions):
    """Debug output: what is sent and received from level 4 on, at 5 all that is made of it."""

    debug: int
    _cmd_log_len: int
    _cmd_log_idx: int
    _cmd_log: dict[int, tuple[str, float]]

    def _mesg(self, s: str, secs: float | None = None) -> None:
        if secs is None:
            secs = time.time()
        clock = time.strftime("%M:%S", time.localtime(secs))
        sys.stderr.write(f"  {clock}.{int(secs * 100) % 100:02d} {s}\n")
        sys.stderr.flush()

    def _trace(self, line: str) -> None:
        if self.debug >= 4:
            self._mesg(line)
        else:
            self._log(line)

    def _log(self, line: str) -> None:
        self._cmd_log[self._cmd_log_idx] = (line, time.time())
        self._cmd_log_idx = (self._cmd_log_idx + 1) % self._cmd_log_len

    def print_log(self) -> None:
        """Write the last lines sent and received to stderr; below debug level 1, received data is not among them."""
        self._mesg(f"last {len(self._cmd_log)} IMAP4 interactions:")
        for offset in range(self._cmd_log_len):
            entry = self._cmd_log.get((self._cmd_log_idx + offset) % self._cmd_log_len)
            if entry is not None:
                self._mesg(*entry)

    def _dump_ur(self, untagged_resp_dict: Mapping[str, Data]) -> None:
        if untagged_resp_dict:
            items = (f"{name}: {data!r}" for name, data in untagged_resp_dict.items())
            self._mesg("untagged responses dump:" + "\n\t\t".join(items))
