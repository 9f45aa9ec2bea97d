"""How a command that copies mail ends: what came of each mailbox, of the whole, and the exit code."""

from __future__ import annotations

import argparse

from ..archive.report import MailboxReport, Report
from ..model._shown import Value
from . import exits
from .exits import readable, say
from .show import Show, octets

__all__ = ["PULLED", "SENT", "Words", "ended"]


class Words(Value):
    """What a command calls what it has done."""

    do: str
    done: str
    moved: str
    """Messages that were there already, and are recognised."""
    gone: str
    """Messages that the source has no more."""
    deleted: str


PULLED = Words("write", "written", "recognised", "gone on the server", "gone")
SENT = Words("send", "sent", "found there", "gone at the source", "deleted")


def ended(report: Report, options: argparse.Namespace, show: Show, words: Words) -> int:
    """Say what came of it; return the exit code."""
    code = exits.DONE if report.complete else exits.NOT_ALL
    if report.stopped is not None:
        code = exits.LIMIT
    elif report.dry_run and not report.failed and report.held_back is None:
        code = exits.DONE
    if options.json:
        for name, error in report.failed.items():
            show.line("error", mailbox=name, error=readable(error))
        show.line("summary", code=code, **report.as_dict())
        return code
    if not options.quiet or code != exits.DONE:
        for each in report.mailboxes.values():
            if not each.complete or each.notes or options.verbose:
                say(_line(each, words, dry_run=report.dry_run))
                for uid, reason in each.parked.items():
                    say(f"  UID {uid}: {reason}")
        for note in report.notes:
            say(note)
        if report.held_back:
            by_itself = report.failed or report.parked or "the next run" in report.held_back
            say(f"{report.held_back}{'' if by_itself else '; see --max-delete'}")
        if report.stopped:
            when = f"; go on at {report.go_on_at:%Y-%m-%d %H:%M} UTC" if report.go_on_at else "; run it again"
            say(f"stopped: {report.stopped}{when}")
        print(readable(_would(report, words) if report.dry_run else _summary(report, words)))
    return code


def _line(each: MailboxReport, words: Words, *, dry_run: bool) -> str:
    done = f"to {words.do}" if dry_run else words.done
    parts = [f"{each.found:,} found = {each.written:,} {done} + {each.present:,} there"]
    parts += [f"{count:,} excluded ({name})" for name, count in each.excluded.items()]
    parts += [f"{len(each.parked):,} parked"] if each.parked else []
    more = [f"renamed from {each.renamed_from}"] if each.renamed_from else []
    more += [f"{each.moved:,} {words.moved}"] if each.moved else []
    more += [f"{each.adopted:,} {'to adopt' if dry_run else 'adopted'}"] if each.adopted else []
    more += [f"{each.gone:,} {words.gone}"] if each.gone else []
    more += each.notes + ([each.error] if each.error else [])
    return readable(f"{each.name}: {' + '.join(parts)}{'; ' if more else ''}{'; '.join(more)}")


def _would(report: Report, words: Words) -> str:
    parts = [f"would {words.do} {report.written:,} of {report.found:,} messages"]
    parts += [octets(report.octets)] if report.octets else []
    parts += [f"and adopt {report.adopted:,}"] if report.adopted else []
    parts += [f"and {report.deleted:,} there would be {words.deleted}"] if report.deleted else []
    return f"{', '.join(parts)}, to {report.store}; nothing was done"


def _summary(report: Report, words: Words) -> str:
    word = "complete" if report.complete else "NOT complete"
    text = f"{word}: {report.found:,} found = {report.written:,} {words.done} + {report.present:,} there"
    if report.excluded_messages:
        text += f" + {report.excluded_messages:,} excluded"
    if report.parked:
        text += f" + {report.parked:,} parked"
    if report.written and not report.octets and report.octets_received:  # of messages that are not kept whole
        text += f"; {octets(report.octets_received)} received, to {report.store}"
    else:
        text += f"; {octets(report.octets)} to {report.store}"
    if report.adopted:
        text += f"; {report.adopted:,} adopted"
    if report.flags:
        text += f"; flags of {report.flags:,} followed"
    if report.deleted:
        text += f"; {report.deleted:,} {words.deleted}"
    if report.failed:
        text += f"; {len(report.failed)} of {len(report.mailboxes)} mailboxes failed"
    return text
