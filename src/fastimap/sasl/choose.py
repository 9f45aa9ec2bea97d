"""Which mechanism to use, from what the server offers and what the caller has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType

from ..errors import MechanismError, NotOffered
from ..model._shown import Value
from ._mechanism import Mechanism
from ._oauth import Token
from .anonymous import Anonymous
from .cram_md5 import CramMD5
from .external import External
from .gssapi import GSSAPI
from .login import Login
from .oauthbearer import OAuthBearer
from .plain import Plain
from .scram import (
    CHANNEL_BINDING_TYPES,
    ScramPlus,
    ScramSHA1,
    ScramSHA1Plus,
    ScramSHA256,
    ScramSHA256Plus,
    ScramSHA512,
    ScramSHA512Plus,
    ScramUnbound,
)
from .xoauth2 import XOAuth2

_PASSWORD: tuple[type[Mechanism], ...] = (
    ScramSHA512Plus,
    ScramSHA256Plus,
    ScramSHA1Plus,
    ScramSHA512,
    ScramSHA256,
    ScramSHA1,
    CramMD5,
    Plain,
    Login,
)
_TOKEN: tuple[type[Mechanism], ...] = (OAuthBearer, XOAuth2)
_NEITHER: tuple[type[Mechanism], ...] = (External, GSSAPI)
_ALL: tuple[type[Mechanism], ...] = (*_PASSWORD, *_TOKEN, *_NEITHER, Anonymous)
_BY_NAME = {kind.name: kind for kind in _ALL}
_WITHOUT_AUTHZID = (CramMD5, Login, XOAuth2, Anonymous)


class Credentials(Value, kw_only=True, unshown=("password", "token", "ask_password")):
    """What the caller has: user and password, or a token (mostly with a user), or neither (EXTERNAL, GSSAPI)."""

    user: str = ""
    password: str | None = None
    token: Token | None = None
    authzid: str = ""
    """The identity to act as, where it is not the user's own."""
    ask_password: Callable[[], str] | Callable[[], Awaitable[str]] | None = None
    """What a driver asks for the password before it chooses a mechanism."""


def choose(
    offered: Iterable[str],
    credentials: Credentials,
    *,
    tls: bool,
    host: str = "",
    port: int = 0,
    channel_bindings: Mapping[str, bytes] = MappingProxyType({}),
    mechanism: str | None = None,
) -> Mechanism:
    """Return the strongest mechanism that the server offers for `credentials`.

    A password is for SCRAM, CRAM-MD5, PLAIN and LOGIN, a token for OAUTHBEARER and XOAUTH2, neither of them for
    EXTERNAL and GSSAPI (whose authzid is `credentials.user` unless there is an authzid). ANONYMOUS, with the user as
    its trace, must be asked for by name. A mechanism that cannot carry a given authzid is not used.

    `offered`: the names of the capabilities ``AUTH=``.
    `tls`: whether the connection is encrypted. If not, nothing that shows a password or token to a listener is
    used, unless `mechanism` asks for it by name.
    `host`, `port`: the server that the client connected to.
    `channel_bindings`: the data that this connection has, by type (see CHANNEL_BINDING_TYPES).
    `mechanism`: the name of the only mechanism to use; it must be offered all the same.

    Raises NotOffered when the server offers none of the mechanisms for `credentials` (or not `mechanism`), another
    MechanismError when those that it offers cannot be used; both say what is offered. Only after the first may a
    caller try something weaker: after the second that would be a silent downgrade.
    """
    names = {name.upper() for name in offered}
    binding = next(
        ((kind, channel_bindings[kind]) for kind in CHANNEL_BINDING_TYPES if channel_bindings.get(kind)), None
    )
    kinds = candidates(credentials, mechanism)
    usable = [
        kind
        for kind in kinds
        if kind.name in names
        and (tls or mechanism is not None or not kind.clear)
        and (binding is not None or not issubclass(kind, ScramPlus))
        and not (credentials.authzid and issubclass(kind, _WITHOUT_AUTHZID))
    ]
    if not usable:
        raise _nothing_usable(names, kinds, tls=tls, mechanism=mechanism, authzid=credentials.authzid)
    kind = max(usable, key=lambda kind: kind.strength)
    plus_offered = any(name.startswith("SCRAM-") and name.endswith("-PLUS") for name in names)
    try:
        return _make(kind, credentials, host, port, binding, could_bind=binding is not None and not plus_offered)
    except MechanismError as exc:
        refused = exc
    raise refused.with_traceback(None)  # without the frames that hold the password


def candidates(credentials: Credentials, mechanism: str | None) -> tuple[type[Mechanism], ...]:
    """Return the mechanisms that the caller's credentials and wish allow, whatever the server offers."""
    if credentials.password is not None and credentials.token is not None:
        raise MechanismError("give a password or a token, not both")
    if mechanism is None:
        if credentials.password is not None:
            return _PASSWORD
        return _NEITHER if credentials.token is None else _TOKEN
    kind = _BY_NAME.get(mechanism.upper())
    if kind is None:
        raise MechanismError(f"unknown SASL mechanism {mechanism!r}; known are {', '.join(_BY_NAME)}")
    if kind in _PASSWORD and credentials.password is None:
        raise MechanismError(f"{kind.name} needs a password")
    if kind in _TOKEN and credentials.token is None:
        raise MechanismError(f"{kind.name} needs a token")
    return (kind,)


def _make(
    kind: type[Mechanism],
    credentials: Credentials,
    host: str,
    port: int,
    binding: tuple[str, bytes] | None,
    could_bind: bool,
) -> Mechanism:
    user, authzid = credentials.user, credentials.authzid
    if kind in _TOKEN and credentials.token is not None:
        if kind is OAuthBearer:
            return OAuthBearer(authzid or user, credentials.token, host=host, port=port)
        return XOAuth2(user, credentials.token)
    if kind in _PASSWORD and credentials.password is not None:
        if issubclass(kind, ScramPlus) and binding is not None:
            return kind(user, credentials.password, authzid=authzid, channel_binding=binding)
        if issubclass(kind, ScramUnbound):
            return kind(user, credentials.password, authzid=authzid, could_bind=could_bind)
        if kind is Plain:
            return Plain(user, credentials.password, authzid=authzid)
        return CramMD5(user, credentials.password) if kind is CramMD5 else Login(user, credentials.password)
    if kind is GSSAPI:
        return GSSAPI(host, authzid=authzid or user)
    return Anonymous(user) if kind is Anonymous else External(authzid or user)


def _nothing_usable(
    offered: set[str], kinds: tuple[type[Mechanism], ...], *, tls: bool, mechanism: str | None, authzid: str
) -> MechanismError:
    suffix = f"; offered: {', '.join(sorted(offered)) or 'none'}"
    common = [kind for kind in kinds if kind.name in offered]
    if not common:
        return NotOffered(f"the server does not offer {' or '.join(kind.name for kind in kinds)}{suffix}")
    if authzid and all(issubclass(kind, _WITHOUT_AUTHZID) for kind in common):
        return MechanismError(f"{' and '.join(kind.name for kind in common)} cannot carry an authzid{suffix}")
    if not tls and mechanism is None and any(kind.clear for kind in common):
        return MechanismError(
            "without TLS a listener could read the password or token"
            f" (to allow that, name the mechanism: mechanism={common[0].name!r}){suffix}"
        )
    return MechanismError(f"channel binding data of this connection is needed{suffix}")
