"""Mail as Parquet: what a pull wrote is what a client gets, and nobody reads what is in no manifest."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client, UIDSet, archive, cli
from fastimap.archive import Parquet
from fastimap.archive.filesystems import Files
from fastimap.archive.shards import Manifest, hive_value, read_manifest
from fastimap.archive.stores import kind_of, store_at
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, message, stored
from tests.columns.test_columns import expected
from tests.support.odd import odd

pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")

ITEMS = ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "MODSEQ", "ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]")
ODD = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: group: a@b.c, d@e.f;\r\nSubject: =?utf-8?b?w7w=?=\r\n"
    b"Date: Mon, 2 Jan 2006 15:04:05 -0700\r\nList-Id: <x.y>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\n\r\nH\xc3\xa4\r\n--x\r\nContent-Type: application/pdf; name=a.pdf\r\n"
    b"Content-Disposition: attachment\r\n\r\nPDF\r\n--x--\r\n"
)


def rows(where: Any, **options: Any) -> list[dict[str, Any]]:
    """Return what a store has, in order."""
    found: list[dict[str, Any]] = archive.read(where, **options).to_table().to_pylist()
    return sorted(found, key=lambda row: (row["account"], row["mailbox"], row["uid_validity"], row["uid"]))


def uids(where: Any, mailbox: str = "INBOX", **options: Any) -> list[int]:
    return [row["uid"] for row in rows(where, mailboxes=[mailbox], columns=["uid"], **options)]


def seen_by_a_client(mail: Mail) -> list[dict[str, Any]]:
    """Return what a client gets of each message, as columns."""
    found = []
    for info in sorted(mail.client.list_mailboxes(), key=lambda info: info.name):
        if not info.is_selectable:
            continue
        validity = mail.client.select(info, read_only=True).uid_validity
        for row in mail.client.fetch("1:*", *ITEMS):
            row = row.replace(flags=row.flags and row.flags - {"\\Recent"})
            found.append({"mailbox": info.name, "uid_validity": validity, **expected(row)})
    mail.client.unselect()
    return found


def pulled(mail: Mail, store: Parquet, **options: Any) -> archive.Report:
    report = archive.pull(mail.account, store, **options)
    assert report.complete, report.as_dict()
    return report


def of_mailboxes(mail: Mail) -> None:
    mail.fill("INBOX", 25, flags=("\\Seen", "$Junk"))
    mail.client.append("INBOX", ODD, internal_date=datetime(2019, 12, 31, 23, 30, tzinfo=UTC))
    mail.fill("a/b", 3, create=True)


@pytest.mark.parametrize("connections", [1, 2])
def test_what_was_pulled_is_what_a_client_gets(mail: Mail, tmp_path: Path, connections: int) -> None:
    of_mailboxes(mail)
    store = Parquet(tmp_path / "mail", body=True, text=True, headers=["List-Id"])
    report = pulled(mail, store, connections=connections)
    assert (report.found, report.written) == (29, 29)
    theirs = seen_by_a_client(mail)
    ours = rows(store)
    assert [{name: row[name] for name in theirs[0]} for row in ours] == theirs
    assert {row["account"] for row in ours} == {report.account}
    assert [row["header_list_id"] for row in ours if row["header_list_id"]] == ["<x.y>"]
    assert all(row["year"] == row["internal_date"].year for row in ours)
    assert stored(tmp_path / "mail") == mail.all()
    folders = {path.parent.relative_to(tmp_path / "mail").as_posix() for path in files(tmp_path / "mail")}
    account = hive_value(report.account)
    assert f"account={account}/mailbox=a%2Fb/year=2020" in folders
    assert f"account={account}/mailbox=INBOX/year=2019" in folders
    assert archive.verify(store).good
    assert archive.verify(store, mail.account, octets=True).compared == 29


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.parquet") if "_fastimap" not in path.parts]


def test_without_bodies_nothing_of_them_is_fetched(mail: Mail, tmp_path: Path) -> None:
    mail.client.append("INBOX", ODD + b"x" * 200_000)
    report = pulled(mail, Parquet(tmp_path))
    assert report.octets_received < 20_000
    (row,) = rows(tmp_path)
    assert (row["subject"], row["attachments"][0]["name"], row["size"]) == ("ü", "a.pdf", len(ODD) + 200_000)
    assert not {"text", "body", "digest"} & row.keys()
    with pytest.raises(LookupError, match="does not keep whole messages"):
        stored(tmp_path)
    for dry_run in (True, False):  # nothing is asked of the server, and no message is parked
        with pytest.raises(
            archive.StoreError, match=r"does not keep whole messages, so none can be sent: pull with --body"
        ):
            archive.push(tmp_path, Account("imap.example.org", user="ann", password="x"), dry_run=dry_run)
    assert pulled(mail, Parquet(tmp_path / "2", text=True)).octets_received < 20_000
    assert rows(tmp_path / "2")[0]["text"] == "Hä"


def test_other_readers_read_the_same(mail: Mail, tmp_path: Path) -> None:
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    of_mailboxes(mail)
    store = Parquet(tmp_path)
    pulled(mail, store)
    mail.client.select("INBOX")
    mail.client.add_flags([2, 26], "\\Flagged")
    mail.client.unselect()
    mail.expunge("INBOX", [5])
    pulled(mail, store)
    dataset = archive.read(store)
    wanted = [
        (row["mailbox"], row["uid"], row["subject"], row["date"], row["flags"], [a["email"] for a in row["from_"]])
        for row in sorted(seen_by_a_client(mail), key=lambda row: (row["mailbox"], row["uid"]))
    ]
    query = """SELECT mailbox, uid, subject, date, flags, list_transform(from_, lambda a: a.email)
               FROM dataset WHERE year >= 2019 ORDER BY mailbox, uid"""
    assert [(*r[:3], utc(r[3]), *r[4:]) for r in duckdb.sql(query).fetchall()] == wanted
    frame = (
        polars.scan_pyarrow_dataset(dataset)
        .with_columns(polars.col("from_").list.eval(polars.element().struct.field("email")))
        .sort("mailbox", "uid")
        .select("mailbox", "uid", "subject", "date", "flags", "from_")
        .collect()
    )
    assert [(*r[:3], utc(r[3]), *r[4:]) for r in frame.rows()] == wanted
    flagged = polars.scan_pyarrow_dataset(dataset).filter(polars.col("changed")).select("uid").collect()
    assert sorted(flagged["uid"]) == [2, 26]
    pytest.importorskip("pandas")
    frame = dataset.to_table().to_pandas().sort_values(["mailbox", "uid"])
    assert list(zip(frame["mailbox"], frame["uid"], frame["subject"], strict=True)) == [each[:3] for each in wanted]
    assert dataset.count_rows() == len(wanted) == 28


def utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def test_a_later_run_writes_what_is_new_and_notes_what_changed(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 20)
    store = Parquet(tmp_path)
    pulled(mail, store)
    before = files(tmp_path)
    for turn in range(1, 12):  # beyond the number of files of changes that a shard may have
        mail.fill("INBOX", 1)
        mail.client.select("INBOX")
        mail.client.set_flags([turn, 15], ["\\Flagged", f"turn{turn}"])
        mail.client.unselect()
        mail.expunge("INBOX", [20 - turn] if turn < 5 else [])
        report = pulled(mail, store)
        assert (report.written, report.flags) == (1, 2)
    assert set(before) < set(files(tmp_path))
    theirs = seen_by_a_client(mail)
    assert [{name: row[name] for name in ("uid", "flags", "subject")} for row in rows(store)] == [
        {name: row[name] for name in ("uid", "flags", "subject")} for row in theirs
    ]
    assert uids(store, expunged=True) == list(range(1, 32))
    assert [row["uid"] for row in rows(store, expunged=True) if row["expunged"]] == [16, 17, 18, 19]
    (manifest,) = (json.loads(path.read_text()) for path in manifests_of(tmp_path, "INBOX"))
    assert sum(part["kind"] == "changes" for part in manifest["parts"]) < 9
    assert pulled(mail, store).written == 0


def manifests_of(root: Path, mailbox: str) -> list[Path]:
    return [
        path for path in sorted(root.glob("_fastimap/*/*.json")) if json.loads(path.read_text())["mailbox"] == mailbox
    ]


@pytest.mark.parametrize("kept", [{}, {"text": True}, {"body": True}], ids=str)
def test_a_limit_holds_without_bodies_too(mail: Mail, tmp_path: Path, kept: dict[str, Any]) -> None:
    """What a server sends as an envelope, a name of a file or a keyword takes room as well."""
    for number in range(5):
        mail.client.append("INBOX", b"Subject: %b\r\n\r\n" % (b"%d" % number * 5000), flags=["$Keyword"])
    report = archive.pull(mail.account, Parquet(tmp_path, **kept), max_octets=4000)
    assert report.stopped is not None
    assert report.stopped.startswith("it would write more than 4000 octets; UID 1 of INBOX alone takes ")
    assert report.written == 0
    assert archive.pull(mail.account, Parquet(tmp_path, **kept), max_octets=60_000).complete


def test_nothing_new_writes_nothing(mail: Mail, tmp_path: Path) -> None:
    of_mailboxes(mail)
    pulled(mail, Parquet(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    pulled(mail, Parquet(tmp_path))
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    locks = {path for path in after if path.name.endswith(".lock")}
    assert {path for path in after if after[path] != before.get(path)} <= locks


def test_a_dry_run_leaves_no_trace(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    assert archive.pull(mail.account, Parquet(tmp_path / "s"), dry_run=True).written == 3
    assert not (tmp_path / "s").exists()


def test_names_of_mailboxes_that_no_folder_can_have(mail: Mail, tmp_path: Path) -> None:
    names = [
        "a=b",
        "100% *?",
        "x" * 200,
        "x" * 199 + "y",
        "Entwürfe",
        "con",
        "a b",
        "日本語",
        "A",
        "a",
        "mailbox=INBOX",
    ]
    for name in names:
        mail.fill(name, 1, create=True)
    pulled(mail, Parquet(tmp_path, body=True))
    assert {row["mailbox"] for row in rows(tmp_path)} == set(names)
    assert stored(tmp_path) == mail.all()
    assert all(len(part.encode()) < 256 for path in files(tmp_path) for part in path.parts)


def test_a_new_uidvalidity(mail: Mail, tmp_path: Path) -> None:
    mail.fill("a", 4, create=True)
    pulled(mail, Parquet(tmp_path))
    mail.client.delete_mailbox("a")
    mail.fill("a", 2, create=True)
    report = pulled(mail, Parquet(tmp_path))
    assert report.written == 2
    assert any("a new UIDVALIDITY" in note for note in report.mailboxes["a"].notes)
    theirs = seen_by_a_client(mail)
    assert [(row["uid_validity"], row["uid"], row["subject"]) for row in rows(tmp_path)] == [
        (row["uid_validity"], row["uid"], row["subject"]) for row in theirs
    ]
    assert len(uids(tmp_path, "a", expunged=True)) == 6


def test_what_was_moved_or_renamed(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 6)
    mail.fill("old", 3, create=True)
    store = Parquet(tmp_path, body=True)
    pulled(mail, store)
    mail.client.select("INBOX")
    mail.client.move([2, 3], "old")
    mail.client.unselect()
    mail.client.rename_mailbox("old", "new")
    report = pulled(mail, store)
    assert report.mailboxes["new"].renamed_from == "old"
    assert (report.written, report.mailboxes["new"].moved) == (0, 2)
    assert stored(tmp_path) == mail.all()
    assert {row["mailbox"] for row in rows(store)} == {"INBOX", "new"}
    assert archive.read(store).count_rows() == 9
    mail.fill("old", 1, create=True)  # the name that the other had
    pulled(mail, store)
    assert stored(tmp_path) == mail.all()
    mail.client.delete_mailbox("new")
    pulled(mail, store)
    assert {row["mailbox"] for row in rows(store)} == {"INBOX", "old"}


@pytest.mark.parametrize("kept", [{}, {"text": True, "headers": ["List-Id"]}, {"body": True}], ids=str)
def test_moved_messages_are_not_fetched_again(mail: Mail, tmp_path: Path, kept: dict[str, Any]) -> None:
    """Their rows are copied, with the flags of now; each is one message, wherever it was before."""
    mail.fill("INBOX", 8, flags=("\\Seen",))
    mail.fill("a", 3, create=True)
    store = Parquet(tmp_path, **kept)
    pulled(mail, store)
    mail.client.select("INBOX")
    mail.client.set_flags([3], ["\\Flagged", "$Junk"])
    mail.client.unselect()
    pulled(mail, store)  # so that what the file says of it is old
    mail.client.select("INBOX")
    mail.client.set_flags([4], [])
    mail.client.move([2, 3, 4, 5], "a")
    mail.client.unselect()
    report = pulled(mail, store)
    assert (report.written, report.mailboxes["a"].moved, report.mailboxes["INBOX"].gone) == (0, 4, 4)
    theirs = seen_by_a_client(mail)
    found = rows(store)
    assert [{name: row[name] for name in ("mailbox", "uid", "subject", "flags", "size")} for row in found] == [
        {name: row[name] for name in ("mailbox", "uid", "subject", "flags", "size")} for row in theirs
    ]
    assert len(uids(store, "INBOX", expunged=True)) == 8
    if "body" in kept:
        assert stored(tmp_path) == mail.all()
    if "text" in kept:
        assert all("line 0 of message" in row["text"] for row in found)
    assert archive.verify(tmp_path).good
    assert pulled(mail, store).written == 0
    mail.client.select("a")
    mail.client.move("1:*", "INBOX")  # and back
    mail.client.unselect()
    assert pulled(mail, store).written == 0
    assert len(uids(store)) == 11 == len(uids(store, "INBOX"))


def test_what_can_not_be_told_apart_is_fetched(mail: Mail, tmp_path: Path) -> None:
    """Without bodies, two of one Message-ID, size and date may differ; what has other columns now can't be copied."""
    same: dict[str, Any] = {"internal_date": datetime(2024, 1, 1, tzinfo=UTC)}
    for letter in (b"a", b"b"):
        mail.client.append("INBOX", b"Message-ID: <1@x>\r\nSubject: %b\r\n\r\n" % letter, **same)
    mail.client.append("INBOX", b"Message-ID: <2@x>\r\nSubject: c\r\n\r\n", **same)
    mail.client.create_mailbox("a")
    pulled(mail, Parquet(tmp_path))
    mail.client.select("INBOX")
    mail.client.move([1, 2, 3], "a")
    report = pulled(mail, Parquet(tmp_path))
    assert (report.written, report.mailboxes["a"].moved) == (2, 1)
    assert sorted(row["subject"] for row in rows(tmp_path)) == ["a", "b", "c"]
    mail.client.select("a")
    mail.client.move("1:*", "INBOX")
    report = pulled(mail, Parquet(tmp_path, text=True))
    assert (report.written, report.mailboxes["INBOX"].moved) == (3, 0)
    assert None not in [row["text"] for row in rows(tmp_path)]


def test_after_a_new_uidvalidity_rows_are_copied(mail: Mail, tmp_path: Path) -> None:
    mail.fill("a", 5, create=True)
    store = Parquet(tmp_path, body=True)
    pulled(mail, store)
    mail.client.rename_mailbox("a", "b")
    mail.client.create_mailbox("a")
    mail.client.select("b")
    mail.client.copy("1:4", "a")
    mail.client.unselect()
    mail.client.delete_mailbox("b")
    mail.fill("a", 1)
    report = pulled(mail, store)
    assert (report.written, report.mailboxes["a"].moved) == (1, 4)
    assert stored(tmp_path) == mail.all()
    assert len(uids(store, "a", expunged=True)) == 10


def test_a_run_that_is_cut_between_two_manifests(mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that moves is of two shards: whichever is put first, and alone, it is there once in the end."""
    store = Parquet(tmp_path, body=True)
    mail.fill("INBOX", 4)
    mail.client.create_mailbox("a")
    pulled(mail, store)
    put = Files.put
    cuts = 0
    for number in range(6):
        mail.client.select("a" if number % 2 else "INBOX")
        mail.client.move("1:*" if number % 2 else "*", "INBOX" if number % 2 else "a")
        mail.client.unselect()
        left = [number]

        def cut(self: Files, name: str, octets: Any, left: list[int] = left) -> None:
            if name.endswith(".json"):
                left[0] -= 1
                if left[0] < 0:
                    raise OSError("cut")
            put(self, name, octets)

        with monkeypatch.context() as patched:
            patched.setattr(Files, "put", cut)
            try:
                archive.pull(mail.account, store)
            except OSError:
                cuts += 1
        assert archive.pull(mail.account, store).complete
        assert stored(tmp_path) == mail.all()
        assert len({row["body"] for row in rows(store)}) == 4 == len(rows(store))
    assert cuts >= 3


def test_a_message_that_was_thought_gone_comes_again_once(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 5)
    store = Parquet(tmp_path, body=True)
    pulled(mail, store)
    with store.held(None, 0):  # as if a server had left it out of its answers
        state = store.load(None)
        (place,) = (place for place in state.places() if place.name == "INBOX")
        state.begin()
        state.set_gone(place, [3])
        state.set_mark(place, None)
        state.commit()
        state.close()
    assert uids(store) == [1, 2, 4, 5]
    assert pulled(mail, store).written == 0
    assert uids(store) == [1, 2, 3, 4, 5] == uids(store, expunged=True)
    mail.client.select("INBOX")
    mail.client.add_flags([3], "\\Flagged")
    mail.client.unselect()
    pulled(mail, store)
    assert stored(tmp_path) == mail.all()
    assert [row["flags"] for row in rows(store)] == [[], [], ["\\Flagged"], [], []]


def test_an_orphan_is_not_read(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    pulled(mail, Parquet(tmp_path))
    (file,) = files(tmp_path)
    shutil.copy(file, file.with_name("0" * 64 + ".parquet"))
    assert uids(tmp_path) == [1, 2, 3]
    assert pulled(mail, Parquet(tmp_path)).present == 3


@pytest.mark.parametrize("root", ["", "/"])
def test_a_store_at_the_root_of_a_file_system(mail: Mail, tmp_path: Path, root: str) -> None:
    pa_fs = pytest.importorskip("pyarrow.fs")
    store = Parquet(root, filesystem=pa_fs.SubTreeFileSystem(str(tmp_path), pa_fs.LocalFileSystem()))
    mail.fill("INBOX", 3)
    for written in (3, 0):
        assert pulled(mail, store).written == written
    assert uids(store) == [1, 2, 3]
    assert archive.verify(store, mail.account).checked == 3


@pytest.mark.parametrize("root", ["bucket/mail", "/bucket/mail"])
def test_a_file_system_whose_paths_begin_with_a_slash(mail: Mail, root: str) -> None:
    pa_fs = pytest.importorskip("pyarrow.fs")
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.store.clear()  # there is one in a process
    store = Parquet(root, filesystem=pa_fs.PyFileSystem(pa_fs.FSSpecHandler(memory)))
    mail.fill("INBOX", 3)
    for written in (3, 0):
        assert pulled(mail, store).written == written
    assert uids(store) == [1, 2, 3]


def test_a_worker_that_is_late_doubles_nothing(mail: Mail, tmp_path: Path) -> None:
    """Two runs on an account where nothing locks, as on S3: the first to put its manifest wins."""
    pa_fs = pytest.importorskip("pyarrow.fs")
    filesystem = pa_fs.SubTreeFileSystem(str(tmp_path), pa_fs.LocalFileSystem())
    store = Parquet("mail", filesystem=filesystem)
    mail.fill("INBOX", 4)
    second: list[archive.Report] = []

    def meanwhile(progress: archive.Progress) -> None:
        if progress.done and not second:
            second.append(archive.pull(mail.account, Parquet("mail", filesystem=filesystem)))

    with pytest.raises(archive.StoreInUse, match="another run has written UIDs 1 to"):
        archive.pull(mail.account, store, progress=meanwhile)
    assert second[0].complete
    assert uids(store) == [1, 2, 3, 4]
    assert pulled(mail, store).written == 0


def test_of_two_that_put_a_manifest_at_once_one_says_so(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen the same one before: no file system of pyarrow's puts only where there is none."""
    pa_fs = pytest.importorskip("pyarrow.fs")
    store = Parquet("mail", filesystem=pa_fs.SubTreeFileSystem(str(tmp_path), pa_fs.LocalFileSystem()))
    mail.fill("INBOX", 2)
    pulled(mail, store)
    mail.fill("INBOX", 2)
    put = Files.put
    late: list[str] = []

    def put_and_lose(self: Files, name: str, octets: Any) -> None:
        put(self, name, octets)
        if name.endswith(".json") and not late:
            late.append(name)
            put(self, name, json.dumps(json.loads(bytes(octets)) | {"version": "of another run"}).encode())

    with monkeypatch.context() as patched:
        patched.setattr(Files, "put", put_and_lose)
        with pytest.raises(archive.StoreInUse, match="another run has written UIDs 1 to"):
            archive.pull(mail.account, store)
    pulled(mail, store)
    assert uids(store) == [1, 2, 3, 4]


def test_shards_of_a_mailbox(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 10)
    mail.fill("a", 2, create=True)
    whole = Parquet(tmp_path, text=True)
    name = archive.pull(mail.account, whole, dry_run=True).account
    ranges = [range(1, 5), range(5, 9), range(9, 2**32)]
    for uid_range in ranges:
        shard = pickle.loads(pickle.dumps(whole.shard(name, "INBOX", uid_range)))
        report = archive.pull(mail.account, shard, mailboxes=["INBOX"])
        assert report.complete
        assert report.found == report.written == len([uid for uid in range(1, 11) if uid in uid_range])
    assert len(manifests_of(tmp_path, "INBOX")) == 3
    assert pulled(mail, whole).written == 2
    assert uids(whole) == list(range(1, 11))
    mail.fill("INBOX", 1)
    mail.client.select("INBOX")
    mail.client.add_flags([2, 7, 9], "\\Flagged")
    mail.client.unselect()
    mail.expunge("INBOX", [1, 8])
    reports = [archive.pull(mail.account, whole.shard(name, "INBOX", each), mailboxes=["INBOX"]) for each in ranges]
    assert [report.flags for report in reports] == [1, 1, 1]
    assert [report.written for report in reports] == [0, 0, 1]
    assert all(report.complete for report in reports)
    assert [row["uid"] for row in rows(whole, mailboxes=["INBOX"]) if "\\Flagged" in row["flags"]] == [2, 7, 9]
    assert pulled(mail, whole).written == 0
    assert uids(whole) == [2, 3, 4, 5, 6, 7, 9, 10, 11]
    with pytest.raises(archive.StoreError, match="ranges of UIDs stay as they are"):
        archive.pull(mail.account, whole.shard(name, "INBOX", range(3, 6)), mailboxes=["INBOX"])
    with pytest.raises(ValueError, match="is not for"):
        archive.pull(mail.account, whole.shard("other"))


def test_an_account_is_cut_into_shards_and_pushed_elsewhere(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 12, flags=("\\Seen",))
    mail.fill("a", 2, create=True)
    store = Parquet(tmp_path, body=True)
    for added in (14, 0):
        (report,) = archive.pull_many([mail.account], store, uids_per_task=5)
        assert (report.added, report.error) == (added, None)
    assert len(manifests_of(tmp_path, "INBOX")) == 3
    assert stored(tmp_path) == mail.all()
    assert cli.main(["status", str(tmp_path)]) == 0  # each range was brought to its end
    assert archive.verify(store).notes == []
    other = replace(mail.account, user=mail.server.new_user())
    for written in (14, 0):
        pushed = archive.push(store, other)
        assert (pushed.complete, pushed.written) == (True, written)
    with Client(other) as client:
        client.select("INBOX", read_only=True)
        assert [row.body for row in client.fetch("1:*", "BODY.PEEK[]")] == [row[1] for row in mail.all()["INBOX"]]


def test_wrong_arguments(tmp_path: Path) -> None:
    store = Parquet(tmp_path)
    account = Account("localhost", user="u", password="p")
    with pytest.raises(ValueError, match="which"):
        store.shard("a", uids=range(1, 5))
    with pytest.raises(ValueError, match="one range"):
        store.shard("a", "INBOX", UIDSet("1,3"))
    with pytest.raises(TypeError, match="list of names"):
        Parquet(tmp_path, headers="List-Id")
    with pytest.raises(TypeError, match="lists of names"):
        archive.read(tmp_path, mailboxes="INBOX")
    with pytest.raises(archive.StoreError, match="no Parquet store"):
        archive.read(tmp_path)
    with pytest.raises(ValueError, match="takes nothing"):
        archive.pull(account, store, adopt=True)
    with pytest.raises(ValueError, match="nothing is taken out"):
        archive.pull(account, store, deleted="delete")


def test_the_columns_stay_as_they_were_chosen(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    pulled(mail, Parquet(tmp_path, text=True, headers=["List-Id"]))
    assert kind_of(tmp_path) == "parquet"
    mail.fill("INBOX", 1)
    pulled(mail, store_at(tmp_path))  # type: ignore[arg-type]
    assert all(row["text"] for row in rows(tmp_path)[1:])
    mail.fill("INBOX", 1)
    pulled(mail, Parquet(tmp_path, body=True, text=False, headers=()))
    found = rows(tmp_path)
    assert [row["text"] is None for row in found] == [False, False, True]
    assert [row["body"] is None for row in found] == [True, True, False]
    assert archive.read(tmp_path, columns=["subject"]).schema.names == [
        *("account", "mailbox", "uid_validity", "uid", "subject", "changed")
    ]
    with pytest.raises(KeyError, match="nonsense"):
        archive.read(tmp_path, columns=["nonsense"])


@pytest.mark.parametrize("body", [True, False])
def test_damage_is_found_and_repaired(mail: Mail, tmp_path: Path, body: bool) -> None:
    of_mailboxes(mail)
    store = Parquet(tmp_path, body=body)
    pulled(mail, store)
    lost, changed, *_ = sorted(files(tmp_path), key=lambda path: path.stat().st_size)
    lost.unlink()
    octets = bytearray(changed.read_bytes())
    octets[20] ^= 1
    changed.write_bytes(octets)
    found = archive.verify(store)
    assert not found.good
    assert lost.name in str(found.differences)
    assert changed.name in str(found.differences)
    archive.verify(store, mail.account, repair=True)
    assert archive.verify(store, mail.account).good
    assert {name: uids(store, name) for name in ("INBOX", "a/b")} == {"INBOX": list(range(1, 27)), "a/b": [1, 2, 3]}


def test_a_manifest_that_is_put_anew_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store gives as many octets as the one before had."""
    manifest = Manifest("ann@example.org", "INBOX", 7, name="a.json")
    comes = [manifest.octets()[:100], manifest.octets()]
    monkeypatch.setattr(Files, "read", lambda files, name: comes.pop(0))
    assert read_manifest(Files(str(tmp_path)), "a.json") == manifest
    comes += [manifest.octets()[:100]] * 10
    with pytest.raises(archive.StoreError, match=r"a\.json is no manifest"):
        read_manifest(Files(str(tmp_path)), "a.json")


def test_a_budget_counts_what_all_runs_received(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 40)
    store = Parquet(tmp_path, body=True)
    first = archive.pull(mail.account, store, budget=10_000_000)
    assert first.complete
    mail.fill("INBOX", 1)
    report = archive.pull(mail.account, store, budget=first.octets)
    assert report.stopped == "the budget of 24 hours is used up"
    assert pulled(mail, store).written == 1


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket of a server that speaks S3's protocol, as an address."""
    server_module = pytest.importorskip("moto.server", reason="there is no moto for this Python")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        _, port = server.get_host_and_port()
        yield f"127.0.0.1:{port}"
    finally:
        server.stop()


def test_on_s3(mail: Mail, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fs = pytest.importorskip("pyarrow.fs")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    bucket = "mail-of-" + mail.user
    fs.S3FileSystem(
        access_key="x", secret_key="x", endpoint_override=s3, scheme="http", allow_bucket_creation=True
    ).create_dir(bucket)
    of_mailboxes(mail)
    where = f"s3://{bucket}/deep/mail?endpoint_override={s3}&scheme=http&region=us-east-1"
    store = pickle.loads(pickle.dumps(Parquet(where, body=True)))
    pulled(mail, store)
    mail.client.select("INBOX")
    mail.client.add_flags([2], "\\Flagged")
    mail.client.unselect()
    mail.expunge("INBOX", [1])
    mail.fill("INBOX", 1)
    report = pulled(mail, Parquet(where))
    assert (report.written, report.flags, report.store) == (1, 1, where)
    theirs = seen_by_a_client(mail)
    assert [(row["mailbox"], row["uid"], row["flags"], row["body"]) for row in rows(where)] == [
        (row["mailbox"], row["uid"], row["flags"], row["body"]) for row in theirs
    ]
    assert archive.verify(where, mail.account).good
    filesystem = fs.S3FileSystem(access_key="x", secret_key="x", endpoint_override=s3, scheme="http")
    assert archive.read(f"{bucket}/deep/mail", filesystem=filesystem).count_rows() == len(theirs)
    with pytest.raises(archive.StoreError, match="needs a directory on a disk"):
        archive.push(store, mail.account)


def test_another_store_is_no_parquet_store(mail: Mail, tmp_path: Path) -> None:
    """Nor is one written into by who names its directory alone."""
    mail.fill("INBOX", 2)
    archive.pull(mail.account, archive.Mbox(tmp_path / "mbox"))
    with pytest.raises(archive.StoreError, match="of kind mbox, not parquet"):
        archive.pull(mail.account, Parquet(tmp_path / "mbox"))
    archive.pull(mail.account, Parquet(tmp_path / "parquet"))
    before = sorted((tmp_path / "parquet").rglob("*"))
    report = archive.pull(mail.account, tmp_path / "parquet")
    assert (report.written, report.present) == (0, 2)
    assert sorted((tmp_path / "parquet").rglob("*")) == before


def test_text_that_is_kept_later_comes_with_html(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    pulled(mail, Parquet(tmp_path))
    mail.client.append("INBOX", b"Content-Type: text/html\r\n\r\n<p>help</p>\r\n")
    pulled(mail, Parquet(tmp_path, text=True))
    assert [(row["text"], row["html"]) for row in rows(tmp_path)] == [(None, None), ("", "<p>help</p>\n")]


def test_a_store_of_an_earlier_version_keeps_its_columns(mail: Mail, tmp_path: Path) -> None:
    """It has text, and no HTML of messages without: all its files are alike."""
    Parquet(tmp_path, text=True).make()
    marker = json.loads((tmp_path / "_fastimap" / "store.json").read_text())
    assert marker["columns"].pop("html") is True
    (tmp_path / "_fastimap" / "store.json").write_text(json.dumps(marker))
    mail.fill("INBOX", 3)
    pulled(mail, Parquet(tmp_path, text=True))
    mail.fill("INBOX", 2)
    pulled(mail, store_at(tmp_path))  # type: ignore[arg-type]
    assert "html" not in archive.read(tmp_path).schema.names
    assert archive.compact(tmp_path).files == 1
    assert archive.read(tmp_path).count_rows() == 5


@pytest.mark.slow
def test_what_could_not_be_had_is_tried_in_every_run(tmp_path: Path) -> None:
    with IMAPServer(users={"me": "secret"}) as server:
        for number in (1, 2, 3, 4):
            server.append("INBOX", message(number))

        def hears(line: bytes) -> bytes:
            if b"BODY" not in line:
                return line
            words = line.split(b" ")  # a tag, UID, FETCH, and the set
            words[3] = str(UIDSet(words[3].decode()) - UIDSet("2:3") or UIDSet(99)).encode()
            return b" ".join(words)

        with odd(server, hears=hears) as port:
            account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
            for _ in range(3):
                report = archive.pull(account, Parquet(tmp_path))
                assert list(report.mailboxes["INBOX"].parked) == [2, 3]
        account = Account("127.0.0.1", server.port, user="me", password="secret", tls=False, mechanism="PLAIN")
        assert archive.pull(account, Parquet(tmp_path)).complete
    assert uids(tmp_path) == [1, 2, 3, 4]


@pytest.mark.slow
def test_octets_that_the_store_does_not_have_are_not_said_to_be_compared(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    pulled(mail, Parquet(tmp_path, text=True))
    assert archive.verify(tmp_path, mail.account).notes == []
    notes = archive.verify(tmp_path, mail.account, octets=True).notes
    assert notes == ["INBOX: the store does not have 3 messages whole: no octets to compare"]
