"""What must hold for a client, whatever a server answers: commands in flight, and a protocol that is fed octets.

The fuzzer's first octet chooses what the client is doing (CONVERSATIONS). In the rest (inputs.py) a cut ends a turn:
what stands behind it is said when the client has written all that it may write by then. Tags are T0, T1, and so on, so
that the fuzzer can know them.

Each turn's octets arrive whole, and once more in small pieces; the parser is the one in C, and once the Python one.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from types import GetSetDescriptorType, SimpleNamespace
from typing import Any
from unittest import mock

from fastimap import _parser_py as python
from fastimap import commands, parser, sasl, search
from fastimap.commands import fetch
from fastimap.commands.base import BeginTLS, Command, State
from fastimap.conversation import encoder, operations, prepare, protocol
from fastimap.conversation.protocol import Pending, Protocol
from fastimap.conversation.streams import FetchStream, IdleStream
from fastimap.errors import FastimapError, NotFetched
from fastimap.limits import CLIENT_LIMITS, Limits
from fastimap.model._shown import Value
from fastimap.model.message import BodyStructure, FetchedMessage
from fastimap.model.sequence_set import SequenceSet, UIDSet
from fastimap.settings import DEFAULT_TIMEOUTS, Settings
from fastimap.wire import _values

from .inputs import CLIENT_SMALL_LIMITS, arriving
from .invariants import LITTERED

_SMALL = Limits(
    line=300, literal=2_000, other_literal=500, response=3_000, literals=4, unsolicited=6, unsolicited_octets=900
)
_MOST = 16 * 1024  # octets of one input
_PIECE = 7
# An empty set has no first number.
_MAY_REFUSE = (UIDSet, SequenceSet)
_LISTED = 100  # values of an iterator that are looked at: a set may stand for four thousand million
_CAPABILITIES = frozenset({
    "IMAP4REV1", "ACL", "APPENDLIMIT=9999", "AUTH=PLAIN", "AUTH=SCRAM-SHA-256", "BINARY", "CATENATE",
    "COMPRESS=DEFLATE", "CONDSTORE", "CONTEXT=SEARCH", "CONTEXT=SORT", "CREATE-SPECIAL-USE", "ENABLE", "ESEARCH",
    "ESORT", "FILTERS", "I18NLEVEL=2", "ID", "IDLE", "JMAPACCESS", "LANGUAGE", "LIST-EXTENDED", "LIST-METADATA",
    "LIST-MYRIGHTS", "LIST-STATUS", "METADATA", "MOVE", "MULTIAPPEND", "MULTISEARCH", "NAMESPACE", "NOTIFY",
    "OBJECTID", "PARTIAL", "PREVIEW", "QRESYNC", "QUOTA", "QUOTASET", "REPLACE", "SASL-IR", "SAVEDATE",
    "SEARCH=FUZZY", "SEARCHRES", "SORT", "SORT=DISPLAY", "SPECIAL-USE", "STATUS=SIZE", "THREAD=REFERENCES",
    "UIDPLUS", "UNAUTHENTICATE", "UNSELECT", "UTF8=ACCEPT", "X-GM-EXT-1", "XLIST",
})  # fmt: skip


class Broken(Exception):
    """What a caller's file raises: the one exception that is not the package's, and comes out all the same."""


class _Files:
    """Takes the literals of an even size; some of them can't be written."""

    def __init__(self) -> None:
        self.written: list[list[Any]] = []

    def __call__(self, number: int | None, item: str, size: int) -> Any:
        if size % 16 == 8:
            raise Broken(str(size))
        if size % 2:
            return None
        record: list[Any] = [number, item, size, b""]
        self.written.append(record)

        def write(octets: memoryview) -> None:
            record[3] += bytes(octets)
            if len(record[3]) > 600:
                raise Broken("full")

        return SimpleNamespace(write=write)


class _File:
    """A message in a file, which ends too early."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def read(self, size: int) -> bytes:
        octets, self._octets = self._octets[:size], self._octets[size:]
        return octets


class Scene:
    """One connection, and all that a caller gets of it."""

    def __init__(self, limits: Limits) -> None:
        self.protocol = Protocol(limits)
        session = self.protocol.session
        session.state = State.SELECTED
        session.mailbox = "INBOX"
        session.capabilities = _CAPABILITIES
        session.tls = True
        self.pendings: list[Pending[Any]] = []
        self.streams: list[Any] = []
        self.files = _Files()
        self.sent = b""
        self.results: list[Any] = []
        self.values: list[Any] = []
        """What of that can be looked at."""
        self.compressed = False
        """Whether the server's octets are to be compressed by whoever plays it."""
        self._flow: Any = None
        self._awaited: Pending[Any] | None = None
        self._now = 0.0

    def submit(self, *made: Command[Any]) -> None:
        self.pendings += map(self.protocol.submit, made)

    def without(self, *capabilities: str) -> None:
        self.protocol.session.capabilities -= set(capabilities)

    def run(self, flow: Any) -> None:
        self._flow = flow
        self._go_on(lambda: next(flow))

    def _kept(self, value: Any) -> Any:
        self.values.append(value)
        return shown(value)

    def _go_on(self, resume: Callable[[], Any]) -> None:
        """Do what a driver does with a flow, up to the next command."""
        flow = self._flow
        while True:
            try:
                step = resume()
            except StopIteration as stop:
                self._flow = None
                self.results.append(self._kept(stop.value))
                return
            except Exception as exc:
                self._flow = None
                self.results.append(_documented(exc))
                return
            if isinstance(step, Command):
                try:
                    self._awaited = self.protocol.submit(step)
                    return
                except FastimapError as exc:
                    resume = partial(flow.throw, exc)
                    continue
            assert isinstance(step, BeginTLS)
            self.protocol.tls_started()
            resume = lambda: flow.send(None)  # noqa: E731

    def turn(self) -> None:
        """Take what has come, and write what there is to write."""
        for stream in self.streams:
            self._now += 600.0
            if isinstance(stream, IdleStream):
                with self._errors():
                    stream.advance(self._now)
            while not getattr(stream, "closed", False):
                rows: list[Any] = []
                with self._errors():
                    rows = self._events() if isinstance(stream, IdleStream) else stream.take()
                if not rows:
                    break
                self.results += map(self._kept, rows)
        while self._awaited is not None and self._awaited.done:
            pending, self._awaited = self._awaited, None
            flow = self._flow
            if pending.error is None:
                value = pending.value
                self._go_on(lambda: flow.send(value))  # noqa: B023
            else:
                error = pending.error
                self._go_on(lambda: flow.throw(error))  # noqa: B023
        while chunks := self.protocol.data_to_send():
            assert self.protocol.error is None
            self.sent += b"".join(map(bytes, chunks))

    def _events(self) -> list[Any]:
        """Return the events that have come, as the clients' idle() yields them."""
        events = []
        while (event := self.protocol.next_event()) is not None:
            events.append(event)
        return events

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as exc:
            self.results.append(_documented(exc))

    def feed(self, octets: bytes) -> None:
        view = memoryview(octets)
        while view and self.protocol.error is None:
            room = self.protocol.get_buffer()
            size = min(len(room), len(view))
            room[:size] = view[:size]
            if isinstance(room, memoryview):
                room.release()
            self.protocol.buffer_updated(size)
            view = view[size:]

    def outcome(self) -> list[Any]:
        """All that the caller has seen, the connection being closed now."""
        said = self.protocol
        alive = said.error is None
        said.eof_received()
        self.turn()
        assert said.error is not None
        assert said.idle
        assert not said.in_flight
        assert all(pending.done or pending.command.abandoned for pending in self.pendings)
        with contextlib.suppress(FastimapError):
            said.submit(commands.Noop())
            raise AssertionError("a dead connection takes commands")
        events = []
        while (event := said.next_event()) is not None:
            events.append(self._kept(event))
        answers = [
            self._kept(pending.value) if pending.error is None else _documented(pending.error)
            for pending in self.pendings
        ]
        session = said.session
        known = [session.capabilities, session.enabled, session.mailbox, session.read_only, session.uid_validity]
        seen = [alive, _documented(said.error), answers, self.results, events, self.files.written, self.sent, known]
        return [*seen, session.compressed, session.server_id, said.counters.commands]


def _documented(error: BaseException) -> tuple[str, str]:
    """AssertionError for an exception that nothing announces."""
    assert isinstance(error, (FastimapError, Broken, EOFError)), f"{type(error).__name__} got out"
    return type(error).__name__, str(error)


def shown(value: Any) -> Any:
    """All that two equal values have in common: what they are made of, of which types, and how they show themselves."""
    if isinstance(value, FetchedMessage):
        return value._values(), repr(value), hash(value)
    if isinstance(value, tuple):
        return type(value), tuple(value), repr(value)
    return type(value), value, repr(value)


def look_at(value: Any) -> None:
    """Ask `value`, and what it is made of, for all that it has: nothing of it raises.

    Only a message without its octets (`email()`), and what _MAY_REFUSE names, say so by a ValueError.
    """
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
            continue
        hash(value)
        str(value)
        refusing = contextlib.suppress(ValueError) if isinstance(value, _MAY_REFUSE) else contextlib.nullcontext()
        for name in dir(type(value)):
            if isinstance(getattr(type(value), name, None), (property, GetSetDescriptorType)):
                with refusing, contextlib.suppress(NotFetched):
                    getattr(value, name)
        for name in ("in_order", "pairs", "numbers", "walk", "attachments"):
            with refusing:
                if callable(method := getattr(value, name, None)):  # SearchResult.numbers is a value
                    list(islice(method(), _LISTED))
        if isinstance(value, FetchedMessage) and (value.body is not None or value.header_octets is not None):
            value.email()
        if isinstance(value, BodyStructure):
            value.find("text/plain")
            value.text_part("html")
            value.decode_text(b"=C3=\xa4\r\nYQ==")
        if isinstance(value, FetchedMessage):
            stack += value._values()
        elif isinstance(value, tuple):
            stack += value
        elif isinstance(value, Value):
            stack += vars(value).values()
        elif type(value).__module__.startswith("fastimap.") and hasattr(value, "__dataclass_fields__"):
            stack += (getattr(value, name) for name in value.__dataclass_fields__)


# What the client is doing.

_BOX = "Entwürfe"
_KEY = search.unseen & search.subject("é") & search.larger(5)
_ALL_MESSAGES = UIDSet("1:*")
_SPECIAL = commands.MailboxFilter("subtree", ("Lists",))

# One command alone: every class that there is (tests/fuzz/test_conversations.py sees to that).
ONE: dict[str, Callable[[], Command[Any]]] = {
    "append": lambda: commands.Append(_BOX, b"hello\r\n", flags=["\\Seen"]),
    "append from a file": lambda: commands.Append("x", _File(b"hello"), size=9),  # type: ignore[arg-type]
    "authenticate CRAM-MD5": lambda: commands.Authenticate(sasl.CramMD5("user", "pencil")),
    "authenticate LOGIN": lambda: commands.Authenticate(sasl.Login("user", "pencil")),
    "authenticate OAUTHBEARER": lambda: commands.Authenticate(sasl.OAuthBearer("user", "token")),
    "authenticate PLAIN": lambda: commands.Authenticate(sasl.Plain("user", "pencil")),
    "authenticate SCRAM": lambda: commands.Authenticate(
        sasl.ScramSHA256("user", "pencil", nonce="rOprNGfwEbeRWgbNEkqO")  # RFC 7677, section 3
    ),
    "cancel_update": lambda: commands.CancelUpdate(b"T0"),
    "capability": commands.Capability,
    "catenate": lambda: commands.Catenate("x", ["/INBOX/;UID=20", b"text"]),
    "check": commands.Check,
    "close": commands.Close,
    "comparator": lambda: commands.Comparator("i;unicode-casemap"),
    "compress": commands.Compress,
    "copy": lambda: commands.Copy("1:3", "x"),
    "create": lambda: commands.Create("x", special_use="\\Sent"),
    "delete": lambda: commands.Delete("x"),
    "delete_acl": lambda: commands.DeleteACL("x", "fred"),
    "enable": lambda: commands.Enable("UTF8=ACCEPT", "QRESYNC"),
    "examine": lambda: commands.Examine(_BOX, condstore=True),
    "expunge": lambda: commands.Expunge("1:9"),
    "fetch": lambda: commands.Fetch("1:9", "FLAGS", "ENVELOPE", "BODY.PEEK[]", "X-GM-LABELS"),
    "fetch by number": lambda: commands.Fetch(SequenceSet("1:9"), "BODYSTRUCTURE", "INTERNALDATE"),
    "fetch flags": lambda: commands.Fetch("1:9", "FLAGS", changed_since=1, vanished=True),
    "get_acl": lambda: commands.GetACL("x"),
    "get_jmap_access": commands.GetJMAPAccess,
    "get_metadata": lambda: commands.GetMetadata("x", "/shared/comment", depth=1, max_size=9),
    "get_quota": lambda: commands.GetQuota(""),
    "get_quota_root": lambda: commands.GetQuotaRoot("x"),
    "id": lambda: commands.ID({"name": "fuzz"}),
    "idle": commands.Idle,
    "language": lambda: commands.Language("de"),
    "list": lambda: commands.List(
        "", ["*", "%"], with_rights=True, status=["MESSAGES"], metadata=["/shared/comment"], with_special_use=True
    ),
    "list_rights": lambda: commands.ListRights("x", "fred"),
    "login": lambda: commands.Login("user", 'a"b'),
    "logout": commands.Logout,
    "lsub": commands.LSub,
    "move": lambda: commands.Move("1:3", "x"),
    "multi_append": lambda: commands.MultiAppend("x", [commands.AppendMessage(b"a"), commands.AppendMessage(b"b")]),
    "multi_search": lambda: commands.MultiSearch(_SPECIAL, _KEY, returns=["ALL", "COUNT"]),
    "my_rights": lambda: commands.MyRights("x"),
    "namespace": commands.Namespace,
    "noop": commands.Noop,
    "notify": lambda: commands.Notify(commands.EventGroup(_SPECIAL, ("MessageNew", "MessageExpunge")), status=True),
    "notify_none": commands.NotifyNone,
    "rename": lambda: commands.Rename("x", _BOX),
    "replace": lambda: commands.Replace(7, "x", b"hello\r\n"),
    "search": lambda: commands.Search(_KEY, returns=["ALL", "MIN", "MAX", "COUNT"]),
    "search partial": lambda: commands.Search(search.all_, returns=[], partial=(1, 9), sequence=True),
    "search updated": lambda: commands.Search(search.all_, returns=["UPDATE", "ALL"]),
    "select": lambda: commands.Select(_BOX),
    "select to synchronize": lambda: commands.Select("x", qresync=commands.QResync(7, 9)),
    "set_acl": lambda: commands.SetACL("x", "fred", "lr"),
    "set_metadata": lambda: commands.SetMetadata("x", {"/shared/comment": b"a\0b", "/private/comment": None}),
    "set_quota": lambda: commands.SetQuota("", {"STORAGE": 9}),
    "sort": lambda: commands.Sort(["REVERSE DATE"], _KEY),
    "sort partial": lambda: commands.Sort(["DATE"], _KEY, returns=["COUNT"], partial=(1, 9)),
    "starttls": commands.StartTLS,
    "status": lambda: commands.Status("x"),
    "store": lambda: commands.Store("1:9", "\\Seen", unchanged_since=9),
    "store_gmail_labels": lambda: commands.StoreGmailLabels("1:9", ["a", "\\Important"]),
    "subscribe": lambda: commands.Subscribe("x"),
    "thread": lambda: commands.Thread("REFERENCES", _KEY),
    "unauthenticate": commands.Unauthenticate,
    "unselect": commands.Unselect,
    "unsubscribe": lambda: commands.Unsubscribe("x"),
    "xlist": commands.XList,
}


def _one(name: str) -> Callable[[Scene], None]:
    def begin(scene: Scene) -> None:
        session = scene.protocol.session
        command = ONE[name]()
        if State.SELECTED not in command.states:
            session.state = State.AUTHENTICATED if State.AUTHENTICATED in command.states else State.NOT_AUTHENTICATED
            session.capabilities |= {"STARTTLS", "AUTH=CRAM-MD5", "AUTH=LOGIN", "AUTH=OAUTHBEARER"}
            session.capabilities -= {"SASL-IR"} if name.endswith("PLAIN") else set()
        if name == "select to synchronize":
            session.enabled = frozenset({"QRESYNC"})
        scene.submit(command)

    return begin


def _greeting(scene: Scene) -> None:
    scene.protocol.session.state = State.CONNECTING
    scene.protocol.session.capabilities = frozenset()
    scene.pendings.append(scene.protocol.greeting)
    scene.submit(commands.Capability())


def _begin_connection(scene: Scene) -> None:
    session = scene.protocol.session
    session.state = State.NOT_AUTHENTICATED
    session.capabilities = frozenset()
    session.tls = False
    settings = Settings(
        host="imap.example.org",
        port=143,
        tls="starttls",
        ssl_context=None,
        credentials=sasl.Credentials(user="user", password="pencil"),
        mechanism=None,
        timeouts=DEFAULT_TIMEOUTS,
        limits=CLIENT_LIMITS,
        compress=True,
        client_id={"name": "fuzz"},
        socket=None,
    )
    scene.run(prepare.prepare(scene.protocol, settings, dict))


def _in_utf8(scene: Scene) -> None:
    scene.protocol.session.enabled = frozenset({"UTF8=ACCEPT"})
    scene.submit(commands.List(), commands.Status("x", "MESSAGES"))


def _several_fetches(scene: Scene) -> None:
    scene.submit(
        commands.Fetch("1:3", "FLAGS"),
        commands.Fetch("4:9", "BODY.PEEK[HEADER]", "MODSEQ"),
        commands.Search(search.unseen),
        commands.Noop(),
    )
    scene.pendings[0].on_done = scene.pendings[1].detach


def _to_files(scene: Scene) -> None:
    scene.submit(commands.FetchInto("1:9", "BODY.PEEK[]", "BODY.PEEK[1.MIME]", into=scene.files))


def _to_files_by_number(scene: Scene) -> None:
    scene.submit(commands.FetchInto(SequenceSet("2:*"), "BINARY.PEEK[1]", "RFC822", into=scene.files))
    scene.submit(commands.Fetch("7", "UID"))


def _stream(scene: Scene) -> None:
    scene.streams.append(FetchStream(scene.protocol, "1:9", ("ENVELOPE",), chunk=4, in_flight=2))


def _open_stream(scene: Scene) -> None:
    scene.streams.append(FetchStream(scene.protocol, _ALL_MESSAGES, ("FLAGS", "BODY.PEEK[]")))


def _idle(scene: Scene) -> None:
    scene.streams.append(IdleStream(scene.protocol, renew=500.0, poll=30.0))


def _search_again(scene: Scene) -> None:
    scene.without("ESEARCH", "UTF8=ACCEPT")
    scene.run(operations.search(scene.protocol, _KEY))


def _move_by_copy(scene: Scene) -> None:
    scene.without("MOVE")
    scene.run(operations.move(scene.protocol, "1:3", "x"))


def _plain_searches(scene: Scene) -> None:
    scene.without("ESEARCH")
    scene.submit(commands.Search(search.unseen, returns=["ALL", "COUNT"]), commands.Sort(["DATE"], search.all_))


def _given_up(scene: Scene) -> None:
    """The answers to commands that nobody awaits any more are for nobody, and the next command gets its own."""
    scene.submit(commands.FetchInto("1:9", "BODY.PEEK[]", into=scene.files), commands.Select("x"))
    scene.submit(commands.Status("x", "MESSAGES"))
    for pending in scene.pendings[:2]:
        pending.on_done = None
    scene.turn()
    scene.pendings[0].detach()
    scene.pendings[1].detach()


def _compressed(scene: Scene) -> None:
    scene.submit(commands.Compress())
    scene.turn()
    scene.feed(b"T0 OK go\r\n")
    scene.compressed = True
    scene.submit(commands.Fetch("1:9", "BODY.PEEK[]"), commands.Status("x", "MESSAGES"))


def _deflated(scene: Scene) -> None:
    _compressed(scene)
    scene.compressed = False


CONVERSATIONS: dict[str, Callable[[Scene], None]] = {
    **{name: _one(name) for name in ONE},
    "the greeting": _greeting,
    "the beginning": _begin_connection,
    "in UTF-8": _in_utf8,
    "several fetches": _several_fetches,
    "to files": _to_files,
    "to files by number": _to_files_by_number,
    "fetch_iter": _stream,
    "fetch_iter without an end": _open_stream,
    "idle()": _idle,
    "search()": _search_again,
    "move()": _move_by_copy,
    "plain searches": _plain_searches,
    "given up": _given_up,
    "compressed": _compressed,
    "compressed by the fuzzer": _deflated,
}
# Here a cut makes a difference: what has arrived after the OK of STARTTLS tells an attack, what arrives later is TLS;
# and of what zlib was given at once it returns nothing where the end is broken.
_ONE_CUT_ONLY = {"starttls", "the beginning", "compress", "compressed by the fuzzer"}


@dataclass(frozen=True)
class Plan:
    """An input of the fuzzer, read."""

    conversation: str
    limits: Limits
    turns: list[bytes]


def planned(data: bytes) -> Plan:
    names = list(CONVERSATIONS)
    first = data[0] if data else 0
    limits = _SMALL if first & CLIENT_SMALL_LIMITS else CLIENT_LIMITS
    return Plan(names[(first & ~CLIENT_SMALL_LIMITS) % len(names)], limits, arriving(data[1:], _MOST))


def check(data: bytes) -> None:
    """AssertionError, or whatever exception got out, where `data` shows that an invariant does not hold."""
    plan = planned(data)
    expected = watched(plan, python, len)
    seen = watched(plan, LITTERED, len)
    assert seen == expected, f"{plan}: in C {seen!r}, and in Python {expected!r}"
    if plan.conversation not in _ONE_CUT_ONLY:
        seen = watched(plan, LITTERED, lambda octets: 1 if len(octets) < 300 else _PIECE)
        # Empty lines count as unsolicited only where nothing else arrives with them.
        by_pieces = {seen[1][0], expected[1][0]} & {"TooManyUnsolicited"}
        assert by_pieces or seen == expected, f"{plan}: in pieces {seen!r}, and whole {expected!r}"


def watched(plan: Plan, twin: Any, size: Callable[[bytes], int]) -> list[Any]:
    """What the caller sees, the parser being `twin`, and each turn cut in pieces of `size`."""
    with _parsing_by(twin):
        scene = Scene(plan.limits)
        CONVERSATIONS[plan.conversation](scene)
        scene.turn()
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        for turn in plan.turns:
            octets = turn
            if scene.compressed:
                octets = compressor.compress(turn) + compressor.flush(zlib.Z_SYNC_FLUSH)
            step = size(octets) or 1
            for start in range(0, len(octets), step):
                scene.feed(octets[start : start + step])
            scene.turn()
        outcome = scene.outcome()
        if twin is LITTERED:
            look_at(scene.values)
        return outcome


def _numbered() -> Iterator[bytes]:
    return (b"T%X" % number for number in count())


@contextlib.contextmanager
def _parsing_by(twin: Any) -> Iterator[None]:
    with (
        mock.patch.object(protocol, "ResponseReader", twin.ResponseReader),
        mock.patch.object(encoder, "tags", _numbered),
        mock.patch.object(_values, "tokenize", twin.tokenize),
        mock.patch.object(fetch, "split_rows", twin.split_rows),
        mock.patch.object(fetch, "last_ascending", twin.last_ascending),
        mock.patch.object(parser, "split_rows", twin.split_rows),
    ):
        yield
