"""For the reference: a value's class is shown with its fields as parameters, which a base class takes at run time.

An extension of griffe, which reads the sources for the site and runs none of them. See `fastimap.model._shown`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["FieldsOfValues"]

griffe: Any = import_module("griffe")  # it is installed for the site alone
_BY_POSITION, _BY_NAME = "positional_or_keyword", "keyword_only"


class FieldsOfValues(griffe.Extension):  # type: ignore[misc]
    """Give each subclass of Value and Record the `__init__` that its fields make."""

    def on_package(self, *, pkg: Any, **kwargs: Any) -> None:
        self._look_at(pkg)

    def _look_at(self, place: Any) -> None:
        for member in place.members.values():
            if isinstance(member, (griffe.Module, griffe.Class)):
                self._look_at(member)
            if isinstance(member, griffe.Class) and "__init__" not in member.members:
                bases = [base for base in member.mro() if isinstance(base, griffe.Class)]
                if any(base.name in ("Value", "Record") for base in bases):
                    parameters = [griffe.Parameter("self", kind=griffe.ParameterKind[_BY_POSITION])]
                    for base in (*reversed(bases), member):
                        parameters += _fields(base)
                    made = griffe.Function("__init__", parameters=griffe.Parameters(*parameters))
                    member.set_member("__init__", made)


def _fields(cls: Any) -> list[Any]:
    kind = griffe.ParameterKind[_BY_NAME if "kw_only" in cls.keywords else _BY_POSITION]
    return [
        griffe.Parameter(field.name, annotation=field.annotation, kind=kind, default=field.value)
        for field in cls.members.values()
        if isinstance(field, griffe.Attribute)
        and field.annotation is not None
        and not field.name.startswith("_")
        and not str(field.annotation).startswith("ClassVar")
        and "property" not in field.labels
    ]
