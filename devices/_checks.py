"""Validation in the constructors of devices and laws: one converter for physical numbers, one check for all classes."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from devices import _show

INF = float("inf")


@dataclasses.dataclass(frozen=True)
class Number:
    """A converter for fields that hold physical numbers: it makes floating point arrays of any kind of number.

    Anything that is not a number passes unchanged, so that `Checked` can refuse it and name the field.

    Args:
        unit: of the values. low, high: their bounds; above: exclude `low` itself. infinite: whether infinity is
            allowed.
        likely: the largest magnitude without a warning; least: the smallest one, besides 0. optional: whether None is
            allowed. ascending: along the last axis. ties: neighbours may be equal. advice: how to correct a wrong one.
    """

    unit: str = ""
    low: float = -INF
    high: float = INF
    above: bool = False
    infinite: bool = False
    likely: float = INF
    least: float = 0.0
    optional: bool = False
    ascending: bool = False
    ties: bool = False
    advice: str = ""

    def __call__(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, np.bool_, str, bytes)):
            return value
        if isinstance(value, (int, np.integer)):
            return jnp.asarray(float(value))
        try:
            array = jnp.asarray(value)
        except (TypeError, ValueError):
            return value
        return array.astype(jnp.result_type(float)) if jnp.issubdtype(array.dtype, jnp.integer) else array

    def but(self, **changes: Any) -> Number:
        """The same converter with some settings changed."""
        return dataclasses.replace(self, **changes)

    def check(self, where: str, value: Any) -> None:
        """Raises for an impossible value and warns about an implausible one; the message says why."""
        if isinstance(value, Tracer) or (value is None and self.optional):
            return
        if not isinstance(value, jax.Array) or not jnp.issubdtype(value.dtype, jnp.floating):
            found = f"an array of {value.dtype}" if isinstance(value, jax.Array) else _found(value)
            raise TypeError(f"{where} is {found}; it takes {self._range()}{self._advice()}")
        numbers = np.asarray(value, float).ravel()
        wrong = ~(np.isfinite(numbers) | (self.infinite & np.isinf(numbers)))
        wrong |= (numbers <= self.low if self.above else numbers < self.low) | (numbers > self.high)
        if wrong.any():
            raise ValueError(f"{where} = {self._said(numbers[wrong][0])}; it takes {self._range()}{self._advice()}")
        steps = np.diff(np.asarray(value, float), axis=-1) if self.ascending else np.ones(0)
        if np.any(steps < 0) or (np.any(steps == 0) and not self.ties):
            raise ValueError(
                f"{where} must ascend along its last axis. Sort it, together with everything that belongs to it."
            )
        size = np.abs(numbers)
        odd = np.isfinite(numbers) & ((size > self.likely) | ((size < self.least) & (size > 0)))
        if odd.any():
            warnings.warn(
                f"{where} = {self._said(numbers[odd][0])} is far outside the range of any device{self._advice()}",
                stacklevel=4,
            )

    def _said(self, x: float) -> str:
        return f"{x:g} {self.unit}".strip()

    def _range(self) -> str:
        ends = []
        if self.low > -INF:
            ends.append(f"above {self.low:g}" if self.above else f"of {self.low:g} or more")
        if self.high < INF:
            ends.append(f"up to {self.high:g}")
        kind = "a number" if self.infinite else "a finite number"
        return " ".join([kind, *ends, *([f"[{self.unit}]"] if self.unit else [])])

    def _advice(self) -> str:
        return _sentence(self.advice)


def _sentence(advice: str) -> str:
    return f". {advice}" if advice else "."


@dataclasses.dataclass(frozen=True)
class Whole:
    """A converter for fields that hold a whole number: an `int`, of Python or NumPy.

    Anything else passes unchanged, so that `Checked` can refuse it and name the field.

    Args:
        low, high: its bounds. likely: the largest without a warning. optional: whether None is allowed. leaf: whether
        it is kept as a floating point array, so that it can be traced and mapped over. advice: how to correct a wrong
        one.
    """

    low: int = 1
    high: int | float = INF
    likely: int | float = INF
    optional: bool = False
    leaf: bool = False
    advice: str = ""

    def __call__(self, value: Any) -> Any:
        if isinstance(value, (jax.Array, np.ndarray)) and self.leaf:
            value = jnp.asarray(value)
            return value.astype(jnp.result_type(float)) if jnp.issubdtype(value.dtype, jnp.integer) else value
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            return value
        return jnp.asarray(float(value)) if self.leaf and self.low <= value <= self.high else int(value)

    def check(self, where: str, value: Any) -> None:
        """Raises for an impossible value and warns about an implausible one; the message says why."""
        if isinstance(value, Tracer) or (value is None and self.optional):
            return
        numbers = np.zeros(0)
        if self.leaf and isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating):
            numbers = np.asarray(value, float).ravel()
        elif isinstance(value, int) and not isinstance(value, bool):
            numbers = np.asarray([value], float)
        wrong = ~((numbers >= self.low) & (numbers <= self.high) & (numbers == np.round(numbers)))
        if wrong.any() or not numbers.size:
            found = f"{numbers[wrong][0]:g}" if wrong.any() else _found(value)
            ends = f"from {self.low} to {self.high:g}" if self.high < INF else f"of at least {self.low}"
            raise ValueError(f"{where} is {found}; it takes a whole number {ends}{_sentence(self.advice)}")
        if (numbers > self.likely).any():
            warnings.warn(f"{where} = {numbers.max():g} is far beyond any device{_sentence(self.advice)}", stacklevel=4)


real = Number()
at_least_0 = Number(low=0.0)
positive = Number(low=0.0, above=True)
chance = Number(low=0.0, high=1.0)
_IN_SIEMENS = "Conductances are in siemens: 25 uS is 25e-6."
signed_siemens = Number("S", advice=_IN_SIEMENS)  # laws of normalised data are fitted, too: only a `Device` warns
siemens = signed_siemens.but(low=0.0)
device_siemens = siemens.but(likely=0.1)
positive_siemens = siemens.but(above=True)
seconds = Number("s", low=0.0, advice="Times are in seconds: 1 us is 1e-6.")
positive_seconds = seconds.but(above=True)
kelvin = Number("K", low=0.0, above=True, likely=3000.0, advice="Temperatures are in kelvin: 25 C is 298.15.")
volts = Number("V", low=0.0, above=True, likely=100.0, advice="Voltages are in volts: 200 mV is 0.2.")
hertz = Number("Hz", low=0.0, above=True)


class Checked(eqx.Module):
    """A module that checks its fields in its constructor and shows its numbers when printed.

    Numbers are checked by their converter, if that is a `Number` (or has a `check`, too); other fields must be of the
    classes, or among the words (`Literal`), of their annotations. A field's `metadata={"mend": ...}` says where to find
    such an object. Values inside JAX's transformations are not checked.
    """

    def __check_init__(self):
        kinds = _kinds(type(self))
        for f in dataclasses.fields(self):
            value, converter = getattr(self, f.name), f.metadata.get("converter")
            where = f"{type(self).__name__}: {f.name}"
            if converter is not None and hasattr(converter, "check"):
                converter.check(where, value)
            elif f.name in kinds:
                _check_kind(self, f.name, value, kinds, f.metadata.get("mend"))
            elif f.name in (words := _words(type(self))):
                check_word(where, value, words[f.name])

    def __repr__(self) -> str:
        return _show.law(self)


class Law(Checked):
    """The base of all laws of a cell."""


def check_word(where: str, value: Any, words: Sequence[str]) -> None:
    """Raises ValueError unless `value` is one of the given words."""
    if not isinstance(value, str) or value not in words:
        said = repr(value) if isinstance(value, str) else _found(value)
        first = ", ".join(map(repr, words[:-1]))
        raise ValueError(f"{where}={said}; it must be {first} or {words[-1]!r}.")


def same_length(module: Any, *names: str) -> None:
    """Raises unless all arrays have the same number of entries along their first axis."""
    lengths = [v.shape[0] for n in names if hasattr(v := getattr(module, n), "shape") and v.ndim]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{type(module).__name__}: {', '.join(names)} have {', '.join(map(str, lengths))} entries; "
            "give the same number of each."
        )


def ordered(module: Any, low: str, high: str) -> None:
    """Raises if one number of a module is above another."""
    ends = [vars(module).get(n) for n in (low, high)]
    if any(isinstance(x, Tracer) or not isinstance(x, jax.Array) for x in ends):
        return
    below, above = (np.asarray(x, float) for x in ends)
    if np.any(below > above):
        raise ValueError(f"{type(module).__name__}: {low}={below.max():g} is above {high}={above.min():g}. Swap them.")


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except Exception:
        return {}  # annotations that have no meaning outside the function that made them


@functools.cache
def _words(cls: type) -> dict[str, tuple[str, ...]]:
    """The words that each field takes, for fields that take only words."""
    literals = {n: typing.get_args(h) for n, h in _hints(cls).items() if typing.get_origin(h) is typing.Literal}
    return {n: words for n, words in literals.items() if all(isinstance(w, str) for w in words)}


@functools.cache
def _kinds(cls: type) -> dict[str, tuple[tuple[type, ...], bool]]:
    """The classes that each field takes, and whether in a tuple; fields of other kinds are left out."""
    hints, found = _hints(cls), {}
    for f in dataclasses.fields(cls):  # pyright: ignore[reportArgumentType]
        hint = hints.get(f.name)
        many = typing.get_origin(hint) is tuple
        options = typing.get_args(hint)[:1] if many else (hint,)
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            options = typing.get_args(hint)
        if options and all(_is_kind(k) for k in options):
            found[f.name] = (options, many)
    return found


def _is_kind(hint: Any) -> bool:
    if not isinstance(hint, type) or hint is type(None):
        return hint is type(None)
    return hint is bool or issubclass(hint, eqx.Module) or dataclasses.is_dataclass(hint)


def _check_kind(
    module: Any, name: str, value: Any, kinds: dict[str, tuple[tuple[type, ...], bool]], advice: str | None
) -> None:
    classes, many = kinds[name]
    values = value if many and isinstance(value, (tuple, list)) else (value,)
    wrong = [v for v in values if not isinstance(v, (*classes, np.bool_) if bool in classes else classes)]
    if not wrong and (not many or isinstance(value, tuple)):
        return
    own = type(module).__name__
    wanted = " or ".join("None" if k is type(None) else k.__name__ for k in classes)
    if many:
        wanted = f"a tuple of {wanted}, as in {own}(({'NoDrift()' if 'Drift' in wanted else 'first'}, ...))"
    other = next((n for n, (k, m) in kinds.items() if n != name and not m and isinstance(value, k)), None)
    mend = _mend(own, wanted, value, classes, other, advice)
    raise TypeError(f"{own}: {name} is {_found(wrong[0] if wrong else value)}; it takes {wanted}. {mend}")


def _mend(own: str, wanted: str, value: Any, classes: tuple[type, ...], other: str | None, advice: str | None) -> str:
    """How to correct an object of the wrong class."""
    if bool in classes:
        return "Write True or False."
    if not any(issubclass(k, eqx.Module) for k in classes):
        return f"Make one: {wanted}(...)."
    if isinstance(value, list):
        return "Write it as a tuple."
    if isinstance(value, type):
        return f"Make one: {value.__name__}(...)."
    kind = "law" if advice is None else "part"
    if other is not None and isinstance(value, eqx.Module):
        return f"Such a {kind} is passed as {own}({other}=...)."
    if advice is not None:
        return advice
    if isinstance(value, str):
        return "Laws are objects, not names: devices.drift, devices.noise and the like have them."
    return "Laws are in devices.programming, drift, noise, conduction, faults, steps and updates; or write one."


def _found(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, (str, bytes, bool, int, float, np.generic)):
        return f"{value!r} ({type(value).__name__})"
    return f"a {type(value).__name__}"
