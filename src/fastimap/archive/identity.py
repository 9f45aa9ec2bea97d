"""Whether a server or a mailbox is the one that a store knows, whatever it is called now."""

from __future__ import annotations

from collections.abc import Iterable

from ..clients.blocking import Client
from ..errors import CommandError
from ..model.responses import MailboxInfo, MailboxStatus
from ..model.row import FetchedMessage
from ..model.sequence_set import UIDSet
from ..settings import Account, account_name
from .errors import StoreError
from .messages import date_of
from .state import Entry, Place, State

__all__ = ["account_with_port", "as_account", "check_server", "fits", "unchanged"]


def as_account(account: Account | str) -> Account:
    """Return the account that is given, be it by its URL. Raises TypeError for anything else, such as a client."""
    made = Account.from_url(account) if isinstance(account, str) else account
    if not isinstance(made, Account):
        raise TypeError(f"an account is a fastimap.Account or its URL, not {type(made).__name__}")
    return made


def account_with_port(account: Account) -> str:
    """Return what an account is called in a ledger: two servers of one host, as the ends of two tunnels, share none."""
    port = _odd_port(account.port)
    return f"{account_name(account)}:{port}" if port else account_name(account)


def _odd_port(port: int | None) -> int:
    """Return a port that is not one of IMAP's; else 0."""
    return 0 if port in (None, 143, 993) else port


def check_server(
    client: Client, account: str, port: int | None, infos: Iterable[MailboxInfo], state: State, *, sure: bool
) -> None:
    """Raise StoreError where another server of the same host (a tunnel's end) may be called as one in the store.

    :param account: what that is called in the store.
    :param infos: the mailboxes of the server.
    :param sure: the caller says that it is that one.
    """
    port = _odd_port(port)
    noted = f"port of {account}"
    before = state.about(noted)
    if before == port:
        return
    if before is not None and not sure and (why := _another_server(client, account, infos, state)) is not None:
        raise StoreError(
            f"port {port} is not that of {account} in the store, and {why}. Give another server another name "
            f"(name=, --name); if it is the same, say so by its name: {account}"
        )
    state.set_about(noted, port)


def unchanged(place: Place, status: MailboxStatus, state: State, rules: str, count: int | None = None) -> bool:
    """Whether a mailbox is as it was when all of it was accounted for; `count`: of its messages, where it is known."""
    mark = place.mark
    return (
        place.current
        and mark is not None
        and mark.mod_sequence is not None
        and mark.rules == rules
        and (status.uid_validity, status.messages, status.uid_next, status.highest_mod_sequence)
        == (place.uid_validity, mark.exists, mark.uid_next, mark.mod_sequence)
        and not state.parked(place)
        and mark.exists == (state.count(place) if count is None else count) + sum(mark.excluded.values())
    )


def fits(client: Client, place: Place, info: MailboxInfo, status: MailboxStatus, state: State) -> bool:
    """Whether a mailbox can be the one that `place` was: UIDVALIDITY, MAILBOXID, and what its messages are like.

    Raises CommandError where the server does not let it be looked at.
    """
    if status.uid_validity != place.uid_validity:
        return False
    selected = client.select(info, read_only=True)
    if place.mailbox_id is not None and selected.mailbox_id is not None:
        return place.mailbox_id == selected.mailbox_id
    last, entries = _last(place, state)
    if not entries:
        return False
    rows = _rows(client, last)
    return bool(rows) and all(
        row.size == entries[row.uid].size and date in (None, entries[row.uid].date) for row, date in rows
    )


def _another_server(client: Client, account: str, infos: Iterable[MailboxInfo], state: State) -> str | None:
    """Return why a server may not be the one that mailboxes of the store are from; None: it is."""
    there = {info.name: info for info in infos if info.is_selectable}
    known = [place for place in state.places(account) if state.count(place)]
    same = False
    for place in known:
        found = _is_the_same(client, place, there[place.name], state) if place.name in there else None
        if found is False:
            return f"{place.name} has other messages under the same UIDs"
        same = same or found is True
    return None if same or not known else "no message that is known is there"


def _is_the_same(client: Client, place: Place, info: MailboxInfo, state: State) -> bool | None:
    """Whether a mailbox of the name of one that the store has is that: half of its last messages are as they were.

    A server's sizes may be wrong, somewhat, and dates of files may. None where nothing is to tell by.
    """
    try:
        selected = client.select(info, read_only=True)
        if selected.uid_validity != place.uid_validity:
            return None
        last, entries = _last(place, state)
        rows = _rows(client, last) if entries else []
    except CommandError:
        return None
    if not rows:
        return None
    alike = 0
    for row, date in rows:
        entry, size = entries[row.uid], row.size or 0
        alike += size == entry.size or (date == entry.date and abs(size - entry.size) <= entry.size // 10)
    return 2 * alike >= len(rows)


def _last(place: Place, state: State) -> tuple[UIDSet, dict[int, Entry]]:
    from .compare import newest  # few mailboxes have to be looked at

    last = newest(state.uids(place), 50)
    return last, {entry.uid: entry for entry in state.some(place, last) if not entry.gone}


def _rows(client: Client, uids: UIDSet) -> list[tuple[FetchedMessage, int | None]]:
    return [(row, date_of(row)) for row in client.fetch(uids, "RFC822.SIZE", "INTERNALDATE") if row.uid in uids]
