"""Migrate: the mail of an account into another one, exactly once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Literal

from ..model._digest import sha256
from ..sessions.pool import Pool
from ..sessions.retry import Retry
from ..settings import Account, account_name
from .identity import account_with_port, as_account
from .locks import locked
from .moving.ledger import Ledger
from .moving.options import Options
from .moving.run import Run
from .moving.sources import ServerSource
from .report import Progress, Report

__all__ = ["migrate", "state_directory"]

_LEDGER = "ledger.sqlite"


def migrate(
    source: Account | str,
    destination: Account | str,
    *,
    state: str | os.PathLike[str] | None = None,
    mailboxes: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    rename: Mapping[str, str] | None = None,
    since: date | None = None,
    before: date | None = None,
    max_size: int | None = None,
    deleted: Literal["keep", "delete"] = "keep",
    max_delete: str | int | None = None,
    on_doubt: Literal["report", "send"] = "report",
    acl: bool = False,
    metadata: bool = False,
    connections: int = 1,
    dry_run: bool = False,
    wait: float | None = 0,
    budget: int | None = None,
    names: tuple[str | None, str | None] = (None, None),
    retry: Retry | None = None,
    progress: Callable[[Progress], object] | None = None,
    stopping: Callable[[], bool] | None = None,
) -> Report:
    """Copy the mail of an account to another one; again: only what is new, and flags that have changed.

    Nothing is changed at the source. What was cut short goes on with the next call, and no message is there twice.

    :param source: whose mail; or a URL, as `Account.from_url` takes it.
    :param destination: where to; or a URL.
    :param state: the directory that is to hold which message is which; None: one for the two accounts, below
        ``$XDG_STATE_HOME/fastimap`` (``~/.local/state``).
    :param mailboxes: names of the source, or special uses such as ``"\\\\Sent"``; None: all of the personal name space.
    :param exclude: names, or special uses, of those to leave out.
    :param rename: what mailboxes are called at the destination, by their names at the source.
    :param since: only messages that came on this day or later (INTERNALDATE).
    :param before: only messages that came before this day.
    :param max_size: only messages of so many octets at most.
    :param deleted: what becomes of messages that the source has no more, of those that were copied: ``"keep"`` them, or
        ``"delete"`` them.
    :param max_delete: as for `pull`.
    :param on_doubt: where a run was cut, and the destination has a message that may be the one that was being sent,
        changed by the server: ``"report"`` parks it, ``"send"`` sends it again.
    :param acl: give the rights that others have on the mailboxes (ACL), too; what the destination does not take is in
        the notes of `MailboxReport`.
    :param metadata: set the annotations of the mailboxes (METADATA), too; likewise.
    :param connections: how many to use at once, to each server. With more than one, messages may come into a mailbox
        in another order.
    :param dry_run: say what would be done and what would not fit, and do nothing.
    :param wait: seconds to wait for another run on the same state to end; None: any time.
    :param budget: octets a day (UTC) to send at most; 0: no limit; None: what the provider is known to take.
    :param names: what the two accounts are called in the state; user@host unless given, and the
        port, where that is not one of IMAP's.
    :param retry: how to go on after a lost connection.
    :param progress: called now and then.
    :param stopping: asked now and then; True stops the run, and what was done stays done.

    Returns what came of it: `Report.written` are the messages that were sent. Raises ValueError and TypeError for what
    makes no sense, StoreInUse, StoreError, OSError, and errors of the connections, where nothing can be done at all. A
    mailbox that fails does not stop the others: `Report.failed`. A destination that is full stops it: `Report.stopped`.
    """
    source, destination = as_account(source), as_account(destination)
    options = Options(
        mailboxes=mailboxes,
        exclude=exclude,
        rename=rename,
        since=since,
        before=before,
        max_size=max_size,
        deleted=deleted,
        max_delete=max_delete,
        on_doubt=on_doubt,
        acl=acl,
        metadata=metadata,
        connections=connections,
        dry_run=dry_run,
        budget=budget,
        retry=retry,
        progress=progress,
        stopping=stopping,
    )
    ours, theirs = names[0] or account_with_port(source), names[1] or account_with_port(destination)
    if ours == theirs and source.port != destination.port:  # two servers on one machine
        ours, theirs = f"{ours}:{source.port}", f"{theirs}:{destination.port}"
    if ours == theirs:
        raise ValueError(f"{ours} would be copied to itself")
    # A tunnel may have another port each time.
    default = state_directory(names[0] or account_name(source), names[1] or account_name(destination))
    directory = default if state is None else Path(state).expanduser()
    with ExitStack() as stack:
        path = directory / _LEDGER
        if not dry_run:
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(directory, wait))
        ledger = stack.enter_context(Ledger(path, dry_run=dry_run))
        run = Run(destination, options, ledger, theirs)
        pool = Pool(source, connections=connections, retry=run.sender.retry)
        stack.callback(pool.close)
        return run.run(ServerSource(pool, ours, source, connections))


def state_directory(source: str, destination: str) -> Path:
    """Return where the state of a migration is kept, unless that is said."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    key = sha256(f"{source}\0{destination}".encode()).hex()[:16]
    return Path(home).expanduser() / "fastimap" / f"migrate-{key}"
