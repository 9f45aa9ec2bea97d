"""Values: immutable, compared by what is in them, each shown on a line without the fields that say nothing.

As frozen dataclasses, which a type checker takes them for; but those write, compile and run a program for each class
when it is imported, and there are so many classes here that a third of the import was spent on it.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

if TYPE_CHECKING:
    from inspect import Signature

__all__ = ["Shown", "Value"]

_brief = reprlib.Repr()
_brief.maxstring = 100
_brief.maxother = 300
_brief.maxtuple = _brief.maxfrozenset = 8


class Shown:
    """Gives a dataclass a repr without the fields that say nothing, and with long values cut."""

    __slots__ = ()

    def __repr__(self) -> str:
        return self._show()

    def _show(self, hidden: tuple[str, ...] = ()) -> str:
        from dataclasses import MISSING, fields

        shown = []
        for field in fields(self):  # type: ignore[arg-type]  # every subclass but Value is a dataclass
            value = getattr(self, field.name)
            factory = field.default_factory
            default = factory() if factory is not MISSING else field.default
            if field.repr and field.name not in hidden and (default is MISSING or value != default):
                shown.append(f"{field.name}={_brief.repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


class _Signature:
    """The signature of a class, for help() and for what asks `inspect`."""

    def __get__(self, instance: object, owner: type[Value]) -> Signature:
        from inspect import Parameter, Signature

        parameters = []
        for name in owner._positional + owner._keywords:
            kind = Parameter.POSITIONAL_OR_KEYWORD if name in owner._positional else Parameter.KEYWORD_ONLY
            default = owner._defaults.get(name, Parameter.empty)
            parameters.append(Parameter(name, kind, default=default, annotation=owner._annotation(name)))
        return Signature(parameters)


@dataclass_transform(frozen_default=True)
class Value(Shown):
    """Base of values: the annotations of a class are its fields, what is assigned to them their defaults.

    With ``kw_only=True`` in the head of a class, its own fields are given by name alone.
    """

    _positional: ClassVar[tuple[str, ...]] = ()
    """The fields that may be given by position."""
    _keywords: ClassVar[tuple[str, ...]] = ()
    """The others."""
    _defaults: ClassVar[dict[str, Any]] = {}
    __signature__: ClassVar[Any] = _Signature()

    def __init_subclass__(cls, *, kw_only: bool = False) -> None:
        own = tuple(name for name, text in cls.__annotations__.items() if not str(text).startswith("ClassVar"))
        if kw_only:
            cls._keywords += own
        else:
            cls._positional += own
        type.__setattr__(cls, "__match_args__", cls._positional)
        cls._defaults = cls._defaults | {name: vars(cls)[name] for name in own if name in vars(cls)}

    def __init__(self, *args: Any, **fields: Any) -> None:
        cls = type(self)
        names = cls._positional
        if len(args) > len(names):
            raise TypeError(f"{cls.__name__}() takes {len(names)} arguments by position, not {len(args)}")
        values = cls._defaults | dict(zip(names, args, strict=False))
        if fields:
            for name in fields:
                if name in names[: len(args)] or (name not in names and name not in cls._keywords):
                    raise TypeError(f"{cls.__name__}() got an unexpected argument {name!r}, or got it twice")
            values |= fields
        if len(values) < len(names) + len(cls._keywords):
            missing = [name for name in names + cls._keywords if name not in values]
            raise TypeError(f"{cls.__name__}() lacks arguments: {', '.join(missing)}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        values = self.__dict__
        return hash((type(self), *(values[name] for name in self._positional + self._keywords)))

    def _show(self, hidden: tuple[str, ...] = ()) -> str:
        shown = []
        for name in self._positional + self._keywords:
            value = self.__dict__[name]
            if name not in hidden and (name not in self._defaults or value != self._defaults[name]):
                shown.append(f"{name}={_brief.repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __replace__(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; what copy.replace() calls."""
        return type(self)(**{**self.__dict__, **changes})

    @classmethod
    def _annotation(cls, name: str) -> Any:
        found = (getattr(each, "__annotations__", {}) for each in cls.__mro__)
        return next(own[name] for own in found if name in own)
