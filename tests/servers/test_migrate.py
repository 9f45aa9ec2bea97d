"""What a migration from Dovecot makes at each of the servers: octets, flags, dates, names; the second run nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastimap import Account, Client, archive
from tests.archive.conftest import Mail, mail
from tests.servers.server import Server

__all__ = ["mail"]


def test_an_account_moves_there(mail: Mail, real_server: Server, tmp_path: Path) -> None:
    mail.fill("INBOX", 7, flags=("\\Seen", "$Forwarded"))
    mail.fill("Work/2024", 4, flags=("\\Flagged",), create=True)
    user = real_server.new_user()
    login: dict[str, Any] = {"user": user, "password": real_server.password, "mechanism": "LOGIN"}
    account = Account(real_server.host, real_server.port, **login, tls=False, timeout=20)
    mail.client.set_acl("Work/2024", "bob", "lr")
    mail.client.set_metadata("Work/2024", {"/private/comment": "mine"})
    report = archive.migrate(
        mail.account, account, state=tmp_path, names=("here", "there"), acl=True, metadata=True, connections=2
    )
    assert report.complete, report.as_dict()
    notes = "; ".join(report.mailboxes["Work/2024"].notes)
    assert (report.found, report.written) == (11, 11)
    ours = mail.all()
    with Client(account) as client:
        (name,) = [info.name for info in client.list_mailboxes() if "2024" in info.name]
        for source, there in (("INBOX", "INBOX"), ("Work/2024", name)):
            client.select(there, read_only=True)
            rows = client.fetch("1:*", "FLAGS", "INTERNALDATE", "BODY.PEEK[]")
            found = sorted(
                (
                    row.body,
                    tuple(sorted((row.flags or frozenset()) - {"\\Recent"})),
                    int(row.internal_date.timestamp()) if row.internal_date else 0,
                )
                for row in rows
            )
            assert found == sorted(each[1:] for each in ours[source])
        # What is beside the messages is there, or it is said that it is not.
        given = client.session.has("ACL") and "lr" in client.get_acl(name).rights.get("bob", "")
        assert given != ("rights of bob" in notes), notes
        noted = client.session.has("METADATA") and client.get_metadata(name, "/private/comment").entries
        assert bool(noted and noted["/private/comment"] == b"mine") != ("/private/comment" in notes), notes
    again = archive.migrate(mail.account, account, state=tmp_path, names=("here", "there"))
    assert (again.complete, again.written, again.present) == (True, 0, 11)
    # A ledger that was lost: what is there is found.
    lost = archive.migrate(mail.account, account, state=tmp_path / "new", names=("here", "there"))
    assert (lost.complete, lost.written, lost.present) == (True, 0, 11)


def test_mail_of_a_special_use_goes_where_that_is_there(mail: Mail, real_server: Server, tmp_path: Path) -> None:
    mail.fill("Trash", 3)
    user = real_server.new_user()
    login: dict[str, Any] = {"user": user, "password": real_server.password, "mechanism": "LOGIN"}
    account = Account(real_server.host, real_server.port, **login, tls=False, timeout=20)
    with Client(account) as client:
        marked = [info for info in client.list_mailboxes() if "\\Trash" in info.special_use]
        if marked and real_server.name.startswith("cyrus"):  # Dovecot's is marked by name
            client.rename_mailbox(marked[0], "Papierkorb")
        report = archive.migrate(mail.account, account, mailboxes=["\\Trash"], state=tmp_path, names=("here", "there"))
        assert (report.complete, report.written) == (True, 3), report.as_dict()
        holding = {
            info.name: client.mailbox_status(info, "MESSAGES").messages
            for info in client.list_mailboxes()
            if info.is_selectable
        }
    (name,) = [name for name, messages in holding.items() if messages]
    assert name in (["Papierkorb"] if real_server.name.startswith("cyrus") else ["Trash", "INBOX.Trash"])
