"""Cut a large account into tasks: ranges of UIDs of its large mailboxes, and the rest."""

from __future__ import annotations

from dataclasses import replace

from ...clients.blocking import Client
from ...errors import CommandError
from ...model.responses import MailboxInfo
from ...model.sequence_set import UIDSet
from ..choosing import chosen
from ..compare import all_listed
from ..options import Options
from ..report import Report
from .tasks import Task

__all__ = ["cut"]


def cut(task: Task, size: int) -> list[Task]:
    """Return the tasks that an account becomes; none where it has no large mailbox, or the store has one that is gone.

    Ranges begin at UID 1, and all are of one size, so that they are the same in later runs. A mailbox that the store
    has as a whole stays whole: what is new in it is little.

    :param size: UIDs in a range.
    """
    tasks: list[Task] = []
    names: list[str] = []
    given = {name: value for name, value in task.options.items() if name not in ("adopt", "retry")}
    known = task.store.ranges(task.name)
    missing = Report()
    with Client(task.account) as client:
        infos = client.list_mailboxes()
        if known.keys() - {info.name for info in infos if info.is_selectable}:
            return []  # it may have another name by now: to find that takes all mailboxes
        wanted = chosen(client, infos, Options(store=task.store, **given), missing)
        with client.pipeline() as pipeline:
            asked = [(info, pipeline.mailbox_status(info, "UIDNEXT")) for info in wanted]
        for info, status in asked:
            try:
                uid_next = status.result().uid_next
            except CommandError:  # the pull says so
                continue
            of_store = known.get(info.name)
            ranges = _ranges(client, info, size, uid_next or 0, of_store)
            if ranges:
                names.append(info.name)
                tasks += [_part(task, info.name, low, high) for low, high in ranges]
    if not tasks:
        return []
    options = dict(task.options)
    if options.get("mailboxes") is None:
        options["exclude"] = (*options.get("exclude", ()), *names)
    else:
        options["mailboxes"] = (*(info.name for info in wanted if info.name not in names), *missing.mailboxes)
        if not options["mailboxes"]:
            return tasks
        options["exclude"] = [name for name in options.get("exclude", ()) if name not in missing.mailboxes]
    return [replace(task, options=options, uids=None, part="the other mailboxes"), *tasks]


def _ranges(
    client: Client, info: MailboxInfo, size: int, uid_next: int, known: list[tuple[int, int | None]] | None
) -> list[tuple[int, int]]:
    """Return the ranges of a mailbox that have messages, on the server or in the store; none where it stays whole."""
    if known:
        closed = [(low, high) for low, high in known if high is not None]
        if len(closed) < len(known):
            return []
        size = closed[0][1] - closed[0][0] + 1  # whatever it was when it was cut
    elif uid_next - 1 <= size:
        return []
    client.select(info, read_only=True)
    numbers = {(low - 1) // size for low, _ in known or ()}
    there, exists = all_listed(client, client.session.exists)
    if len(there) < exists:  # those that it leaves out may be anywhere
        there |= UIDSet(range(1, uid_next))
    for low, high in there.ranges:
        numbers.update(range((low - 1) // size, (high - 1) // size + 1))
    return [(number * size + 1, (number + 1) * size) for number in sorted(numbers)]


def _part(task: Task, mailbox: str, low: int, high: int) -> Task:
    return replace(
        task,
        store=task.store.shard(task.name, mailbox, UIDSet([range(low, high + 1)])),
        options=task.options | {"mailboxes": (mailbox,), "exclude": ()},
        uids=None,
        part=f"{mailbox}, UIDs {low} to {high}",
    )
