"""Values and records: compared by what is in them, each shown on a line without the fields that say nothing.

Values can't be changed, records can. As dataclasses, which a type checker takes them for; but those write, compile and
run a program for each class when it is imported, and there are so many classes here that a third of the import was
spent on it.
"""

from __future__ import annotations

import reprlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field
    from inspect import Signature
    from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

    T = TypeVar("T")
else:  # it is for type checkers alone

    def dataclass_transform(**_):
        return lambda cls: cls


__all__ = ["Record", "Value", "fresh"]

_brief = reprlib.Repr()
_brief.maxstring = 100
_brief.maxother = 300
_brief.maxtuple = _brief.maxfrozenset = 8


class _Signature:
    """The signature of a class, for help() and for what asks `inspect`."""

    def __get__(self, instance: object, owner: type[_Fielded]) -> Signature:
        if owner.__init__ is not _Fielded.__init__:
            raise AttributeError
        from inspect import Parameter, Signature

        parameters = []
        for name in owner._positional + owner._keywords:
            kind = Parameter.POSITIONAL_OR_KEYWORD if name in owner._positional else Parameter.KEYWORD_ONLY
            default = owner._defaults.get(name, owner._factories.get(name, Parameter.empty))
            parameters.append(Parameter(name, kind, default=default, annotation=owner._annotation(name)))
        return Signature(parameters)


class _Fields:
    """What `dataclasses` knows of a class: its fields(), asdict() and replace() take a value too."""

    def __get__(self, instance: object, owner: type[_Fielded]) -> dict[str, Field[Any]]:
        import dataclasses
        from typing import Any

        known = []
        for name in owner._positional + owner._keywords:
            given: dict[str, Any] = {"repr": name not in owner._unshown, "compare": name not in owner._uncompared}
            if name in owner._factories:
                given["default_factory"] = owner._factories[name]
            elif name in owner._defaults:
                given["default"] = owner._defaults[name]
            known.append((name, Any, dataclasses.field(kw_only=True, **given)))
        made = dataclasses.make_dataclass(owner.__name__, known)
        return {field.name: field for field in dataclasses.fields(made)}


class _Fresh:
    """A default that each record has for itself."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def fresh(*, factory: Callable[[], T]) -> T:
    """Return the default of a field that each record makes for itself: a dict, a list."""
    return _Fresh(factory)  # type: ignore[return-value]


class _Fielded:
    """What values and records have in common."""

    _positional: ClassVar[tuple[str, ...]] = ()
    """The fields that may be given by position."""
    _keywords: ClassVar[tuple[str, ...]] = ()
    """The others."""
    _defaults: ClassVar[dict[str, Any]] = {}
    _factories: ClassVar[dict[str, Callable[[], Any]]] = {}
    """What makes the other defaults."""
    _unshown: ClassVar[tuple[str, ...]] = ()
    _uncompared: ClassVar[tuple[str, ...]] = ()
    _compared: ClassVar[tuple[str, ...]] = ()
    __signature__: ClassVar[Any] = _Signature()
    __dataclass_fields__: ClassVar[Any] = _Fields()

    def __init_subclass__(
        cls, *, kw_only: bool = False, unshown: tuple[str, ...] = (), uncompared: tuple[str, ...] = ()
    ) -> None:
        super().__init_subclass__()
        own = tuple(name for name, text in cls.__annotations__.items() if not str(text).startswith("ClassVar"))
        if kw_only:
            cls._keywords += own
        else:
            cls._positional += own
        type.__setattr__(cls, "__match_args__", cls._positional)
        given = {name: vars(cls)[name] for name in own if name in vars(cls)}
        made = {name: value.factory for name, value in given.items() if isinstance(value, _Fresh)}
        for name in made:
            delattr(cls, name)
        cls._factories = cls._factories | made
        cls._defaults = cls._defaults | {name: value for name, value in given.items() if name not in made}
        cls._unshown += unshown
        cls._uncompared += uncompared
        cls._compared = tuple(name for name in cls._positional + cls._keywords if name not in cls._uncompared)

    def __init__(self, *args: Any, **fields: Any) -> None:
        cls = type(self)
        names = cls._positional
        if len(args) > len(names):
            raise TypeError(f"{cls.__name__}() takes {len(names)} arguments by position, not {len(args)}")
        values = cls._defaults | dict(zip(names, args, strict=False))
        if fields:
            wrong = set(fields).difference(names[len(args) :], cls._keywords)
            if wrong:
                name = next(name for name in fields if name in wrong)
                raise TypeError(f"{cls.__name__}() got an unexpected argument {name!r}, or got it twice")
            values |= fields
        if cls._factories:
            values |= {name: factory() for name, factory in cls._factories.items() if name not in values}
        if len(values) < len(names) + len(cls._keywords):
            missing = [name for name in names + cls._keywords if name not in values]
            raise TypeError(f"{cls.__name__}() lacks arguments: {', '.join(missing)}")
        self.__dict__.update(values)
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check the fields."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        ours, theirs = self.__dict__, other.__dict__
        if not self._uncompared:
            return ours == theirs
        return all(ours[name] == theirs[name] for name in self._compared)

    def __repr__(self) -> str:
        return self._show()

    def _show(self, hidden: tuple[str, ...] = ()) -> str:
        shown = []
        for name in self._positional + self._keywords:
            value = self.__dict__[name]
            if name in self._factories and not value:
                continue
            if name not in hidden + self._unshown and (name not in self._defaults or value != self._defaults[name]):
                shown.append(f"{name}={_brief.repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __replace__(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; what copy.replace() calls."""
        return type(self)(**{**self.__dict__, **changes})

    @classmethod
    def _annotation(cls, name: str) -> Any:
        found = (getattr(each, "__annotations__", {}) for each in cls.__mro__)
        return next(own[name] for own in found if name in own)


@dataclass_transform(frozen_default=True)
class Value(_Fielded):
    """Base of values: the annotations of a class are its fields, what is assigned to them their defaults.

    With ``kw_only=True`` in the head of a class, its own fields are given by name alone. Fields named in `unshown` are
    not in its repr, those in `uncompared` count neither for equality nor for the hash. ``__post_init__`` may check.
    """

    def __hash__(self) -> int:
        values = self.__dict__
        return hash((type(self), *(values[name] for name in self._compared)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")


@dataclass_transform(field_specifiers=(fresh,))
class Record(_Fielded):
    """Base of records: as values, but their fields can be assigned to, and so they have no hash."""
