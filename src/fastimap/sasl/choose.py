"""Which mechanism to use, from what the server offers and what the caller has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType

from .. import sasl  # its mechanisms are imported when they are chosen
from ..errors import MechanismError, NotOffered
from ..model._shown import Value
from ._mechanism import CHANNEL_BINDING_TYPES, Mechanism
from ._oauth import Token

# The classes by the mechanisms' names, the strongest first.
_PASSWORD = {
    "SCRAM-SHA-512-PLUS": "ScramSHA512Plus",
    "SCRAM-SHA-256-PLUS": "ScramSHA256Plus",
    "SCRAM-SHA-1-PLUS": "ScramSHA1Plus",
    "SCRAM-SHA-512": "ScramSHA512",
    "SCRAM-SHA-256": "ScramSHA256",
    "SCRAM-SHA-1": "ScramSHA1",
    "CRAM-MD5": "CramMD5",
    "PLAIN": "Plain",
    "LOGIN": "Login",
}
_TOKEN = {"OAUTHBEARER": "OAuthBearer", "XOAUTH2": "XOAuth2"}
_NEITHER = {"EXTERNAL": "External", "GSSAPI": "GSSAPI"}
_ALL = {**_PASSWORD, **_TOKEN, **_NEITHER, "ANONYMOUS": "Anonymous"}
_WITHOUT_AUTHZID = ("CRAM-MD5", "LOGIN", "XOAUTH2", "ANONYMOUS")


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
    allowed = candidates(credentials, mechanism)
    for name in allowed:
        if (
            name in names
            and (binding is not None or not name.endswith("-PLUS"))
            and not (credentials.authzid and name in _WITHOUT_AUTHZID)
            and (tls or mechanism is not None or not _class(name).clear)
        ):
            break
    else:
        raise _nothing_usable(names, allowed, tls=tls, mechanism=mechanism, authzid=credentials.authzid)
    plus_offered = any(name.startswith("SCRAM-") and name.endswith("-PLUS") for name in names)
    try:
        return _make(name, credentials, host, port, binding, could_bind=binding is not None and not plus_offered)
    except MechanismError as exc:
        refused = exc
    raise refused.with_traceback(None)  # without the frames that hold the password


def candidates(credentials: Credentials, mechanism: str | None) -> Iterable[str]:
    """Return the mechanisms that the credentials and the wish allow, strongest first, whatever the server offers."""
    if credentials.password is not None and credentials.token is not None:
        raise MechanismError("give a password or a token, not both")
    if mechanism is None:
        if credentials.password is not None:
            return _PASSWORD
        return _NEITHER if credentials.token is None else _TOKEN
    name = mechanism.upper()
    if name not in _ALL:
        raise MechanismError(f"unknown SASL mechanism {mechanism!r}; known are {', '.join(_ALL)}")
    if name in _PASSWORD and credentials.password is None:
        raise MechanismError(f"{name} needs a password")
    if name in _TOKEN and credentials.token is None:
        raise MechanismError(f"{name} needs a token")
    return (name,)


def _class(name: str) -> type[Mechanism]:
    kind: type[Mechanism] = getattr(sasl, _ALL[name])
    return kind


def _make(
    name: str,
    credentials: Credentials,
    host: str,
    port: int,
    binding: tuple[str, bytes] | None,
    could_bind: bool,
) -> Mechanism:
    user, authzid = credentials.user, credentials.authzid
    if name in _TOKEN and credentials.token is not None:
        if name == "OAUTHBEARER":
            return sasl.OAuthBearer(authzid or user, credentials.token, host=host, port=port)
        return sasl.XOAuth2(user, credentials.token)
    if name in _PASSWORD and credentials.password is not None:
        if name == "PLAIN":
            return sasl.Plain(user, credentials.password, authzid=authzid)
        if name == "LOGIN":
            return sasl.Login(user, credentials.password)
        if name == "CRAM-MD5":
            return sasl.CramMD5(user, credentials.password)
        from .scram import ScramPlus, ScramUnbound

        kind = _class(name)
        if issubclass(kind, ScramPlus) and binding is not None:
            return kind(user, credentials.password, authzid=authzid, channel_binding=binding)
        assert issubclass(kind, ScramUnbound)
        return kind(user, credentials.password, authzid=authzid, could_bind=could_bind)
    if name == "GSSAPI":
        return sasl.GSSAPI(host, authzid=authzid or user)
    return sasl.Anonymous(user) if name == "ANONYMOUS" else sasl.External(authzid or user)


def _nothing_usable(
    offered: set[str], allowed: Iterable[str], *, tls: bool, mechanism: str | None, authzid: str
) -> MechanismError:
    suffix = f"; offered: {', '.join(sorted(offered)) or 'none'}"
    common = [name for name in allowed if name in offered]
    if not common:
        return NotOffered(f"the server does not offer {' or '.join(allowed)}{suffix}")
    if authzid and all(name in _WITHOUT_AUTHZID for name in common):
        return MechanismError(f"{' and '.join(common)} cannot carry an authzid{suffix}")
    if not tls and mechanism is None and any(_class(name).clear for name in common):
        return MechanismError(
            "without TLS a listener could read the password or token"
            f" (to allow that, name the mechanism: mechanism={common[0]!r}){suffix}"
        )
    return MechanismError(f"channel binding data of this connection is needed{suffix}")
