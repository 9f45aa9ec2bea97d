"""Mail that mbsync, OfflineIMAP or somebody else has pulled is matched, not fetched again."""

from __future__ import annotations

import mailbox
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fastimap import archive
from fastimap.archive.adopt import Adoption
from tests.archive.conftest import Mail, message, stored

needs_mbsync = pytest.mark.skipif(shutil.which("mbsync") is None, reason="there is no mbsync (Debian: isync)")


def mbsync(mail: Mail, home: Path, root: Path, style: str, inbox: str, state: str) -> None:
    """Pull all with mbsync."""
    root.mkdir(exist_ok=True)
    path = f"Path {root}/\n" if style == "Verbatim" else ""
    config = home / "mbsyncrc"
    config.write_text(
        f"IMAPAccount it\nHost {mail.server.host}\nPort {mail.server.port}\nUser {mail.user}\n"
        f"Pass {mail.server.password}\nSSLType None\nAuthMechs LOGIN\n\n"
        f"IMAPStore far\nAccount it\n\nMaildirStore near\n{path}Inbox {root}/{inbox}\nSubFolders {style}\n\n"
        f"Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync Pull\nSyncState {state}\n"
    )
    command = ["mbsync", "-c", str(config), "-a"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"HOME": str(home)})
    assert ended.returncode == 0, ended


def fetched(report: archive.Report) -> tuple[int, int]:
    """Return how many messages were fetched, and how many adopted."""
    return report.written, sum(each.adopted for each in report.mailboxes.values())


DOUBTS = 4
"""Of what `fill` appends: three with one Message-ID and one size, and one without a Message-ID."""


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
        assert fetched(report) == (2, count)
    else:
        assert fetched(report) == (2 + DOUBTS, count - DOUBTS)
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
    assert fetched(report) == (DOUBTS, count - DOUBTS)
    assert stored(tmp_path / "Mail") == mail.all()


@pytest.mark.parametrize("kind", ["maildir", "sqlite"])
def test_from_another_directory_which_stays_as_it_is(mail: Mail, tmp_path: Path, kind: str) -> None:
    fill(mail)
    offlineimap(mail, tmp_path / "Mail")
    names = sorted(str(file) for file in (tmp_path / "Mail").rglob("*"))
    store: Any = archive.Maildir(tmp_path / "new") if kind == "maildir" else archive.SQLite(tmp_path / "new")
    report = archive.pull(mail.account, store, adopt=tmp_path / "Mail")
    assert report.complete
    assert report.written == DOUBTS
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


def test_a_run_that_did_not_end_is_gone_on_with(mail: Mail, tmp_path: Path) -> None:
    fill(mail)
    offlineimap(mail, tmp_path / "Mail")
    count = sum(map(len, mail.all().values()))
    stops = iter([False] * 3)
    report = archive.pull(mail.account, tmp_path / "Mail", adopt=True, stopping=lambda: next(stops, True))
    assert report.stopped
    report = archive.pull(mail.account, tmp_path / "Mail")
    assert report.complete
    assert 0 < sum(fetched(report)) < count
    assert stored(tmp_path / "Mail") == mail.all()
    files = [file for file in (tmp_path / "Mail").rglob("cur/*") if file.is_file()]
    assert len(files) == count


def test_of_two_directories_that_fit_none_is_taken(tmp_path: Path, mail: Mail) -> None:
    for name in ("a/b/cur", "a.b/cur"):
        (tmp_path / name).mkdir(parents=True)
    mail.fill("a/b", 0, create=True)
    (info,) = (info for info in mail.client.list_mailboxes() if info.name == "a/b")
    assert Adoption(tmp_path).mailbox(info) is None
