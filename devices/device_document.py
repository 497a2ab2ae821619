"""The TOML behind a device file: bounded before it is parsed, of plain values, each of the type that it must have."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import pathlib
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import AbstractArray

MOST_BYTES = 2**26
MOST = 3.4e38
MOST_PARTS, MOST_DEEP = 32, 16  # parts of a dotted key; tables and lists in each other
_KEY = r"""(?:(?<![\w-])[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_TOO_LONG = re.compile(rf"(?:{_KEY}\.[ \t]*+){{{MOST_PARTS},}}")


class DeviceFileError(ValueError):
    """A device file that cannot be read: what is wrong with it, and how to mend it."""


def parsed(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a TOML file says, of plain values only: no dates, no NaN, no whole numbers beyond 64 bits.

    Raises:
        DeviceFileError: if it cannot be read or is no TOML, or holds anything else.
    """
    try:
        with pathlib.Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise DeviceFileError(f"{path}: {getattr(error, 'strerror', None) or error}.") from error
    if len(raw) > MOST_BYTES:
        raise DeviceFileError(f"{path} has more than {MOST_BYTES} bytes, which no device needs. Give a device file.")
    try:
        text = raw.decode("utf-8")
        if _TOO_LONG.search(text):
            raise DeviceFileError(f"{path} has a key of more than {MOST_PARTS} parts (a.b.c ...), which no device has.")
        document = tomllib.loads(text)
    except DeviceFileError:
        raise
    except RecursionError:
        raise DeviceFileError(f"{path} has lists or tables within each other more than {MOST_DEEP} deep.") from None
    except ValueError as error:
        raise DeviceFileError(f"{path} is not a TOML file: {error}.") from error
    _check_plain(path, document, "")
    return document


def _check_plain(path: Any, value: Any, where: str, deep: int = 0) -> None:
    said = f"{path}: {where or 'the file'}"
    if deep > MOST_DEEP:
        raise DeviceFileError(f"{path}: {where[:60]} ... has lists or tables more than {MOST_DEEP} deep.")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_plain(path, inner, f"{where}.{key}".lstrip("."), deep + 1)
    elif isinstance(value, list):
        if all(type(v) is float and (abs(v) < MOST or math.isinf(v)) for v in value):
            return  # long lists of numbers, at once
        for k, inner in enumerate(value):
            _check_plain(path, inner, f"{where}[{k}]", deep + 1)
    elif isinstance(value, float):
        if math.isnan(value):
            raise DeviceFileError(f"{said} is not a number.")
        if MOST <= abs(value) < math.inf:
            raise DeviceFileError(f"{said} = {value:g} is beyond {MOST:g}, the largest number of float32.")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise DeviceFileError(f"{said} is a whole number beyond 64 bits; write a number such as 1e-6.")
    elif not isinstance(value, str):
        raise DeviceFileError(
            f"{said} = {value} is a {type(value).__name__}; it takes numbers, words, lists and tables."
        )


def table(document: dict[str, Any], name: str, where: str = "") -> dict[str, Any]:
    """A table of a document, empty if it is not there.

    Raises:
        DeviceFileError: if it is something else.
    """
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise DeviceFileError(
            f"{where}{name} = {shown(found)} is no table; write [{where}{name}] and its keys below it."
        )
    return found


def shown(value: Any) -> str:
    """A value as a message shows it, cut short."""
    said = repr(value)
    return said if len(said) < 60 else said[:57] + "..."


def check_fields(kind: type, values: Mapping[str, Any], where: str) -> None:
    """Refuse values that the annotations of a class do not allow: plain ones before it is made, arrays once they are some.

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
    """Whether an annotation is of an array, or of one among other things: then the constructor makes one of what is given."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return any(isinstance(part, type) and issubclass(part, AbstractArray) for part in parts)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type; of annotations that say nothing of plain values, any."""
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
    """Whether an annotation of an array (`Float[Array, "nodes"]`) is of so many dimensions."""
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
