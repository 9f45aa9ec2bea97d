"""Push: the mail of a store into an account, exactly once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Literal

from ..sessions.retry import Retry
from ..settings import Account
from .errors import StoreError
from .identity import account_with_port, as_account
from .moving.ledger import Ledger
from .moving.options import Options
from .moving.run import Run
from .moving.sources import StoreSource
from .opening import opened
from .report import Progress, Report
from .stores import store_at
from .stores.base import Store

__all__ = ["push"]

_LEDGER = ".fastimap.push.sqlite"


def push(
    store: Store | str | os.PathLike[str],
    destination: Account | str,
    *,
    account: str | None = None,
    mailboxes: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    rename: Mapping[str, str] | None = None,
    since: date | None = None,
    before: date | None = None,
    max_size: int | None = None,
    deleted: Literal["keep", "delete"] = "keep",
    max_delete: str | int | None = None,
    on_doubt: Literal["report", "send"] = "report",
    connections: int = 1,
    dry_run: bool = False,
    wait: float | None = 0,
    budget: int | None = None,
    name: str | None = None,
    retry: Retry | None = None,
    progress: Callable[[Progress], object] | None = None,
    stopping: Callable[[], bool] | None = None,
) -> Report:
    """Copy the mail of a store to an account, with flags and dates; again: only what is missing there.

    :param store: what `pull` made; or its directory.
    :param destination: whose mail it becomes; or a URL, as `Account.from_url` takes it.
    :param account: of the accounts in the store, which one; not needed where it has one.

    The others are as for `migrate`. Returns what came of it: `Report.written` are the messages that were sent. Raises
    what `migrate` raises.
    """
    destination = as_account(destination)
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
        connections=connections,
        dry_run=dry_run,
        budget=budget,
        retry=retry,
        progress=progress,
        stopping=stopping,
    )
    store = store if isinstance(store, Store) else store_at(store)
    if not store.exists():
        raise StoreError(f"{store.where} is no store of fastimap")
    if not store.whole:
        raise StoreError(
            f"{store.where} does not keep whole messages, so none can be sent: "
            "pull with --body (body=True) into another store"
        )
    with opened(store, wait=wait, dry_run=dry_run) as state:
        known = sorted({place.account for place in state.places(former=True)})
        # An account without a mailbox by now is meant only where there is no other, or it is named.
        accounts = sorted({place.account for place in state.places()}) or known
        if account is None and len(accounts) > 1:
            raise ValueError(f"{store.root} holds several accounts, account= says which: {', '.join(accounts)}")
        if account is not None and account not in known:
            raise ValueError(f"{store.root} has no account {account!r}; there are {', '.join(known) or 'none'}")
        path = store.state_path.parent / _LEDGER
        with Ledger(path, dry_run=dry_run) as ledger:
            source = StoreSource(store, state, account or (accounts[0] if accounts else ""))
            return Run(destination, options, ledger, name or account_with_port(destination)).run(source)
