"""The typed client and what real servers find: SEARCH and its extensions, SORT, THREAD, searches of many mailboxes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from fastimap import SAVED, SequenceSet, UIDSet
from fastimap import search as s
from fastimap.commands import MailboxFilter
from fastimap.errors import CapabilityMissing
from tests.servers.accounts import LETTERS, Account, fill, offered
from tests.servers.cyrus import Cyrus


@pytest.fixture
def uids(client: Any) -> list[int]:
    """The UIDs of LETTERS in the INBOX, which is selected."""
    found = fill(client)
    client.select("INBOX")
    return found


def indexes(uids: list[int], found: Any) -> list[int]:
    """Return which of LETTERS were found, counted from 1."""
    return [uids.index(uid) + 1 for uid in found]


KEYS = [
    (s.all_, [1, 2, 3, 4]),
    (s.seen, [1, 2]),
    (s.unseen & ~s.answered, [3]),
    (s.flagged | s.answered, [2, 4]),
    (s.keyword("project"), [4]),
    (~s.keyword("project") & s.unseen, [3]),
    (s.from_("bob"), [2]),
    (s.from_("ann@") | s.from_("cy@") | s.from_("nobody@"), [1, 3]),
    (s.subject("PLAN"), [1, 2, 4]),
    (s.subject("plan") & ~s.subject("re:"), [1]),
    (s.to("ann") & s.body("nothing"), [1, 2]),
    (s.text("apples"), [3]),
    (s.body("Köln"), [3]),
    (s.header("Message-ID", "<4@example.org>"), [4]),
    (s.header("In-Reply-To"), [2, 4]),
    (s.larger(2000), [4]),
    (s.smaller(2000), [1, 2, 3]),
    (s.before(date(2026, 2, 1)), [3]),
    (s.on(date(2026, 2, 3)), [2]),
    (s.since(date(2026, 2, 3)), [2, 4]),
    (s.sent_before(date(2026, 2, 3)), [1, 3]),
    (s.sent_on(date(2026, 2, 4)), [4]),
    (s.sent_since(date(2026, 2, 3)), [2, 4]),
    (s.sequence("2:3"), [2, 3]),
    (s.all_of([s.seen, ~s.flagged]), [1]),
    (s.any_of([s.draft, s.deleted]), []),
]


def test_keys(uids: list[int], client: Any) -> None:
    for key, expected in KEYS:
        found = client.search(key)
        assert indexes(uids, found.uids) == expected, key
    assert indexes(uids, client.search(s.uid(uids[1:3])).uids) == [2, 3]
    assert client.search(s.seen, sequence=True).numbers == SequenceSet("1:2")


def test_both_interfaces(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    client.select("INBOX")
    assert client.search(s.unseen & s.body("Köln")).uids == UIDSet(uids[2])
    with client.pipeline() as pipeline:
        pending = [pipeline.search(key) for key, _ in KEYS[:8]]
    assert [indexes(uids, p.result().uids) for p in pending] == [expected for _, expected in KEYS[:8]]


def test_text_once_utf8_is_on(client: Any) -> None:
    """A charset must not be named then (RFC 6855, section 3), but where the grammar has it: SORT and THREAD."""
    uids = fill(client)
    if client.session.has("UTF8=ACCEPT"):
        client.enable("UTF8=ACCEPT")
        client.select("INBOX")
        assert client.search(s.body("Köln")).uids == UIDSet(uids[2])
        assert client.search(s.body("Köln" * 100)).uids == UIDSet()
        assert client.search(s.subject('"ä\\')).uids == UIDSet()
        assert client.sort(["DATE"], s.body("Köln")).numbers == (uids[2],)
        assert [thread.number for thread in client.thread("REFERENCES", s.body("Köln"))] == [uids[2]]


def test_extremes_and_numbers(uids: list[int], client: Any) -> None:
    """ESEARCH where there is; where there is none the client works it out."""
    found = client.search(s.subject("plan"), returns=["MIN", "MAX", "COUNT", "ALL"])
    assert (found.min, found.max, found.count) == (uids[0], uids[3], 3)
    assert found.uids == UIDSet([uids[0], uids[1], uids[3]])
    alone = client.search(s.subject("plan"), returns=["COUNT"])
    assert (alone.count, alone.min, alone.max, len(alone.uids)) == (3, None, None, 0)
    nothing = client.search(s.draft, returns=["MIN", "MAX", "COUNT", "ALL"])
    assert (nothing.min, nothing.max, nothing.count, len(nothing)) == (None, None, 0, 0)


def test_saved_result(uids: list[int], client: Any) -> None:
    with offered(client, "SEARCHRES"):
        found = client.search(s.subject("plan"), returns=["SAVE", "COUNT"])
        assert found.count == 3
        assert [row.uid for row in client.fetch(SAVED, "FLAGS")] == [uids[0], uids[1], uids[3]]
        assert client.search(s.saved & s.seen).uids == UIDSet(uids[:2])
        client.store(SAVED, "\\Draft", silent=True)
        assert client.search(s.draft).uids == UIDSet([uids[0], uids[1], uids[3]])
        client.copy(SAVED, "Drafts")
        assert client.mailbox_status("Drafts", "MESSAGES").messages == 3


def test_within(uids: list[int], client: Any) -> None:
    with offered(client, "WITHIN"):
        assert client.search(s.younger(3600) & s.larger(1)).uids == UIDSet()
        new = client.append("INBOX", LETTERS[0]).uid
        client.noop()
        assert client.search(s.younger(timedelta(hours=1))).uids == UIDSet(new)
        assert client.search(s.older(timedelta(hours=1))).uids == UIDSet(uids)


def test_mod_sequences(uids: list[int], client: Any) -> None:
    with offered(client, "CONDSTORE"):
        latest = max(row.mod_sequence for row in client.fetch(uids, "MODSEQ"))
        client.store(uids[1], "\\Draft", silent=True)
        found = client.search(s.mod_sequence(latest + 1))
        assert found.uids == UIDSet(uids[1])
        assert found.mod_sequence > latest
        assert client.search(s.mod_sequence(latest + 1), returns=["COUNT"]).count == 1


def test_save_dates(uids: list[int], client: Any) -> None:
    with offered(client, "SAVEDATE"):
        today = date.today()
        assert client.search(s.saved_since(today - timedelta(days=2))).uids == UIDSet(uids)
        assert client.search(s.saved_before(today - timedelta(days=2))).uids == UIDSet()
        assert client.search(s.save_date_supported).uids == UIDSet(uids)


def test_object_ids(uids: list[int], client: Any) -> None:
    with offered(client, "OBJECTID"):
        (row,) = client.fetch(uids[0], "EMAILID", "THREADID")
        assert client.search(s.object_id(row.object_id)).uids == UIDSet(uids[0])
        assert set(uids[:2]) <= set(client.search(s.thread_id(row.thread_id)).uids)


def test_fuzzy(uids: list[int], account: Account, client: Any) -> None:
    if isinstance(account.server, Cyrus):
        account.server.index(account.user)
    with offered(client, "SEARCH=FUZZY"):
        key = s.subject("planning")  # of one stem with "plan"
        found = client.search(s.fuzzy(key), returns=["ALL", "COUNT", "RELEVANCY"])
        assert indexes(uids, found.uids) == [1, 2, 4]
        assert found.count == len(found.relevancy) == 3
        assert all(1 <= score <= 100 for score in found.relevancy)  # RFC 6203, section 4
        assert client.search(key).uids == UIDSet()
        assert client.search(s.fuzzy(s.text("apple")) & s.unseen).uids == UIDSet(uids[2])
        assert client.search(s.fuzzy(s.subject("pears"))).uids == UIDSet()


def test_filters(uids: list[int], client: Any) -> None:
    with offered(client, "FILTERS"):
        client.search(s.filter_("mine"))


def test_gmail(uids: list[int], client: Any) -> None:
    with offered(client, "X-GM-EXT-1"):
        client.search(s.gmail_raw("has:attachment"))


def test_part_of_a_result(uids: list[int], client: Any) -> None:
    """PARTIAL by RFC 9394, which nobody here has, or as a part of CONTEXT=SEARCH (RFC 5267, section 4.4)."""
    if client.session.has("CONTEXT=SEARCH"):
        found = client.search(s.all_, partial=(2, 3), returns=())
        assert found.partial is not None
        assert (found.partial.first, found.partial.last) == (2, 3)
        assert found.partial.messages == UIDSet(uids[1:3])
    with offered(client, "PARTIAL"):
        client.search(s.all_, partial=(-1, -2), returns=())


def test_context(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    client.select("INBOX")
    with offered(client, "CONTEXT=SEARCH"):
        found = client.search(s.flagged, returns=["ALL", "UPDATE", "CONTEXT"])
        assert found.uids == UIDSet(uids[1])
        client.take_events()
        client.store(uids[0], "\\Flagged", silent=True)
        client.noop()
        updates = [e for e in client.take_events() if getattr(e, "updates", ())]
        assert [(u.tag, update.kind, update.messages) for u in updates for update in u.updates] == [
            (found.tag, "ADDTO", UIDSet(uids[0]))
        ]
        client.cancel_update(found.tag)
        client.store(uids[2], "\\Flagged", silent=True)
        client.noop()
        assert not [e for e in client.take_events() if getattr(e, "updates", ())]


def test_sort(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    client.select("INBOX")
    with offered(client, "SORT"):
        for criteria, expected in (
            (["DATE"], [3, 1, 2, 4]),
            (["REVERSE DATE"], [4, 2, 1, 3]),
            (["ARRIVAL"], [3, 1, 2, 4]),
            (["SIZE"], sorted([1, 2, 3, 4], key=lambda n: len(LETTERS[n - 1]))),
            (["FROM"], [1, 2, 3, 4]),
            (["SUBJECT", "REVERSE DATE"], [3, 4, 2, 1]),
            ([s.SortKey.SUBJECT, s.SortKey.DATE.reverse], [3, 4, 2, 1]),
        ):
            assert indexes(uids, client.sort(criteria, s.all_)) == expected, criteria
        assert client.sort(["DATE"], s.unseen, sequence=True).numbers == (3, 4)
        assert client.sort(["DATE"], s.body("Köln")).numbers == (uids[2],)
        assert client.sort(["DATE"], s.draft).numbers == ()


def test_sort_by_what_is_shown(uids: list[int], client: Any) -> None:
    with offered(client, "SORT=DISPLAY"):
        # By names: Ann, Bo, Cy, Zoe (RFC 5957); FROM would go by mailboxes: ann, bob, cy, dan.
        assert indexes(uids, client.sort(["DISPLAYFROM"], s.all_)) == [1, 4, 3, 2]
        assert len(client.sort(["DISPLAYTO"], s.all_)) == 4


def test_extended_sort(uids: list[int], client: Any) -> None:
    with offered(client, "SORT", "ESORT"):
        found = client.sort(["REVERSE DATE"], s.subject("plan"), returns=["MIN", "MAX", "COUNT", "ALL"])
        assert indexes(uids, found.numbers) == [4, 2, 1]
        assert found.count == 3
        # The first and the last in the order asked for (RFC 5267, section 3.1).
        assert {found.min, found.max} == {uids[0], uids[3]}
    with offered(client, "SORT", "ESORT", "CONTEXT=SORT"):
        client.sort(["DATE"], s.all_, partial=(1, 2), returns=())


def test_threads(account_of_both: Account) -> None:
    client = account_of_both.client()
    uids = fill(client)
    client.select("INBOX")
    with offered(client, "THREAD=REFERENCES"):
        threads = client.thread("REFERENCES", s.all_)
        assert sorted([uids.index(n) + 1 for n in thread.numbers()] for thread in threads) == [[1, 2, 4], [3]]
        plan = next(thread for thread in threads if thread.number == uids[0])
        assert [(depth, node.number) for depth, node in plan.walk()] == [(0, uids[0]), (1, uids[1]), (2, uids[3])]
        assert client.thread("REFERENCES", s.draft) == ()
    with offered(client, "THREAD=REFS"):
        # REFERENCES without the merging of equal subjects: all of these answer by references, too.
        threads = client.thread("REFS", s.all_)
        assert sorted([uids.index(n) + 1 for n in thread.numbers()] for thread in threads) == [[1, 2, 4], [3]]
    with offered(client, "THREAD=ORDEREDSUBJECT"):
        threads = client.thread("ORDEREDSUBJECT", s.all_, sequence=True)
        assert [sorted(thread.numbers()) for thread in threads] == [[3], [1, 2, 4]]
        # All answers stand below the first message, by RFC 5256; at Courier each stands below the one before.
        assert [depth for depth, _ in threads[1].walk()] == ([0, 1, 2] if account_of_both.is_courier else [0, 1, 1])
    with pytest.raises(CapabilityMissing):
        client.thread("NOSUCH", s.all_)


def test_many_mailboxes(account_of_both: Account) -> None:
    client = account_of_both.client()
    if not client.session.has("MULTISEARCH"):
        with offered(client, "MULTISEARCH"):
            client.multi_search(MailboxFilter("personal"), s.all_)
        return
    inbox = fill(client)
    drafts = fill(client, "Drafts")
    found = client.multi_search(MailboxFilter("mailboxes", ("INBOX", "Drafts", "Trash")), s.seen)
    assert {f.mailbox: f.result.uids for f in found} == {"INBOX": UIDSet(inbox[:2]), "Drafts": UIDSet(drafts[:2])}
    assert {f.mailbox: f.uid_validity for f in found} == {
        name: client.mailbox_status(name, "UIDVALIDITY").uid_validity for name in ("INBOX", "Drafts")
    }
    counted = client.multi_search(MailboxFilter("personal"), s.subject("apples"), returns=["COUNT", "MIN"])
    assert {(f.mailbox, f.result.count, f.result.min) for f in counted} == {
        ("INBOX", 1, inbox[2]),
        ("Drafts", 1, drafts[2]),
    }
