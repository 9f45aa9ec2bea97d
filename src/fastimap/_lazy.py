"""Modules and public names that are imported when they are asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType

__all__ = ["imported", "lazy"]


def imported(name: str) -> ModuleType:
    """As `importlib.import_module` for a module's full name: who needs no more of importlib does without it."""
    __import__(name)
    return sys.modules[name]


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    :param package: its name.
    :param homes: the modules that its public names are in, relative to it, as after `from`; a module has its own.
    """
    attributes = vars(sys.modules[package])

    def get(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        path = home.lstrip(".")
        module = __import__(path, attributes, None, ("__name__",), len(home) - len(path))  # from home import __name__
        value = attributes[name] = module if home == f".{name}" else getattr(module, name)
        return value

    def names() -> list[str]:
        public = attributes.get("__all__", ())
        return sorted({*homes, *public, *(name for name in attributes if name.startswith("__"))})

    return get, names
