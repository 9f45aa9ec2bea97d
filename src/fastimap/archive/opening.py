"""A store that a run has to itself, and its state."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from .errors import StoreError
from .state import State
from .stores import FORMATS, kind_of
from .stores.base import Store

__all__ = ["opened"]

_NOT_TO_WRITE = [errno.EROFS, errno.EACCES, errno.EPERM]


@contextlib.contextmanager
def opened(
    store: Store, account: str | None = None, *, wait: float | None = 0, dry_run: bool = False, reads: bool = False
) -> Iterator[State]:
    """Hold a store, and give its state: of an account, or of all. A dry run leaves no trace.

    With `reads`, one on a read-only disk is not held: no run can write there. A dry run holds none that it may not
    write to: it has a copy of the state.
    """
    with contextlib.ExitStack() as stack:
        if store.kind in FORMATS and not store.exists():
            found = kind_of(store.root)
            if found not in (None, store.kind, "sqlite"):  # that is a file beside others
                raise StoreError(f"{store.where} is a store of kind {found}, not {store.kind}")
        if dry_run and not store.exists():
            state = State(None, store.kind)
        else:
            try:
                stack.enter_context(store.held(account, wait))
                state = store.load(account)
            except OSError as exc:
                if exc.errno not in (_NOT_TO_WRITE if dry_run else [errno.EROFS] if reads else []):
                    raise
                state = store.look()
                state = state.copied() if dry_run else state
        stack.enter_context(state)
        if not dry_run:
            store.open(state)
            state.commit()
            stack.callback(store.close)
        else:
            store.attach(state)
        yield state
