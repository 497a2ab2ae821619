"""A pytree of modules as plain data that JSON can hold, with names in the place of arrays; and back.

`None`, booleans, whole and finite numbers and text stand for themselves. Everything else is an object with one key that says
what it is: `{"tuple": [...]}`, `{"array": "layers/w/cells/g", "shape": ...}`, `{"class": "devices.device:Device", ...}`.
Back from it, classes are made from their fields, without their constructors: what they hold has passed those already.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from xbar.macro.sharding import Sharding
from xbar.storage.arrays import dtype_of
from xbar.storage.chip_file_error import ChipFileError
from xbar.storage.dataset_units import unit_of
from xbar.storage.names import PLAIN, Classes, default_of, function, function_name, name_of

Place = tuple[str, ...]


class Encoder:
    """Collects the arrays of what it encodes.

    Attributes:
        arrays: by name. units: of those that have a known one.
    """

    def __init__(self):
        self.arrays: dict[str, Any] = {}
        self.units: dict[str, str] = {}
        self._names: dict[int, str] = {}  # one array that stands at several places is kept once
        self._groups: set[str] = set()

    def value(self, x: Any, place: Place, unit: str = "") -> Any:
        """`x` as plain data; its arrays get names from `place`.

        Raises:
            ChipFileError: for something that a file cannot hold.
        """
        if x is None or type(x) in (bool, int, str):
            return x
        if isinstance(x, Sharding):
            return None  # devices are those of this process
        if type(x) is float:
            return x if math.isfinite(x) else {"float": repr(x)}
        if isinstance(x, jax.Array | np.ndarray | np.generic):
            return self._array(x, place, unit)
        if type(x) in (tuple, list, frozenset):
            kind = type(x).__name__
            items = sorted(x, key=repr) if kind == "frozenset" else x
            return {kind: [self.value(item, (*place, str(i)), unit) for i, item in enumerate(items)]}
        if type(x) is dict:
            pairs = [[self.value(k, place), self.value(v, (*place, str(k)), unit)] for k, v in x.items()]
            return {"dict": pairs}
        if isinstance(x, jax.ShapeDtypeStruct):
            return {"aval": list(x.shape), "dtype": jnp.dtype(x.dtype).name, "weak": bool(x.weak_type)}
        if isinstance(x, np.dtype):
            return {"dtype": x.name}
        if isinstance(x, tuple) and hasattr(x, "_fields"):
            parts = {n: self.value(v, (*place, n), unit) for n, v in zip(x._fields, x, strict=True)}  # pyright: ignore[reportAttributeAccessIssue]
            return {"named_tuple": name_of(type(x)), "fields": parts}
        if isinstance(x, eqx.Module) or type(x) in PLAIN:
            return {"class": name_of(type(x)), "fields": self._fields(x, place)}
        if name := function_name(x):
            return {"function": name}
        raise ChipFileError(
            f"{'.'.join(place)} is a {type(x).__module__}.{type(x).__qualname__}, which a file cannot hold. It can hold "
            "arrays, numbers, text, tuples, lists, dicts and classes derived from equinox.Module: make it one of these."
        )

    def _fields(self, x: Any, place: Place) -> dict[str, Any]:
        fields = {}
        for field in dataclasses.fields(x):
            if not hasattr(x, field.name):
                continue
            own = getattr(x, field.name)
            if callable(own) and not function_name(own) and own is default_of(type(x), field.name):
                fields[field.name] = {"default": field.name}
            else:
                fields[field.name] = self.value(own, (*place, field.name), unit_of(type(x), field))
        return fields

    def _array(self, x: Any, place: Place, unit: str) -> dict[str, Any]:
        if isinstance(x, Tracer):
            raise ChipFileError(f"{'.'.join(place)} is traced: save the chip outside of jit, grad and vmap.")
        key = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        data: Any = jax.random.key_data(x) if key else x
        name = self._names.get(id(x)) or self._free(place)
        self._names[id(x)] = name
        self.arrays[name] = x
        if unit:
            self.units[name] = unit
        node = {"array": name, "shape": list(np.shape(data)), "dtype": jnp.dtype(data.dtype).name}
        if key:
            return {**node, "key": str(jax.random.key_impl(x))}
        if not isinstance(x, jax.Array):
            return {**node, "numpy": "array" if isinstance(x, np.ndarray) else "scalar"}
        return {**node, "weak": True} if x.weak_type else node

    def _free(self, place: Place) -> str:
        """A name for a data set that no other has, and no group."""
        parts = [plain(part) for part in place]
        for number in range(1, len(self.arrays) + len(self._groups) + 2):
            last = parts[-1] if number == 1 else f"{parts[-1]} ({number})"
            name = "/".join([*parts[:-1], last])
            groups = {"/".join(parts[:i]) for i in range(1, len(parts))}
            if name not in self.arrays and name not in self._groups and groups.isdisjoint(self.arrays):
                self._groups |= groups
                return name
        return self._free((*place[:-2], "_".join(place[-2:])))  # a data set stands where a group would: one level up


def plain(part: str) -> str:
    """Text as one part of a name in a file."""
    return re.sub(r"[^\w.+~#\[\]() -]", "_", part).strip(" ") if part.strip(". ") else "_"


class Decoder:
    """Turns what an `Encoder` has made back into values.

    Args:
        fetch: gives the array that stands at a node.
    """

    def __init__(self, fetch: Callable[[dict[str, Any]], Any], classes: Classes | None = None):
        self.fetch = fetch
        self.classes = Classes() if classes is None else classes

    def value(self, node: Any, place: str = "chip") -> Any:
        """The value.

        Raises:
            ChipFileError: if it is not one.
        """
        if node is None or isinstance(node, bool | int | float | str):
            return node
        tag = next(iter(node), None) if isinstance(node, dict) else None
        make = _MAKERS.get(tag) if isinstance(tag, str) else None
        if make is None:
            raise ChipFileError(f"{place} is described by {str(node)[:60]!r}, which this version does not know.")
        return make(self, node, place)

    def _items(self, node: dict[str, Any], place: str) -> Any:
        tag = next(iter(node))
        return {"tuple": tuple, "list": list, "frozenset": frozenset}[tag](
            self.value(item, f"{place}[{i}]") for i, item in enumerate(_list(node[tag], place))
        )

    def _dict(self, node: dict[str, Any], place: str) -> dict:
        pairs = [_list(pair, place) for pair in _list(node["dict"], place)]
        keys = [self.value(pair[0], place) for pair in pairs]
        return {k: self.value(pair[1], f"{place}[{k!r}]") for k, pair in zip(keys, pairs, strict=True)}

    def _class(self, node: dict[str, Any], place: str) -> Any:
        kind = self.classes.module(node["class"])
        given = node["fields"]
        known = {f.name: f for f in dataclasses.fields(kind)}
        if unknown := sorted(set(given) - set(known)):
            raise ChipFileError(
                f"{place}: {kind.__qualname__} has no {', '.join(unknown)}; it has {', '.join(known)}. "
                "Load it with the version of the class that the file was written with."
            )
        made = object.__new__(kind)
        for name, field in known.items():
            where = f"{place}.{name}"
            if name in given:
                fallback = isinstance(given[name], dict) and "default" in given[name]
                value = default_of(kind, name) if fallback else self.value(given[name], where)
            elif field.default is not dataclasses.MISSING:
                value = field.default
            elif field.default_factory is not dataclasses.MISSING:
                value = field.default_factory()
            elif not field.init:
                continue
            else:
                raise ChipFileError(
                    f"{where} is missing, and {kind.__qualname__} has no default for it. "
                    "Load it with the version of the class that the file was written with."
                )
            object.__setattr__(made, name, value)
        return made

    def _named_tuple(self, node: dict[str, Any], place: str) -> Any:
        kind: Any = self.classes.named_tuple(node["named_tuple"])
        given = node["fields"]
        if tuple(given) != kind._fields:
            raise ChipFileError(f"{place}: {kind.__qualname__} has {kind._fields}, but the file {tuple(given)}.")
        return kind._make(self.value(v, f"{place}.{n}") for n, v in given.items())

    def _aval(self, node: dict[str, Any], place: str) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape_of(node["aval"], place), dtype_of(node["dtype"]), weak_type=node["weak"])


_MAKERS: dict[str, Callable[[Decoder, dict[str, Any], str], Any]] = {
    "tuple": Decoder._items,
    "list": Decoder._items,
    "frozenset": Decoder._items,
    "dict": Decoder._dict,
    "class": Decoder._class,
    "named_tuple": Decoder._named_tuple,
    "aval": Decoder._aval,
    "float": lambda _, node, place: _number(node["float"], place),
    "dtype": lambda _, node, place: dtype_of(node["dtype"]),
    "function": lambda _, node, place: function(node["function"]),
    "array": lambda decoder, node, place: decoder.fetch(node),
}


def _list(node: Any, place: str) -> list:
    if not isinstance(node, list):
        raise ChipFileError(f"{place} is described by {str(node)[:60]!r} where a list is expected.")
    return node


def _number(text: Any, place: str) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ChipFileError(f"{place} is {text!r}, which is not a number.")
    return float(text)


def shape_of(sizes: Any, place: str) -> tuple[int, ...]:
    """A shape, checked."""
    if not (isinstance(sizes, list) and len(sizes) <= 32 and all(type(n) is int and 0 <= n < 2**48 for n in sizes)):
        raise ChipFileError(f"{place} has the shape {sizes!r}, which no array has.")
    return tuple(sizes)
