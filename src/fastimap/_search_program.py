"""The program of a search: keys to the parts of SEARCH, SORT and THREAD.

NOT is pushed down to single keys, where there are keys that say the opposite; ANDs within ANDs and ORs within ORs are
made one, and so are sets of one kind that stand side by side. An OR of many keys, which takes two at a time, is nested
by halves: servers bound the depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from .model.sequence_set import SequenceSet, UIDSet
from .model.words import MONTHS
from .search import And, Fuzzy, Key, Not, Or, SearchKey, SortKey, tokens
from .wire import encode
from .wire.encode import IfUTF8, Literal, Part, astring, atom, string

__all__ = ["RETURN_OPTIONS", "encode_search", "return_options", "search_program", "sort_criteria"]

_AND: Final = "AND"
_OR: Final = "OR"
_FUZZY: Final = "FUZZY"
_OTHER: Final = {_AND: _OR, _OR: _AND}

_OPPOSITES: Final = {
    "ANSWERED": "UNANSWERED",
    "DELETED": "UNDELETED",
    "DRAFT": "UNDRAFT",
    "FLAGGED": "UNFLAGGED",
    "SEEN": "UNSEEN",
    "RECENT": "OLD",
    "KEYWORD": "UNKEYWORD",
    # Every message has an internal date; the same is not true of Date fields and save dates.
    "SINCE": "BEFORE",
}
_NEGATED: Final = _OPPOSITES | {negative: positive for positive, negative in _OPPOSITES.items()}


class _Node:
    """A part of the program: a key or its opposite, or other nodes combined.

    An AND of no nodes is every message, an OR of none is no message.
    """

    __slots__ = ("children", "key", "negated", "op")

    def __init__(
        self, op: str, children: tuple[_Node, ...] = (), key: Key | None = None, *, negated: bool = False
    ) -> None:
        self.op = op
        self.children = children
        self.key = key
        self.negated = negated

    @property
    def is_constant(self) -> bool:
        return self.key is None and not self.children


def _single(key: Key, negated: bool) -> _Node:
    """Return the node of `key`, or of what does not match it."""
    if key.name == "ALL" or (key.numbers is not None and not key.numbers):
        return _Node(_AND if (key.name == "ALL") != negated else _OR)
    return _Node(key.name, key=key, negated=negated)


def _fuzzy(child: _Node, negated: bool) -> _Node:
    if child.is_constant:
        return _Node(_OTHER[child.op]) if negated else child
    return _Node(_FUZZY, (child,), negated=negated)


def _combined(op: str, nodes: Iterable[_Node]) -> _Node:
    """Return the AND or OR of `nodes`."""
    members: list[_Node] = []
    for node in nodes:
        if node.op == op:
            members += node.children
        else:
            members.append(node)
    members = _without_weaker(op, _merged(op, members))
    for node in members:
        if node.is_constant:
            return node  # no message in an AND, every message in an OR: what else is there does not count
    return members[0] if len(members) == 1 else _Node(op, tuple(members))


def _merged(op: str, members: list[_Node]) -> list[_Node]:
    """Return `members` with sets of one kind made one: ``UID 1 UID 1:5`` is UID 1, the OR of the two is UID 1:5."""
    kinds: dict[tuple[str, bool], list[_Node]] = {}
    for node in members:
        if node.key is not None and node.key.numbers is not None:
            kinds.setdefault((node.op, node.negated), []).append(node)
    replaced: dict[_Node, _Node | None] = {}
    for (name, negated), nodes in kinds.items():
        sets = [node.key.numbers for node in nodes if node.key is not None and node.key.numbers is not None]
        try:
            numbers = _reduced(sets, union=(op == _OR) != negated)
        except ValueError:  # what these have in common only the server knows: there is a * in them
            continue
        replaced |= dict.fromkeys(nodes)
        replaced[nodes[0]] = _single(Key(name, (), numbers), negated)
    found = (replaced.get(node, node) for node in members)
    # An AND of no keys in an AND, which an empty set can be, adds nothing.
    return [node for node in found if node is not None and not (node.is_constant and node.op == op)]


# Comparisons, with the sign of the bound that more of them keep: of two LARGER the greater one matches less.
_COMPARISONS: Final = {
    **dict.fromkeys(("LARGER", "OLDER", "SINCE", "SENTSINCE", "SAVEDSINCE"), 1),
    **dict.fromkeys(("SMALLER", "YOUNGER", "BEFORE", "SENTBEFORE", "SAVEDBEFORE"), -1),
}


def _bound(key: Key) -> int:
    """Return how narrow a comparison is: the greater, the fewer messages match."""
    day, _, rest = bytes(key.arguments[0]).decode("ascii").partition("-")  # type: ignore[arg-type]
    value = int(day)
    if rest:
        month, _, year = rest.partition("-")
        value += 32 * MONTHS.index(month) + 400 * int(year)
    return _COMPARISONS[key.name] * value


def _without_weaker(op: str, members: list[_Node]) -> list[_Node]:
    """Return `members` without comparisons that another of their kind implies: of ``LARGER 5 LARGER 9`` the last.

    Dovecot 2.3 does so as well, but takes ``NOT (SMALLER 17 SMALLER 16)`` for LARGER 16: that must not be sent.
    """
    kinds: dict[tuple[str, bool], list[_Node]] = {}
    for node in members:
        if node.key is not None and node.key.name in _COMPARISONS:
            kinds.setdefault((node.op, node.negated), []).append(node)
    weaker: set[_Node] = set()
    for (_, negated), nodes in kinds.items():
        bounds = {node: _bound(node.key) for node in nodes if node.key is not None}
        choose = max if (op == _AND) != negated else min
        weaker |= bounds.keys() - {choose(bounds, key=bounds.__getitem__)}
    return [node for node in members if node not in weaker]


def _reduced(sets: Sequence[UIDSet | SequenceSet], union: bool) -> UIDSet | SequenceSet:
    """Return the union or intersection of `sets`, all of one type; by halves, so that many small ones cost little."""
    reduced: list[UIDSet | SequenceSet] = list(sets)
    while len(reduced) > 1:
        pairs = zip(reduced[::2], reduced[1::2], strict=False)
        rest = reduced[-1:] if len(reduced) % 2 else []
        reduced = [_both(one, other, union) for one, other in pairs] + rest
    return reduced[0]


def _both(one: UIDSet | SequenceSet, other: UIDSet | SequenceSet, union: bool) -> UIDSet | SequenceSet:
    if isinstance(one, UIDSet):
        assert isinstance(other, UIDSet)
        return one | other if union else one & other
    assert isinstance(other, SequenceSet)
    return one | other if union else one & other


class _Group:
    """Keys that AND or OR combine, or the one of a FUZZY, on their way to a node."""

    __slots__ = ("negated", "nodes", "op", "parent", "place")

    def __init__(self, op: str, negated: bool, parent: list[_Node | None]) -> None:
        self.op = op
        self.negated = negated
        self.nodes: list[_Node | None] = []
        self.parent = parent
        self.place = len(parent)  # where in the parent's nodes the result belongs
        parent.append(None)


def _node(key: SearchKey) -> _Node:
    """Return the root of the program of `key`. A stack instead of recursion: users' programs nest keys at will."""
    found: list[_Node | None] = []
    groups = [_Group(_AND, False, found)]
    stack: list[tuple[SearchKey, bool, _Group]] = [(key, False, groups[0])]
    while stack:
        key, negated, group = stack.pop()
        if isinstance(key, Not):
            stack.append((key.key, not negated, group))
        elif isinstance(key, Key):
            group.nodes.append(_single(key, negated))
        elif isinstance(key, (And, Or)):
            op = _AND if isinstance(key, And) != negated else _OR
            if group.op != op:
                group = _Group(op, False, group.nodes)
                groups.append(group)
            stack.extend((part, negated, group) for part in reversed(key.keys))
        else:
            assert isinstance(key, Fuzzy)
            group = _Group(_FUZZY, negated, group.nodes)
            groups.append(group)
            stack.append((key.key, False, group))
    for group in reversed(groups):
        nodes = [node for node in group.nodes if node is not None]
        made = _fuzzy(nodes[0], group.negated) if group.op == _FUZZY else _combined(group.op, nodes)
        group.parent[group.place] = made
    root = found[0]
    assert root is not None
    return root


class _Writer:
    """Writes a program; text in `charset`, or with `utf8` in UTF-8 where the connection has that enabled."""

    def __init__(self, charset: str, *, utf8: bool) -> None:
        self._charset = charset
        self._utf8 = utf8

    def parts(self, root: _Node) -> tuple[Part, ...]:
        """Return the arguments of SEARCH that `root` is."""
        if root.is_constant:
            return (b"ALL",) if root.op == _AND else (b"NOT", b"ALL")
        lists: list[list[Part]] = [[]]
        # What is to come, last first: nodes of which one has to match, and the end of a list.
        stack: list[Sequence[_Node] | None] = []
        stack += ((node,) for node in reversed(root.children if root.op == _AND else (root,)))
        while stack:
            nodes = stack.pop()
            if nodes is None:
                done = tuple(lists.pop())
                lists[-1].append(done)
                continue
            if len(nodes) > 1:
                middle = (len(nodes) + 1) // 2
                lists[-1].append(b"OR")
                stack += (nodes[middle:], nodes[:middle])
                continue
            node = nodes[0]
            if node.key is not None:
                lists[-1] += self._key(node.key, node.negated)
            elif node.op == _FUZZY:
                lists[-1] += (b"NOT", b"FUZZY") if node.negated else (b"FUZZY",)
                stack.append(node.children)
            elif node.op == _AND:
                lists.append([])
                stack.append(None)
                stack += ((child,) for child in reversed(node.children))
            else:
                stack.append(node.children)
        return tuple(lists[0])

    def _key(self, key: Key, negated: bool) -> tuple[Part, ...]:
        name = key.name
        sign: tuple[Part, ...] = ()
        if negated and name in _NEGATED:
            name = _NEGATED[name]
        elif negated:
            sign = (b"NOT",)
        if key.numbers is not None:
            octets = str(key.numbers).encode("ascii")
            return (*sign, b"UID", octets) if name else (*sign, octets)
        arguments = [argument if isinstance(argument, bytes) else self._text(argument) for argument in key.arguments]
        return (*sign, tuple(arguments)) if name == "(" else (*sign, name.encode("ascii"), *arguments)

    def _text(self, value: str) -> Part:
        octets = value.encode(self._charset)
        if value.isascii():
            return astring(octets)
        if not self._utf8:
            return Literal(octets)
        part = string(value)
        return IfUTF8(part.then if isinstance(part, IfUTF8) else part, Literal(octets))


def encode_search(key: SearchKey, *, charset: str = "UTF-8") -> tuple[Part, ...]:
    """Return the arguments of SEARCH: CHARSET where it is needed, and the search keys that `key` is.

    Text that is not US-ASCII is sent in `charset`, or as UTF-8 without CHARSET where the connection has UTF-8
    enabled (RFC 6855, section 3). Raises UnicodeEncodeError where `charset` lacks a character, LookupError where
    Python lacks `charset`.
    """
    named = atom(charset)  # refused here, whether it is sent or not
    if not _has_foreign_text(key):
        return _Writer("US-ASCII", utf8=False).parts(_node(key))
    return (IfUTF8(None, b"CHARSET " + named), *_Writer(charset, utf8=True).parts(_node(key)))


def search_program(key: SearchKey, *, charset: str = "UTF-8") -> tuple[Part, ...]:
    """Return the search keys of `key` alone, for SORT and THREAD, which always name the charset (RFC 5256).

    Raises what encode_search() raises.
    """
    return _Writer(charset, utf8=charset.upper() == "UTF-8").parts(_node(key))


def _has_foreign_text(key: SearchKey) -> bool:
    texts = (argument for token in tokens(key) if isinstance(token, Key) for argument in token.arguments)
    return not all(argument.isascii() for argument in texts)


# What SEARCH and SORT return, and in which order.

RETURN_OPTIONS: Final = {
    "ALL": "ESEARCH",
    "COUNT": "ESEARCH",
    "MAX": "ESEARCH",
    "MIN": "ESEARCH",
    "SAVE": "SEARCHRES",
    "CONTEXT": "CONTEXT=SEARCH",
    "UPDATE": "CONTEXT=SEARCH",
    "RELEVANCY": "SEARCH=FUZZY",
}
"""The return options without arguments, and the capability that each of them needs (RFC 4731, 5182, 5267, 6203)."""


def return_options(options: Iterable[str], *, partial: tuple[int, int] | None = None) -> tuple[Part, ...]:
    """Return ``RETURN (...)``: of `options`, the keys of RETURN_OPTIONS, and of PARTIAL.

    `partial` are the first and last position wanted among the results, both from 1, or both from -1, the last
    result, down (RFC 9394, section 3.1; RFC 5267 has no negative ones). Raises ValueError for any other.
    """
    if isinstance(options, str):
        raise TypeError(f"return options are given as a list, not as one str: {options!r}")
    words: list[Part] = []
    for option in options:
        if encode.text(option).upper() not in RETURN_OPTIONS:
            raise ValueError(f"not a return option: {option!r}")
        words.append(option.upper().encode("ascii"))
    if partial is not None:
        words += (b"PARTIAL", encode.partial(partial))
    return (b"RETURN", tuple(words))


def sort_criteria(keys: Iterable[str]) -> tuple[bytes, ...]:
    """Return the list of sort keys `keys`, such as ``("REVERSE DATE", SortKey.SUBJECT)``; at least one."""
    if isinstance(keys, str):
        raise TypeError(f"sort keys are given as a list, not as one str: {keys!r}")
    words = []
    for key in keys:
        name = encode.text(key).upper()
        if name.removeprefix("REVERSE ") not in list(SortKey):
            raise ValueError(f"not a sort key: {key!r}")
        words.append(name.encode("ascii"))
    if not words:
        raise ValueError("no sort keys: a SORT needs at least one")
    return tuple(words)
