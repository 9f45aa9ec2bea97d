"""Programs that keep a copy of an account's mail."""

from __future__ import annotations

import asyncio
import mailbox
import os
import subprocess
import sys
from pathlib import Path

from fastimap import archive
from tests.archive.conftest import Mail, mail, stored

__all__ = ["mail"]


def test_the_program(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 12, flags=("\\Seen",))
    mail.fill("Work/Projects", 5, create=True)

    report = archive.pull(mail.account, tmp_path)

    assert report.complete
    assert (report.found, report.written, report.present) == (17, 17, 0)
    assert stored(tmp_path) == mail.all()
    new = mail.fill("INBOX", 1)
    again = archive.pull(mail.account, tmp_path)
    assert (again.found, again.written, again.present) == (18, 1, 17)
    maildir = mailbox.Maildir(str(tmp_path / "INBOX"))
    assert sorted(message.get_flags() for message in maildir) == ["", *["S"] * 12]
    assert new[0] in [path.read_bytes() for path in (tmp_path / "INBOX/cur").iterdir()]


def test_the_command(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    environment = os.environ | {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    command = [sys.executable, "-m", "fastimap", "pull", mail.url, str(tmp_path / "Mail")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("complete: 3 found = 3 written + 0 there; ")
    assert stored(tmp_path / "Mail") == mail.all()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("complete: 3 found = 0 written + 3 there; ")


def test_the_same_awaited(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    seen: list[archive.Progress] = []
    report = asyncio.run(archive.aio.pull(mail.account, tmp_path, mailboxes=["INBOX"], progress=seen.append))
    assert report.complete
    assert stored(tmp_path) == {"INBOX": mail.all()["INBOX"]}
    assert seen[-1].done == 3
