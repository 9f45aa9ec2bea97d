"""``fastimap pull --accounts``: all accounts of a file, here, by processes, or on a Dask cluster."""

from __future__ import annotations

import argparse
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ..archive.errors import WorkersLost
from ..archive.many.accounts import check_apart
from ..archive.many.pulling import pull_tasks
from ..archive.many.report import AccountReport
from ..archive.many.tasks import UIDS_PER_TASK, Task, task_of
from ..archive.names import levels_of
from ..archive.stores import store_at
from ..archive.stores.base import Store
from . import accounts, exits
from .arguments import merged
from .exits import Failed, UsageError, readable, say
from .running import explained, talk
from .show import Show, octets

__all__ = ["run"]

_CODES: Final = {
    "connection": exits.CANNOT_CONNECT,
    "credentials": exits.REFUSED,
    "in use": exits.IN_USE,
    "incomplete": exits.NOT_ALL,
    "worker": exits.FAILED,
    "other": exits.FAILED,
}
_DEATHS = 3
"""So often an account may be given to a pool that breaks, as a process was killed; then it has the last one alone."""
_OF_EACH = ("password_file", "password_command", "token_command", "adopt_from")


def run(options: argparse.Namespace, readers: Mapping[str, Callable[[Any], Any] | None]) -> int:
    """Pull all accounts of a file.

    :param readers: of the options of an account: see `merged`.
    """
    if options.source is not None and options.store is not None:
        raise UsageError("with --accounts, STORE alone is to be named")
    for name in _OF_EACH:
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} is of one account: with --accounts, the file says it of each")
    if options.dask and options.jobs:
        raise UsageError("--dask or --jobs: one of them")
    talk(options)
    ended: list[AccountReport] = []
    with Show(as_json=options.json, quiet=options.quiet) as show, explained(options, show):
        tasks = _tasks(options, readers)
        try:
            for report in _reports(options, tasks, show):
                ended.append(report)
                _say(report, options, show)
        except WorkersLost:
            _end(ended, len(tasks), options, show, exits.FAILED)
            raise
    return _end(ended, len(tasks), options, show)


def _tasks(options: argparse.Namespace, readers: Mapping[str, Callable[[Any], Any] | None]) -> list[Task]:
    path = Path(options.accounts).expanduser()
    known = accounts.read_accounts(path)
    if options.account is not None:
        if options.account not in known:
            raise UsageError(f"{path} has no account {options.account!r}")
        known = {options.account: known[options.account]}
    if not known:
        raise UsageError(f"{path} has no account: [accounts.NAME] begins one")
    tasks = [_task(name, table, options, readers) for name, table in known.items()]
    check_apart({task.name: task.store for task in tasks})
    return tasks


def _task(
    name: str, table: dict[str, Any], options: argparse.Namespace, readers: Mapping[str, Callable[[Any], Any] | None]
) -> Task:
    insecure = options.insecure and table["url"].lower().startswith("imap://")
    its = argparse.Namespace(**vars(options) | {"store": None, "insecure": insecure})
    where = f"accounts.{name}"
    try:
        given = accounts.Given(table["url"], its, name, table)
        account = given.on_any_machine
        arguments = merged(its, given.options("pull"), readers, f"{where}.pull")
        store = _store(name, options.source or options.store, arguments)
        arguments |= {"wait": options.wait, "dry_run": options.dry_run, "resume": not options.no_resume}
        arguments |= {"newest_first": not options.oldest_first, "adopt": options.adopt}
        return task_of(name, account, store, arguments, UIDS_PER_TASK)
    except UsageError as exc:
        raise exc if where in str(exc) else UsageError(f"{where}: {exc}") from None
    except (ValueError, TypeError) as exc:
        raise UsageError(f"{where}.pull: {exc}") from None


def _store(name: str, root: str | None, arguments: dict[str, Any]) -> Store:
    """Return the store of an account: below the one that was named, or the one that its table names."""
    own, kind = arguments.pop("store", None), arguments.pop("format", None)
    if root is None and not (isinstance(own, str) and own):
        raise UsageError("where to? Name STORE, or have a store in its table of pull")
    if root is None:
        store = store_at(own, kind)
        return store.of_account(name) if store.shared else store
    store = store_at(root, kind)
    if store.shared:
        return store.of_account(name)
    if store.exists():
        raise UsageError(f"{root} is the store of one account; many have theirs below a directory of their own")
    return store_at(Path(root).expanduser() / levels_of(name, None)[0], kind)


def _reports(options: argparse.Namespace, tasks: list[Task], show: Show) -> Iterator[AccountReport]:
    left = {task.name: task for task in tasks}
    deaths: Counter[str] = Counter()
    while left:
        given = [task for name, task in left.items() if deaths[name] < _DEATHS]
        alone = None if given else next(iter(left.values()))
        try:
            with (
                _executor(options) as executor,
                contextlib.closing(
                    pull_tasks(
                        given if alone is None else [alone],
                        executor=executor,
                        per_host=options.per_host or 10,
                        progress=show.accounts_of(len(tasks) - len(left), len(tasks)),
                    )
                ) as reports,
            ):
                for report in reports:
                    del left[report.account]
                    yield report
        except WorkersLost as lost:
            if not options.jobs:
                raise
            if alone is None:
                deaths.update(lost.accounts)
            else:
                del left[alone.name]
                said = "its process died again and again, alone too: it was killed, for want of memory perhaps"
                yield alone.failed(WorkersLost(said), "worker")


@contextlib.contextmanager
def _executor(options: argparse.Namespace) -> Iterator[Any]:
    if options.dask:
        with _dask(options) as client:
            yield client
    elif options.jobs and options.jobs > 1:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        from .processes import Processes, as_a_child, without_complaints

        pool = ProcessPoolExecutor(options.jobs, mp_context=Processes(), initializer=as_a_child)
        try:
            yield pool
            pool.shutdown()
        except BaseException:
            without_complaints()
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # what it has done stays done
            raise
    else:
        yield None


def _dask(options: argparse.Namespace) -> Any:
    try:
        import distributed
    except ImportError:
        raise UsageError('--dask needs Dask: pip install "fastimap[dask]"') from None
    if not options.verbose:
        import logging

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        return distributed.Client(options.dask, timeout=10)
    except (OSError, ValueError) as exc:
        what = str(exc) or "it does not answer"
        raise Failed(f"can't connect to Dask's scheduler at {options.dask}: {what}", exits.CANNOT_CONNECT) from None


def _code(report: AccountReport) -> int:
    if report.failure is not None:
        return _CODES[report.failure]
    return exits.LIMIT if report.report.stopped is not None else exits.DONE


def _say(report: AccountReport, options: argparse.Namespace, show: Show) -> None:
    """Say at once what came of an account, to who wants to know that much."""
    if options.json:
        show.line("account", **report.as_dict(), code=_code(report))
        if report.error is not None:
            show.line("error", account=report.account, error=readable(report.error), code=_code(report))
    elif options.verbose:
        say(f"{report.account}: {report.added:,} written; {report.error or 'done'}")


def _end(
    ended: list[AccountReport], accounts: int, options: argparse.Namespace, show: Show, broken: int | None = None
) -> int:
    failed = [report for report in ended if report.error is not None]
    stopped = [report for report in ended if report.error is None and report.report.stopped is not None]
    codes = {_code(report) for report in failed}
    if broken is not None:
        code = broken
    elif not failed and len(ended) == accounts:
        code = exits.LIMIT if stopped else exits.DONE
    else:
        code = codes.pop() if len(codes) == 1 and len(failed) == accounts else exits.NOT_ALL
    added, there = sum(each.added for each in ended), sum(each.report.present for each in ended)
    if options.json:
        show.line(
            "summary",
            code=code,
            complete=code == exits.DONE and not options.dry_run,
            accounts=accounts,
            ended=len(ended),
            failed={report.account: readable(report.error) for report in failed},
            stopped={report.account: report.report.stopped for report in stopped},
            found=sum(each.report.found for each in ended),
            written=added,
            present=there,
            excluded=sum(each.report.excluded_messages for each in ended),
            parked=sum(each.report.parked for each in ended),
            deleted=sum(each.report.deleted for each in ended),
            octets=sum(each.report.octets for each in ended),
            dry_run=options.dry_run,
        )
        return code
    for report in failed:
        say(f"{report.account}: {report.error} (exit code {_code(report)})")
    for report in stopped:
        when = f"; go on at {report.report.go_on_at:%Y-%m-%d %H:%M} UTC" if report.report.go_on_at else ""
        say(f"{report.account}: stopped: {report.report.stopped}{when}")
    if not options.quiet or code != exits.DONE:
        print(_summary(ended, failed, stopped, accounts, options))
    return code


def _summary(
    ended: list[AccountReport],
    failed: list[AccountReport],
    stopped: list[AccountReport],
    accounts: int,
    options: argparse.Namespace,
) -> str:
    added, found = sum(each.added for each in ended), sum(each.report.found for each in ended)
    deleted = sum(each.report.deleted for each in ended)
    if options.dry_run:
        text = f"would write {added:,} of {found:,} messages of {accounts} accounts"
        text += f", and {deleted:,} there would be gone" if deleted else ""
        text += "; nothing was done"
    else:
        word = "complete" if not failed and not stopped and len(ended) == accounts else "NOT complete"
        there = sum(each.report.present for each in ended)
        excluded = sum(each.report.excluded_messages for each in ended)
        parked = sum(each.report.parked for each in ended)
        text = f"{word}: {accounts} accounts, {found:,} messages found, {added:,} written, {there:,} there"
        text += f", {excluded:,} excluded" if excluded else ""
        text += f", {parked:,} parked" if parked else ""
        text += f"; {octets(sum(each.report.octets for each in ended))}"
        text += f"; {deleted:,} gone" if deleted else ""
    if failed:
        text += f"; {len(failed)} of {accounts} accounts failed"
    if stopped:
        text += f"; {len(stopped)} stopped at a limit: run it again"
    if len(ended) < accounts:
        text += f"; {accounts - len(ended)} not finished"
    return text
