"""Whether what the SDK decoded has the form that its own types declare.

The SDK takes what comes: a number where its types say text, or a word that is none of an enumeration's.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")


class UndecodedError(Exception):
    """A value that is not of its declared type."""


def check(value: T) -> T:
    """Returns the value, all of which has the declared form."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        _check_fields(value, type(value).__name__)
    return value


def _check_fields(value: object, path: str) -> None:
    hints = typing.get_type_hints(type(value))
    for name, hint in hints.items():
        _check_value(getattr(value, name), hint, f"{path}.{name}")


def _check_value(value: object, hint: Any, path: str) -> None:  # noqa: ANN401 (a type, of whatever form)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        # The SDK puts an enumeration's unknown_… for a word that is not there.
        if value is not None and not _is_unknown(value):
            _check_value(value, next(one for one in arguments if one is not type(None)), path)
    elif origin is list:
        _demand(isinstance(value, list), value, hint, path)
        for number, item in enumerate(typing.cast("list[object]", value)):
            _check_value(item, arguments[0], f"{path}[{number}]")
    elif origin is dict:
        _demand(isinstance(value, dict), value, hint, path)
        for name, item in typing.cast("dict[str, object]", value).items():
            _check_value(item, arguments[1], f"{path}[{name!r}]")
    elif dataclasses.is_dataclass(hint):
        _demand(isinstance(value, typing.cast("type", hint)), value, hint, path)
        _check_fields(value, path)
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        words = [member.value for member in hint]
        _demand(str(value) in words and not _is_unknown(value), value, hint, path)
    elif isinstance(hint, type):
        # Python takes True for 1.
        _demand(isinstance(value, hint) and (hint is bool or not isinstance(value, bool)), value, hint, path)


def _is_unknown(value: object) -> bool:
    return isinstance(value, enum.Enum) and str(value.value).startswith("unknown_")


def _demand(right: bool, value: object, hint: Any, path: str) -> None:  # noqa: ANN401
    if not right:
        message = f"{path} is declared as {hint} and came as {value!r}"
        raise UndecodedError(message)
