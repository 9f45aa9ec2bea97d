"""What a server says about itself: CAPABILITY, ENABLED, ID, LANGUAGE, COMPARATOR, JMAPACCESS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..model.responses import (
    Capabilities,
    ComparatorResponse,
    Enabled,
    JMAPAccess,
    LanguageResponse,
    ReadOnlyDict,
    Response,
    ServerID,
)
from ._values import Data, capabilities, is_nil, one, pairs, text_of, texts

__all__ = ["DECODERS"]


def _id(data: Data) -> ServerID:
    match data.tokens():
        case ():
            return ServerID()
        case (token,) if is_nil(token):
            return ServerID()
        case (tuple(items),):
            known = {name.lower(): text_of(token) for name, token in pairs(items) if not is_nil(token)}
            return ServerID(ReadOnlyDict(known))
    raise ValueError("neither NIL nor one list")


def _comparator(data: Data) -> ComparatorResponse:
    match data.tokens():
        case (name,):
            return ComparatorResponse(text_of(name))
        case (name, tuple(matching)):
            return ComparatorResponse(text_of(name), tuple(map(text_of, matching)))
    raise ValueError("not a comparator and a list")


DECODERS: Final[dict[str, Callable[[Data], Response]]] = {
    "CAPABILITY": lambda data: Capabilities(capabilities(data.line)),
    "COMPARATOR": _comparator,
    "ENABLED": lambda data: Enabled(capabilities(data.line)),
    "ID": _id,
    "JMAPACCESS": lambda data: JMAPAccess(text_of(one(data.tokens()))),
    "LANGUAGE": lambda data: LanguageResponse(texts(data.tokens())),
}
