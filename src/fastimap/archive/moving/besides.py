"""What a mailbox has beside its messages: rights (ACL, RFC 4314) and annotations (METADATA, RFC 5464)."""

from __future__ import annotations

from collections import defaultdict

from ...clients.blocking import Client
from ...errors import CommandError
from .jobs import Job
from .sources import Source, annotations_of

__all__ = ["annotated", "granted"]

_OLD = "cd"
"""Rights of RFC 2086, which servers report beside those of RFC 4314 that stand for them now."""
_NEW = frozenset("kxte")
_NAMED_OTHERWISE = ("/private/specialuse",)
"""Entries that are carried over by other means."""


def granted(source: Source, client: Client, job: Job, *, dry_run: bool) -> list[str]:
    """Give the rights that others have at the source; return what is to be said of it.

    The account itself has the rights of an owner where it goes.
    """
    try:
        rights = source.rights()
    except CommandError as exc:
        return [f"rights: not shown by the source: {exc}"]
    if rights is None:
        return ["rights: the source has none to show (ACL)"]
    wanted = {who: _letters(what) for who, what in rights.items() if who not in (source.user, "owner")}
    if not wanted:
        return []
    if not client.session.has("ACL"):
        return [f"rights of {', '.join(sorted(wanted))}: the destination knows none (ACL)"]
    try:
        there = {} if job.pair is None else _rights(client, job)
        wanted = {who: what for who, what in sorted(wanted.items()) if there.get(who) != what}
        if dry_run:
            return [f"rights of {who}: {what} would be given" for who, what in wanted.items()]
        notes = []
        given = {}
        for who, what in wanted.items():
            try:
                client.set_acl(job.name, who, what)
                given[who] = what
            except (CommandError, ValueError) as exc:
                notes.append(f"rights of {who}, {what}: refused by the destination: {exc}")
        now = _rights(client, job) if given else {}
    except CommandError as exc:
        return [f"rights: {exc}"]
    for who, what in given.items():
        if lost := set(what) - set(now.get(who, "")):
            notes.append(f"rights of {who}: {''.join(sorted(lost))} not kept by the destination")
    return notes


def _rights(client: Client, job: Job) -> dict[str, str]:
    return {who: _letters(what) for who, what in client.get_acl(job.name).rights.items()}


def _letters(rights: str) -> str:
    letters = set(rights)
    if letters & _NEW:
        letters -= set(_OLD)
    return "".join(sorted(letters))


def annotated(source: Source, client: Client, job: Job, *, dry_run: bool) -> list[str]:
    """Set the annotations that the mailbox has at the source; return what is to be said of it."""
    try:
        found = source.annotations()
    except CommandError as exc:
        return [f"annotations: not shown by the source: {exc}"]
    if found is None:
        return ["annotations: the source has none to show (METADATA)"]
    try:
        there = {} if job.pair is None else annotations_of(client, job.name)
    except CommandError as exc:
        return [f"annotations: {exc}"]
    wanted = {
        name: value
        for name, value in sorted(found.items())
        if name not in _NAMED_OTHERWISE and (there is None or there.get(name) != value)
    }
    if there is None and wanted:
        return [f"annotations {', '.join(wanted)}: the destination knows none (METADATA)"]
    if dry_run:
        return [f"annotation {name} would be set" for name in wanted]
    refused: dict[str, list[str]] = defaultdict(list)
    for name, value in wanted.items():
        try:
            client.set_metadata(job.name, {name: value})
        except (CommandError, ValueError) as exc:
            refused[str(exc)].append(name)
    return [f"annotations {', '.join(names)}: refused by the destination: {why}" for why, names in refused.items()]
