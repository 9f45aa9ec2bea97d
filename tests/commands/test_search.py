"""SEARCH, SORT, THREAD and searches of many mailboxes, by the examples of the RFCs."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fastimap import types
from fastimap.commands import (
    CancelUpdate,
    Fetch,
    MailboxFilter,
    MultiSearch,
    Search,
    SearchResult,
    Sort,
    SortResult,
    Thread,
)
from fastimap.errors import CapabilityMissing, CommandError, StateError
from fastimap.model.sequence_set import SequenceSet, UIDSet
from fastimap.search import all_, deleted, flagged, from_, fuzzy, mod_sequence, saved, since, subject, text, uid, unseen
from fastimap.types import ESearch, Tagged, ThreadNode
from tests.commands.harness import Talk, rev2, sent, server


def test_search(talk: Talk) -> None:  # RFC 3501, section 6.4.4
    found = talk(
        Search(flagged & since(date(1994, 2, 1)) & ~from_("Smith"), sequence=True),
        server(),
        """
        C: A1 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM Smith
        S: * SEARCH 2 84 882
        S: A1 OK SEARCH completed
        """,
    )
    assert (found.numbers, found.uids) == (SequenceSet("2,84,882"), UIDSet())
    assert list(found) == [2, 84, 882]
    assert (len(found), found.count, found.min, found.max) == (3, None, None, None)


def test_search_finds_uids(talk: Talk) -> None:
    found = talk(Search(unseen), server(), "C: A1 UID SEARCH UNSEEN\nS: * SEARCH 9 7 8\nS: A1 OK done")
    assert (found.uids, found.numbers) == (UIDSet("7:9"), SequenceSet())
    nothing = talk(Search(unseen), server(), "C: A1 UID SEARCH UNSEEN\nS: * SEARCH\nS: A1 OK done")
    assert (len(nothing), list(nothing)) == (0, [])


def test_without_esearch_the_client_counts(talk: Talk) -> None:
    command = Search(unseen, returns=["MIN", "max", "COUNT"])
    found = talk(command, server(), "C: A1 UID SEARCH UNSEEN\nS: * SEARCH 9 4 7\nS: A1 OK done")
    assert (found.min, found.max, found.count, found.uids) == (4, 9, 3, UIDSet())
    command = Search(unseen, returns=["MIN", "MAX", "COUNT"])
    nothing = talk(command, server(), "C: A1 UID SEARCH UNSEEN\nS: * SEARCH\nS: A1 OK done")
    assert (nothing.min, nothing.max, nothing.count) == (None, None, 0)
    assert found
    assert not nothing


def test_esearch(talk: Talk) -> None:  # RFC 4731, section 3.1
    found = talk(
        Search(flagged, returns=["MIN", "COUNT"], sequence=True),
        server("ESEARCH"),
        """
        C: A1 SEARCH RETURN (MIN COUNT) FLAGGED
        S: * ESEARCH (TAG "A1") MIN 2 COUNT 3
        S: A1 OK SEARCH completed
        """,
    )
    assert (found.min, found.max, found.count, found.tag) == (2, None, 3, b"A1")
    found = talk(
        Search(flagged),
        rev2(),
        """
        C: A1 UID SEARCH RETURN (ALL) FLAGGED
        S: * ESEARCH (TAG "A1") UID ALL 4,7:9
        S: A1 OK done
        """,
    )
    assert found.uids == UIDSet("4,7:9")
    assert talk.left == []


def test_esearch_that_finds_nothing(talk: Talk) -> None:  # RFC 4731, section 3.1
    found = talk(
        Search(flagged),
        server("ESEARCH"),
        'C: A1 UID SEARCH RETURN (ALL) FLAGGED\nS: * ESEARCH (TAG "A1") UID\nS: A1 OK',
    )
    assert (found.uids, len(found)) == (UIDSet(), 0)


def test_a_server_that_leaves_out_the_word_uid_or_answers_as_ever(talk: Talk) -> None:
    line = "C: A1 UID SEARCH RETURN (ALL) FLAGGED\n"
    found = talk(Search(flagged), server("ESEARCH"), line + 'S: * ESEARCH (TAG "A1") ALL 4,7:9\nS: A1 OK done')
    assert found.uids == UIDSet("4,7:9")
    found = talk(Search(flagged), server("ESEARCH"), line + "S: * SEARCH 4 7 8 9\nS: A1 OK done")
    assert found.uids == UIDSet("4,7:9")


def test_other_peoples_answers_are_left(talk: Talk) -> None:  # RFC 5267, section 4.3.3
    found = talk(
        Search(flagged),
        server("ESEARCH"),
        """
        C: A1 UID SEARCH RETURN (ALL) FLAGGED
        S: * ESEARCH (TAG "B01") UID ADDTO (0 32768:32769)
        S: * ESEARCH (TAG "A0") UID ALL 5
        S: * ESEARCH (TAG "A1") UID ALL 7
        S: A1 OK done
        """,
    )
    assert found.uids == UIDSet(7)
    assert [response.tag for response in talk.left if isinstance(response, ESearch)] == [b"B01", b"A0"]


def test_mod_sequences(talk: Talk) -> None:  # RFC 7162, section 3.1.5, example 17; section 3.1.10
    found = talk(
        Search(mod_sequence(620162338), sequence=True),
        server("CONDSTORE"),
        """
        C: A1 SEARCH MODSEQ 620162338
        S: * SEARCH 2 5 6 7 11 12 18 19 20 23 (MODSEQ 917162500)
        S: A1 OK Search complete
        """,
    )
    assert (len(found), found.mod_sequence) == (10, 917162500)
    found = talk(
        Search(mod_sequence(1)),
        server("CONDSTORE", "ESEARCH"),
        """
        C: A1 UID SEARCH RETURN (ALL) MODSEQ 1
        S: * ESEARCH (TAG "A1") UID ALL 1:3,5 MODSEQ 1236
        S: A1 OK Extended search completed
        """,
    )
    assert (found.uids, found.mod_sequence) == (UIDSet("1:3,5"), 1236)
    with pytest.raises(CapabilityMissing, match="CONDSTORE"):
        sent(Search(mod_sequence(1)), server())


def test_saved_results(talk: Talk) -> None:  # RFC 5182, section 2.1
    capable = server("ESEARCH", "SEARCHRES")
    found = talk(
        Search(flagged, returns=["SAVE"]), capable, "C: A1 UID SEARCH RETURN (SAVE) FLAGGED\nS: A1 OK SEARCH completed"
    )
    assert not found
    assert sent(Search(saved & deleted), capable) == [b"A1 UID SEARCH RETURN (ALL) $ DELETED\r\n"]
    with pytest.raises(CapabilityMissing, match="SEARCHRES"):
        sent(Search(flagged, returns=["SAVE"]), server("ESEARCH"))
    assert Search(flagged, returns=["SAVE"]).kind is Search(saved).kind is None


def test_a_part_of_the_result(talk: Talk) -> None:  # RFC 9394, section 3.1
    found = talk(
        Search(unseen, returns=(), partial=(-1, -100)),
        server("ESEARCH", "PARTIAL"),
        """
        C: A1 UID SEARCH RETURN (PARTIAL -1:-100) UNSEEN
        S: * ESEARCH (TAG "A1") UID PARTIAL (-1:-100 200:250,252:300)
        S: A1 OK done
        """,
    )
    assert found.partial.messages == UIDSet("200:250,252:300")
    assert sent(Search(unseen, returns=(), partial=(1, 9)), server("ESEARCH", "CONTEXT=SEARCH"))
    with pytest.raises(CapabilityMissing, match="PARTIAL"):
        sent(Search(unseen, returns=(), partial=(-1, -9)), server("ESEARCH", "CONTEXT=SEARCH"))


def test_relevancy(talk: Talk) -> None:  # RFC 6203, section 4
    found = talk(
        Search(fuzzy(text("Helo")), returns=["RELEVANCY", "ALL"], sequence=True),
        server("ESEARCH", "SEARCH=FUZZY"),
        """
        C: A1 SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT Helo
        S: * ESEARCH (TAG "A1") ALL 1,5,10 RELEVANCY (4 99 42)
        S: A1 OK Search completed.
        """,
    )
    assert (found.numbers, found.relevancy) == (SequenceSet("1,5,10"), (4, 99, 42))


def test_text_in_utf8(talk: Talk) -> None:  # RFC 3501, section 6.4.4
    found = talk(
        Search(text("Ünïcödé")),
        server(),
        """
        C: A1 UID SEARCH CHARSET UTF-8 TEXT {11}
        S: + Ready for literal text
        C: Ünïcödé
        S: * SEARCH 43
        S: A1 OK SEARCH completed
        """,
    )
    assert found.uids == UIDSet(43)
    assert sent(Search(text("é"), charset="ISO-8859-1"), server("LITERAL+")) == [
        b"A1 UID SEARCH CHARSET ISO-8859-1 TEXT {1+}\r\n\xe9\r\n"
    ]
    # Said where it may be said: Cyrus 3.10 takes text for US-ASCII else, also with IMAP4rev2.
    assert sent(Search(text("é")), rev2()) == ['A1 UID SEARCH RETURN (ALL) CHARSET UTF-8 TEXT "é"\r\n'.encode()]
    accepting = server("ESEARCH", "UTF8=ACCEPT", enabled=["UTF8=ACCEPT"])
    assert sent(Search(text("é")), accepting) == ['A1 UID SEARCH RETURN (ALL) TEXT "é"\r\n'.encode()]
    with pytest.raises(UnicodeEncodeError):
        Search(text("日本"), charset="ISO-8859-1")


def test_a_charset_that_the_server_lacks(talk: Talk) -> None:
    with pytest.raises(CommandError) as caught:
        talk(Search(unseen), server(), "C: A1 UID SEARCH UNSEEN\nS: A1 NO [BADCHARSET (US-ASCII)] no")
    assert caught.value.code == "BADCHARSET"


def test_a_search_that_the_server_cut_short(talk: Talk) -> None:  # RFC 9738, section 3
    found = talk(
        Search(unseen), server(), "C: A1 UID SEARCH UNSEEN\nS: * SEARCH 7\nS: A1 OK [MESSAGELIMIT 1000 6] partial"
    )
    assert found.limit == 6


def test_searches_that_may_overlap() -> None:
    assert Search(unseen).kind == "search"
    assert Thread("REFS", unseen).kind == "search"
    for alone in (Search(unseen, sequence=True), Sort(["DATE"], saved), Thread("REFS", unseen, sequence=True)):
        assert alone.kind is None
    assert Thread("REFS", unseen).ranges(server("ESEARCH")) == ((0, 0),)
    assert Sort(["DATE"], unseen, returns=["COUNT"]).ranges(server("ESORT")) == ()
    assert Search(unseen).ranges(server("ESEARCH")) == ()
    assert Search(unseen).ranges(server()) == Sort(["DATE"], unseen).ranges(server("ESEARCH", "SORT")) == ((0, 0),)


def test_search_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="nothing to return"):
        Search(unseen, returns=())
    with pytest.raises(ValueError, match="return option"):
        Search(unseen, returns=["FIRST"])
    with pytest.raises(TypeError, match="list"):
        Search(unseen, returns="ALL")
    with pytest.raises(StateError, match="UIDONLY"):
        sent(Search(unseen, sequence=True), server(enabled=["UIDONLY"]))


def test_sort(talk: Talk) -> None:  # RFC 5256, section 3
    found = talk(
        Sort(["SUBJECT", "REVERSE DATE"], all_, sequence=True),
        server("SORT"),
        """
        C: A1 SORT (SUBJECT REVERSE DATE) UTF-8 ALL
        S: * SORT 5 3 4 1 2
        S: A1 OK SORT completed
        """,
    )
    assert (found.numbers, list(found), len(found)) == ((5, 3, 4, 1, 2), [5, 3, 4, 1, 2], 5)
    nothing = talk(
        Sort(["subject"], text("not in mailbox"), charset="US-ASCII"),
        server("SORT"),
        """
        C: A1 UID SORT (SUBJECT) US-ASCII TEXT "not in mailbox"
        S: * SORT
        S: A1 OK SORT completed
        """,
    )
    assert nothing.numbers == ()
    assert found
    assert not nothing


def test_sort_with_return_options(talk: Talk) -> None:  # RFC 5267, section 3.2; RFC 5957
    found = talk(
        Sort(["REVERSE DATE"], subject("x"), returns=["MIN", "COUNT", "ALL"]),
        server("SORT", "ESORT"),
        """
        C: A1 UID SORT RETURN (MIN COUNT ALL) (REVERSE DATE) UTF-8 SUBJECT x
        S: * ESEARCH (TAG "A1") UID MIN 2 COUNT 4 ALL 23,2:3,7
        S: A1 OK done
        """,
    )
    assert (found.numbers, found.min, found.count) == ((23, 2, 3, 7), 2, 4)
    found = talk(
        Sort(["DISPLAYFROM"], all_, returns=["UPDATE"], partial=(1, 3)),
        server("SORT", "SORT=DISPLAY", "ESORT", "CONTEXT=SORT"),
        """
        C: A1 UID SORT RETURN (UPDATE PARTIAL 1:3) (DISPLAYFROM) UTF-8 ALL
        S: * ESEARCH (TAG "A1") UID PARTIAL (1:3 9,4,7)
        S: A1 OK done
        """,
    )
    assert (found.partial, found.tag) == ((9, 4, 7), b"A1")
    for command, missing in (
        (Sort(["DATE"], all_), "SORT"),
        (Sort(["DATE"], all_, returns=["COUNT"]), "ESORT"),
        (Sort(["DATE"], all_, returns=["ALL"], partial=(1, 3)), "CONTEXT=SORT"),
        (Sort(["REVERSE DISPLAYTO"], all_), "SORT=DISPLAY"),
    ):
        others = {"SORT", "ESORT", "CONTEXT=SORT", "SORT=DISPLAY"} - {missing}
        with pytest.raises(CapabilityMissing, match=missing):
            sent(command, server(*others))


def test_thread(talk: Talk) -> None:  # RFC 5256, section 4
    threads = talk(
        Thread("references", since(date(2000, 3, 5)), sequence=True),
        server("THREAD=REFERENCES"),
        """
        C: A1 THREAD REFERENCES UTF-8 SINCE 5-Mar-2000
        S: * THREAD (2)(3 6 (4 23)(44 7 96))
        S: A1 OK THREAD completed
        """,
    )
    assert threads == (
        ThreadNode(2),
        ThreadNode(
            3,
            (
                ThreadNode(
                    6,
                    (
                        ThreadNode(4, (ThreadNode(23),)),
                        ThreadNode(44, (ThreadNode(7, (ThreadNode(96),)),)),
                    ),
                ),
            ),
        ),
    )
    with pytest.raises(CapabilityMissing, match="THREAD=ORDEREDSUBJECT"):
        sent(Thread("ORDEREDSUBJECT", all_), server("THREAD=REFERENCES"))


def test_search_of_many_mailboxes(talk: Talk) -> None:  # RFC 7377, section 3
    found = talk(
        MultiSearch([MailboxFilter("mailboxes", ("folder1",)), MailboxFilter("subtree", ("folder2",))], unseen),
        server("MULTISEARCH", "ESEARCH"),
        """
        C: A1 ESEARCH IN (mailboxes folder1 subtree folder2) RETURN (ALL) UNSEEN
        S: * ESEARCH (TAG "A1" MAILBOX "folder1" UIDVALIDITY 1) UID ALL 4001,4003,4005,4007,4009
        S: * ESEARCH (TAG "A1" MAILBOX "folder2/salmon" UIDVALIDITY 23519) UID ALL 50003,50006,50009,50012
        S: A1 OK done
        """,
    )
    assert [(one.mailbox, one.uid_validity, one.result.uids) for one in found] == [
        ("folder1", 1, UIDSet("4001,4003,4005,4007,4009")),
        ("folder2/salmon", 23519, UIDSet("50003,50006,50009,50012")),
    ]
    several = MultiSearch(MailboxFilter("subtree-one", ("a", "ä")), unseen, returns=["COUNT"])
    assert sent(several, server("MULTISEARCH")) == [b"A1 ESEARCH IN (subtree-one (a &AOQ-)) RETURN (COUNT) UNSEEN\r\n"]
    with pytest.raises(CapabilityMissing):
        sent(several, server())
    with pytest.raises(ValueError, match="selected-delayed"):
        MultiSearch(MailboxFilter("selected-delayed"), unseen)


def test_cancel_update(talk: Talk) -> None:  # RFC 5267, section 4.3.5
    capable = server("CONTEXT=SEARCH")
    talk(CancelUpdate(b"B01", b"C01"), capable, 'C: A1 CANCELUPDATE "B01" "C01"\nS: A1 OK No further updates.')
    with pytest.raises(CapabilityMissing):
        sent(CancelUpdate(b"B01"), server())


def test_results_compare_by_what_was_found(talk: Talk) -> None:
    def found(tag: bytes) -> Any:
        command = Search(unseen)
        command.tag = tag
        command.take(types.SearchResponse(SequenceSet((2, 5))))
        return command.succeed(Tagged(tag, "OK"), server())

    assert found(b"A1") == found(b"A2")
    assert hash(found(b"A1")) == hash(found(b"A2"))
    assert (found(b"A1").tag, repr(found(b"A1"))) == (b"A1", 'SearchResult(uids=UIDSet("2,5"))')


def test_a_result_that_is_not_listed(talk: Talk) -> None:
    trace = 'C: A1 UID SEARCH RETURN (COUNT) UNSEEN\nS: * ESEARCH (TAG "A1") UID COUNT {}\nS: A1 OK done'
    some = talk(Search(unseen, returns=["COUNT"]), server("ESEARCH"), trace.format(3))
    none = talk(Search(unseen, returns=["COUNT"]), server("ESEARCH"), trace.format(0))
    assert (bool(some), len(some), bool(none), len(none)) == (True, 3, False, 0)
    for result in (some, none, SortResult(count=3, listed=False), SearchResult(listed=False)):
        with pytest.raises(ValueError, match='add "ALL" to returns='):
            list(result)
        with pytest.raises(ValueError, match='add "ALL" to returns='):
            Fetch(result, "FLAGS")  # and not of nothing
    assert len(SortResult(count=3, listed=False)) == 3
    with pytest.raises(ValueError, match="ALL"):
        len(SearchResult(min=1, listed=False))


def test_a_result_stands_where_messages_can(talk: Talk) -> None:
    for trace, sequence, expected in (
        ("C: A1 UID SEARCH UNSEEN\nS: * SEARCH 9 2\nS: A1 OK", False, b"A1 UID FETCH 2,9 (FLAGS)\r\n"),
        ("C: A1 SEARCH UNSEEN\nS: * SEARCH 9 2\nS: A1 OK", True, b"A1 FETCH 2,9 (FLAGS)\r\n"),
    ):
        found = talk(Search(unseen, sequence=sequence), server(), trace)
        assert sent(Fetch(found, "FLAGS"), server()) == [expected]
    for verb, sequence, expected in (
        ("UID SORT", False, b"A1 UID FETCH 2,9 (FLAGS)\r\n"),
        ("SORT", True, b"A1 FETCH 2,9 (FLAGS)\r\n"),
    ):
        ordered = talk(
            Sort(["DATE"], unseen, sequence=sequence),
            server("SORT"),
            f"C: A1 {verb} (DATE) UTF-8 UNSEEN\nS: * SORT 9 2\nS: A1 OK",
        )
        assert list(ordered) == [9, 2]
        assert sent(Fetch(ordered, "FLAGS"), server()) == [expected]
    with pytest.raises(TypeError, match="SequenceSet is not a UIDSet"):
        uid(SearchResult(numbers=SequenceSet(1), sequence=True))
