"""Files of a Parquet store that are away for a while, or for good: no mail is forgotten, and none comes twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fastimap import archive, cli, search
from fastimap.archive import Parquet
from fastimap.archive.filesystems import Files
from fastimap.archive.locks import locked
from tests.archive.conftest import Mail
from tests.archive.test_parquet import pulled, rows, uids

pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")


def files(root: Path, kind: str = "account=*/mailbox=INBOX") -> list[Path]:
    """Return files of the store, the oldest first."""
    return sorted(root.glob(f"{kind}/**/*.parquet"), key=lambda path: path.stat().st_mtime_ns)


def all_of(root: Path) -> dict[str, bytes]:
    """Return every file but locks."""
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.suffix in (".parquet", ".json")}


@contextmanager
def away(file: Path, instead: bytes | None = None) -> Iterator[None]:
    """Have a file away for a while, or another one in its place."""
    octets = file.read_bytes()
    file.unlink()
    if instead is not None:
        file.write_bytes(instead)
    yield
    file.write_bytes(octets)


def unlike(file: Path) -> bytes:
    """Return a file's octets with a change that nobody sees who reads it."""
    octets = file.read_bytes()
    assert b"parquet-cpp" in octets
    return octets.replace(b"parquet-cpp", b"Parquet-cpp")


def without(file: Path, column: str) -> bytes:
    """Return a file's octets with a column that can't be read."""
    rows = import_module("pyarrow.parquet").ParquetFile(file).metadata.row_group(0)
    (there,) = (each for each in map(rows.column, range(rows.num_columns)) if each.path_in_schema == column)
    octets = bytearray(file.read_bytes())
    start = there.dictionary_page_offset or there.data_page_offset
    octets[start : start + there.total_compressed_size] = b"\xff" * there.total_compressed_size
    return bytes(octets)


def with_expunged(mail: Mail, root: Path) -> Parquet:
    """Return a store whose first file of INBOX has mail that the server has no more."""
    store = Parquet(root, body=True)
    mail.fill("INBOX", 6)
    mail.fill("other", 2, create=True)
    pulled(mail, store)
    mail.expunge("INBOX", [1, 2])
    pulled(mail, store)
    return store


def kept(store: Parquet, mailbox: str = "INBOX") -> list[tuple[int, bytes, bool]]:
    found = rows(store, mailboxes=[mailbox], expunged=True)
    return [(row["uid"], row["body"], row["expunged"]) for row in found]


@pytest.mark.slow
@pytest.mark.parametrize("instead", [None, b"", b"PAR1"])
@pytest.mark.parametrize("kind", ["account=*/mailbox=INBOX", "**/changes"])
def test_mail_that_is_kept_outlasts_a_file_that_is_away(
    mail: Mail, tmp_path: Path, kind: str, instead: bytes | None
) -> None:
    store = with_expunged(mail, tmp_path)
    before = kept(store)
    assert [uid for uid, _, expunged in before if expunged] == [1, 2]
    mail.fill("INBOX", 1)
    mail.fill("other", 1)
    mail.expunge("INBOX", [3])
    file = files(tmp_path, kind)[0]
    with away(file, instead):
        there = all_of(tmp_path)
        for options in ({}, {"dry_run": True}, {"resume": False}, {"deleted": "mark", "max_delete": "100%"}):
            report = archive.pull(mail.account, store, **options)
            assert list(report.failed) == ["INBOX"]
            assert str(file) in report.failed["INBOX"]
            assert "verify --repair" in report.failed["INBOX"]
        assert report.mailboxes["other"].present == 3
        ours = {name: octets for name, octets in there.items() if b'"other"' not in octets}
        assert all_of(tmp_path).items() >= ours.items()
        assert len(files(tmp_path)) == (instead is not None or "changes" in kind)
        assert not archive.verify(store).good
    report = pulled(mail, store)
    assert (report.written, report.mailboxes["INBOX"].gone) == (1, 1)
    assert [(uid, body) for uid, body, _ in kept(store)][:6] == [(uid, body) for uid, body, _ in before]
    archive.compact(store)
    assert [uid for uid, _, expunged in kept(store) if expunged] == [1, 2, 3]
    assert archive.verify(store, mail.account, octets=True).good


@pytest.mark.slow
@pytest.mark.parametrize("what", ["deleted", "renamed", "made anew", "made anew twice"])
def test_a_mailbox_that_changes_while_a_file_is_away(mail: Mail, tmp_path: Path, what: str) -> None:
    store = Parquet(tmp_path, body=True)
    mail.fill("Work", 3, create=True)
    pulled(mail, store)
    if what == "made anew twice":  # the file is one of the mailbox that it was before
        mail.client.delete_mailbox("Work")
        mail.fill("Work", 1, create=True)
        assert archive.pull(mail.account, store, deleted="mark").held_back
    before = kept(store, "Work")
    (file, *_) = files(tmp_path, "account=*/mailbox=Work")
    if what == "renamed":
        mail.client.rename_mailbox("Work", "New")
    else:
        mail.client.delete_mailbox("Work")
        if what != "deleted":
            mail.fill("Work", 2, create=True)
    with away(file):
        report = archive.pull(mail.account, store, deleted="mark", max_delete="100%")
        if what == "made anew twice":
            assert any(str(file) in note for note in report.notes)
        else:
            assert {"renamed": "New"}.get(what, "Work") in report.failed
            assert not report.complete
    pulled(mail, store)
    if what == "renamed":
        assert (kept(store, "New"), kept(store, "Work")) == (before, [])
    else:
        assert {body for _, body, _ in before} <= {body for _, body, _ in kept(store, "Work")}
    assert archive.verify(store, mail.account, octets=True).good


@pytest.mark.slow
def test_no_compaction_of_what_can_not_be_read(mail: Mail, tmp_path: Path) -> None:
    """The others are compacted."""
    store = with_expunged(mail, tmp_path)
    mail.fill("INBOX", 1)
    mail.fill("other", 1)
    pulled(mail, store)
    before = kept(store)
    first, second = files(tmp_path)
    for file, instead in (
        (first, None),
        (first, b"PAR1"),
        (second, unlike(second)),
        (files(tmp_path, "**/changes")[0], None),
    ):
        with away(file, instead):
            there = all_of(tmp_path)
            with pytest.raises(archive.StoreError, match=r"not compacted: INBOX: [0-9] \w+ of .*verify --repair"):
                archive.compact(store)
            assert (
                all_of(tmp_path).items() >= {n: o for n, o in there.items() if "INBOX" in n or "changes" in n}.items()
            )
        assert len(files(tmp_path, "account=*/mailbox=other")) == 1
    archive.compact(store)
    assert kept(store) == before


@pytest.mark.slow
@pytest.mark.parametrize("rules", [{}, {"search": search.all_}])
def test_repair_does_without_it(mail: Mail, tmp_path: Path, rules: dict[str, Any]) -> None:
    """What the account has comes again, as it is now; what it has no more is said to be lost."""
    store = with_expunged(mail, tmp_path)
    mail.client.select("INBOX")
    mail.client.add_flags([3, 4], "\\Flagged")
    mail.client.unselect()
    pulled(mail, store, **rules)  # those flags are in a file of changes
    mail.client.select("INBOX")
    mail.client.set_flags([3], "\\Seen")
    mail.client.unselect()
    (file,) = files(tmp_path)
    file.unlink()
    result = archive.verify(store, mail.account, repair=True)
    lost = result.differences[0]
    assert (lost.mailbox, lost.uid, lost.what, lost.repaired) == ("INBOX", 0, "missing", False)
    assert lost.detail.startswith(f"6 messages of {file}, which is not there: it is given up")
    assert not result.good
    report = pulled(mail, store, **rules)
    assert report.written == (4 if rules else 0)
    assert [(row["uid"], row["flags"]) for row in rows(store, mailboxes=["INBOX"], expunged=True)] == [
        *((3, ["\\Seen"]), (4, ["\\Flagged"]), (5, []), (6, [])),
    ]
    assert archive.verify(store, mail.account, octets=True).good
    archive.compact(store)
    assert archive.verify(store, mail.account, octets=True).good


@pytest.mark.slow
def test_repair_of_what_the_account_has_no_more(mail: Mail, tmp_path: Path) -> None:
    store = Parquet(tmp_path)
    mail.fill("INBOX", 2)
    pulled(mail, store)
    mail.expunge("INBOX", [1, 2])
    mail.fill("INBOX", 2)
    pulled(mail, store)
    files(tmp_path)[0].unlink()
    assert "INBOX" in archive.pull(mail.account, store, resume=False).failed
    archive.verify(store, mail.account, repair=True)
    assert archive.verify(store, mail.account).good
    assert pulled(mail, store, resume=False).present == 2
    assert uids(store, expunged=True) == [3, 4]
    archive.compact(store)


@pytest.mark.slow
def test_flags_that_were_in_a_lost_file_come_again(mail: Mail, tmp_path: Path) -> None:
    """Also where the repair does not come to its end."""
    store = Parquet(tmp_path)
    mail.fill("INBOX", 3)
    pulled(mail, store)
    mail.client.select("INBOX")
    mail.client.add_flags([2], "\\Flagged")
    mail.client.unselect()
    pulled(mail, store)
    files(tmp_path, "**/changes")[0].unlink()
    result = archive.verify(store, mail.account, repair=True, stopping=iter([False, True]).__next__)
    assert result.stopped is not None
    assert pulled(mail, store).flags == 1
    assert [row["flags"] for row in rows(store)] == [[], ["\\Flagged"], []]


@pytest.mark.slow
def test_what_was_repaired_is_compacted(mail: Mail, tmp_path: Path) -> None:
    """Of a file that is not as it was written nothing is left, once all of it was fetched again."""
    store = Parquet(tmp_path, body=True)
    mail.fill("INBOX", 3)
    pulled(mail, store)
    (file,) = files(tmp_path)
    file.write_bytes(unlike(file))
    mail.fill("INBOX", 1)
    pulled(mail, store)
    with pytest.raises(archive.StoreError, match="not compacted"):
        archive.compact(store)
    archive.verify(store, mail.account, repair=True)
    archive.compact(store)
    assert not file.exists()
    assert archive.verify(store, mail.account, octets=True).good
    assert uids(store) == [1, 2, 3, 4]


@pytest.mark.slow
def test_changes_that_are_not_as_they_were_written_are_not_believed(mail: Mail, tmp_path: Path) -> None:
    """Though they can be read: they may say that mail is expunged which is not."""
    store = with_expunged(mail, tmp_path)
    (file,) = files(tmp_path, "**/changes")
    file.write_bytes(unlike(file))
    with pytest.raises(OSError, match="not as it was written"):
        archive.read(store)
    assert not archive.verify(store).good
    mail.fill("INBOX", 1)
    assert list(archive.pull(mail.account, store).failed) == ["INBOX"]
    archive.verify(store, mail.account, repair=True)
    report = pulled(mail, store)
    assert (report.written, report.mailboxes["INBOX"].gone) == (0, 2)  # what was new came with the repair
    assert [uid for uid, _, expunged in kept(store) if expunged] == [1, 2]
    archive.compact(store)
    assert archive.verify(store, mail.account, octets=True).good


@pytest.mark.slow
@pytest.mark.parametrize("column", ["body", "subject"])
def test_a_repair_does_without_a_file_of_which_a_column_can_not_be_read(
    mail: Mail, tmp_path: Path, column: str
) -> None:
    """Though what is asked of it for each pull can be: nobody could read the store, nor compact it."""
    store = with_expunged(mail, tmp_path)
    (file,) = files(tmp_path)
    file.write_bytes(without(file, column))
    with pytest.raises(OSError, match="deserialize"):
        archive.read(store).to_table()
    result = archive.verify(store, mail.account, repair=True)
    assert [each.uid for each in result.differences if not each.repaired] == [1, 2, 0]
    assert "6 messages of" in result.differences[2].detail
    assert [uid for uid, *_ in kept(store)] == [3, 4, 5, 6]
    assert pulled(mail, store).written == 0
    archive.compact(store)
    assert archive.verify(store, mail.account, octets=True).good


@pytest.mark.slow
@pytest.mark.parametrize("column", ["body", "subject", "message_id", None])
def test_mail_that_moves_out_of_a_file_that_is_not_as_it_was_written_is_fetched(
    mail: Mail, tmp_path: Path, column: str | None
) -> None:
    """It is not copied to a file that seems to be whole."""
    store = with_expunged(mail, tmp_path)
    mail.client.select("INBOX")
    mail.client.move([4], "other")
    mail.client.unselect()
    (file,) = files(tmp_path)
    file.write_bytes(unlike(file) if column is None else without(file, column))
    report = pulled(mail, store)
    assert [report.mailboxes[name].moved for name in ("INBOX", "other")] == [0, 0]
    assert (report.written, report.complete) == (1, True)
    assert len(kept(store, "other")) == 3
    archive.verify(store, mail.account, repair=True)
    archive.compact(store, expunged=False)
    assert archive.verify(store, mail.account, octets=True).good


@pytest.mark.slow
def test_text_that_is_none_is_damage_as_well(mail: Mail, tmp_path: Path) -> None:
    """A reader of the file hears of that alone."""
    pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    store = with_expunged(mail, tmp_path)
    mail.fill("INBOX", 1)
    pulled(mail, store)
    file = files(tmp_path)[0]
    table = parquet.ParquetFile(file).read()
    count = table.num_rows
    flags = pa.ListArray.from_arrays(list(range(count + 1)), pa.array([b"\xff"] * count, pa.binary()).view(pa.string()))
    parquet.write_table(table.set_column(table.schema.get_field_index("flags"), "flags", flags), file)
    report = archive.pull(mail.account, store, resume=False)
    assert "verify --repair" in report.failed["INBOX"]
    with pytest.raises(archive.StoreError, match="not compacted"):
        archive.compact(store)
    archive.verify(store, mail.account, repair=True)
    assert pulled(mail, store).written == 0
    archive.compact(store)
    assert archive.verify(store, mail.account, octets=True).good


@pytest.mark.slow
def test_a_file_that_is_put_back_while_it_is_looked_at(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not given up."""
    store = with_expunged(mail, tmp_path)
    before = kept(store)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(without(file, "body"))
    looked = Parquet._is_readable

    def then_back(*arguments: Any) -> bool:
        found = looked(*arguments)
        file.write_bytes(whole)
        return found

    monkeypatch.setattr(Parquet, "_is_readable", then_back)
    result = archive.verify(store, mail.account, repair=True)
    assert not any("given up" in each.detail for each in result.differences)
    assert kept(store) == before
    assert archive.verify(store, mail.account, octets=True).good


def test_mail_outlasts_all_manifests(mail: Mail, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no store that nothing was ever pulled into."""
    mail.fill("INBOX", 2)
    store = Parquet(tmp_path)
    pulled(mail, store)
    (file,) = files(tmp_path)
    for manifest in tmp_path.glob("_fastimap/*/*.json"):
        manifest.unlink()
    for account in (None, mail.account):
        result = archive.verify(tmp_path, account)
        assert [(each.mailbox, each.uid, each.what) for each in result.differences] == [("INBOX", 0, "missing")]
        assert str(file) in result.differences[0].detail
    assert cli.main(["verify", str(tmp_path)]) != 0
    assert str(file) in capsys.readouterr().err
    with pytest.raises(ValueError, match="nothing was ever pulled"):
        archive.verify(tmp_path, name="another")
    assert pulled(mail, store).written == 2
    assert archive.verify(tmp_path, mail.account).good


@pytest.mark.slow
@pytest.mark.parametrize("expunged", [True, False])
def test_mail_outlasts_its_manifest(mail: Mail, tmp_path: Path, expunged: bool) -> None:
    """Its mailbox is a new one then, whose kept mail no manifest names: what has it may be the only copy."""
    store = with_expunged(mail, tmp_path)
    before = kept(store)
    (file,) = files(tmp_path)
    octets = file.read_bytes()
    (manifest,) = (path for path in tmp_path.glob("_fastimap/*/*.json") if '"mailbox": "INBOX"' in path.read_text())
    was = manifest.read_text()
    manifest.unlink()
    half = file.with_name(f".{file.name}.{'f' * 32}.part")
    half.write_bytes(b"half of it")
    for written in (None, 4, 0):
        if written is not None:
            assert pulled(mail, store).written == written
        for account in (None, mail.account):
            result = archive.verify(store, account)
            assert [(each.mailbox, each.uid) for each in result.differences] == [("INBOX", 0)]
            assert str(file) in result.differences[0].detail
        if written is None:
            continue
        done = archive.compact(store, expunged=expunged)
        assert done.orphans_kept == [file.relative_to(tmp_path).as_posix()]
    assert not half.exists()
    assert file.read_bytes() == octets
    manifest.write_text(was)  # as a backup has it
    assert kept(store) == before
    assert archive.verify(store, mail.account, octets=True).good


@pytest.mark.slow
def test_which_columns_there_are_outlasts_the_file_that_says_so(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    pulled(mail, Parquet(tmp_path, body=True, headers=["list-id"]))
    (tmp_path / "_fastimap" / "store.json").unlink()
    mail.fill("INBOX", 1)
    pulled(mail, Parquet(tmp_path))
    first, second = rows(Parquet(tmp_path))
    assert None not in (first["body"], second["body"])
    assert "header_list_id" in second
    assert archive.verify(Parquet(tmp_path), mail.account, octets=True).good


@pytest.mark.slow
def test_a_compaction_that_is_cut_short_leaves_nothing_for_good(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing else has the mail that was to be removed."""
    store = with_expunged(mail, tmp_path)
    (file,) = files(tmp_path)

    def cut(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("fastimap.archive.filesystems.Files.remove", cut)
        with pytest.raises(KeyboardInterrupt):
            archive.compact(store, expunged=False)
    assert file.exists()
    assert archive.compact(store, expunged=False).orphans_kept == []
    assert not file.exists()
    assert uids(store, expunged=True) == [3, 4, 5, 6]


@pytest.mark.slow
def test_many_files_that_are_away(mail: Mail, tmp_path: Path) -> None:
    """A folder that is not mounted, with what was new in each of many days."""
    store = with_expunged(mail, tmp_path)
    mail.fill("INBOX", 1)
    (manifest,) = (path for path in tmp_path.glob("_fastimap/*/*.json") if '"mailbox": "INBOX"' in path.read_text())
    values = json.loads(manifest.read_text())
    first = values["parts"][0]
    values["parts"][:0] = [first | {"path": f"{first['path'][:-20]}{n:012}.parquet"} for n in range(700)]
    manifest.write_text(json.dumps(values))
    for resume in (True, False):
        report = archive.pull(mail.account, store, resume=resume)
        assert "which is not there (and 699 more)" in report.failed["INBOX"]
    archive.verify(store, mail.account, repair=True)
    assert archive.verify(store, mail.account, octets=True).good
    assert uids(store, expunged=True) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.slow
def test_a_compaction_that_is_cut_short_is_remembered_by_those_that_follow(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though runs come between that write, and the next one has files of its own to replace."""
    store = with_expunged(mail, tmp_path)
    (file,) = files(tmp_path)

    def cut(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("fastimap.archive.filesystems.Files.remove", cut)
        with pytest.raises(KeyboardInterrupt):
            archive.compact(store, expunged=False)
    mail.fill("INBOX", 1)
    pulled(mail, store)
    assert archive.compact(store, expunged=False).orphans_kept == []
    assert not file.exists()
    assert uids(store, expunged=True) == [3, 4, 5, 6, 7]


@pytest.mark.slow
def test_what_is_removed_for_good_stays_in_no_file_of_a_run_that_was_killed(mail: Mail, tmp_path: Path) -> None:
    """It was in another file as well, as long as the store had it."""
    store = with_expunged(mail, tmp_path)
    (file,) = files(tmp_path)
    killed = file.with_name("0" * 64 + ".parquet")
    killed.write_bytes(file.read_bytes())
    done = archive.compact(store, expunged=False)
    assert (done.rows_removed, done.orphans_kept, done.orphans_removed) == (2, [], 1)
    assert not killed.exists()
    assert len(files(tmp_path)) == 1


def test_a_manifest_that_is_removed_while_they_are_looked_at(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run does so with the one of a former mailbox that had nothing."""
    mail.fill("INBOX", 1)
    store = Parquet(tmp_path)
    pulled(mail, store)
    listed = Files.names

    def with_another(files: Files, folder: str, suffix: str) -> list[str]:
        found = listed(files, folder, suffix)
        return [*found, *(name.replace(".json", "x.json") for name in found if "store" not in name)]

    monkeypatch.setattr(Files, "names", with_another)
    assert uids(store) == [1]
    assert pulled(mail, store).complete
    archive.compact(store)


@pytest.mark.slow
def test_files_that_are_away_while_verify_looks_are_told_of_once(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a folder is unmounted meanwhile."""
    store = Parquet(tmp_path, body=True)
    for _ in range(3):
        mail.fill("INBOX", 1)
        pulled(mail, store)
    there = files(tmp_path)
    checked = Parquet.check

    def then_away(*arguments: Any) -> Any:
        found = checked(*arguments)
        for file in there:
            file.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Parquet, "check", then_away)
    found = [each.detail for each in archive.verify(store, mail.account, repair=True).differences]
    told = [[file.name in detail for detail in found if "which is not there" in detail].count(True) for file in there]
    assert told == [1, 1, 1]


@pytest.mark.slow
def test_the_file_that_says_which_columns_there_are_is_lost_where_they_differ(mail: Mail, tmp_path: Path) -> None:
    """Whatever the manifests are called, no mail is without what some has."""
    names = ["INBOX", "a", "b", "c", "d", "e"]
    for number, name in enumerate(names):
        mail.fill(name, 1, create=name != "INBOX")
        archive.pull(mail.account, Parquet(tmp_path, body=not number), mailboxes=[name], name="me@host")
    (tmp_path / "_fastimap" / "store.json").unlink()
    mail.fill("INBOX", 1)
    archive.pull(mail.account, Parquet(tmp_path), mailboxes=["INBOX"], name="me@host")
    assert [len(row["body"]) > 0 for row in rows(Parquet(tmp_path), mailboxes=["INBOX"])] == [True, True]


def test_a_verification_says_that_a_worker_is_at_work(
    mail: Mail, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is yet to name is not to be told from what no manifest names."""
    mail.fill("INBOX", 2)
    pulled(mail, Parquet(tmp_path))
    (manifest,) = [path for path in tmp_path.glob("_fastimap/**/*.json") if b"INBOX" in path.read_bytes()]
    manifest.unlink()
    worker = manifest.parent / "locks" / "some-0000000001"
    worker.mkdir(parents=True)
    with locked(worker):
        found = archive.verify(tmp_path)
        assert found.differences == []
        assert [note for note in found.notes if "not looked for: another run writes" in note]
        cli.main(["verify", str(tmp_path)])
        assert "another run writes" in capsys.readouterr().err
    found = archive.verify(tmp_path)
    assert [each.what for each in found.differences] == ["missing"]
    assert found.notes == []


def test_a_directory_whose_name_is_not_utf_8(mail: Mail, tmp_path: Path) -> None:
    """pyarrow takes text."""
    with pytest.raises(archive.StoreError, match=r"udcffmail': the name of a Parquet store's directory is to be UTF-8"):
        archive.pull(mail.account, Parquet(tmp_path / os.fsdecode(b"\xffmail")))
