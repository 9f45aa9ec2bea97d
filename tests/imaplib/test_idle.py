"""IDLE: the module's own context manager, and the ways in which libraries poll by hand."""

from __future__ import annotations

import select
import threading
import time
from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.canned import Canned
from tests.imaplib.conftest import Connect
from tests.imaplib.scripted import Peer

pytestmark = pytest.mark.usefixtures("implementation")

LITERAL_RESPONSE = b"* 1 FETCH (X {5}\r\n* 9 E)\r\n"


class Idling:
    """Plays IDLE: what comes before the continuation request, what behind it, what with the end."""

    def __init__(self, ahead: bytes = b"", after: bytes = b"", at_end: bytes = b"") -> None:
        self.ahead = ahead
        self.after = after
        self.at_end = at_end

    def __call__(self, peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        tag = peer.expect(b"IDLE")
        peer.send(self.ahead + b"+ idling\r\n" + self.after)
        assert peer.line() == b"DONE\r\n"
        peer.send(self.at_end + tag + b" OK done\r\n")
        if line := peer.line():
            tag = line.split()[0]
            peer.send(b"* BYE see you\r\n" + tag + b" OK done\r\n")


def idling(connect: Connect, script: Any, **arguments: Any) -> imaplib.IMAP4:
    client = connect(script, **arguments)
    client.login("user", "secret")
    return client


# The context manager.


def test_iteration_and_leftovers(connect: Connect) -> None:
    script = Idling(
        b"* 1 EXISTS\r\n", LITERAL_RESPONSE + b"* 2 EXISTS\r\n* 3 RECENT\r\n" + LITERAL_RESPONSE, b"* 4 RECENT\r\n"
    )
    client = idling(connect, script)
    with client.idle() as idler:
        assert client.state == "IDLING"
        assert next(idler) == ("EXISTS", [b"1"])
        assert next(idler) == ("FETCH", [(b"1 (X {5}", b"* 9 E"), b")"])
        assert next(idler) == ("EXISTS", [b"2"])
        assert next(idler) == ("RECENT", [b"3"])
        with pytest.raises(imaplib.IMAP4.error, match="command NOOP illegal in state IDLING"):
            client.noop()
    assert client.state == "AUTH"
    # What was taken is gone; the rest, and what came after DONE, is where it always is.
    assert client.response("EXISTS") == ("EXISTS", [None])
    assert client.response("RECENT") == ("RECENT", [b"4"])
    assert client.logout() == ("BYE", [b"see you"])


def test_responses_nobody_took(connect: Connect) -> None:
    client = idling(connect, Idling(b"* 1 EXISTS\r\n" + LITERAL_RESPONSE, b"", b"* 2 EXISTS\r\n"))
    with client.idle():
        pass
    assert client.response("EXISTS") == ("EXISTS", [b"1", b"2"])
    assert client.response("FETCH") == ("FETCH", [(b"1 (X {5}", b"* 9 E"), b")"])
    client.logout()


def test_only_one_at_a_time(connect: Connect) -> None:
    client = idling(connect, Idling(b"* 1 EXISTS\r\n"))
    with client.idle() as idler:
        with pytest.raises(imaplib.IMAP4.error, match="command IDLE illegal in state IDLING"), client.idle():
            pass
        with pytest.raises(imaplib.IMAP4.error, match="command LOGOUT illegal in state IDLING"):
            client.logout()
        assert next(idler) == ("EXISTS", [b"1"])
    client.logout()


@pytest.mark.slow
def test_duration(connect: Connect) -> None:
    client = idling(connect, Idling(after=b"* 1 EXISTS\r\n* 2 EX", at_end=b"ISTS\r\n"))
    with client.idle(duration=2) as idler:  # in which what came is looked at, however busy the machine is
        assert list(idler) == [("EXISTS", [b"1"])]
        assert list(idler) == []
    assert client.sock.gettimeout() is None
    assert client.response("EXISTS") == ("EXISTS", [b"2"])


def test_a_line_in_pieces_survives_the_end_of_the_duration(connect: Connect) -> None:
    ready = threading.Event()

    def script(peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        tag = peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n* 1 EX")
        ready.wait()
        peer.send(b"ISTS\r\n")
        assert peer.line() == b"DONE\r\n"
        peer.send(tag + b" OK done\r\n")

    client = idling(connect, script)
    with client.idle(duration=0.05) as idler:
        assert list(idler) == []
        ready.set()
    assert client.response("EXISTS") == ("EXISTS", [b"1"])


@pytest.mark.slow
def test_burst(connect: Connect) -> None:
    client = idling(connect, Idling(after=b"* 1 EXISTS\r\n* 2 EXISTS\r\n* 3 EXISTS\r\n"))
    with client.idle() as idler:
        assert [data for _, data in idler.burst(1)] == [[b"1"], [b"2"], [b"3"]]
    assert client.response("EXISTS") == ("EXISTS", [None])


def test_burst_after_the_duration(connect: Connect) -> None:
    client = idling(connect, Idling())
    with client.idle(duration=0.05) as idler:
        assert list(idler.burst()) == []


def test_denied(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        tag = peer.expect(b"IDLE")
        peer.send(b"* 1 EXISTS\r\n" + tag + b" NO not now\r\n")
        tag = peer.expect(b"IDLE")
        peer.send(tag + b" BAD what?\r\n")
        peer.log_out()

    client = idling(connect, script)
    with pytest.raises(imaplib.IMAP4.error, match=r"idle denied: .*not now"), client.idle():
        pass
    assert client.response("EXISTS") == ("EXISTS", [b"1"])
    with pytest.raises(imaplib.IMAP4.abort, match="unexpected status response"), client.idle():
        pass
    assert client.state == "AUTH"
    client.logout()


def test_not_supported() -> None:
    with pytest.raises(imaplib.IMAP4.error, match="does not support IMAP4 IDLE"):
        Canned().idle()


def test_the_server_ends_it(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        tag = peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n* 1 EXISTS\r\n+ still here\r\n* 2 EXISTS\r\n" + tag + b" OK that was it\r\n")
        peer.log_out()  # and no DONE

    client = idling(connect, script)
    with client.idle() as idler:
        assert list(idler) == [("EXISTS", [b"1"]), ("EXISTS", [b"2"])]
    client.logout()


def test_the_server_hangs_up(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n* BYE autologout\r\n")

    client = idling(connect, script)
    seen = []
    with pytest.raises(imaplib.IMAP4.abort, match="EOF"), client.idle() as idler:  # noqa: PT012
        for response in idler:
            seen.append(response)  # noqa: PERF402
    assert seen == [("BYE", [b"autologout"])]
    assert client.state == "LOGOUT"
    assert client.sock.fileno() == -1


def test_an_exception_of_the_body_comes_through(connect: Connect) -> None:
    client = idling(connect, Idling())
    with pytest.raises(KeyboardInterrupt), client.idle():
        raise KeyboardInterrupt
    assert client.logout() == ("BYE", [b"see you"])  # the connection is in step


def test_an_exception_of_the_body_hides_that_of_the_end(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n")

    client = idling(connect, script)
    with pytest.raises(ZeroDivisionError), client.idle():
        1 / 0  # noqa: B018
    assert client.state == "LOGOUT"


@pytest.mark.slow
def test_nothing_more_is_sent_behind_bye(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n* 1 EXISTS\r\n* BYE see you\r\n")
        peer.expect_end()

    client = idling(connect, script)
    with pytest.raises(imaplib.IMAP4.abort, match="see you"), client.idle(duration=2) as idler:
        assert list(idler) == [("EXISTS", [b"1"]), ("BYE", [b"see you"])]
    with pytest.raises(imaplib.IMAP4.abort, match="see you"):
        client.noop()


def test_only_during_idle(connect: Connect) -> None:
    client = idling(connect, Idling())
    with client.idle() as idler:
        pass
    with pytest.raises(imaplib.IMAP4.error, match="only works during IDLE"):
        next(idler)


def test_a_timeout_in_the_middle_of_a_response(connect: Connect) -> None:
    done = threading.Event()

    def script(peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n* 1 FETCH (X {5}\r\nab")
        done.wait()

    client = idling(connect, script, timeout=30)
    with (  # noqa: PT012
        pytest.raises(imaplib.IMAP4.abort, match=r"timed out after 0\.05 seconds"),
        client.idle(duration=20) as idler,
    ):
        client.sock.settimeout(0.05)  # what was before has time
        next(idler)
    done.set()
    assert client.state == "LOGOUT"
    assert client.untagged_responses.get("FETCH") is None


# By hand.


def poll_lines(client: imaplib.IMAP4) -> list[bytes]:
    """As imap_tools and IMAPClient do: all lines that are there, on a non-blocking socket."""
    client.sock.settimeout(0)
    lines = []
    try:
        while True:
            lines.append(client._get_line())
    except OSError:
        return lines
    finally:
        client.sock.settimeout(None)


def test_polling_on_a_non_blocking_socket(connect: Connect) -> None:
    steps = [threading.Event() for _ in range(3)]

    def script(peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        tag = peer.expect(b"IDLE")
        peer.send(b"* 1 EXISTS\r\n+ idling\r\n")
        steps[0].wait()
        peer.send(b"* 2 EXISTS\r\n* 3 EXI")
        steps[1].wait()
        peer.send(b"STS\r\n* 4 EXISTS\r\n")
        assert peer.line() == b"DONE\r\n"
        steps[2].wait()
        peer.send(tag + b" OK done\r\n")

    client = idling(connect, script)
    tag = client._command("IDLE")
    assert client._get_response() == b"* 1 EXISTS"
    assert client._get_response() is None
    assert poll_lines(client) == []
    for step, expected in zip(steps, ([b"* 2 EXISTS"], [b"* 3 EXISTS", b"* 4 EXISTS"]), strict=False):
        step.set()
        assert select.select([client.sock], [], [], 10)[0]
        lines = poll_lines(client)
        while len(lines) < len(expected):  # the kernel may have it in two
            lines += poll_lines(client)
        assert lines == expected
    client.send(b"DONE\r\n")
    steps[2].set()
    while client._get_response() is not None and client.tagged_commands[tag] is None:
        pass
    assert client.tagged_commands.pop(tag) == ("OK", [b"done"])


def test_polling_under_a_socket_timeout(connect: Connect) -> None:
    client = idling(connect, Idling(after=b"* 2 EXISTS\r\n* 3 EX", at_end=b"ISTS\r\n"))
    tag = client._command("IDLE")
    assert client._get_response() is None
    client.sock.settimeout(0.05)
    assert client._get_line() == b"* 2 EXISTS"
    for _ in range(2):
        with pytest.raises(TimeoutError) as caught:
            client._get_line()
        assert not isinstance(caught.value, imaplib.IMAP4.error)
    with pytest.raises(TimeoutError) as caught:
        client._get_response()
    assert not isinstance(caught.value, imaplib.IMAP4.error)
    client.sock.settimeout(None)
    client.send(b"DONE\r\n")
    assert client._get_response() == b"* 3 EXISTS"
    assert client._command_complete("IDLE", tag) == ("OK", [b"done"])
    client.logout()


def test_polling_at_the_end_of_the_connection(connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.log_in(b"IMAP4rev1 IDLE")
        peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n")

    client = idling(connect, script)
    client._command("IDLE")
    client._get_response()
    assert select.select([client.sock], [], [], 10)[0]  # the end comes in a packet of its own
    with pytest.raises(imaplib.IMAP4.abort, match="EOF") as caught:
        poll_lines(client)  # and setting the timeout behind it works
    assert not isinstance(caught.value, OSError)
    client.sock.setblocking(True)


def test_lines_read_ahead_come_before_the_socket_is_touched(connect: Connect) -> None:
    client = idling(connect, Idling(after=b"* 1 EXISTS\r\n* 2 EXISTS\r\n"))
    client._command("IDLE")
    assert client._get_response() is None
    deadline = time.monotonic() + 10
    lines: list[bytes] = []
    while len(lines) < 2 and time.monotonic() < deadline:
        lines += poll_lines(client)
    assert lines == [b"* 1 EXISTS", b"* 2 EXISTS"]
    client.send(b"DONE\r\n")
    client._get_response()
    client.logout()
