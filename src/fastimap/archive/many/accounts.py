"""Whose mail goes where, and what of that can go to another process."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from ...settings import Account, account_name
from ..identity import as_account
from ..names import path_key
from ..stores import store_at
from ..stores.base import Store

__all__ = ["GivenAccounts", "GivenStore", "check_apart", "named", "sendable", "stores"]

GivenAccounts: TypeAlias = Mapping[str, Account | str] | Iterable[Account | str]
GivenStore: TypeAlias = Store | str | os.PathLike[str] | Callable[[str], Store]

_INSTEAD = (
    "give it a function that the workers call: archive.FromCommand, FromFile or FromEnvironment, "
    "or one of your own in a module that they can import"
)
_SECRETS = {
    *("access_key", "secret_key", "session_token", "access_token", "account_key", "sas_token", "client_secret"),
    *("password", "key", "secret", "token", "connection_string"),  # fsspec's
}
_SECRET_IN_A_URI = re.compile(r"[a-z0-9+.-]+://[^/@]*:[^/@]*@", re.IGNORECASE)
_PASSWORD_OF_A_PROXY = re.compile(r"[^/]*//[^/@]*@")


def named(accounts: GivenAccounts) -> dict[str, Account]:
    """Return the accounts by their names. Raises ValueError where two have the same."""
    if isinstance(accounts, (str, Account)):
        raise TypeError("accounts are several: a list of them, or a mapping from their names")
    made: dict[str, Account] = {}
    given: Iterator[tuple[str | None, Account | str]] = (
        iter(accounts.items()) if isinstance(accounts, Mapping) else ((None, each) for each in accounts)
    )
    for name, each in given:
        account = as_account(each)
        name = account_name(account) if name is None else name
        if not isinstance(name, str) or not name:
            raise TypeError("the name of an account is a text that is not empty")
        if name in made:
            raise ValueError(f"two accounts are called {name}: give a mapping from names of your own to them")
        made[name] = account
    return made


def stores(names: Iterable[str], store: GivenStore) -> dict[str, Store]:
    """Return the store of each account. Raises ValueError where two would have the same."""
    if isinstance(store, (str, os.PathLike)):
        store = store_at(store)
    if isinstance(store, Store) and not store.shared and store.exists():
        raise ValueError(f"{store.where} is the store of one account; many have theirs below a directory of their own")
    made: dict[str, Store] = {}
    for name in names:
        its = store.of_account(name) if isinstance(store, Store) else store(name)
        if not isinstance(its, Store):
            raise TypeError(f"the function for stores returned {type(its).__name__}, and no store")
        made[name] = its
    check_apart(made)
    return made


def check_apart(made: Mapping[str, Store]) -> None:
    """Raise ValueError where two accounts would have one store, however that is spelled."""
    taken: dict[Any, str] = {}
    for name, its in made.items():
        other = taken.setdefault((_place(its.where), path_key([name]) if its.shared else ""), name)
        if other != name:
            raise ValueError(f"{other} and {name} would have one store, {its.where}")


def _place(where: str) -> object:
    """Return what all spellings of a path have in common: what is there, or else what it would be."""
    try:
        there = os.stat(where)
    except OSError:
        return path_key([os.path.realpath(where)])
    return there.st_dev, there.st_ino


def sendable(name: str, account: Account, store: Store) -> None:
    """Raise ValueError, which says what to do, where a task can't go to another process, or not without a secret.

    What it means to go: pickled by the standard library, so that functions go by their names. (Dask would send those of
    the program itself by their code, and with it whatever that holds.)
    """
    for what in ("password", "token"):
        secret = getattr(account, what)
        if isinstance(secret, str):
            raise ValueError(f"{name}: its {what} can't be sent to other processes: {_INSTEAD}")
        if secret is not None:
            try:
                pickle.dumps(secret)
            except Exception as exc:  # whatever the objects of the program raise
                reason = str(exc) or type(exc).__name__
                raise ValueError(f"{name}: its function for the {what} can't be sent ({reason}): {_INSTEAD}") from None
    if account.ssl_context is not None:
        raise ValueError(
            f"{name}: its ssl_context, or `ca`, can't be sent to other processes: set SSL_CERT_FILE for the workers"
        )
    if account.proxy is not None and _PASSWORD_OF_A_PROXY.match(account.proxy):
        raise ValueError(f"{name}: its proxy has a user or a password, which can't be sent: use one that needs none")
    if _secret_in(vars(store)):
        raise ValueError(
            f"{name}: the credentials of its store can't be sent to other processes: have them where the workers run "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a role, a file), and not in the store"
        )


def _secret_in(value: Any, name: str = "") -> bool:
    """Whether a value, as a pickle has it, holds a secret: of a file system, or in a URI."""
    if isinstance(value, str):
        return bool(value) and (name in _SECRETS or _SECRET_IN_A_URI.match(value) is not None)
    if isinstance(value, Mapping):
        return any(_secret_in(each, key) for key, each in value.items() if isinstance(key, str))
    if isinstance(value, (tuple, list)):
        return any(map(_secret_in, value))
    if type(value).__module__.startswith("pyarrow"):
        return _secret_in(value.__reduce__())
    if type(value).__module__.startswith(("fsspec", "s3fs", "gcsfs", "adlfs")):
        return _secret_in(value.storage_options)
    return False
