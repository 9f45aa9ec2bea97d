"""``fastimap doctor``: what a server can do, what is odd about it, what to set; without secrets, to be shown."""

from __future__ import annotations

import argparse
import contextlib
import platform
import socket
import ssl
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import accounts, exits
from .arguments import shown
from .exits import Failed, counted, readable
from .running import explained, talk
from .show import Show, octets
from .words import here

if TYPE_CHECKING:
    from ..clients.blocking import Client
    from ..settings import Account

__all__ = ["add", "run"]

DESCRIPTION = (
    "Say what a server can do, what is odd about it, and what to set. It logs in, looks at the mailboxes and at the "
    "newest messages of INBOX, and changes nothing. What it prints names the server, but no user, mailbox, message or "
    "password, so that it can be put into a bug report."
)
EPILOG = (
    "Exit code: 0 also where something is odd; 10, 12 where it could not look, after the report of how far it came."
)

_USES = (
    (("QRESYNC",), "pull: what came, went and changed is one answer"),
    (("CONDSTORE", "QRESYNC"), "pull: a mailbox without news is not looked at, flags are compared by mod-sequence"),
    (("LIST-STATUS",), "pull, ls: the counts of all mailboxes in one answer"),
    (("OBJECTID", "X-GM-EXT-1"), "pull: moved and renamed mail is known again by the server's own names"),
    (("NOTIFY", "IDLE"), "watch, follow: mail is reported as it comes"),
    (("UNSELECT",), "a mailbox is left without expunging"),
    (("ESEARCH", "IMAP4REV2"), "search: UIDs come as ranges"),
    (("UIDPLUS", "IMAP4REV2"), "append and copy report the new UIDs; single messages can be expunged"),
    (("MOVE", "IMAP4REV2"), "watch --move-to: one command, nothing half done"),
    (("LITERAL+", "LITERAL-", "IMAP4REV2"), "literals without a round trip"),
    (("COMPRESS=DEFLATE",), "compression, with compress()"),
    (("SPECIAL-USE", "XLIST", "IMAP4REV2"), r"mailboxes by use: \Sent, \Trash"),
    (("STATUS=SIZE", "IMAP4REV2"), "ls: octets of a mailbox"),
    (("ID",), "client and server say what they are"),
)
_NEWEST = 50
_BODIES = 5
_LARGEST = 256 * 1024


@dataclass
class Findings:
    """What was found."""

    facts: dict[str, str] = field(default_factory=dict)
    can: list[str] = field(default_factory=list)
    can_not: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    set: list[str] = field(default_factory=list)
    capabilities: list[str] = field(default_factory=list)
    error: str | None = None

    def text(self) -> str:
        """Return it for people."""
        lines = [f"{name:<13} {value}" for name, value in self.facts.items()]
        parts = (
            ("It can", self.can),
            ("It can't", self.can_not),
            ("What is odd", self.odd or (["nothing was found"] if self.error is None else [])),
            ("What to set", self.set or (["nothing: the defaults fit"] if self.error is None else [])),
            ("Capabilities", [" ".join(self.capabilities)] if self.capabilities else []),
        )
        if self.error is not None:
            lines += ["", f"It ended: {self.error}"]
        for title, rows in parts:
            if rows:
                lines += ["", title, *(f"  {row}" for row in rows)]
        return "\n".join(readable(line) for line in lines)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("source", nargs="?", metavar="ACCOUNT", help="a URL, imaps://user@host, or a configured name")
    shown(parser)
    accounts.add(parser)


def run(options: argparse.Namespace) -> int:
    """Look, and say it."""
    given = accounts.given(options, options.source)
    talk(options)
    with Show(as_json=options.json, quiet=True) as show, explained(options, show):
        account = given.account
        found = Findings()
        try:
            _look(account, found)
        except Exception as exc:
            found.error = here(f"{type(exc).__name__}: {exc}")
            found.set += _advice(exc, account)
            raise
        except BaseException:  # of a signal
            found.error = "it was stopped before it was done"
            raise
        finally:
            _hide(found, account)
            _print(found, show)
    return exits.DONE


def _hide(found: Findings, account: Account) -> None:
    """Take the user's name out of what the server says."""
    names = {account.user or "", (account.user or "").partition("@")[0]}
    for name in sorted((name for name in names if len(name) > 2), key=len, reverse=True):
        found.facts = {key: value.replace(name, "USER") for key, value in found.facts.items()}
        found.odd = [text.replace(name, "USER") for text in found.odd]
        found.error = None if found.error is None else found.error.replace(name, "USER")


def _print(found: Findings, show: Show) -> None:
    if show.as_json:
        values: dict[str, Any] = {"facts": found.facts, "can": found.can, "can_not": found.can_not, "odd": found.odd}
        show.line("report", **values, set=found.set, capabilities=found.capabilities, error=found.error)
    else:
        print(found.text())
        sys.stdout.flush()


def _look(account: Account, found: Findings) -> None:
    from .. import IMPLEMENTATION, __version__
    from ..clients.blocking import Client

    found.facts["fastimap"] = f"{__version__}, parser in {IMPLEMENTATION.upper()}"
    found.facts["Python"] = f"{platform.python_version()}, {ssl.OPENSSL_VERSION}, {platform.system()}"
    port = account.port or (993 if account.tls is True else 143)
    found.facts["server"] = f"{account.host}:{port}"
    with contextlib.suppress(socket.gaierror):  # the client says it
        addresses = {each[4][0] for each in socket.getaddrinfo(account.host, port, type=socket.SOCK_STREAM)}
        sixes = sum(":" in str(address) for address in addresses)
        found.facts["addresses"] = f"{len(addresses) - sixes} of IPv4, {sixes} of IPv6"
    began = time.monotonic()
    with Client(
        account.host, account.port, tls=account.tls, ssl_context=account.ssl_context, timeout=account.timeout
    ) as client:
        found.facts["connected"] = f"in {_seconds(time.monotonic() - began)}"
        _tls(client, found)
        before = client.session.capabilities or client.capability()
        mechanisms = sorted(name.removeprefix("AUTH=") for name in before if name.startswith("AUTH="))
        found.facts["mechanisms"] = " ".join(mechanisms) or "none listed"
        if "LOGINDISABLED" in before and client.session.tls:
            found.odd.append("LOGIN is disabled on a connection with TLS")
    began = time.monotonic()
    with Client(account) as client:
        found.facts["logged in"] = f"in {_seconds(time.monotonic() - began)}, connecting included"
        _ask(client, account, found)


def _tls(client: Client, found: Findings) -> None:
    made = client._ssl()
    if made is None:
        found.facts["TLS"] = "none: everybody on the way can read all"
        return
    cipher = made.cipher()
    certificate = made.getpeercert() or {}
    until = certificate.get("notAfter")
    found.facts["TLS"] = f"{made.version()}, {cipher[0] if cipher else '?'}"
    if isinstance(until, str):
        left = ssl.cert_time_to_seconds(until) - time.time()
        found.facts["certificate"] = f"until {until}"
        if left < 14 * 86400:
            found.odd.append(f"the certificate ends in {left / 86400:.0f} days")
    if made.version() in ("TLSv1", "TLSv1.1"):
        found.odd.append(f"{made.version()} is out of use since RFC 8996")


def _ask(client: Client, account: Account, found: Findings) -> None:
    session = client.session
    names = found.capabilities = sorted(session.capabilities)
    if not {"IMAP4REV1", "IMAP4REV2"} & set(names):
        found.odd.append("neither IMAP4rev1 nor IMAP4rev2 is listed")
    for needed, use in _USES:
        has = [name for name in needed if session.has(name)]
        if has:
            found.can.append(f"{has[0]:<17} {use}")
        else:
            found.can_not.append(f"{needed[0]:<17} {use}")
    identity = client.id() if session.has("ID") else None
    if identity:
        found.facts["says it is"] = " ".join(str(identity[name]) for name in ("name", "version") if identity.get(name))
    times = []
    for _ in range(5):
        began = time.monotonic()
        client.noop()
        times.append(time.monotonic() - began)
    trip = statistics.median(times)
    found.facts["round trip"] = f"{_seconds(trip)} (NOOP, the median of five)"
    _mailboxes(client, found)
    _inbox(client, found)
    _settings(client, account, trip, found)


def _mailboxes(client: Client, found: Findings) -> None:
    from ..errors import CommandError

    infos = client.list_mailboxes()
    selectable = [info for info in infos if info.is_selectable]
    refused, messages, validities = 0, 0, Counter[int]()
    with client.pipeline() as pipeline:
        asked = [pipeline.mailbox_status(info, "MESSAGES", "UIDVALIDITY") for info in selectable[:500]]
    for answer in asked:
        try:
            status = answer.result()
        except CommandError:
            refused += 1
            continue
        messages += status.messages or 0
        validities[status.uid_validity or 0] += 1
    uses = sorted({use for info in infos for use in info.special_use})
    found.facts["mailboxes"] = f"{len(infos):,} ({len(selectable):,} selectable), {counted(messages, 'message')}"
    found.facts["special uses"] = " ".join(uses) or "none are listed"
    found.facts["delimiter"] = " ".join(sorted({str(info.delimiter) for info in infos}))
    odd = sum(info.defect is not None for info in infos)
    if odd:
        found.odd.append(f"{odd} lines of LIST are not in the grammar")
    raw = sum(not info.octets.isascii() for info in infos)
    if raw and not client.session.utf8:
        found.odd.append(f"{raw} mailbox names are not in modified UTF-7")
    twice = len(infos) - len({info.name for info in infos})
    if twice:
        found.odd.append(f"{twice} mailboxes are listed twice")
    if refused:
        found.odd.append(f"STATUS is refused for {refused} mailboxes")
    if validities[0]:
        found.odd.append(f"{validities[0]} mailboxes have no UIDVALIDITY: their messages can't be told apart")
    same = sum(count for number, count in validities.items() if number and count > 1)
    if same:
        found.odd.append(f"{same} mailboxes share their UIDVALIDITY with another (a pull does not mind)")
    if not any(info.name == "INBOX" for info in infos):
        found.odd.append("no INBOX is listed")


def _inbox(client: Client, found: Findings) -> None:
    from ..model.sequence_set import UIDSet

    selected = client.select("INBOX", read_only=True)
    began = time.monotonic()
    uids = list(client.search().uids) if selected.exists else []
    took = time.monotonic() - began
    found.facts["INBOX"] = f"{counted(selected.exists, 'message')}; SEARCH ALL took {_seconds(took)}"
    if len(uids) != client.session.exists:
        found.odd.append(f"INBOX has {client.session.exists} messages, and SEARCH lists {len(uids)}")
    if selected.uid_next is None:
        found.odd.append("SELECT does not say UIDNEXT")
    elif uids and uids[-1] >= selected.uid_next:
        found.odd.append(f"UIDNEXT is {selected.uid_next}, and the highest UID {uids[-1]}")
    if not uids:
        return
    rows = client.fetch(UIDSet(uids[-_NEWEST:]), "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE")
    defects = Counter(defect.item.split("[")[0] for row in rows for defect in row.defects)
    for item, count in sorted(defects.items()):
        found.odd.append(f"{item}: {count} of the newest {len(rows)} messages are not in the grammar")
    sizes = {row.uid: row.size for row in rows if row.size is not None and row.size <= _LARGEST}
    bodies = client.fetch(UIDSet(sorted(sizes)[-_BODIES:]), "BODY.PEEK[]") if sizes else []
    wrong = sum(row.body is not None and len(row.body) != sizes[row.uid] for row in bodies)
    absent = sum(row.body is None for row in bodies)
    if wrong:
        found.odd.append(f"RFC822.SIZE is wrong for {wrong} of the newest {len(bodies)} messages")
    if absent:
        found.odd.append(f"BODY[] is missing for {absent} of the newest {len(bodies)} messages")
    sample = sum(len(row.body or b"") for row in bodies)
    found.facts["looked at"] = f"the newest {len(rows)} messages of INBOX, {octets(sample)} of bodies"


def _settings(client: Client, account: Account, trip: float, found: Findings) -> None:
    host = account.host.lower()
    lines = found.set
    if client.session.has("X-GM-EXT-1"):
        lines.append('[accounts.NAME.pull] budget = "gmail": 2,500 MB a day can be downloaded, then logins are refused')
        lines.append("[accounts.NAME] token_command, or an app password; labels are kept with each message")
    elif host.endswith((".office365.com", ".outlook.com")) or "exchange" in found.facts.get("says it is", "").lower():
        lines.append('[accounts.NAME.pull] budget = "microsoft": it pauses between large amounts, as the server asks')
        lines.append("[accounts.NAME] token_command: passwords are refused")
    if trip > 0.02:
        most = 2 if "yahoo" in host else 4
        lines.append(f"[accounts.NAME.pull] connections = {most}: the way is long ({_seconds(trip)})")
    if not any(client.session.has(name) for name in ("CONDSTORE", "QRESYNC")):
        lines.append("nothing helps here, but know it: each pull has to compare the flags of all messages")
    if not any(client.session.has(name) for name in ("NOTIFY", "IDLE")):
        lines.append("watch and follow ask every minute: this server reports nothing by itself")
    if account.tls is not True and account.tls != "starttls":
        lines.append(f'[accounts.NAME] url = "imaps://USER@{account.host}": TLS')


def _advice(exc: Exception, account: Account) -> list[str]:
    from ..errors import AuthenticationFailed, ConnectionLost, TLSError

    if isinstance(exc, Failed):
        return []
    if isinstance(exc, AuthenticationFailed):
        return [
            "is it a password for programs (app password), or is a token wanted (token_command)? See docs/providers.md"
        ]
    if isinstance(exc, TLSError) and "speak TLS" in str(exc):
        return [f"imap://USER@{account.host}:{account.port or 143} (STARTTLS), or the port that has TLS: 993"]
    if isinstance(exc, TLSError):
        return ["the certificate: is it the server's own? See docs/connections.md; port 143 takes imap:// (STARTTLS)"]
    if isinstance(exc.__cause__, socket.gaierror):
        return [f"the name {account.host} can't be resolved: is it spelt right, is there a network?"]
    if isinstance(exc, ConnectionLost):
        return ["is the port right (993 with imaps://, 143 with imap://), does a firewall keep it back?"]
    return []


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"
