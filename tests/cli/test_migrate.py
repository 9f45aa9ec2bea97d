"""``fastimap push`` and ``fastimap migrate`` as their user meets them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fastimap import Client
from tests.archive.conftest import Mail, mail
from tests.archive.test_migrate import kept, other
from tests.cli.conftest import Ended, Run, complaints

__all__ = ["mail", "other"]

Moved = Callable[..., Ended]


@pytest.fixture
def moved(run: Run, mail: Mail, tmp_path: Path) -> Moved:
    """A function that runs a command of fastimap's with both passwords in the environment."""

    def call(*arguments: str, **variables: str) -> Ended:
        given = {"FASTIMAP_PASSWORD": "secret", "FASTIMAP_TO_PASSWORD": "secret", "XDG_STATE_HOME": str(tmp_path)}
        return run(*arguments, **given | {"SSL_CERT_FILE": str(mail.server.ca_file)} | variables)

    return call


def test_migrate(moved: Moved, mail: Mail, other: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3, flags=("\\Seen",))
    mail.fill("Work", 2, create=True)
    ended = moved("migrate", mail.url, other.url, "--dry-run")
    assert (ended.returncode, kept(other)["INBOX"]) == (0, [])
    assert "would send 5 of 5 messages" in ended.stdout
    assert "Work would be made" in ended.stderr
    ended = moved("migrate", mail.url, other.url)
    assert (ended.returncode, complaints(ended.stderr)) == (0, "")
    assert ended.stdout.startswith("complete: 5 found = 5 sent + 0 there; ")
    assert kept(other) == kept(mail)
    authorities = ("--ca", str(mail.server.ca_file), "--to-ca", str(other.server.ca_file))
    again = moved("migrate", mail.url, other.url, "--json", *authorities, SSL_CERT_FILE=os.devnull)
    *_, summary = map(json.loads, again.stdout.splitlines())
    assert (summary["complete"], summary["written"], summary["present"], summary["code"]) == (True, 0, 5, 0)
    refused = moved("migrate", mail.url, other.url, *authorities[:2], SSL_CERT_FILE=os.devnull)
    assert refused.returncode == 10
    assert "--to-ca FILE (of the destination)" in refused.stderr
    (ledger,) = (tmp_path / "fastimap").glob("migrate-*/ledger.sqlite")
    assert os.name == "nt" or ledger.stat().st_mode & 0o77 == 0  # it names mailboxes


def test_push(moved: Moved, mail: Mail, other: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3, flags=("\\Seen",))
    assert moved("pull", mail.url, str(tmp_path / "Mail")).returncode == 0
    ended = moved("push", str(tmp_path / "Mail"), other.url, "--rename", "INBOX=Old/Inbox")
    assert (ended.returncode, ended.stderr) == (0, "INBOX: 3 found = 3 sent + 0 there; into Old/Inbox\n")
    assert kept(other)["Old/Inbox"] == kept(mail)["INBOX"]


def test_the_password_of_one_account_never_goes_to_the_other(run: Run, mail: Mail, other: Mail) -> None:
    certificate = str(mail.server.ca_file)
    ended = run("migrate", mail.url, other.url, FASTIMAP_PASSWORD="secret", SSL_CERT_FILE=certificate)
    assert ended.returncode == 2
    assert "no password of" in ended.stderr
    assert "FASTIMAP_TO_PASSWORD" in ended.stderr


def test_refused_credentials(moved: Moved, mail: Mail, other: Mail) -> None:
    ended = moved("migrate", mail.url, other.url, FASTIMAP_TO_PASSWORD="wrong")
    assert ended.returncode == 12
    assert "secret" not in ended.stdout + ended.stderr


def test_a_full_destination_and_mistakes(moved: Moved, mail: Mail, other: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    ended = moved("migrate", mail.url, other.url, "--budget", "1")
    assert ended.returncode == 13
    assert "go on at" in ended.stderr
    assert moved("migrate", mail.url, mail.url).returncode == 2
    assert moved("push", str(tmp_path / "nothing"), other.url).returncode == 2
    assert moved("migrate", mail.url, other.url, "--rename", "Work").returncode == 2
    assert moved("migrate", mail.url, other.url, "-a", "work").returncode == 2


def test_what_is_parked_is_said(moved: Moved, mail: Mail, other: Mail) -> None:
    """No mailbox of that name can be made: the others are done, and it is said."""
    mail.fill("INBOX", 1)
    ended = moved("migrate", mail.url, other.url, "--rename", "Drafts=a//b")
    with Client(other.server.host, other.server.port, user=other.user, password="secret", tls=False) as client:
        assert client.mailbox_status("INBOX").messages == 1
    assert ended.returncode == 3
    assert "Drafts: " in ended.stderr


def test_beside_the_messages(moved: Moved, mail: Mail, other: Mail) -> None:
    mail.client.set_acl("INBOX", "bob", "lr")
    mail.client.set_metadata("INBOX", {"/private/comment": "mine"})
    ended = moved("migrate", mail.url, other.url, "--acl", "--metadata", "--dry-run")
    assert "rights of bob: lr would be given" in ended.stderr
    assert "annotation /private/comment would be set" in ended.stderr
    ended = moved("migrate", mail.url, other.url, "--acl", "--metadata", "--connections", "2")
    assert ended.returncode == 0
    assert set(other.client.get_acl("INBOX").rights["bob"]) == {"l", "r"}
    assert other.client.get_metadata("INBOX", "/private/comment").entries["/private/comment"] == b"mine"
