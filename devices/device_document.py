"""The contents of a device file, checked: tables where needed, and values of the types that laws are annotated with."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import AbstractArray

from devices.plain_toml import shown


class DeviceFileError(ValueError):
    """A device file cannot be read; the message says what was found, what is allowed and how to fix it."""


def table(document: dict[str, Any], name: str, where: str = "") -> dict[str, Any]:
    """A table of a document, empty if it is not there.

    Raises:
        DeviceFileError: if it is something else.
    """
    found = document.get(name, {})
    if not isinstance(found, dict):
        full = f"{where}{name}"  # perhaps after the file's path
        section = full.rsplit(": ", 1)[-1]
        raise DeviceFileError(f"{full} = {shown(found)} is not a table; write [{section}] and its keys below it.")
    return found


def check_fields(kind: type, values: Mapping[str, Any], where: str) -> None:
    """Refuse values that a class's annotations do not allow: plain ones before it is made, arrays once converted.

    Raises:
        DeviceFileError: in that case.
    """
    for name, hint in _hints(kind).items():
        if name not in values or fits(values[name], hint):
            continue
        value = values[name]
        if hasattr(value, "shape"):
            raise DeviceFileError(f"{where}.{name} is an array of shape {value.shape}; it takes {_wanted(hint)}.")
        if not _of_arrays(hint):
            raise DeviceFileError(f"{where}.{name} is {shown(value)}; it takes {_wanted(hint)}.")


def bools(kind: type) -> frozenset[str]:
    """Fields of a class that are arrays of true and false."""
    kinds = {n: getattr(hint, "dtypes", None) for n, hint in _hints(kind).items()}
    return frozenset(n for n, of in kinds.items() if isinstance(of, (list, tuple)) and {*of} <= {"bool", "bool_"})


def _of_arrays(hint: Any) -> bool:
    """Whether an annotation is an array, or a union with one: then the constructor converts what is given."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return any(isinstance(part, type) and issubclass(part, AbstractArray) for part in parts)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type; annotations that say nothing about plain values allow any."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is typing.Literal:
        return value in parts
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        each = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(value) == len(each) and all(map(fits, value, each))
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return hasattr(value, "ndim") and _dimensions(hint, value.ndim)
    return not isinstance(hint, type) or isinstance(value, hint) or (hint is bool and isinstance(value, np.bool_))


def _dimensions(hint: Any, count: int) -> bool:
    """Whether an annotation of an array (`Float[Array, "nodes"]`) has that many dimensions."""
    words = hint.dim_str.split()
    return "..." in words or any(word.startswith("*") for word in words) or len(words) == count


def _wanted(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        count = len(hint.dim_str.split())
        return "a number" if count == 0 else "a list of numbers" if count == 1 else f"a list of numbers {count} deep"
    names = {
        float: "a finite number",
        int: "a whole number",
        str: "a word in quotes",
        type(None): "nothing",
        bool: "true or false",
    }
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(map(_wanted, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"a list, of {' and '.join(_wanted(part) for part in typing.get_args(hint) if part is not ...)}"
    return names.get(hint, getattr(hint, "__name__", str(hint)))
