"""``fastimap watch``: a command for each message that comes, for ever."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from . import accounts, exits
from .arguments import day, merged, number, seconds, shown, text
from .exits import Failed, Terminated, UsageError, counted, readable
from .running import explained, talk
from .show import Show

if TYPE_CHECKING:
    from ..sessions.cursor import Failed as Parked
    from ..sessions.follow import Follow, FollowState, Message
    from ..settings import Account

__all__ = ["add", "run"]

DESCRIPTION = (
    "Run a command for each message that is in a mailbox, and then for each that comes: it has the message on its "
    "standard input, and FASTIMAP_ACCOUNT, FASTIMAP_MAILBOX, FASTIMAP_UID, FASTIMAP_UIDVALIDITY and FASTIMAP_DELIVERY "
    "(1 the first time) in its environment. Its exit code says what came of it: 0 done; 75 not now, try again later; "
    "anything else failed. What failed too often is parked. What was done is noted in a file, so nothing is forgotten "
    "or done again when the program ends."
)
EPILOG = (
    "Exit code: 3 with --once, if not all was done; 10 no connection for too long; else as for pull. On SIGINT and "
    "SIGTERM the command that runs is waited for; a second signal ends it, and its message comes again."
)
LATER: Final = 75
"""EX_TEMPFAIL of sysexits.h."""
_HEALTH_SECONDS = 10.0
if sys.platform == "win32":
    _KILL: Final = signal.SIGTERM
else:
    _KILL: Final = signal.SIGKILL


def _start(text: str | date) -> str | date:
    return text if text in ("new", "all") else day(text)


def _command(text: str | list[str]) -> list[str]:
    try:
        words = shlex.split(text) if isinstance(text, str) else [str(word) for word in text]
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r}: {exc}") from None
    if not words:
        raise argparse.ArgumentTypeError("the command is empty")
    return words


_OPTIONS = {
    "mailboxes": None,
    "exec": _command,
    "cursor": text,
    "start": _start,
    "once": None,
    "later": seconds,
    "deliveries": number,
    "timeout": seconds,
    "mark": text,
    "move_to": text,
    "on_reset": text,
    "max_outage": seconds,
    "health": text,
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", nargs="?", metavar="ACCOUNT", help="a URL, imaps://user@host, or a configured name")
    parser.add_argument(
        "mailboxes", nargs="*", metavar="MAILBOX", help=r"names, or special uses (\Junk), of mailboxes (INBOX)"
    )
    parser.add_argument(
        "--exec",
        type=_command,
        metavar="COMMAND",
        help="what to run: split into words as a shell does, but run without one",
    )
    parser.add_argument(
        "--start",
        type=_start,
        metavar="WHERE",
        help="where to begin in a mailbox that was never watched: new, all, or a date (new)",
    )
    parser.add_argument("--once", action="store_true", help="end when nothing more is there")
    parser.add_argument("--later", type=seconds, metavar="SECONDS", help="to wait after exit code 75 (60)")
    parser.add_argument(
        "--deliveries", type=number, metavar="N", help="how often a message may fail until it is parked (5)"
    )
    parser.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="after which the command is ended, and has failed (600)"
    )
    parser.add_argument("--mark", metavar="FLAG", help=r"give messages that are done this flag (\Seen)")
    parser.add_argument("--move-to", metavar="MAILBOX", help="move messages that are done there")
    parser.add_argument(
        "--on-reset",
        choices=["stop", "new", "all", "match"],
        help="what to do where UIDs mean other messages, or the file of --cursor is gone (stop)",
    )
    parser.add_argument(
        "--max-outage", type=seconds, metavar="SECONDS", help="without a connection, after which it ends (86400)"
    )
    parser.add_argument(
        "--cursor",
        metavar="FILE",
        help="what was done is noted there ($XDG_STATE_HOME/fastimap/watch-ACCOUNT.sqlite); two commands for one "
        "mailbox need one each",
    )
    parser.add_argument(
        "--health", metavar="FILE", help="write how it is, as JSON, to this file every ten seconds, for a monitor"
    )
    group = parser.add_argument_group("instead of watching")
    group.add_argument("--parked", action="store_true", help="list the messages that are parked, and why")
    group.add_argument(
        "--retry-parked", action="store_true", help="have them delivered again; with --exec it goes on to watch"
    )
    shown(parser)
    accounts.add(parser)


def run(options: argparse.Namespace) -> int:
    """Watch."""
    if options.account is not None and options.source is not None:
        options.mailboxes = [options.source, *options.mailboxes]
        options.source = None
    options.mailboxes = options.mailboxes or None
    given = accounts.given(options, options.source)
    arguments = merged(options, given.options("watch"), _OPTIONS, given.where("watch"))
    names = arguments.pop("mailboxes", ["INBOX"])
    if isinstance(names, str) or not names:
        raise UsageError(f"{given.where('watch')}: mailboxes is a list of names")
    cursor = Path(arguments.pop("cursor", None) or _cursor_of(given.who)).expanduser()
    command = arguments.pop("exec", None)
    if command is not None and shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]}: there is no such command")
    talk(options)
    with Show(as_json=options.json, quiet=options.quiet) as show, explained(options, show):
        if options.parked:
            return _list_parked(cursor, given.who, options, show)
        if options.retry_parked:
            _retry_parked(cursor, given.who, options)
            if options.exec is None:
                return exits.DONE
        if command is None:
            raise UsageError("what is to be done with each message? --exec COMMAND")
        account = given.account
        cursor.parent.mkdir(parents=True, exist_ok=True)
        watcher = _Watcher(command, given.who, options, arguments, show)
        return watcher.run(account, _resolved(account, names), cursor)


def _cursor_of(who: str) -> Path:
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "fastimap" / f"watch-{quote(who, safe='@')}.sqlite"


def _parked(cursor: Path, who: str, again: bool) -> list[Parked]:
    """Return what is parked of an account; deliver it again, if asked to."""
    from ..sessions.cursor import SQLiteCursor

    if not cursor.exists():
        raise UsageError(f"{cursor}: nothing was watched yet")
    opened = SQLiteCursor(cursor)
    try:
        found = [each for each in opened.parked() if each.place.account == who]
        if again:
            for place in {each.place for each in found}:
                opened.unpark(place)
        return found
    finally:
        opened.close()


def _list_parked(cursor: Path, who: str, options: argparse.Namespace, show: Show) -> int:
    for each in _parked(cursor, who, again=False):
        mailbox, uid = each.place.mailbox, each.uid
        if options.json:
            show.line("parked", mailbox=mailbox, uid=uid, deliveries=each.deliveries, reason=each.reason)
        else:
            print(readable(f"{mailbox} UID {uid}: {each.reason}; tried {each.deliveries} times"))
    return exits.DONE


def _retry_parked(cursor: Path, who: str, options: argparse.Namespace) -> None:
    count = len(_parked(cursor, who, again=True))
    if not options.quiet and not options.json:
        print(f"delivered again: {counted(count, 'message')}", file=sys.stderr)


def _resolved(account: Account, names: Sequence[str]) -> list[str]:
    """Return the names of mailboxes; those with special uses are asked for."""
    if not any(name.startswith("\\") for name in names):
        return list(names)
    from ..clients.blocking import Client

    found = []
    with Client(account) as client:
        for name in names:
            mailbox = client.special_mailbox(name) if name.startswith("\\") else None
            if mailbox is None and name.startswith("\\"):
                raise Failed(f"the account has no mailbox with the special use {name}")
            found.append(name if mailbox is None else mailbox.name)
    return found


class _Watcher:
    """The loop: a message, its command, what came of it."""

    def __init__(
        self, command: list[str], who: str, options: argparse.Namespace, arguments: dict[str, Any], show: Show
    ) -> None:
        self.command = command
        self.who = who
        self.options = options
        self.show = show
        self.later = arguments.pop("later", 60.0)
        self.timeout = arguments.pop("timeout", 600.0)
        self.health = arguments.pop("health", None)
        self.arguments: dict[str, Any] = {"start": "new", "items": ("BODY.PEEK[]",), **arguments}
        self.counts: Counter[str] = Counter(done=0, later=0, failed=0, parked=0)
        self.left = 0  # what was not delivered
        self.number: int | None = None  # of the signal that ends it
        self.busy = False
        self.again = False  # a second signal has come
        self.hurried = False
        self.child: subprocess.Popen[bytes] | None = None
        self.mail: Follow | None = None

    def run(self, account: Account, mailboxes: list[str], cursor: Path) -> int:
        from ..sessions.follow import FollowState, Message, follow

        with contextlib.ExitStack() as stack:
            stack.enter_context(self._signals())
            stack.callback(self._summary)
            mail = self.mail = stack.enter_context(follow(account, mailboxes, cursor=cursor, **self.arguments))
            health = stack.enter_context(_Health(self, mail, self.health))
            for what in mail.events():
                if isinstance(what, Message):
                    self._handle(what)
                elif isinstance(what, FollowState):
                    self._state(what)
                    health.changed()
                del what
            self._tell_left(mail)
        if self.number == signal.SIGTERM:
            raise Terminated
        if self.number is not None:
            raise KeyboardInterrupt
        return self._code()

    def _code(self) -> int:
        return exits.DONE if self.counts.total() == self.counts["done"] and not self.left else exits.NOT_ALL

    def _tell_left(self, mail: Follow) -> None:
        """Note what `--once` has left besides what it reported: messages that wait, or are another program's."""
        if self.arguments.get("once") and self.number is None:
            self.left = max(mail.lag - self.counts["later"] - self.counts["failed"], 0)
        if self.left and not (self.options.json or self.options.quiet):
            print(
                f"left: {counted(self.left, 'message')}, to be tried again, or reserved for another program, or "
                "for one that was killed, for five minutes",
                file=sys.stderr,
            )

    def _summary(self) -> None:
        if self.options.json:
            self.show.line("summary", code=self._code(), **self.counts, left=self.left)

    # Signals.

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Have a signal end the loop after the command that runs, and a second one end that."""
        before = {number: signal.signal(number, self._signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signal(self, number: int, frame: FrameType | None) -> None:
        self.again, self.number = self.number is not None, number
        if not self.busy:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
        assert self.mail is not None
        self.mail.stop()
        if self.again and self.child is not None:
            self._hurry(self.child)

    def _hurry(self, child: subprocess.Popen[bytes]) -> None:
        _kill(child, _KILL if self.hurried else signal.SIGTERM)
        self.hurried = True

    # A message.

    def _handle(self, message: Message) -> None:
        self.busy = True
        try:
            began = time.monotonic()
            code, said = self._run(message)
            self._settle(message, code, said, time.monotonic() - began)
        finally:
            self.busy = False

    def _run(self, message: Message) -> tuple[int | None, str]:
        """Run the command; return its exit code, None where it was ended by the user, and what failed."""
        body = message.body
        if body is None:
            return 1, "; ".join(defect.reason for defect in message.row.defects) or "the server does not give it"
        try:
            # A session of its own: Ctrl-C on the terminal is for this program.
            child = self.child = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=sys.stderr.fileno() if self.options.json else None,
                env=self._environment(message),
                start_new_session=True,
            )
        except OSError as exc:
            message.retry(0, str(exc), counted=False)
            raise Failed(f"{self.command[0]}: {exc.strerror}") from None
        try:
            if self.again and not self.hurried:  # the second signal came while the command was being started
                self._hurry(child)
            child.communicate(body, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            _end(child)
            return 1, f"it did not end in {self.timeout:g} seconds"
        finally:
            self.child = None
        code = child.returncode
        if code < 0 and self.number is not None:
            return None, "ended with the program"
        return code, f"ended by signal {-code}" if code < 0 else f"exit code {code}"

    def _environment(self, message: Message) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name != accounts.PASSWORD}
        return environment | {
            "FASTIMAP_ACCOUNT": self.who,
            "FASTIMAP_MAILBOX": message.mailbox,
            "FASTIMAP_UID": str(message.uid),
            "FASTIMAP_UIDVALIDITY": str(message.uid_validity),
            "FASTIMAP_DELIVERY": str(message.deliveries),
        }

    def _settle(self, message: Message, code: int | None, said: str, took: float) -> None:
        """Note what came of a message, and say so."""
        from ..errors import LeaseLost

        deliveries = self.arguments.get("deliveries", 5)
        try:
            if code == 0:
                outcome = "done"
                message.done()
            elif code is None or code == LATER:
                outcome = "later"
                message.retry(0.0 if code is None else self.later, said, counted=False)
            else:
                outcome = "failed" if message.deliveries < deliveries else "parked"
                message.retry(min(10.0 * 2 ** (message.deliveries - 1), 3600.0), said)
        except LeaseLost as exc:  # the machine slept, for instance
            outcome, said = "later", str(exc)
        self.counts[outcome] += 1
        where = {"mailbox": message.mailbox, "uid": message.uid, "uid_validity": message.uid_validity}
        if self.options.json:
            self.show.line(
                "message", **where, outcome=outcome, exit_code=code, delivery=message.deliveries, seconds=round(took, 3)
            )
        elif outcome != "done" or self.options.verbose:
            more = f" ({said})" if outcome != "done" else ""
            more += f", {message.deliveries} of {deliveries} times" if outcome in ("failed", "parked") else ""
            print(readable(f"{message.mailbox} UID {message.uid}: {outcome}{more}"), file=sys.stderr, flush=True)

    def _state(self, state: FollowState) -> None:
        if self.options.json:
            self.show.line("status", state=state.name, error=readable(state.error), lag=state.lag, parked=state.parked)
        elif not self.options.quiet and (state.error or self.options.verbose):
            print(readable(f"{state.name}{': ' if state.error else ''}{state.error}"), file=sys.stderr, flush=True)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a command that takes too long."""
    _kill(child, signal.SIGTERM)
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        _kill(child, _KILL)
        child.wait()


def _kill(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a command, and what it has started."""
    if sys.platform == "win32":
        child.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


class _Health:
    """A file that says how it is, written anew every few seconds: one that is old means a program that does not live.

    :param path: where; None: none is written.
    """

    def __init__(self, watcher: _Watcher, mail: Follow, path: str | None) -> None:
        self._watcher = watcher
        self._mail = mail
        self._path = None if path is None else Path(path).expanduser()
        self._over = False
        self._bell = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="fastimap-health", daemon=True)

    def __enter__(self) -> Self:
        if self._path is not None:
            self._write()
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._path is not None:
            self._over = True
            self._bell.set()
            self._thread.join()
            with contextlib.suppress(OSError):
                self._write("failed" if kind is not None and issubclass(kind, Exception) else "stopped")

    def changed(self) -> None:
        """Write it soon."""
        self._bell.set()

    def _keep(self) -> None:
        while True:
            self._bell.wait(_HEALTH_SECONDS)
            self._bell.clear()
            if self._over:
                return
            with contextlib.suppress(OSError):  # a full disk: then the file grows old, which says it
                self._write()

    def _write(self, name: str | None = None) -> None:
        assert self._path is not None
        state = self._mail.state
        now = {
            "ok": name is None and state.name in ("catching up", "waiting"),
            "state": name or state.name,
            "error": readable(state.error),
            "lag": state.lag,
            "parked": state.parked,
            "age": round(state.age, 1),
            "counts": dict(self._watcher.counts),
            "pid": os.getpid(),
            "time": round(time.time(), 1),
        }
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        fresh.write_text(json.dumps(now) + "\n", "utf-8")
        fresh.replace(self._path)
