"""When two static things are the same, told without keeping either alive."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import types
import weakref
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
import numpy as np
from jax.core import Tracer


class Weak:
    """Stands for an object in a key: equal to what stands for the same object, as long as that lives."""

    __slots__ = ("number", "ref")

    def __init__(self, thing: Any):
        self.ref, self.number = weakref.ref(thing), id(thing)

    def __hash__(self) -> int:
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weak):
            return NotImplemented
        return self is other or ((thing := self.ref()) is not None and thing is other.ref())


class _Snapshot:
    """Stands for an object without a hash: a copy that is compared as the object compares itself."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = copy.deepcopy(thing)

    def __hash__(self) -> int:
        return hash(type(self.thing))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Snapshot) and bool(self.thing == other.thing)


def same(thing: Any) -> Hashable:
    """A key that is equal for things which make a function do the same.

    What compares by identity is held weakly; containers and arrays are taken by value, as somebody may change them later.

    Raises:
        TypeError: if there is no such key.
    """
    if isinstance(thing, float):
        return float, thing.hex()  # 0.0 is not -0.0, and a NaN is itself
    if isinstance(thing, list | tuple):
        return type(thing), *map(same, thing)
    if isinstance(thing, dict):
        return type(thing), *((same(key), same(value)) for key, value in thing.items())
    if isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
        return np.ndarray, thing.shape, str(thing.dtype), hashlib.sha256(thing.tobytes()).digest()
    if isinstance(thing, types.MethodType):
        return types.MethodType, same(thing.__func__), Weak(thing.__self__)
    if isinstance(thing, jax.Array | Tracer):
        return Weak(thing)
    return _same_object(thing)


def _same_object(thing: Any) -> Hashable:
    try:
        hash(thing)
    except TypeError:
        if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
            return type(thing), *(same(getattr(thing, field.name)) for field in dataclasses.fields(thing))
        try:
            return _Snapshot(thing)
        except Exception as error:
            raise TypeError(f"a {type(thing).__name__} can be neither hashed nor copied") from error
    if type(thing).__eq__ is object.__eq__:
        try:
            return Weak(thing)
        except TypeError:  # some built-in types take no weak references
            pass
    return type(thing), thing


def same_structure(treedef: Any) -> Hashable:
    """A key of a pytree's structure, with what its nodes hold besides children."""
    node = treedef.node_data()
    if node is None:
        return treedef.num_leaves  # a leaf, or None
    return same(node[0]), same(node[1]), *map(same_structure, treedef.children())


class WeakCache:
    """The values used last. An entry goes when something goes that its key holds weakly."""

    def __init__(self, size: int):
        self.size = size
        self.entries: dict[Hashable, tuple[Any, Hashable, list[weakref.ref]]] = {}

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value at `key`, from `make` if there is none."""
        entry = self.entries.pop(key, None)
        if entry is None:
            entry = make(), key, self._watched(key)
        self.entries[entry[1]] = (
            entry  # at the end: used last; under the first key, as a dead one is found by identity only
        )
        while len(self.entries) > self.size:
            self.entries.pop(next(iter(self.entries)), None)
        return entry[0]

    def _watched(self, key: Hashable) -> list[weakref.ref]:
        things = {id(thing): thing for weak in _weak_parts(key) if (thing := weak.ref()) is not None}
        return [weakref.ref(thing, lambda _: self.entries.pop(key, None)) for thing in things.values()]


def _weak_parts(key: Hashable) -> Iterator[Weak]:
    if isinstance(key, Weak):
        yield key
    elif isinstance(key, tuple):
        for part in key:
            yield from _weak_parts(part)
