"""Every command, driven by the standard library's imaplib."""

import imaplib
from datetime import UTC, datetime

import pytest

from fastimap.testing import IMAPServer
from tests.testing.reading import line

MESSAGE = b"From: a@example.org\r\nSubject: one\r\n\r\nbody\r\n"


def opened(server: IMAPServer) -> imaplib.IMAP4:
    return imaplib.IMAP4(server.host, server.port, timeout=10)


def fill(server: IMAPServer, count: int, mailbox: str = "INBOX") -> None:
    for number in range(count):
        server.append(mailbox, b"Subject: %d\r\n\r\nbody\r\n" % number)


def listed(client: imaplib.IMAP4, pattern: str = "*", command: str = "list") -> list[bytes | None]:
    client.untagged_responses.clear()
    lines: list[bytes | None] = getattr(client, command)('""', pattern)[1]
    return lines


def test_greeting_capability_and_logout(server: IMAPServer) -> None:
    client = opened(server)
    assert client.welcome.startswith(b"* OK [CAPABILITY IMAP4rev1 ")
    assert {"IMAP4REV1", "LITERAL+", "UIDPLUS", "MOVE", "IDLE", "AUTH=PLAIN"} <= set(client.capabilities)
    assert "STARTTLS" not in client.capabilities
    assert client.logout()[0] == "BYE"


def test_login(server: IMAPServer) -> None:
    server.add_user("jörg", 'pass "word"')
    with opened(server) as client:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login("user", "wrong")
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login("nobody", "password")
        assert client.login("user", "password")[0] == "OK"
        assert b"AUTH=PLAIN" not in client.capability()[1][0]
    with opened(server) as client:
        client._encoding = "utf-8"  # type: ignore[attr-defined]
        assert client.login('"jörg"', 'pass "word"')[0] == "OK"


def test_authenticate_plain(server: IMAPServer) -> None:
    with opened(server) as client:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate("PLAIN", lambda challenge: b"\0user\0wrong")
        with pytest.raises(imaplib.IMAP4.error, match="AUTHORIZATIONFAILED"):
            client.authenticate("PLAIN", lambda challenge: b"other\0user\0password")
        with pytest.raises(imaplib.IMAP4.error, match="response of PLAIN"):
            client.authenticate("PLAIN", lambda challenge: b"password")
        with pytest.raises(imaplib.IMAP4.error, match="Cancelled"):
            client.authenticate("PLAIN", lambda challenge: None)
        with pytest.raises(imaplib.IMAP4.error, match="CANNOT"):
            client.authenticate("X-UNHEARD-OF", lambda challenge: b"")
        assert client.authenticate("PLAIN", lambda challenge: b"user\0user\0password")[0] == "OK"


def test_id_enable_namespace(client: imaplib.IMAP4) -> None:
    imaplib.Commands.setdefault("ID", ("NONAUTH", "AUTH", "SELECTED"))
    client._simple_command("ID", '("name" "test" "version" NIL)')
    assert b'"name" "fastimap.testing"' in client.response("ID")[1][0]
    client._simple_command("ID", "NIL")
    client._simple_command("ENABLE", "CONDSTORE")
    assert client.response("ENABLED")[1] == [b""]
    assert client.namespace() == ("OK", [b'(("" "/")) NIL NIL'])


def test_select_tells_the_state_of_the_mailbox(server: IMAPServer, client: imaplib.IMAP4) -> None:
    server.append("INBOX", MESSAGE, ["\\Seen", "$Label"])
    server.append("INBOX", MESSAGE)
    assert client.select("inbox") == ("OK", [b"2"])
    assert client.response("RECENT")[1] == [b"2"]
    assert client.response("UIDNEXT")[1] == [b"3"]
    assert client.response("UIDVALIDITY")[1][0].isdigit()
    assert b"[UNSEEN 2]" in b" ".join(map(line, client.untagged_responses["OK"]))
    assert b"$Label" in client.response("FLAGS")[1][0]
    assert b"\\*" in client.response("PERMANENTFLAGS")[1][0]


def test_recent_is_claimed_by_select_and_not_by_examine(server: IMAPServer, client: imaplib.IMAP4) -> None:
    server.append("INBOX", MESSAGE)
    for readonly, recent in ((True, b"1"), (False, b"1"), (False, b"0")):
        client.select(readonly=readonly)
        assert client.response("RECENT")[1] == [recent]


def test_select_of_a_missing_mailbox_leaves_none_selected(client: imaplib.IMAP4) -> None:
    client.select()
    assert client.select("missing") == ("NO", [b"[NONEXISTENT] No mailbox of that name"])
    assert client.state == "AUTH"
    client.state = "SELECTED"
    with pytest.raises(imaplib.IMAP4.error, match="CHECK can't be given in this state"):
        client.check()


def test_examine_changes_nothing(server: IMAPServer, client: imaplib.IMAP4) -> None:
    server.append("INBOX", MESSAGE, ["\\Deleted"])
    client.select(readonly=True)
    client.fetch("1", "(BODY[])")
    assert client.expunge()[0] == "NO"
    assert client._simple_command("STORE", "1", "FLAGS", "(\\Seen)")[0] == "NO"
    client.close()
    assert [message.flags for message in server.messages("INBOX")] == [{"\\Deleted"}]


def test_create_delete_rename_list(client: imaplib.IMAP4) -> None:
    assert client.create("Work/2024/")[0] == "OK"
    assert client.create("Work/2024")[1] == [b"[ALREADYEXISTS] There is a mailbox of that name"]
    assert client.create("inbox")[0] == "NO"
    assert client.create('"a%b"')[0] == client.create('"a//b"')[0] == client.create('""')[0] == "NO"
    assert listed(client) == [
        b'(\\HasNoChildren) "/" INBOX',
        b'(\\Noselect \\HasChildren) "/" Work',
        b'(\\HasNoChildren) "/" Work/2024',
    ]
    assert client.rename("Work", "Archive")[0] == "OK"
    assert client.rename("Missing", "Other")[0] == "NO"
    assert client.rename("Archive", "Archive/below")[0] == "NO"
    assert client.rename("Archive/2024", "INBOX")[0] == "NO"
    client.create("Old/2023")
    assert client.rename("Archive", "Old")[0] == "NO"
    assert client.delete("Archive")[0] == "NO"
    assert client.delete("Archive/2024")[0] == "OK"
    assert client.delete("INBOX")[1] == [b"[CANNOT] INBOX can't be deleted"]
    assert listed(client, "Old/*") == [b'(\\HasNoChildren) "/" Old/2023']


def test_a_mailbox_made_again_has_another_uidvalidity(client: imaplib.IMAP4) -> None:
    seen = set()
    for _ in range(2):
        client.create("Again")
        seen.add(client.status("Again", "(UIDVALIDITY)")[1][0])
        client.delete("Again")
    assert len(seen) == 2


def test_rename_of_inbox_moves_its_messages(server: IMAPServer, client: imaplib.IMAP4) -> None:
    fill(server, 3)
    assert client.rename("INBOX", "Moved")[0] == "OK"
    assert server.messages("INBOX") == []
    assert [message.uid for message in server.messages("Moved")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["INBOX", "a", "a/b", "a/b/c", "d"]),
        ("%", ["INBOX", "a", "d"]),
        ("a/%", ["a/b"]),
        ("a*c", ["a/b/c"]),
        ("inb%", []),
        ("inbox", ["INBOX"]),
        ("%/%", ["a/b"]),
        ("*%*", ["INBOX", "a", "a/b", "a/b/c", "d"]),
        ('"d"', ["d"]),
        ("a.b", []),
    ],
)
def test_wildcards_of_list(client: imaplib.IMAP4, pattern: str, names: list[str]) -> None:
    for name in ("a", "a/b/c", "d"):
        client.create(name)
    found = [name.decode().split('"/" ')[1] for name in filter(None, listed(client, pattern))]
    assert found == names


def test_list_with_a_reference_and_the_root(client: imaplib.IMAP4) -> None:
    client.create("a/b")
    assert client.list("a/", "%")[1] == [b'(\\HasNoChildren) "/" a/b']
    client.untagged_responses.clear()
    assert client.list('""', '""')[1] == [b'(\\Noselect) "/" ""']


def test_subscriptions(client: imaplib.IMAP4) -> None:
    client.subscribe("a/b")
    client.subscribe("inbox")
    assert listed(client, "*", "lsub") == [b'() "/" INBOX', b'() "/" a/b']
    assert listed(client, "%", "lsub") == [b'() "/" INBOX', b'(\\Noselect) "/" a']
    client.unsubscribe("a/b")
    assert listed(client, "*", "lsub") == [b'() "/" INBOX']


def test_mailbox_names_are_modified_utf7_on_the_wire(server: IMAPServer, client: imaplib.IMAP4) -> None:
    # The example of RFC 3501, section 5.1.3.
    assert client.create('"~peter/mail/&U,BTFw-/&ZeVnLIqe-"')[0] == "OK"
    server.append("~peter/mail/台北/日本語", MESSAGE)
    assert b'"/" ~peter/mail/&U,BTFw-/&ZeVnLIqe-' in line(listed(client, "*")[-1])
    server.create('a "quoted" name')
    assert b'"a \\"quoted\\" name"' in b" ".join(filter(None, listed(client)))
    with pytest.raises(imaplib.IMAP4.error, match="not modified UTF-7"):
        client.create("&broken")


def test_status(server: IMAPServer, client: imaplib.IMAP4) -> None:
    server.append("INBOX", MESSAGE, ["\\Seen"])
    server.append("INBOX", MESSAGE)
    items = "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)"
    assert client.status("inbox", items)[1] == [b"INBOX (MESSAGES 2 RECENT 2 UIDNEXT 3 UIDVALIDITY 1 UNSEEN 1)"]
    assert client.status("missing", items)[0] == "NO"
    with pytest.raises(imaplib.IMAP4.error, match="STATUS has no item"):
        client.status("INBOX", "(NONSENSE)")


def test_append(server: IMAPServer, client: imaplib.IMAP4) -> None:
    octets = bytes(range(256)) * 40 + b"\r\n"
    sent = octets.replace(b"\r", b"").replace(b"\n", b"")
    typ, data = client.append("INBOX", "(\\flagged $Label)", '" 7-Feb-1994 21:52:25 -0800"', sent)
    assert (typ, data) == ("OK", [b"[APPENDUID 1 1] APPEND completed"])
    (message,) = server.messages("INBOX")
    assert message.octets == sent
    assert message.flags == {"\\Flagged", "$Label"}
    assert message.internal_date == datetime(1994, 2, 8, 5, 52, 25, tzinfo=UTC)
    client.select()
    assert b'INTERNALDATE " 7-Feb-1994 21:52:25 -0800"' in line(client.fetch("1", "INTERNALDATE")[1][0])
    typ, data = client.append("missing", None, None, MESSAGE)
    assert (typ, data[0][:11]) == ("NO", b"[TRYCREATE]")
    assert client.append("INBOX", None, None, b"")[0] == "NO"
    with pytest.raises(imaplib.IMAP4.error, match="Recent is not a flag"):
        client.append("INBOX", "(\\Recent)", None, MESSAGE)
    with pytest.raises(imaplib.IMAP4.error, match="No such date"):
        client.append("INBOX", None, '"31-Feb-1994 21:52:25 -0800"', MESSAGE)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("FLAGS", {"$New"}),
        ("+FLAGS", {"\\Seen", "$Old", "$New"}),
        ("-FLAGS", {"\\Seen", "$Old"}),
        ("FLAGS.SILENT", {"$New"}),
    ],
)
def test_store(server: IMAPServer, client: imaplib.IMAP4, how: str, expected: set[str]) -> None:
    server.append("INBOX", MESSAGE, ["\\Seen", "$Old"])
    client.select()
    typ, data = client.store("1", how, "($New)")
    assert typ == "OK"
    assert server.messages("INBOX")[0].flags == expected
    if how.endswith(".SILENT"):
        assert data == [None]
    else:
        told = set(data[0].decode().partition("(FLAGS (")[2].rstrip(")").split())
        assert told == expected | {"\\Recent"}


def test_store_without_parentheses_and_by_uid(server: IMAPServer, client: imaplib.IMAP4) -> None:
    fill(server, 2)
    server.expunge("INBOX", [1])
    client.select()
    assert client.uid("STORE", "2", "+FLAGS", r"\Seen \Deleted")[1] == [b"1 (UID 2 FLAGS (\\Deleted \\Recent \\Seen))"]
    assert client.uid("STORE", "1", "+FLAGS", "\\Seen") == ("OK", [None])


def test_expunge_tells_shifting_sequence_numbers(server: IMAPServer, client: imaplib.IMAP4) -> None:
    fill(server, 5)
    client.select()
    client.store("2:4", "+FLAGS.SILENT", "\\Deleted")
    assert client.expunge() == ("OK", [b"2", b"2", b"2"])
    assert [message.uid for message in server.messages("INBOX")] == [1, 5]


def test_uid_expunge_takes_only_the_named(server: IMAPServer, client: imaplib.IMAP4) -> None:
    fill(server, 4)
    client.select()
    client.store("1:3", "+FLAGS.SILENT", "\\Deleted")
    client.uid("EXPUNGE", "2:4")
    assert client.response("EXPUNGE")[1] == [b"2", b"2"]
    assert [message.uid for message in server.messages("INBOX")] == [1, 4]


def test_close_expunges_and_unselect_does_not(server: IMAPServer, client: imaplib.IMAP4) -> None:
    fill(server, 2)
    client.select()
    client.store("1", "+FLAGS.SILENT", "\\Deleted")
    assert client.unselect()[0] == "OK"
    assert len(server.messages("INBOX")) == 2
    client.select()
    assert client.check()[0] == "OK"
    assert client.close()[0] == "OK"
    assert "EXPUNGE" not in client.untagged_responses
    assert [message.uid for message in server.messages("INBOX")] == [2]


def test_copy(server: IMAPServer, client: imaplib.IMAP4) -> None:
    fill(server, 4)
    server.set_flags("INBOX", 2, ["\\Seen"])
    client.select()
    client.create("Copies")
    assert client.copy("1:2,4", "Copies") == ("OK", [b"[COPYUID 2 1:2,4 1:3] COPY completed"])
    assert [(message.octets, message.flags) for message in server.messages("Copies")] == [
        (b"Subject: 0\r\n\r\nbody\r\n", frozenset()),
        (b"Subject: 1\r\n\r\nbody\r\n", frozenset({"\\Seen"})),
        (b"Subject: 3\r\n\r\nbody\r\n", frozenset()),
    ]
    typ, data = client.copy("1", "Missing")
    assert (typ, data[0][:11]) == ("NO", b"[TRYCREATE]")
    assert client.uid("COPY", "77", "Copies") == ("OK", [None])


def test_move(server: IMAPServer, client: imaplib.IMAP4) -> None:
    imaplib.Commands.setdefault("MOVE", ("SELECTED",))
    fill(server, 3)
    client.select()
    client.create("Target")
    client.uid("MOVE", "1,3", "Target")
    assert client.response("COPYUID")[1] == [b"2 1,3 1:2"]
    assert client.response("EXPUNGE")[1] == [b"1", b"2"]
    assert client._simple_command("MOVE", "1", "Target") == ("OK", [b"MOVE completed"])
    assert server.messages("INBOX") == []
    assert len(server.messages("Target")) == 3
    assert client.uid("MOVE", "9", "Target") == ("OK", [None])


def test_sequence_sets(server: IMAPServer, client: imaplib.IMAP4) -> None:
    fill(server, 6)
    server.expunge("INBOX", [2, 6])
    client.select()

    def uids(command: str, numbers: str) -> list[int]:
        fetch = client.fetch if command == "FETCH" else lambda *args: client.uid("FETCH", *args)
        data = fetch(numbers, "(UID)")[1]
        return [int(line(piece).partition(b"(UID ")[2].rstrip(b")")) for piece in data if piece]

    assert uids("FETCH", "*") == uids("FETCH", "4") == [5]
    assert uids("FETCH", "4:2,1") == uids("FETCH", "1:*") == [1, 3, 4, 5]
    assert uids("UID", "2:4") == [3, 4]
    assert uids("UID", "100:*") == [5]
    assert uids("UID", "2,6,100") == []
    for wrong in ("5", "0", "1:5", "4294967296", "1:", "x"):
        with pytest.raises(imaplib.IMAP4.error, match="BAD"):
            client.fetch(wrong, "(UID)")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("FETCH", ("1",)),
        ("FETCH", ("1", "(NONSENSE)")),
        ("FETCH", ("1", "(BODY[NONSENSE])")),
        ("FETCH", ("1", "(BODY[MIME])")),
        ("FETCH", ("1", "(BODY[0])")),
        ("FETCH", ("1", "(BODY[]<0.0>)")),
        ("FETCH", ("1", "()")),
        ("STORE", ("1", "FLAGS", "(\\Nonsense)")),
        ("STORE", ("1", "FLAG", "(\\Seen)")),
        ("SEARCH", ("NONSENSE",)),
        ("SEARCH", ("(ALL",)),
        ("SEARCH", ("ON", "31-Feb-2024")),
        ("SEARCH", ("ON", "1-Foo-2024")),
        ("SEARCH", ("SUBJECT",)),
        ("SEARCH", ("NOT " * 200 + "ALL",)),
        ("COPY", ("1",)),
        ("EXPUNGE", ("1",)),
        ("APPEND", ("INBOX", '" 7-Foo-1994 21:52:25 -0800"', "x")),
        ("LIST", ('""',)),
        ("STATUS", ("INBOX", "()")),
    ],
)
def test_what_is_not_in_the_grammar_is_answered_bad(
    server: IMAPServer, client: imaplib.IMAP4, command: str, arguments: tuple[str, ...]
) -> None:
    fill(server, 1)
    client.select()
    with pytest.raises(imaplib.IMAP4.error, match="BAD"):
        client._simple_command(command, *arguments)
    assert client.noop()[0] == "OK"
