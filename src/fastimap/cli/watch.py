"""``fastimap watch``: a command for each message that comes, for ever."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from . import accounts, exits, handler, health, mailboxes
from .arguments import choice, day, merged, names, number, seconds, shown, switch, text
from .exits import Failed, UsageError, counted, readable, say
from .running import explained, talk
from .show import Show

if TYPE_CHECKING:
    import logging

    from ..sessions.cursor import Failed as Parked
    from ..sessions.follow import ActionDropped, ActionFailed, Follow, FollowState, Message
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
    "Exit code: 3 with --once, if not all was done, or messages are parked; 10 no connection for too long; 129 by "
    "SIGHUP; else as for pull. On SIGINT, SIGTERM and SIGHUP the command that runs is waited for; a second signal ends "
    "it, and its message comes again."
)
LATER: Final = 75
"""EX_TEMPFAIL of sysexits.h."""
_DONE = {"mark": "marked with", "move": "moved to"}


def _start(text: str | date) -> str | date:
    return text if text in ("new", "all") else day(text)


def _command(text: Any) -> list[str]:
    try:
        words = shlex.split(text) if isinstance(text, str) else text
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r}: {exc}") from None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is no command: a text, or a list of texts")
    if not words or not words[0]:
        raise argparse.ArgumentTypeError("the command is empty")
    return words


_OPTIONS = {
    "mailboxes": names,
    "exec": _command,
    "cursor": text,
    "start": _start,
    "once": switch,
    "later": seconds,
    "deliveries": number,
    "timeout": seconds,
    "mark": text,
    "move_to": text,
    "on_reset": choice("stop", "new", "all", "match"),
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
    parser.add_argument(
        "--move-to", metavar="MAILBOX", help=r"move messages that are done to this mailbox, or special use (\Trash)"
    )
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
    if not arguments.setdefault("mailboxes", ["INBOX"]):
        raise UsageError(f"{given.where('watch')}: mailboxes is a list of names")
    named = arguments.pop("cursor", None)
    cursor = _cursor_of(given) if named is None else _path(named)
    command = arguments.pop("exec", None)
    talk(options)
    _log(options)
    with (
        Show(as_json=options.json, quiet=options.quiet) as show,
        _Watcher(given, options, arguments, show) as watcher,
        explained(options, show),
    ):
        if options.parked:
            return _list_parked(cursor, given.who, options, show)
        if options.retry_parked:
            _retry_parked(cursor, given.who, options)
            if options.exec is None:
                return exits.DONE
        if command is None:
            raise UsageError("what is to be done with each message? --exec COMMAND")
        handler.check(command)
        return watcher.run(command, given.account, cursor)


def _log(options: argparse.Namespace) -> None:
    """Have the log's warnings on standard error, without those that are said as events."""
    import logging

    level = logging.ERROR if options.quiet else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(message)s")  # unless --verbose has made it

    def is_no_event(record: logging.LogRecord) -> bool:
        return not hasattr(record, "fastimap_event")

    for one in logging.getLogger().handlers:
        one.addFilter(is_no_event)


def _path(name: str, option: str = "--cursor") -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise UsageError(f"{name}: there is no home directory; set HOME, or name a file by {option}") from None


def _cursor_of(given: accounts.Given) -> Path:
    """Return where it is noted what was done; servers of one host, such as the ends of tunnels, have a file each."""
    directory = _path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "fastimap"
    plain, port = directory / f"watch-{quote(given.who, safe='@')}.sqlite", given.port
    if port is None:
        return plain
    own = directory / f"watch-{quote(given.who, safe='@')}-{port}.sqlite"
    return plain if plain.exists() and not own.exists() else own  # it was begun when ports did not count


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
            tried = counted(each.deliveries, "time")
            print(readable(f"{mailbox} UID {uid}: {each.reason}; tried {tried}"))
    return exits.DONE


def _retry_parked(cursor: Path, who: str, options: argparse.Namespace) -> None:
    count = len(_parked(cursor, who, again=True))
    if not options.quiet and not options.json:
        say(f"delivered again: {counted(count, 'message')}")


def _resolved(account: Account, names: Sequence[str]) -> list[str]:
    """Return the names of mailboxes; those with special uses are asked for."""
    if not any(name.startswith("\\") for name in names):
        return list(names)
    from ..clients.blocking import Client

    with Client(account) as client:
        return [mailboxes.named(client, name) for name in names]


@contextlib.contextmanager
def _in_options() -> Iterator[None]:
    """Say in the words of the command line what can go wrong."""
    from ..errors import CommandError, CursorFailed, UIDValidityChanged

    try:
        yield
    except UIDValidityChanged as exc:
        raise Failed(
            f"{exc}. Say by --on-reset what to do; or, where it is another server, name another --cursor"
        ) from exc
    except CursorFailed as exc:
        stays = "; what was done stays done" if isinstance(exc.__cause__, (sqlite3.Error, OSError)) else ""
        raise Failed(f"{str(exc).replace('on_reset=', '--on-reset')}{stays}") from exc
    except CommandError as exc:
        if any("(move_to)" in note for note in getattr(exc, "__notes__", ())):
            raise Failed(f"--move-to: {exc}") from exc
        raise


class _Watcher:
    """The loop: a message, its command, what came of it. Left, it says with --json how it ended, after all else."""

    def __init__(
        self, given: accounts.Given, options: argparse.Namespace, arguments: dict[str, Any], show: Show
    ) -> None:
        self.given = given
        self.options = options
        self.show = show
        self.later = arguments.pop("later", 60.0)
        self.timeout = arguments.pop("timeout", 600.0)
        named = arguments.pop("health", None)
        self.health = None if named is None else _path(named, "--health")
        self.mailboxes: list[str] = arguments.pop("mailboxes")
        self.arguments: dict[str, Any] = {"start": "new", "items": ("BODY.PEEK[]",), **arguments}
        self.counts: Counter[str] = Counter(done=0, later=0, failed=0, parked=0)
        self.left = 0  # what was not delivered
        self.refused = False  # the server did not mark, or move, a message
        self.parked: set[tuple[str, int]] = set()  # of which it was said
        self.gone: tuple[str, ...] = ()
        self.outage = False
        self.number: int | None = None  # of the signal that ends it
        self.busy = False
        self.began = False
        self.handler: handler.Handler | None = None
        self.mail: Follow | None = None

    def __enter__(self) -> _Watcher:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self.began and self.options.json:
            code = self._code() if error is None else exits.code_of(error)
            now = None if self.mail is None else self.mail.state
            counts = {**self.counts, "parked": now.parked if now else 0, "left": self.left}
            self.show.line(
                "summary", code=code, **counts, owed=now.owed if now else 0, gone=list(now.gone) if now else []
            )

    def run(self, command: list[str], account: Account, cursor: Path) -> int:
        """Watch; return the exit code.

        :param command: what is run for each message.
        :param cursor: where it is noted what was done.
        """
        self.began = True
        if self.health is not None:
            health.check(self.health)
        try:
            cursor.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise Failed(f"{cursor.parent}: {exc.strerror}; name another file by --cursor") from None
        if not os.access(cursor.parent, os.W_OK | os.X_OK):
            raise Failed(f"{cursor.parent}: no file can be made there; name another one by --cursor")
        self.handler = handler.Handler(command, self.timeout, self.given.secrets, apart=self.options.json)
        with self._signals(), _in_options():
            self._watch(account, cursor)
        if self.number is not None:
            raise exits.ended_by(self.number)
        return self._code()

    def _watch(self, account: Account, cursor: Path) -> None:
        from ..sessions.follow import Message, follow

        move_to = self.arguments.get("move_to")
        names = _resolved(account, [*self.mailboxes, *([] if move_to is None else [move_to])])
        if move_to is not None:
            self.arguments["move_to"] = names.pop()
        with contextlib.ExitStack() as stack:
            mail = self.mail = stack.enter_context(follow(account, names, cursor=cursor, **self.arguments))
            its = stack.enter_context(health.Health(mail, self.counts, self.health))
            for what in mail.events():
                if isinstance(what, Message):
                    self._connected()
                    self._handle(what)
                else:
                    self._event(what, its)
                    its.changed()
                del what
            if self.number is None:
                self._connected()
                self._tell_left(mail)

    def _code(self) -> int:
        assert self.mail is not None
        state = self.mail.state
        missing = self.left or self.refused or state.parked or state.owed or state.gone
        return exits.DONE if self.counts.total() == self.counts["done"] and not missing else exits.NOT_ALL

    def _tell_left(self, mail: Follow) -> None:
        """Note what `--once` has left besides what it reported: messages that wait, or are another program's."""
        self.left = max(mail.lag - self.counts["later"] - self.counts["failed"], 0)
        if self.left and not self.options.quiet:
            self._say(
                f"left: {counted(self.left, 'message')}, to be tried again, or reserved for another program, or "
                "for one that was killed, for five minutes"
            )
        before = mail.state.parked - self.counts["parked"]
        if before > 0 and not self.options.quiet:
            self._say(f"parked before: {counted(before, 'message')}; see --parked")

    def _say(self, text: str) -> None:
        """Say something to people."""
        if not self.options.json:
            say(text)

    # Signals.

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Have a signal end the loop after the command that runs, and a second one end that."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signal(self, number: int, frame: FrameType | None) -> None:
        again, self.number = self.number is not None, number
        if not self.busy:
            raise exits.ended_by(number)
        assert self.mail is not None
        assert self.handler is not None
        self.mail.stop()
        if again:
            self.handler.hurry()

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
        assert self.handler is not None
        if message.body is None:
            return 1, "; ".join(defect.reason for defect in message.row.defects) or "the server does not give it"
        variables = {
            "FASTIMAP_ACCOUNT": self.given.who,
            "FASTIMAP_MAILBOX": message.mailbox,
            "FASTIMAP_UID": str(message.uid),
            "FASTIMAP_UIDVALIDITY": str(message.uid_validity),
            "FASTIMAP_DELIVERY": str(message.deliveries),
        }
        try:
            self.handler.start(message.body, variables)
        except BaseException as exc:  # which is not the message's failure, whatever it is
            message.retry(0.0, f"its command could not be started: {exc}", counted=False)
            raise
        code = self.handler.wait()
        if code is None:
            return 1, f"it did not end in {self.timeout:g} seconds"
        if code < 0 and self.number is not None:
            return None, "ended with the program"
        return code, f"ended by signal {-code}" if code < 0 else f"exit code {code}"

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
        if outcome == "parked":
            self.parked.add((message.mailbox, message.uid))
        self.counts[outcome] += 1
        if self.options.json:
            self.show.line(
                "message",
                mailbox=message.mailbox,
                uid=message.uid,
                uid_validity=message.uid_validity,
                outcome=outcome,
                exit_code=code,
                delivery=message.deliveries,
                seconds=round(took, 3),
            )
        elif outcome != "done" or self.options.verbose:
            more = f" ({said})" if outcome != "done" else ""
            more += f", {message.deliveries} of {deliveries} times" if outcome in ("failed", "parked") else ""
            self._say(f"{message.mailbox} UID {message.uid}: {outcome}{more}")

    # What happens besides.

    def _event(self, what: object, its: health.Health) -> None:
        from ..sessions import follow

        if isinstance(what, follow.FollowState):
            self._tell_state(what)
        elif isinstance(what, follow.MessageParked):
            if (what.mailbox, what.uid) in self.parked:
                self.parked.discard((what.mailbox, what.uid))
                return
            self.counts["parked"] += 1
            if self.options.json:
                where = {"mailbox": what.mailbox, "uid": what.uid}
                self.show.line("parked", **where, deliveries=what.deliveries, reason=readable(what.reason))
            self._say(f"{what.mailbox} UID {what.uid}: parked ({what.reason})")
        elif isinstance(what, (follow.ActionFailed, follow.ActionDropped)):
            self._tell_action(what)
            if isinstance(what, follow.ActionFailed):
                self.refused, its.refusal = True, what.reason
        elif isinstance(what, follow.MailboxGone):
            if self.options.json:
                self.show.line("error", mailbox=what.mailbox, error=readable(what.reason))
            self._say(f"{what.mailbox}: it is gone ({what.reason}); it is looked for from time to time")
        elif isinstance(what, follow.MailboxReset):
            said = f"its UIDVALIDITY changed from {what.before} to {what.now}; it was begun anew, as --on-reset says"
            if self.options.json:
                self.show.line("error", mailbox=what.mailbox, error=said)
            self._say(f"{what.mailbox}: {said}")

    def _tell_action(self, what: ActionFailed | ActionDropped) -> None:
        from ..model.sequence_set import UIDSet
        from ..sessions.follow import ActionDropped

        if self.options.json:
            self.show.line(
                "action",
                mailbox=what.mailbox,
                uids=str(UIDSet(what.uids)),
                action=what.verb,
                argument=what.argument,
                outcome="dropped" if isinstance(what, ActionDropped) else "failed",
                reason=readable(what.reason),
            )
        done = f"{_DONE.get(what.verb, what.verb)} {what.argument}"
        self._say(f"{what.mailbox} UID {UIDSet(what.uids)}: done, but not {done}: {what.reason}")

    def _tell_state(self, state: FollowState) -> None:
        """Say what an outage is by, once, and when it is over; all else with --verbose."""
        if self.options.json:
            self.show.line(
                "status",
                state=state.name,
                error=readable(state.error),
                lag=state.lag,
                parked=state.parked,
                owed=state.owed,
                gone=list(state.gone),
            )
        for name in set(self.gone) - set(state.gone):
            self._say(f"{name}: it is there again")
        self.gone = state.gone
        if state.name == "waiting":
            self._connected()
        if state.error and not self.outage and state.name in ("connecting", "throttled"):
            self.outage = True
            if not self.options.quiet:
                longest = self.arguments.get("max_outage", 86_400.0)
                self._say(f"{state.name}: {state.error}; it is tried again, for {longest:g} s at most (--max-outage)")
        elif self.options.verbose and not self.options.quiet:
            self._say(f"{state.name}{': ' if state.error else ''}{state.error}")

    def _connected(self) -> None:
        if self.outage and not self.options.quiet:
            self._say("connected again")
        self.outage = False
