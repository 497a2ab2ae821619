"""What the constructors of devices and laws refuse: one converter for numbers of physics, one check for all classes."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
import warnings
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
    """A converter of fields that hold physics: floating point arrays, whatever kind of number is given.

    What is no number passes unchanged, for `Checked` to refuse it with the name of the field.

    Args:
        unit: of the values. low, high: what they can be; above: without `low` itself. infinite: whether infinity is allowed.
        likely: the largest magnitude that is not warned about. optional: whether None is allowed. ascending: along the
            last axis. advice: how to mend a wrong one.
    """

    unit: str = ""
    low: float = -INF
    high: float = INF
    above: bool = False
    infinite: bool = False
    likely: float = INF
    optional: bool = False
    ascending: bool = False
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
        """The same with some differences."""
        return dataclasses.replace(self, **changes)

    def check(self, where: str, value: Any) -> None:
        """Raises, or warns, with a sentence about a value that cannot, or will hardly, be meant."""
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
        if self.ascending and np.any(np.diff(np.asarray(value, float), axis=-1) <= 0):
            raise ValueError(f"{where} must ascend along its last axis. Sort it, with all that belongs to it.")
        large = np.isfinite(numbers) & (np.abs(numbers) > self.likely)
        if large.any():
            warnings.warn(
                f"{where} = {self._said(numbers[large][0])} is far outside any device{self._advice()}", stacklevel=4
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
        return f". {self.advice}" if self.advice else "."


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
    """A module whose constructor checks its fields, and that shows its numbers.

    Numbers are checked by their converter, if that is a `Number` (or has a `check`, too), other fields by the classes that
    they are annotated with. Values inside of JAX's transformations pass.
    """

    def __check_init__(self):
        kinds = _kinds(type(self))
        for f in dataclasses.fields(self):
            value, converter = getattr(self, f.name), f.metadata.get("converter")
            where = f"{type(self).__name__}: {f.name}"
            if converter is not None and hasattr(converter, "check"):
                converter.check(where, value)
            elif f.name in kinds:
                _check_kind(self, f.name, value, kinds)

    def __repr__(self) -> str:
        return _show.law(self)


class Law(Checked):
    """What a law of a cell is, of whatever kind."""


def same_length(module: Any, *names: str) -> None:
    """Raises unless arrays have one number of entries along their first axis."""
    lengths = [v.shape[0] for n in names if hasattr(v := getattr(module, n), "shape") and v.ndim]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{type(module).__name__}: {', '.join(names)} have {', '.join(map(str, lengths))} entries; give as many of each."
        )


def ordered(module: Any, low: str, high: str) -> None:
    """Raises if one number of a module is above another."""
    ends = [vars(module).get(n) for n in (low, high)]
    if any(isinstance(x, Tracer) or not isinstance(x, jax.Array) for x in ends):
        return
    below, above = (np.asarray(x, float) for x in ends)
    if np.any(below > above):
        raise ValueError(
            f"{type(module).__name__}: {low}={below.max():g} is above {high}={above.min():g}. Exchange them."
        )


@functools.cache
def _kinds(cls: type) -> dict[str, tuple[tuple[type, ...], bool]]:
    """The classes that each field takes, and whether in a tuple; fields of other kinds are left out."""
    try:
        hints = typing.get_type_hints(cls)
    except Exception:
        return {}  # annotations that have no meaning outside of the function that made them
    found = {}
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


def _check_kind(module: Any, name: str, value: Any, kinds: dict[str, tuple[tuple[type, ...], bool]]) -> None:
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
    if bool in classes:
        mend = "Write True or False."
    elif not any(issubclass(k, eqx.Module) for k in classes):
        mend = f"Make one: {wanted}(...)."
    elif isinstance(value, list):
        mend = "Write it as a tuple."
    elif isinstance(value, type):
        mend = f"Make one: {value.__name__}(...)."
    elif other is not None and isinstance(value, eqx.Module):
        mend = f"Such a law is given as {own}({other}=...)."
    elif isinstance(value, str):
        mend = "Laws are objects, not names: devices.drift, devices.noise and the like have them."
    else:
        mend = "Laws are in devices.programming, drift, noise, conduction, faults, steps and updates; or write one."
    raise TypeError(f"{own}: {name} is {_found(wrong[0] if wrong else value)}; it takes {wanted}. {mend}")


def _found(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, (str, bytes, bool, int, float, np.generic)):
        return f"{value!r} ({type(value).__name__})"
    return f"a {type(value).__name__}"
