"""Injection: no argument becomes a second command or a second argument.

Arguments that are IMAP syntax by design (search keys, data items, flags and sets as str) may be anything in one
line, but not more, nor announce a literal that is not there.
"""

from collections.abc import Callable

from ..scenario import GREETING, NOOP, Call, Scenario, call, injection, one_command
from ..server import Serve

EVIL = "x\r\nA1 DELETE secret"

# Every method with an argument from outside, and how to put it in. In the first, a mailbox must be selected.
TAKES_TEXT: dict[str, Callable[[str], Call]] = {
    "append: mailbox": lambda text: call("append", text, None, None, b"x"),
    "append: flags": lambda text: call("append", "INBOX", text, None, b"x"),
    "append: date": lambda text: call("append", "INBOX", None, f'"{text}"', b"x"),
    "authenticate: mechanism": lambda text: call("authenticate", text, lambda challenge: b"x"),
    "copy: message set": lambda text: call("copy", text, "INBOX"),
    "copy: mailbox": lambda text: call("copy", "1", text),
    "create": lambda text: call("create", text),
    "delete": lambda text: call("delete", text),
    "deleteacl": lambda text: call("deleteacl", "INBOX", text),
    "enable": lambda text: call("enable", text),
    "fetch: message set": lambda text: call("fetch", text, "(FLAGS)"),
    "fetch: section": lambda text: call("fetch", "1", f"(BODY[HEADER.FIELDS ({text})])"),
    "fetch: params": lambda text: call("fetch", "1", "BODY[HEADER.FIELDS ?]", params=[[text]]),
    "getacl": lambda text: call("getacl", text),
    "getannotation": lambda text: call("getannotation", "INBOX", text, "x"),
    "getquota": lambda text: call("getquota", text),
    "getquotaroot": lambda text: call("getquotaroot", text),
    "id: name": lambda text: call("id", {text: "x"}),
    "id: value": lambda text: call("id", {"name": text}),
    "list: directory": lambda text: call("list", text),
    "list: pattern": lambda text: call("list", "", text),
    "lsub": lambda text: call("lsub", text),
    "move: mailbox": lambda text: call("move", "1", text),
    "myrights": lambda text: call("myrights", text),
    "partial": lambda text: call("partial", "1", text, "1", "2"),
    "proxyauth": lambda text: call("proxyauth", text),
    "rename: new name": lambda text: call("rename", "x", text),
    "search: key": lambda text: call("search", None, "SUBJECT", text),
    "search: charset": lambda text: call("search", text, "ALL"),
    "search: params": lambda text: call("search", None, "SUBJECT ?", params=[text]),
    "select": lambda text: call("select", text),
    "setacl: who": lambda text: call("setacl", "INBOX", text, "lr"),
    "setacl: what": lambda text: call("setacl", "INBOX", "x", text),
    "setannotation": lambda text: call("setannotation", "INBOX", text),
    "setquota": lambda text: call("setquota", "x", text),
    "sort: criteria": lambda text: call("sort", text, "UTF-8", "ALL"),
    "status: mailbox": lambda text: call("status", text, "(MESSAGES)"),
    "status: names": lambda text: call("status", "INBOX", text),
    "store: command": lambda text: call("store", "1", text, "\\Seen"),
    "store: flags": lambda text: call("store", "1", "+FLAGS", text),
    "store: list of flags": lambda text: call("store", "1", "+FLAGS", [text]),
    "subscribe": lambda text: call("subscribe", text),
    "thread": lambda text: call("thread", text, "UTF-8", "ALL"),
    "uid: set": lambda text: call("uid", "FETCH", text, "(FLAGS)"),
    "uid: command": lambda text: call("uid", text, "1"),
    "unsubscribe": lambda text: call("unsubscribe", text),
    "xatom: name": lambda text: call("xatom", text),
    "xatom: argument": lambda text: call("xatom", "X-TEST", text),
}

UNSENDABLE = {"CR LF": "x\r\nA1 DELETE secret", "CR": "x\rA1 DELETE secret", "LF": "x\nA1 DELETE secret", "NUL": "x\0y"}

SCENARIOS: list[Scenario] = [
    injection(f"CR LF in {place}", evil(UNSENDABLE["CR LF"]), b"", selected=True) for place, evil in TAKES_TEXT.items()
]
SCENARIOS += [
    injection(f"{name} in {place}", TAKES_TEXT[place](UNSENDABLE[name]), b"", selected=True)
    for name in ("CR", "LF", "NUL")
    for place in (
        "create",
        "copy: message set",
        "fetch: section",
        "search: key",
        "search: params",
        "store: list of flags",
    )
]


def login(name: str, evil: Call, *expected: bytes) -> Scenario:
    """Return a scenario in which `evil` logs in, on a connection that nobody has logged in on."""
    return Scenario(
        "injection", name, (GREETING, Serve()), (evil, NOOP), one_command(*expected), timeout=2, argument_errors=True
    )


SCENARIOS += [
    login("CR LF in login: user", call("login", EVIL, "x"), b""),
    login("CR LF in login: password", call("login", "x", EVIL), b""),
    login("NUL in login: password", call("login", "x", "y\0z"), b""),
    login("quotes in login: user", call("login", 'x" "y', "z"), b'x" "y', b"z"),
    login("quotes in login: password", call("login", "x", 'y" "z'), b"x", b'y" "z'),
    login("a password in quotes is what it is", call("login", "x", '"y"'), b"x", b'"y"'),
    login("an escape at the end of login: user", call("login", "x\\", " y"), b"x\\", b" y"),
    login("a literal in login: user", call("login", "{4}", "x"), b"{4}", b"x"),
    login("a literal in login: password", call("login", "x", "{4+}"), b"x", b"{4+}"),
    login("NUL in login_plain", call("login_plain", "x", "y\0z"), b""),
    injection("a space in a mailbox", call("create", "a b"), b"a b"),
    injection("quotes in a mailbox", call("create", 'a" "b'), b'a" "b'),
    injection("two quoted strings as a mailbox", call("create", '"a" "b"'), b'"a" "b"'),
    injection("an escape at the end of a mailbox", call("rename", "a\\", " b"), b"a\\", b" b"),
    injection("an escaped quote at the end of a quoted mailbox", call("rename", '"a\\"', " b"), b'"a\\"', b" b"),
    injection(
        "parentheses as a mailbox", call("status", "INBOX (UNSEEN)", "(MESSAGES)"), b"INBOX (UNSEEN)", b"MESSAGES"
    ),
    injection("a list as a mailbox", call("status", "(a b)", "(MESSAGES)"), b"(a b)", b"MESSAGES"),
    injection("a literal as a mailbox", call("create", "{4}"), b"{4}"),
    injection("a literal that does not wait as a mailbox", call("create", "x{4+}"), b"x{4+}"),
    injection("an empty mailbox", call("create", ""), b""),
    injection("an empty new mailbox", call("rename", "a", ""), b"a", b""),
    injection("octets as a mailbox", call("create", b'a" "b {4}'), b'a" "b {4}'),
    injection("a space in an identifier", call("setacl", "a", "b c", "lr"), b"a", b"b c", b"lr"),
    injection("a space in rights", call("setacl", "a", "b", "l r"), b"a", b"b", b"l r"),
    injection("a literal as rights", call("setacl", "a", "b", "{4}"), b"a", b"b", b"{4}"),
    injection(
        "quotes in ID",
        call("id", {"name": 'x" "os" "y'}),
    ),
    injection("a literal in a search key", call("search", None, "SUBJECT {4}"), selected=True),
    injection("a literal that does not wait in a search key", call("search", None, "SUBJECT {4+}"), selected=True),
    injection("a literal8 in a search key", call("search", None, "SUBJECT", "~{4+}"), selected=True),
    injection("a literal in a search key as bytes", call("search", "UTF-8", b"SUBJECT {4+}"), selected=True),
    injection(
        "a literal in a search with params",
        call("search", None, "SUBJECT ?", params=["{4+}"]),
        b"SUBJECT",
        b"{4+}",
        selected=True,
    ),
    injection(
        "quotes in a search with params",
        call("search", None, "SUBJECT ?", params=['x" ALL "y']),
        b"SUBJECT",
        b'x" ALL "y',
        selected=True,
    ),
    injection(
        "parentheses in a search with params",
        call("search", None, "SUBJECT ?", params=["x) (y"]),
        b"SUBJECT",
        b"x) (y",
        selected=True,
    ),
    injection("a literal as a message set", call("copy", "1", "{4+}"), b"1", b"{4+}", selected=True),
    injection(
        "a literal as an argument of uid", call("uid", "COPY", "1", "{4+}"), b"COPY", b"1", b"{4+}", selected=True
    ),
    injection("a literal as an argument of xatom", call("xatom", "X-TEST", "{4+}")),
    injection("a literal as an annotation", call("setannotation", "INBOX", "{4+}")),
    injection("a literal as a mechanism", call("enable", "X {4+}")),
    injection(
        "a second argument in a message set",
        call("copy", "1 elsewhere", "INBOX"),
        b"1 elsewhere",
        b"INBOX",
        selected=True,
    ),
    injection(
        "a second argument in a set of uid",
        call("uid", "COPY", "1 elsewhere", "INBOX"),
        b"COPY",
        b"1 elsewhere",
        b"INBOX",
        selected=True,
    ),
    injection(
        "a second argument in a sequence of numbers",
        call("copy", ["1 elsewhere"], "INBOX"),
        b"1 elsewhere",
        b"INBOX",
        selected=True,
    ),
    injection(
        "a second argument in a date", call("append", "INBOX", None, '"x" (\\Deleted) "y"', b"x"), b"", selected=True
    ),
    injection("a literal in a date", call("append", "INBOX", None, '"x" {4+} "y"', b"x"), b"", selected=True),
    injection(
        "a second list in a sequence of flags",
        call("store", "1", "+FLAGS", ["\\Seen) (x"]),
        b"1",
        b"+FLAGS",
        b"\\Seen) (x",
        selected=True,
    ),
    injection(
        "a second argument in a charset",
        call("search", "UTF-8 SUBJECT x", "ALL"),
        b"CHARSET",
        b"UTF-8 SUBJECT x",
        b"ALL",
        selected=True,
    ),
    injection(
        "a second argument in a threading algorithm",
        call("thread", "REFERENCES UTF-8 SEEN", "UTF-8", "ALL"),
        b"REFERENCES UTF-8 SEEN",
        b"UTF-8",
        b"ALL",
        selected=True,
    ),
    injection(
        "a second argument in a mechanism",
        call("enable", "X Y"),
    ),
]
