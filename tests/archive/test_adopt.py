"""Mail that mbsync, OfflineIMAP or somebody else has pulled is matched, not fetched again."""

from __future__ import annotations

import mailbox
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastimap import archive
from fastimap.archive import foreign
from fastimap.archive.stores import store_at
from tests.archive.conftest import Mail, message, stored
from tests.cli.conftest import Run, run
from tests.support import PROJECT

__all__ = ["run"]

needs_mbsync = pytest.mark.skipif(shutil.which("mbsync") is None, reason="there is no mbsync (Debian: isync)")


def mbsync(
    mail: Mail,
    home: Path,
    root: Path,
    style: str,
    inbox: str,
    state: str,
    *,
    sync: str = "Pull",
    flatten: str = "",
    more: str = "",
    fails: bool = False,
) -> str:
    """Pull all with mbsync, or synchronise; return what it says."""
    root.mkdir(exist_ok=True)
    path = f"Path {root}/\n" if style != "Maildir++" else ""
    config = home / "mbsyncrc"
    config.write_text(
        f"IMAPAccount it\nHost {mail.server.host}\nPort {mail.server.port}\nUser {mail.user}\n"
        f"Pass {mail.server.password}\nSSLType None\nAuthMechs LOGIN\n\n"
        f"IMAPStore far\nAccount it\n\nMaildirStore near\n{path}Inbox {root}/{inbox}\nSubFolders {style}\n{flatten}\n\n"
        f"Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync {sync}\nSyncState {state}\n{more}"
    )
    command = ["mbsync", "-c", str(config), "-a"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"HOME": str(home)})
    assert (ended.returncode != 0) == fails, ended
    return ended.stderr


def fetched(report: archive.Report) -> tuple[int, int]:
    """Return how many messages were fetched, and how many adopted."""
    return report.written, sum(each.adopted for each in report.mailboxes.values())


def message_of(name: str | None, body: str, *, subject: str = "s", more: str = "") -> bytes:
    """Return a message with a Message-ID, or without."""
    named = "" if name is None else f"Message-ID: <{name}>\r\n"
    return f"From: a@example.org\r\nSubject: {subject}\r\n{more}{named}\r\n{body}\r\n".encode()


def delivered(path: Path, octets: bytes) -> Path:
    """Write a message as other programs do."""
    for part in ("cur", "new", "tmp"):
        (path.parents[1] / part).mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets.replace(b"\r\n", b"\n"))
    return path


def by_offlineimap(root: Path, folder: str, uid: int, octets: bytes, flags: str = "S") -> Path:
    """Write a message as OfflineIMAP does: the name has the server's UID."""
    return delivered(root / folder / "cur" / f"1600000000_{uid}.7.box,U={uid},FMD5={'0' * 32}:2,{flags}", octets)


def left(root: Path) -> list[str]:
    """Return the messages below a directory that are not fastimap's."""
    files = [file for file in root.rglob("*") if file.parent.name in ("cur", "new") and not file.is_dir()]
    return sorted(str(file.relative_to(root)) for file in files if ".fastimap," not in file.name)


def is_exact(mail: Mail, root: Path) -> bool:
    """Whether a store has what the server has, and no other program's file is beside it."""
    return stored(root) == mail.all() and left(root) == []


NAMELESS = 1
"""Of what `fill` appends, without a Message-ID: always fetched;"""
TWINS = 2
"""equal in all octets: only UIDs say which is which."""


def fill(mail: Mail) -> None:
    mail.fill("INBOX", 12, flags=("\\Seen",))
    mail.expunge("INBOX", [1, 4])  # so that mbsync's own UIDs are not the server's
    mail.fill("Lists", 1, create=True)
    mail.fill("Lists/größe", 5, create=True)
    twins = b"Message-ID: <twin@example.org>\r\nSubject: one\r\n\r\nHi\r\n"
    for text in (twins, twins, twins.replace(b"one", b"two"), b"Subject: no name\r\n\r\nHi\r\n"):
        mail.client.append("INBOX", text)


@needs_mbsync
@pytest.mark.parametrize("state", ["*", "elsewhere"])
@pytest.mark.parametrize(("style", "inbox"), [("Verbatim", "INBOX"), ("Maildir++", "")])
def test_mbsync(mail: Mail, tmp_path: Path, style: str, inbox: str, state: str) -> None:
    fill(mail)
    root = tmp_path / "Mail"
    mbsync(mail, tmp_path, root, style, inbox, "*" if state == "*" else f"{tmp_path}/states/")
    before = sum(1 for file in root.rglob("cur/*"))
    before += sum(1 for file in root.rglob("new/*"))
    everything = mail.all()
    count = sum(map(len, everything.values()))
    assert before == count
    mail.fill("INBOX", 2)
    report = archive.pull(mail.account, root, adopt=True)
    assert report.complete
    if state == "*":
        assert fetched(report) == (2 + NAMELESS, count - NAMELESS)
    else:
        assert fetched(report) == (2 + NAMELESS + TWINS, count - NAMELESS - TWINS)
    ours, theirs = stored(root), mail.all()
    assert {name: sorted(set(ours[name]) ^ set(theirs[name])) for name in theirs if ours[name] != theirs[name]} == {}
    files = [file for part in ("cur", "new") for file in root.rglob(f"{part}/*")]
    left = [file for file in files if ".fastimap," not in file.name]
    assert len(files) - len(left) == count + 2
    assert left == []
    assert archive.verify(root, mail.account, octets=True).good
    assert archive.pull(mail.account, root).written == 0


def offlineimap(mail: Mail, root: Path) -> None:
    """Write what OfflineIMAP does: names with the server's UID, line ends of Unix, levels with dots."""
    root.mkdir()
    for name, messages in mail.all().items():
        made = mailbox.Maildir(root / name.replace("/", "."), create=True)
        for uid, octets, flags, date in messages:
            key = made.add(octets.replace(b"\r\n", b"\n"))
            file = next((root / name.replace("/", ".")).glob(f"*/{key}*"))
            letters = "S" if "\\Seen" in flags else ""
            file.rename(file.parents[1] / "cur" / f"{date}_0.{uid}.host,U={uid},FMD5={'0' * 32}:2,{letters}")


def test_offlineimap(mail: Mail, tmp_path: Path) -> None:
    fill(mail)
    offlineimap(mail, tmp_path / "Mail")
    count = sum(map(len, mail.all().values()))
    report = archive.pull(mail.account, tmp_path / "Mail", adopt=True)
    assert report.complete
    assert fetched(report) == (NAMELESS, count - NAMELESS)
    assert stored(tmp_path / "Mail") == mail.all()
    assert left(tmp_path / "Mail") == []


def test_what_is_learnt_of_a_directory_is_learnt_once(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each of 100,000 messages would cost a look at all of them."""
    fill(mail)
    offlineimap(mail, tmp_path / "Mail")
    learnt: list[str] = []
    believe = foreign.Folder._believe

    def noting(folder: foreign.Folder) -> None:
        learnt.append(folder.path)
        believe(folder)

    monkeypatch.setattr(foreign.Folder, "_believe", noting)
    assert archive.pull(mail.account, tmp_path / "Mail", adopt=True).complete
    assert sorted(learnt) == sorted({*learnt})
    assert len(learnt) == 3


@pytest.mark.parametrize("kind", ["maildir", "sqlite"])
def test_from_another_directory_which_stays_as_it_is(mail: Mail, tmp_path: Path, kind: str) -> None:
    fill(mail)
    offlineimap(mail, tmp_path / "Mail")
    names = sorted(str(file) for file in (tmp_path / "Mail").rglob("*"))
    store: Any = archive.Maildir(tmp_path / "new") if kind == "maildir" else archive.SQLite(tmp_path / "new")
    report = archive.pull(mail.account, store, adopt=tmp_path / "Mail")
    assert report.complete
    assert report.written == NAMELESS
    assert sorted(str(file) for file in (tmp_path / "Mail").rglob("*")) == names
    assert stored(tmp_path / "new") == mail.all()


def test_uids_that_mean_other_messages_are_not_believed(mail: Mail, tmp_path: Path) -> None:
    first, second = mail.fill("INBOX", 2)
    cur = tmp_path / "Mail" / "INBOX" / "cur"
    cur.mkdir(parents=True)
    (cur / "1.host,U=1:2,").write_bytes(second)
    (cur / "2.host,U=2:2,").write_bytes(message(99999))
    report = archive.pull(mail.account, tmp_path / "Mail", adopt=True)
    assert report.complete
    assert fetched(report) == (1, 1)
    assert stored(tmp_path / "Mail") == mail.all()
    assert [file.name for file in cur.iterdir() if "fastimap" not in file.name] == ["2.host,U=2:2,"]
    assert first in [octets for _, octets, *_ in stored(tmp_path / "Mail")["INBOX"]]


# Which file is which message.


def test_a_draft_that_was_changed_is_not_taken_for_the_one_before(mail: Mail, tmp_path: Path) -> None:
    before, after = message_of("d@x", "one text"), message_of("d@x", "the text")
    mail.client.append("Drafts", before, flags=("\\Draft",))
    mail.client.append("Drafts", after, flags=("\\Draft",))
    mail.expunge("Drafts", [1])
    file = by_offlineimap(tmp_path, "Drafts", 1, before, "D")
    plain = delivered(tmp_path / "plain" / "Drafts" / "cur" / "1.box:2,D", before)
    for root in (tmp_path, tmp_path / "plain"):
        assert archive.pull(mail.account, root, adopt=True).complete
        assert stored(root)["Drafts"] == mail.all()["Drafts"]
    assert file.exists()
    assert plain.exists()


def test_a_draft_elsewhere_is_known_by_its_flag(mail: Mail, tmp_path: Path) -> None:
    before, after = message_of("d@x", "one text"), message_of("d@x", "the text")
    mail.client.append("INBOX", after, flags=("\\Draft",))
    delivered(tmp_path / "INBOX" / "cur" / "1.box:2,D", before)
    assert archive.pull(mail.account, tmp_path, adopt=True).written == 1
    assert stored(tmp_path) == mail.all()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (message_of("t@x", "Hi", subject="AAA"), message_of("t@x", "Hi", subject="BBB")),
        (
            message_of("t@x", "Hi", more="Delivered-To: ann@x\r\n"),
            message_of("t@x", "Hi", more="Delivered-To: bob@x\r\n"),
        ),
        (message_of("t@x", "one"), message_of("t@x", "two")),
        (message_of(None, "one"), message_of(None, "two")),
    ],
    ids=["Subject", "Delivered-To", "the text", "the text, and no Message-ID"],
)
@pytest.mark.parametrize("name", ["1.box:2,S", "1.box,U=2:2,S", f"1.box,U=2,FMD5={'0' * 32}:2,S"])
def test_of_two_with_one_message_id_and_size_each_gets_its_own_octets(
    mail: Mail, tmp_path: Path, first: bytes, second: bytes, name: str
) -> None:
    mail.client.append("INBOX", first)
    mail.client.append("INBOX", second)
    delivered(tmp_path / "INBOX" / "cur" / name, second)
    assert archive.pull(mail.account, tmp_path, adopt=True).complete
    assert is_exact(mail, tmp_path)


def test_two_twins_of_which_one_is_beyond_the_limit(mail: Mail, tmp_path: Path) -> None:
    first, second = message_of("t@x", "one"), message_of("t@x", "two")
    mail.client.append("INBOX", first)
    mail.client.append("INBOX", second)
    delivered(tmp_path / "INBOX" / "cur" / "1.box:2,", first)
    assert archive.pull(mail.account, tmp_path, adopt=True, limit=1).written == 1
    assert archive.pull(mail.account, tmp_path).complete
    assert is_exact(mail, tmp_path)


@needs_mbsync
def test_a_file_that_is_another_message_by_mbsyncs_state_is_not_given_away(mail: Mail, tmp_path: Path) -> None:
    first, second = message_of("t@x", "one"), message_of("t@x", "two")
    mail.client.append("INBOX", first)
    mail.client.append("INBOX", second)
    root = tmp_path / "Mail"
    mbsync(mail, tmp_path, root, "Verbatim", "INBOX", "*")
    next(root.glob("INBOX/*/*,U=1*")).unlink()
    assert fetched(archive.pull(mail.account, root, adopt=True)) == (1, 1)
    assert is_exact(mail, root)


@needs_mbsync
def test_a_file_that_a_reader_moved_in_keeps_a_uid_that_it_has_not(mail: Mail, tmp_path: Path) -> None:
    mail.client.create_mailbox("Old")
    for number in range(3):
        mail.client.append("INBOX", message_of(None, f"cron run {number}"))
        mail.client.append("Old", message_of(None, f"cron old {number}"))
    root = tmp_path / "Mail"
    mbsync(mail, tmp_path, root, "Verbatim", "INBOX", "*")
    next(root.glob("INBOX/*/*,U=2*")).unlink()
    moved = next(root.glob("Old/*/*,U=2*"))
    moved.rename(root / "INBOX" / "cur" / f"{moved.name.partition(':')[0]}:2,S")
    assert archive.pull(mail.account, root, adopt=True).complete
    assert stored(root) == mail.all()


@needs_mbsync
@pytest.mark.parametrize("change", ["renumbered", "doubled"])
def test_uids_of_mbsync_that_mean_others_by_now(mail: Mail, tmp_path: Path, change: str) -> None:
    texts = [message_of("t@x", text) for text in ("one", "two", "six")]
    for text in texts:
        mail.client.append("INBOX", text)
    root = tmp_path / "Mail"
    mbsync(mail, tmp_path, root, "Verbatim", "INBOX", "*")
    files = sorted(root.glob("INBOX/*/*,U=*"), key=lambda file: int(file.name.partition("U=")[2].partition(":")[0]))
    if change == "renumbered":  # as mbsync does that lost its .uidvalidity
        for file, octets in zip(files, reversed([file.read_bytes() for file in files]), strict=True):
            file.write_bytes(octets)
        (root / "INBOX" / ".uidvalidity").write_text("99999\n3\n")
    else:
        number = files[0].name.partition(":")[0].rpartition("=")[2]
        files[1].rename(files[1].with_name(f"1.box,U={number}:2,"))
    assert archive.pull(mail.account, root, adopt=True).complete
    assert is_exact(mail, root)


@pytest.mark.slow
@needs_mbsync
def test_what_mbsync_uploaded_is_adopted_here_and_elsewhere(mail: Mail, tmp_path: Path) -> None:
    mail.client.create_mailbox("Sent")
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
        mbsync(mail, home, home / "Mail", "Verbatim", "INBOX", "*", sync="All")
        if home == homes[0]:
            for number in range(5):
                delivered(home / "Mail" / "Sent" / "cur" / f"16000000{number}.box:2,S", message_of(f"{number}@x", "Hi"))
            mbsync(mail, home, home / "Mail", "Verbatim", "INBOX", "*", sync="All")
    assert b"X-TUID: " in mail.all()["Sent"][0][1]
    for home in homes:
        assert fetched(archive.pull(mail.account, home / "Mail", adopt=True)) == (0, 5)
        assert is_exact(mail, home / "Mail")


def test_octets_that_others_keep_in_another_way_are_the_servers_in_the_end(mail: Mail, tmp_path: Path) -> None:
    for octets in (
        b"Message-ID: <nobody@x>\r\n\r\n",
        b"Message-ID: <no end of the header@x>\r\nSubject: x\r\n",
        b"Message-ID: <no end of the line@x>",
        b"a line that is no field\r\nMessage-ID: <broken@x>\r\n\r\nHi\r\n",
        b"Message-ID:\r\n <folded@x>\r\n\r\nHi\r\n",
        b"\r\nno header\r\nMessage-ID: <body@x>\r\n\r\nHi\r\n",
        b"X-TUID: 123456789012\r\nMessage-ID: <tuid@x>\r\n\r\nHi\r\n",
        b"Message-ID: <bare@x>\r\n\r\na\rb\r\nc\r\r\n",
    ):
        mail.client.append("INBOX", octets)
    for uid, octets, *_ in mail.all()["INBOX"]:
        by_offlineimap(tmp_path / "one", "INBOX", uid, octets)
        file = by_offlineimap(tmp_path / "two", "INBOX", uid, b"")
        file.write_bytes(octets.replace(b"\r", b""))  # as mbsync does
    for root in (tmp_path / "one", tmp_path / "two"):
        report = archive.pull(mail.account, root, adopt=True)
        assert report.complete
        assert report.written <= 2
        assert is_exact(mail, root)


# Runs that end early, or are about less than all.


@pytest.mark.slow
@pytest.mark.parametrize("after", range(2, 9))
@pytest.mark.parametrize("way", ["plain", "symlink", "moved"])
def test_a_run_that_did_not_end_is_gone_on_with(mail: Mail, tmp_path: Path, after: int, way: str) -> None:
    mail.fill("A/b", 250, create=True)
    mail.fill("INBOX", 3)
    root = tmp_path / "Mail"
    offlineimap(mail, root)
    stops = iter([False] * after)
    assert archive.pull(mail.account, root, adopt=True, stopping=lambda: next(stops, True)).stopped
    other = root if way == "plain" else tmp_path / "other"
    if way == "symlink":
        other.symlink_to(root)
    elif way == "moved":
        root.rename(other)
    report = archive.pull(mail.account, other)
    assert report.complete
    assert report.written == 0
    assert is_exact(mail, other)


def test_an_adoption_goes_on_until_a_run_was_about_all(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 4)
    mail.fill("A/b", 6, create=True)
    offlineimap(mail, tmp_path / "Mail")
    for options in ({"mailboxes": ["INBOX"], "limit": 2}, {"limit": 3}, {"exclude": ["A/b"]}, {}):
        assert archive.pull(mail.account, tmp_path / "Mail", adopt="limit" in options, **options).written == 0
    assert is_exact(mail, tmp_path / "Mail")
    mail.fill("INBOX", 1)
    delivered(tmp_path / "Mail" / "INBOX" / "cur" / "1.box:2,", mail.all()["INBOX"][-1][1])
    assert archive.pull(mail.account, tmp_path / "Mail").written == 1  # it is over


KILLED = """
import os, signal, sys
from fastimap import Account, archive
from fastimap.archive import foreign
from fastimap.archive.stores import store_at
from fastimap.archive.copies import Copies
from fastimap.archive.state import State
from fastimap.archive.stores import store_at

port, user, password, root, kind, moment = sys.argv[1:]
moments = {"written": (State, "note_taken_over"), "committed": (Copies, "take_away"), "gone": (foreign, "take_away")}
owner, name = moments[moment]
method = getattr(owner, name)

def killed(*arguments):
    if moment == "committed" and not arguments[0]._state.taken_over():
        return
    method(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

def before(*arguments):
    if arguments[0]._state.taken_over():
        os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, before if moment == "committed" else killed)
account = Account("127.0.0.1", int(port), user=user, password=password, tls=False, mechanism="LOGIN")
archive.pull(account, store_at(root, kind), adopt=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
@pytest.mark.parametrize("kind", ["maildir", "eml", "mbox", "jsonl", "sqlite"])
@pytest.mark.parametrize("moment", ["written", "committed", "gone"])
@pytest.mark.parametrize("nameless", [False, True])
def test_a_killed_run_loses_nothing_and_doubles_nothing(
    mail: Mail, tmp_path: Path, kind: str, moment: str, nameless: bool
) -> None:
    for number in range(5):
        mail.client.append("INBOX", message_of(None if nameless else f"{number}@x", f"PRECIOUS{number}"))
    root = tmp_path / "Mail"
    offlineimap(mail, root)
    account = mail.account
    arguments = [f"{account.port}", mail.user, mail.server.password, str(root), kind, moment]
    command = [sys.executable, "-c", KILLED, *arguments]
    ended = subprocess.run(command, check=False, env=os.environ | {"PYTHONPATH": str(PROJECT / "src")}, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    expunged = mail.all()["INBOX"][1]
    mail.expunge("INBOX", [2])
    assert archive.pull(account, root).complete
    assert stored(root) == mail.all()
    kept = [octets for _, octets, *_ in stored(root, gone=True).get("INBOX", [])]
    of_others = [(root / name).read_bytes() for name in left(root)]
    assert kept + of_others in ([expunged[1]], [expunged[1].replace(b"\r\n", b"\n")])
    assert archive.verify(root, account, octets=True).good


# Directories.


@needs_mbsync
@pytest.mark.parametrize(
    ("style", "inbox", "flatten"),
    [
        ("Legacy", "INBOX", ""),
        ("Maildir++", "INBOX", ""),
        ("Verbatim", "Inbox", ""),
        ("Verbatim", "INBOX", "Flatten ."),
    ],
)
def test_directories_of_each_style(mail: Mail, tmp_path: Path, style: str, inbox: str, flatten: str) -> None:
    fill(mail)
    mail.fill("INBOX/sub", 1, create=True)
    count = sum(map(len, mail.all().values()))
    root = tmp_path / "Mail"
    mbsync(mail, tmp_path, root, style, inbox, "*", flatten=flatten)
    assert fetched(archive.pull(mail.account, root, adopt=True)) == (NAMELESS, count - NAMELESS)
    assert is_exact(mail, root)


def test_several_directories_of_one_mailbox_are_taken_together(mail: Mail, tmp_path: Path) -> None:
    mail.fill("a/b", 6, create=True)
    mail.fill("INBOX", 2)
    for (uid, octets, *_), folder in zip(
        mail.all()["a/b"], ("a.b", ".a.b", "a/b", "a/.b", "INBOX.a.b", "INBOX/.a.b"), strict=True
    ):
        by_offlineimap(tmp_path, folder, uid, octets)
    for (uid, octets, *_), folder in zip(mail.all()["INBOX"], ("Inbox", "."), strict=True):
        by_offlineimap(tmp_path, folder, uid, octets)
    assert fetched(archive.pull(mail.account, tmp_path, adopt=True)) == (0, 8)
    assert is_exact(mail, tmp_path)


def test_where_no_directory_fits_nothing_is_done(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)
    root = tmp_path / "Mail"
    for uid, octets, *_ in mail.all()["INBOX"]:
        by_offlineimap(root / "work", "INBOX", uid, octets)
    for dry_run in (True, False):
        with pytest.raises(archive.StoreError, match=rf"has mail in work/INBOX, .*: give {root / 'work'}$"):
            archive.pull(mail.account, root, adopt=True, dry_run=dry_run)
    with pytest.raises(archive.StoreError, match="no such mailbox"):
        archive.pull(mail.account, tmp_path / "store", adopt=root)
    with pytest.raises(archive.StoreError, match="another program"):  # no store was made there
        archive.pull(mail.account, root)
    assert archive.pull(mail.account, tmp_path / "store").complete  # nor is it kept what to adopt
    assert archive.pull(mail.account, root / "work", adopt=True).adopted == 2


def test_directories_that_fit_no_mailbox_are_named(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    by_offlineimap(tmp_path, "INBOX", 1, mail.all()["INBOX"][0][1])
    by_offlineimap(tmp_path, "2019.old", 1, message(77))
    report = archive.pull(mail.account, tmp_path, adopt=True, mailboxes=["INBOX"])
    assert report.notes == []
    report = archive.pull(mail.account, tmp_path)
    assert report.complete
    assert report.notes == [f"adopt: no mailbox fits 2019.old in {tmp_path}: what is there stays as it is"]
    assert archive.pull(mail.account, tmp_path, adopt=True).complete  # again, with a store


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_directories_that_cannot_be_read_are_named(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    by_offlineimap(tmp_path, "INBOX", 1, mail.all()["INBOX"][0][1])
    (tmp_path / "closed" / "cur").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    report = archive.pull(mail.account, tmp_path, adopt=True)
    (tmp_path / "closed").chmod(0o700)
    assert "can't be read: Permission denied" in report.notes[0]


def test_symbolic_links_are_followed(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)
    mail.fill("a/b", 2, create=True)
    root, elsewhere = tmp_path / "Mail", tmp_path / "elsewhere"
    offlineimap(mail, root)
    shutil.move(root / "a.b", elsewhere / "ab")
    (root / "a.b").symlink_to(elsewhere / "ab")
    (root / "again").symlink_to(root)
    (root / "itself").symlink_to("itself")
    file = next((root / "INBOX" / "cur").iterdir())
    file.rename(elsewhere / "message")
    file.symlink_to(elsewhere / "message")
    assert fetched(archive.pull(mail.account, root, adopt=True)) == (0, 4)
    assert stored(root) == mail.all()
    assert (elsewhere / "message").exists()
    assert list((elsewhere / "ab" / "cur").iterdir()) == []


# Others that work there meanwhile.


class Reader:
    """Renames all messages of a folder when a run has read so many of them."""

    def __init__(self, folder: Path, after: int) -> None:
        self.folder = folder
        self.left = after
        self.listings = 0

    def opens(self) -> None:
        self.left -= 1
        if not self.left:
            for part in ("new", "cur"):
                for file in list((self.folder / part).iterdir()):
                    if ".fastimap," not in file.name:
                        file.rename(self.folder / "cur" / f"{file.name.partition(':2,')[0]}:2,RS")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["new", "cur"])
@pytest.mark.parametrize("moment", ["read", "taken away"])
def test_a_reader_that_opens_a_folder_meanwhile_doubles_nothing(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, moment: str
) -> None:
    mail.fill("INBOX", 210)
    for uid, octets, *_ in mail.all()["INBOX"]:
        name = f"1_{uid}.box,U={uid},FMD5={'0' * 32}" + (":2," if part == "cur" else "")
        delivered(tmp_path / "INBOX" / part / name, octets)
    reader = Reader(tmp_path / "INBOX", 50 if moment == "read" else 1)
    read, take_away, listed = foreign.Folder.read, foreign.take_away, foreign._listed

    def reading(folder: foreign.Folder, file: foreign.ForeignFile) -> bytes | None:
        reader.opens()
        return read(folder, file)

    def taking(root: Path, paths: Any) -> None:
        reader.opens()
        take_away(root, paths)

    def listing(path: str) -> Any:
        reader.listings += 1
        return listed(path)

    if moment == "read":
        monkeypatch.setattr(foreign.Folder, "read", reading)
    else:
        monkeypatch.setattr(foreign, "take_away", taking)
    monkeypatch.setattr(foreign, "_listed", listing)
    report = archive.pull(mail.account, tmp_path, adopt=True)
    assert fetched(report) == (0, 210)
    assert is_exact(mail, tmp_path)
    assert reader.listings < 20


@pytest.mark.parametrize("seen", [0, 2])
def test_a_file_that_is_renamed_while_its_directory_is_listed(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: int
) -> None:
    """It may be listed under its new name, the old one, both or neither (POSIX, readdir)."""
    mail.fill("INBOX", 3)
    offlineimap(mail, tmp_path / "Mail")
    inbox = tmp_path / "Mail" / "INBOX"
    listed, begin = foreign._listed, foreign.Folder.__init__
    opened: list[str] = []

    def opening(folder: foreign.Folder, directory: foreign.Directory) -> None:
        opened.append(directory.path)
        begin(folder, directory)

    def listing(path: str) -> Any:
        names = list(listed(path))
        if opened == [str(inbox)]:
            opened.clear()
            (inbox / names[0]).rename(inbox / f"{names[0]}RS")
            names[:1] = [names[0], f"{names[0]}RS"][:seen]
        return iter(names)

    monkeypatch.setattr(foreign.Folder, "__init__", opening)
    monkeypatch.setattr(foreign, "_listed", listing)
    assert fetched(archive.pull(mail.account, tmp_path / "Mail", adopt=True)) == (0, 3)
    assert is_exact(mail, tmp_path / "Mail")


@needs_mbsync
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["maildir", "mbox"])
@pytest.mark.parametrize("expunged", [True, False])
@pytest.mark.parametrize("state", ["*", "elsewhere"])
def test_mbsync_that_runs_once_more_changes_nothing(
    mail: Mail, tmp_path: Path, kind: str, expunged: bool, state: str
) -> None:
    mail.fill("INBOX", 30, flags=("\\Seen",))
    mail.fill("Größe", 25, create=True, flags=("\\Seen",))
    if expunged:
        mail.expunge("INBOX", [1, 2, 5])
    root = tmp_path / "Mail"
    states = "*" if state == "*" else f"{tmp_path}/states/"
    both = "Expunge Both\n"
    mbsync(mail, tmp_path, root, "Verbatim", "INBOX", states, sync="All", more=both)
    before = mail.all()
    store = archive.Maildir(root) if kind == "maildir" else archive.Mbox(root)
    assert archive.pull(mail.account, store, adopt=True).written == 0
    said = mbsync(mail, tmp_path, root, "Verbatim", "INBOX", states, sync="All", more=both, fails=True)
    assert "cannot be opened" in said
    assert mail.all() == before
    assert is_exact(mail, root)
    assert archive.verify(root, mail.account, octets=True).good
    assert (root / "INBOX" / ".uidvalidity.before-fastimap").read_text().split()[0].isdecimal()


# What is said, and what is no directory to adopt.


def test_what_makes_no_sense_is_refused(mail: Mail, tmp_path: Path) -> None:
    by_offlineimap(tmp_path / "Mail", "INBOX", 1, message(1))
    for wrong in (None, 0, 1, b"Mail"):
        with pytest.raises(TypeError, match="adopt is True, False or a directory, not"):
            archive.pull(mail.account, tmp_path / "store", adopt=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name the directory"):
        archive.pull(mail.account, tmp_path / "store", adopt="")
    with pytest.raises(ValueError, match="is no directory"):
        archive.pull(mail.account, tmp_path / "store", adopt=tmp_path / "nothing")
    (tmp_path / "empty" / "INBOX" / "cur").mkdir(parents=True)
    for where in (True, tmp_path / "empty"):
        with pytest.raises(ValueError, match=r"empty has no mail of another program"):
            archive.pull(mail.account, tmp_path / "empty", adopt=where)
    assert archive.pull(mail.account, tmp_path / "ours").complete
    with pytest.raises(ValueError, match=r"ours has no mail of another program"):
        archive.pull(mail.account, tmp_path / "store", adopt=tmp_path / "ours")
    assert not (tmp_path / "store").exists()
    assert archive.pull(mail.account, tmp_path / "ours", adopt=True).complete


@pytest.mark.slow
def test_the_command_line(mail: Mail, tmp_path: Path, run: Run) -> None:
    mail.fill("INBOX", 3)
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xf6il"))
    offlineimap(mail, root)
    by_offlineimap(root, "INBOX", 9, message(99))
    environment = {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    for arguments, said in (
        (("--adopt", "--adopt-from", "x", "URL", "y"), "not allowed with"),
        (("--adopt-from", "", "URL", str(tmp_path / "x")), "is not a text"),
        (("--adopt", "URL", "s3://x/y"), "takes nothing that other programs have pulled"),
    ):
        ended = run("pull", *[mail.url if each == "URL" else each for each in arguments], **environment)
        assert ended.returncode == 2
        assert said in ended.stderr
    ended = run("pull", "--adopt", mail.url, str(root), **environment)
    assert ended.returncode == 0
    assert "3 found = 0 written + 3 there" in ended.stdout
    assert "; 3 adopted" in ended.stdout
    assert "1 message in" in ended.stderr
    assert "was not recognised as the server's, and stays as it is" in ended.stderr


@pytest.mark.parametrize("kind", ["eml", "mbox", "jsonl", "sqlite"])
def test_a_maildir_becomes_a_store_of_another_format(mail: Mail, tmp_path: Path, kind: str) -> None:
    mail.fill("INBOX", 3)
    offlineimap(mail, tmp_path / "Mail")
    store = store_at(tmp_path / "Mail", kind)
    report = archive.pull(mail.account, store, adopt=True, dry_run=True)
    assert fetched(report) == (0, 3)
    report = archive.pull(mail.account, store, adopt=True)
    assert fetched(report) == (0, 3)
    assert is_exact(mail, tmp_path / "Mail")
