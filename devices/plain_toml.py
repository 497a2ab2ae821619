"""Untrusted TOML files: their size is checked before they are parsed, and they may hold plain values only."""

from __future__ import annotations

import math
import os
import pathlib
import re
import tomllib
from typing import Any

MOST_BYTES = 2**26
MOST_PARTS, MOST_DEEP = 32, 16  # parts of a dotted key; nested tables and lists
MOST = 3.4e38  # the largest number of float32
_KEY = r"""(?:(?<![\w-])[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_TOO_LONG = re.compile(rf"(?:{_KEY}\.[ \t]*+){{{MOST_PARTS},}}")


class PlainTomlError(ValueError):
    """A TOML file that cannot be used: what is wrong with it."""


def parsed(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The contents of a TOML file: no dates, no NaN, no numbers beyond what float32 and 64 bits hold.

    Raises:
        PlainTomlError: if it cannot be read or is not TOML, or holds anything else.
    """
    try:
        with pathlib.Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise PlainTomlError(f"{path}: {getattr(error, 'strerror', None) or error}.") from None
    if len(raw) > MOST_BYTES:
        raise PlainTomlError(f"{path} has more than {MOST_BYTES} bytes, too large for a device file.")
    try:
        text = raw.decode("utf-8-sig")
        if _TOO_LONG.search(text):  # takes the parser a time that grows with the square of the parts
            raise PlainTomlError(f"{path} has a key of more than {MOST_PARTS} parts (a.b.c ...), which has no meaning.")
        document = tomllib.loads(text)
    except PlainTomlError:
        raise
    except RecursionError:
        raise PlainTomlError(f"{path} has lists or tables nested more than {MOST_DEEP} deep.") from None
    except ValueError as error:
        raise PlainTomlError(f"{path} is not a TOML file: {error}. Put text in quotes and lists in [ ].") from None
    _check(path, document, "")
    return document


def _check(path: Any, value: Any, where: str, deep: int = 0) -> None:
    said = f"{path}: {where or 'the file'}"
    if deep > MOST_DEEP:
        raise PlainTomlError(f"{path}: {where[:60]} ... has lists or tables nested more than {MOST_DEEP} deep.")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check(path, inner, f"{where}.{key}".lstrip("."), deep + 1)
    elif isinstance(value, list):
        if all(type(v) is float and (abs(v) < MOST or math.isinf(v)) for v in value):
            return  # long lists of numbers, at once
        for k, inner in enumerate(value):
            _check(path, inner, f"{where}[{k}]", deep + 1)
    elif isinstance(value, float):
        if math.isnan(value):
            raise PlainTomlError(f"{said} is not a number.")
        if MOST <= abs(value) < math.inf:
            raise PlainTomlError(f"{said} = {value:g} is beyond {MOST:g}, the largest number of float32.")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise PlainTomlError(f"{said} is a whole number beyond 64 bits; write a number such as 1e-6.")
    elif not isinstance(value, str):
        raise PlainTomlError(
            f"{said} = {value} is a {type(value).__name__}; it takes numbers, words, lists and tables."
        )


def shown(value: Any) -> str:
    """A value as a message shows it, cut short."""
    said = repr(value)
    return said if len(said) < 60 else said[:57] + "..."
