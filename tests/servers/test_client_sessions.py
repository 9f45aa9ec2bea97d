"""The typed client and the connections of real servers: from TLS and mechanisms to IDLE, NOTIFY and QRESYNC."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from fastimap import UIDSet
from fastimap import search as s
from fastimap.commands import Authenticate, EventGroup, MailboxFilter, QResync
from fastimap.commands.base import State
from fastimap.errors import AuthenticationFailed, CapabilityMissing, FastimapError, StateError, TLSError
from fastimap.model.message import FetchedMessage
from fastimap.sasl import Anonymous, NotOffered, OAuthError, Plain, ScramSHA256
from fastimap.types import Exists, ExpungeResponse, MailboxInfo, MailboxStatus, StatusResponse
from tests.servers.accounts import LETTERS, Account, fill, offered
from tests.servers.server import CERTIFIED_USER

MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]


def trusting(account: Account) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=account.server.ca_file)


@pytest.mark.parametrize("tls", [True, "starttls"], ids=["TLS", "STARTTLS"])
def test_tls(account_of_both: Account, tls: bool | str) -> None:
    client = account_of_both.client(tls=tls, ssl_context=trusting(account_of_both), mechanism=None)
    assert client.session.tls
    assert client.session.state is State.AUTHENTICATED
    uids = fill(client)
    client.select("INBOX")
    assert [row.body for row in client.fetch(uids, "BODY.PEEK[]")] == list(LETTERS)


@pytest.mark.parametrize("tls", [True, "starttls"], ids=["TLS", "STARTTLS"])
def test_a_certificate_that_nobody_vouches_for(account_of_both: Account, tls: bool | str) -> None:
    with pytest.raises(TLSError):
        account_of_both.client(tls=tls, mechanism=None)


@pytest.mark.parametrize("name", MECHANISMS)
def test_mechanisms(account: Account, name: str) -> None:
    tls: dict[str, Any] = {"tls": True, "ssl_context": trusting(account)}
    anybody = account.interface(account.server.host, account.server.tls_port, **tls)
    anybody.connect()
    # LOGIN is a command, too, and every server has that.
    if f"AUTH={name}" in anybody.capabilities or name == "LOGIN":
        client = account.client(mechanism=name, **tls)
        assert client.session.state is State.AUTHENTICATED
        assert client.select("INBOX").exists == 0
    else:
        with pytest.raises(FastimapError, match="does not offer"):
            account.client(mechanism=name, **tls)


@pytest.mark.parametrize("name", ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS", None])
def test_channel_binding(account: Account, name: str | None) -> None:
    """By tls-unique of TLS 1.2. To tls-server-end-point, the only one under TLS 1.3, Cyrus says NO; Dovecot panics."""
    context = trusting(account)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    tls: dict[str, Any] = {"tls": True, "ssl_context": context}
    anybody = account.interface(account.server.host, account.server.tls_port, **tls)
    anybody.connect()
    if f"AUTH={name or 'SCRAM-SHA-256-PLUS'}" in anybody.capabilities:
        # That the password is right is known to both sides only if both saw the same end of TLS (RFC 5802, section 6).
        assert account.client(mechanism=name, **tls).session.state is State.AUTHENTICATED
    elif name is not None:
        with pytest.raises(NotOffered, match=name):
            account.client(mechanism=name, **tls)


def test_initial_response(account: Account) -> None:
    """SASL-IR saves a round trip."""
    server = account.server
    client = account.interface(server.host, server.port, tls=False)
    client.connect()
    at_once = client.session.has("SASL-IR")
    before, commands = client.counters.round_trips, client.counters.commands
    client.authenticate(Plain(account.user, server.password))
    capabilities_asked = client.counters.commands - commands - 1  # of a server whose OK does not list them
    assert capabilities_asked in (0, 1)
    assert client.counters.round_trips - before == (1 if at_once else 2) + capabilities_asked
    assert client.session.state is State.AUTHENTICATED


@pytest.mark.parametrize(("name", "status"), [("OAUTHBEARER", "invalid_token"), ("XOAUTH2", "401"), (None, "")])
def test_access_tokens(account_of_both: Account, name: str | None, status: str) -> None:
    server = account_of_both.server
    tls: dict[str, Any] = {"tls": True, "ssl_context": trusting(account_of_both), "mechanism": name, "password": None}
    if server.token_key is None:
        with pytest.raises(NotOffered, match=name or "does not offer"):
            account_of_both.client(token="x", **tls)
        return
    asked = []

    def token() -> str:
        asked.append(name)
        return server.access_token(account_of_both.user)

    client = account_of_both.client(token=token, **tls)
    assert client.session.state is State.AUTHENTICATED
    assert client.select("INBOX").exists == 0
    client.reconnect()
    assert client.session.mailbox == "INBOX"
    assert len(asked) == 2
    if name is not None:
        with pytest.raises(AuthenticationFailed) as refused:
            account_of_both.client(token=server.access_token(account_of_both.user, seconds=-60), **tls)
        assert isinstance(refused.value.__cause__, OAuthError)
        assert refused.value.__cause__.status == status  # RFC 7628, section 3.2.2; Google's


def test_anonymous(account: Account) -> None:
    server = account.server
    client = account.interface(server.host, server.tls_port, ssl_context=trusting(account))
    client.connect()
    with offered(client, "AUTH=ANONYMOUS"):
        # A NO would be raised. Cyrus makes an INBOX for everybody who comes, and dies of an assertion at this one's: so
        # it is the command alone, without the ENABLE that the method goes on with.
        assert client.run(Authenticate(Anonymous("ann@example.org"))) is None
        assert server.name.startswith("cyrus") or client.session.state is State.AUTHENTICATED


def test_unauthenticated(account_of_both: Account) -> None:
    """Cyrus offers it to administrators alone: proxies serve one user after another so."""
    server, user = account_of_both.server, account_of_both.user
    uids = fill(account_of_both.client())
    if server.admin is None:
        client = account_of_both.client()
        with offered(client, "UNAUTHENTICATE"):
            client.unauthenticate()
        return
    client = account_of_both.client(user=server.admin[0])
    client.enable("CONDSTORE")
    client.unauthenticate()
    assert client.session.state is State.NOT_AUTHENTICATED
    assert client.session.enabled == frozenset()
    with pytest.raises(StateError):
        client.select("INBOX")
    # Without showing the password: Cyrus 3.10 says LOGINDISABLED from the first login on.
    client.authenticate(ScramSHA256(user, server.password))
    assert client.select("INBOX").exists == len(uids)
    assert [row.body for row in client.fetch(uids, "BODY.PEEK[]")] == list(LETTERS)


def test_without_tls_no_password_goes_out_by_itself(account: Account) -> None:
    anybody = account.interface(account.server.host, account.server.port, tls=False)
    anybody.connect()
    if "AUTH=SCRAM-SHA-256" in anybody.capabilities:
        assert account.client(mechanism=None).session.state is State.AUTHENTICATED
    else:
        with pytest.raises(FastimapError, match="TLS"):
            account.client(mechanism=None)


def test_certificate_of_the_client(account: Account) -> None:
    certificate = account.server.client_certificate
    context = trusting(account)
    if certificate is not None:
        context.load_cert_chain(certificate)
    client = account.interface(
        account.server.host, account.server.tls_port, user=CERTIFIED_USER, mechanism="EXTERNAL", ssl_context=context
    )
    if certificate is None:
        with pytest.raises(NotOffered, match="EXTERNAL"):
            client.connect()
        return
    client.connect()
    assert client.session.state is State.AUTHENTICATED


def test_wrong_password(account: Account) -> None:
    server = account.server
    with pytest.raises(AuthenticationFailed):
        account.interface(
            server.host, server.port, user=account.user, password="wrong", tls=False, mechanism="LOGIN"
        ).connect()


def test_compressed(account_of_both: Account) -> None:
    client = account_of_both.client()
    if not client.session.has("COMPRESS=DEFLATE"):
        with offered(client, "COMPRESS=DEFLATE"):
            client.compress()
        return
    client = account_of_both.client(compress=True)
    assert client.session.compressed
    large = LETTERS[0] + b"0123456789abcdef\r\n" * 60_000
    before = client.counters.octets_out
    uids = [*fill(client), client.append("INBOX", large).uid]
    assert client.counters.octets_out - before < len(large) / 10
    client.select("INBOX")
    before = client.counters.octets_in
    rows = list(client.fetch_iter(uids, "BODY.PEEK[]", "ENVELOPE", chunk=2))
    assert [row.body for row in rows] == [*LETTERS, large]
    assert client.counters.octets_in - before < len(large) / 10
    assert client.search(s.subject("apples")).uids == UIDSet(uids[2])
    client.store(uids[0], "\\Deleted")
    assert len(client.expunge()) == 1
    assert len(client.list_mailboxes()) == 3


def test_compressed_over_tls(account: Account) -> None:
    tls: dict[str, Any] = {"tls": True, "ssl_context": trusting(account), "mechanism": None}
    client = account.client(**tls)
    if client.session.has("COMPRESS=DEFLATE"):
        client.compress()
        (uid, *_) = fill(client)
        client.select("INBOX")
        assert client.fetch(uid, "BODY.PEEK[]")[0].body == LETTERS[0]


def test_id(account_of_both: Account) -> None:
    client = account_of_both.client()
    with offered(client, "ID"):
        fields = client.id({"name": "fastimap", "version": "1"})
        name = account_of_both.server.name.partition("-")[0]
        assert fields["name"].lower().startswith(name)
        assert client.session.server_id == dict(fields)
        assert account_of_both.client(client_id={"name": "fastimap"}).session.server_id["name"] == fields["name"]


def test_capability_and_noop(client: Any) -> None:
    assert client.capability() == client.capabilities
    assert "IMAP4REV1" in client.capabilities
    client.noop()


def test_rev2_is_switched_on_where_it_is_offered(client: Any) -> None:
    assert client.session.rev2 == ("IMAP4REV2" in client.capabilities)
    if client.session.rev2:
        assert "IMAP4REV2" in client.session.enabled
        assert client.select("INBOX").unseen is None
        assert client.session.utf8


def test_enable(client: Any) -> None:
    with offered(client, "ENABLE"):
        enabled = client.enable("CONDSTORE", "X-NOBODY-KNOWS")
        # Cyrus names again what was enabled before.
        assert enabled - {"IMAP4REV2"} == ({"CONDSTORE"} if client.session.has("CONDSTORE") else set())
        assert client.session.enabled >= enabled
        client.select("INBOX")
        with pytest.raises(StateError):
            client.enable("CONDSTORE")


def test_resynchronized(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    if not client.session.has("QRESYNC"):
        with offered(client, "QRESYNC"):
            client.select("INBOX", qresync=QResync(1, 1))
        return
    with pytest.raises(StateError):
        client.select("INBOX", qresync=QResync(1, 1))
    client.enable("QRESYNC")
    known = client.select("INBOX")
    assert known.highest_mod_sequence > 0
    client.unselect()

    other = account_of_both.client()
    other.select("INBOX")
    other.store(uids[0], "\\Deleted", silent=True)
    other.expunge()
    other.store(uids[1], "\\Draft", silent=True)
    new = other.append("INBOX", LETTERS[0]).uid

    resync = QResync(known.uid_validity, known.highest_mod_sequence, UIDSet(uids))
    again = client.select("INBOX", qresync=resync)
    assert again.vanished == UIDSet(uids[0])
    changed = {row.uid: row for row in again.changed}
    assert set(changed) >= {uids[1]}
    assert set(changed) <= {uids[1], new}
    assert "\\Draft" in changed[uids[1]].flags
    assert changed[uids[1]].mod_sequence > known.highest_mod_sequence
    assert again.exists == 4
    # What is left is about the server, such as its URLMECH, not about messages.
    assert all(isinstance(event, StatusResponse) for event in client.take_events())
    # Another mailbox, although one is selected: CLOSED comes in between.
    assert client.select("Drafts", condstore=True).exists == 0


def test_idle(account_of_both: Account) -> None:
    client = account_of_both.client()
    other = account_of_both.client()
    (uid, *_) = fill(client)
    client.select("INBOX")
    other.select("INBOX")
    client.take_events()
    events = client.idle(timeout=20)
    try:
        other.append("INBOX", LETTERS[0])
        assert Exists(5) in _until(events, lambda event: event == Exists(5))
        other.store(uid, "\\Draft", silent=True)
        row = _until(events, lambda event: "\\Draft" in (getattr(event, "flags", None) or ()))[-1]
        assert isinstance(row, FetchedMessage)
        assert row.sequence_number == 1
        other.store(uid, "\\Deleted", silent=True)
        other.expunge()
        assert ExpungeResponse(1) in _until(events, lambda event: event == ExpungeResponse(1))
    finally:
        events.close()
    assert client.mailbox_status(account_of_both.mailbox("Drafts"), "MESSAGES").messages == 0
    assert client.search(s.all_, returns=["COUNT"]).count == 4


def _until(events: Any, wanted: Any) -> list[Any]:
    """Return the events up to the first that is wanted."""
    seen = []
    for event in events:
        seen.append(event)
        if wanted(event):
            break
    return seen


def test_idle_ends_by_itself(client: Any) -> None:
    client.select("INBOX")
    client.take_events()
    assert list(client.idle(timeout=0.2)) == []
    assert client.search(s.all_).uids == UIDSet()


def test_notify(account_of_both: Account) -> None:
    client = account_of_both.client()
    group = EventGroup(MailboxFilter("personal"), ("MessageNew", "MessageExpunge", "MailboxName"))
    if not client.session.has("NOTIFY"):
        with offered(client, "NOTIFY"):
            client.notify(group)
        return
    client.select("INBOX")
    selected = EventGroup(MailboxFilter("selected"), ("MessageNew", "MessageExpunge"), items=("UID", "ENVELOPE"))
    status = client.notify(selected, group, status=True)
    assert {"Drafts", "Trash"} <= {found.name for found in status}
    other = account_of_both.client()
    other.append("INBOX", LETTERS[2])
    other.append("Drafts", LETTERS[0])
    other.create_mailbox("Made")
    told = _until_all(
        client.idle(timeout=20),
        # The data items that were asked for come with the new message (RFC 5465, section 5.2).
        lambda event: isinstance(event, FetchedMessage) and getattr(event.envelope, "subject", None) == "apples",
        lambda event: isinstance(event, MailboxStatus) and (event.name, event.messages) == ("Drafts", 1),
        lambda event: isinstance(event, MailboxInfo) and event.name == "Made",
    )
    assert Exists(1) in told
    client.notify_none()
    client.take_events()  # what came before that, and was left when the loop over idle() was
    other.append("Drafts", LETTERS[1])
    client.noop()
    assert not [event for event in client.take_events() if isinstance(event, MailboxStatus)]


def _until_all(events: Any, *wanted: Any) -> list[Any]:
    """Return the events up to where each kind that is wanted has come."""
    seen: list[Any] = []
    for event in events:
        seen.append(event)
        if all(any(map(kind, seen)) for kind in wanted):
            return seen
    raise AssertionError(f"not all came: {seen}")


def test_reconnect(account_of_both: Account) -> None:
    client = account_of_both.client()
    fill(client)
    client.select("INBOX", read_only=True)
    client.reconnect()
    assert client.session.mailbox == "INBOX"
    assert client.session.read_only
    assert len(client.fetch("1:*", "FLAGS")) == 4


def test_after_logout(client: Any) -> None:
    client.close()
    with pytest.raises(StateError):
        client.noop()


def test_progress_is_no_obstacle(client: Any) -> None:
    """INPROGRESS comes from long commands alone; that it is offered must not disturb (its octets: tests/decode)."""
    fill(client)
    client.select("INBOX")
    assert client.search(s.body("nothing"), returns=["COUNT"]).count == 2


def test_missing_capabilities_are_named(client: Any) -> None:
    with pytest.raises(CapabilityMissing) as refused:
        client.get_jmap_access()
    assert refused.value.capability == "JMAPACCESS"
    assert "JMAPACCESS" in str(refused.value)
