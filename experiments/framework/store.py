"""Results as labelled arrays in HDF5: dimension scales, units, NaN where nothing is computed yet. Opens in xarray."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from experiments.framework.errors import UsageError
from experiments.framework.files import write_bytes
from experiments.framework.plain_json import finite
from experiments.framework.seal import is_whole, sealed

Coordinate = str | int | float


@dataclasses.dataclass(frozen=True)
class Dimension:
    """The values along one axis, and what they are. Consecutive integers may be a `range`."""

    values: Sequence[Coordinate]
    title: str
    unit: str = "1"


@dataclasses.dataclass(frozen=True)
class Variable:
    """One result: its axes by name, and what it is."""

    dims: tuple[str, ...]
    title: str
    unit: str = "1"


@dataclasses.dataclass(frozen=True)
class Layout:
    """All results that an experiment will have when it is done.

    Args:
        dimensions, variables: by name. point_dims: the axes along which the work is divided; a point is one value of each.
    """

    dimensions: Mapping[str, Dimension]
    variables: Mapping[str, Variable]
    point_dims: tuple[str, ...]

    def shape(self, dims: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(len(self.dimensions[d].values) for d in dims)

    def size(self, variable: str) -> int:
        """Bytes of the values of a variable [B]."""
        return 8 * math.prod(self.shape(self.variables[variable].dims))

    def shared(self, variable: str) -> bool:
        """Whether a variable lacks an axis of the points, so that points must agree on its value."""
        return not set(self.point_dims) <= set(self.variables[variable].dims)

    def points(self) -> list[dict[str, Coordinate]]:
        """All points, in order."""
        grid = np.ndindex(*self.shape(self.point_dims))
        return [{d: self.dimensions[d].values[i] for d, i in zip(self.point_dims, at, strict=True)} for at in grid]


class OtherLayout(ValueError):
    """A file of results holds something other than what is expected: after damage, or because it was made otherwise."""


class Results:
    """The values of a layout, complete or not. `damaged`: how many points of a file had a wrong checksum; they are missing."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.values = {name: np.full(layout.shape(v.dims), np.nan) for name, v in layout.variables.items()}
        self.finished = np.zeros(layout.shape(layout.point_dims), bool)
        self.checksums = np.zeros(layout.shape(layout.point_dims), "S64")
        self.damaged = 0

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    def coordinates(self, dim: str) -> tuple[Any, ...]:
        """The values along `dim`."""
        return tuple(self.layout.dimensions[dim].values)

    def axis(self, dim: str, value: Coordinate) -> int:
        """The index of `value` along `dim`."""
        return self.coordinates(dim).index(value)

    def select(self, name: str, **at: Coordinate) -> np.ndarray:
        """The values of a variable at these coordinates; the other axes remain."""
        return self.values[name][self._where(name, at)]

    def is_finished(self, point: Mapping[str, Coordinate]) -> bool:
        return bool(self.finished[self._place(point)])

    def put(self, point: Mapping[str, Coordinate], found: Mapping[str, Any]) -> None:
        """Stores the results of a point; each value has the variable's axes without the point's.

        Raises:
            ValueError: for other shapes, or if a variable that all points share differs from that of an earlier point;
                nothing of the point is stored then.
        """
        places = {name: self._checked_place(point, name, value) for name, value in found.items()}
        for name, place in places.items():
            self.values[name][place] = found[name]
        here = self._place(point)
        self.finished[here] = True
        self.checksums[here] = self._checksum(point)

    def _checked_place(self, point: Mapping[str, Coordinate], name: str, value: Any) -> tuple[Any, ...]:
        dims, place = self.layout.variables[name].dims, self._where(name, point)
        earlier, rest = self.values[name][place], tuple(d for d in dims if d not in point)
        if np.shape(value) != earlier.shape:
            raise ValueError(
                f"{name} of point {dict(point)}: shape {np.shape(value)}, not {earlier.shape} of axes {rest}"
            )
        known = np.isfinite(earlier)
        if self.layout.shared(name) and not np.allclose(np.asarray(value)[known], earlier[known], rtol=1e-5, atol=0):
            missing = ", ".join(d for d in self.layout.point_dims if d not in dims)
            raise ValueError(
                f"{name} of point {dict(point)} is {value}, but {earlier} at another point. Give it the axis {missing}."
            )
        return place

    def _where(self, name: str, at: Mapping[str, Coordinate]) -> tuple[Any, ...]:
        return tuple(self.axis(d, at[d]) if d in at else slice(None) for d in self.layout.variables[name].dims)

    def _place(self, point: Mapping[str, Coordinate]) -> tuple[int, ...]:
        return tuple(self.axis(d, point[d]) for d in self.layout.point_dims)

    def _checksum(self, point: Mapping[str, Coordinate]) -> bytes:
        """Checksum of the point's coordinates and of all values that belong to it alone."""
        content = hashlib.sha256(json.dumps({k: str(v) for k, v in point.items()}, sort_keys=True).encode())
        for name in sorted(n for n in self.layout.variables if not self.layout.shared(n)):
            content.update(name.encode() + np.ascontiguousarray(self.select(name, **point)).tobytes())
        return content.hexdigest().encode()

    def _forget_damaged(self) -> int:
        """Marks points whose values do not match their checksum as unfinished; returns how many there were."""
        damaged = [p for p in self.layout.points() if self.checksums[self._place(p)] != self._stored_as(p)]
        for point in damaged:
            for name in self.layout.variables:
                if not self.layout.shared(name):
                    self.values[name][self._where(name, point)] = np.nan
            self.finished[self._place(point)], self.checksums[self._place(point)] = False, b""
        return len(damaged)

    def _stored_as(self, point: Mapping[str, Coordinate]) -> bytes:
        return self._checksum(point) if self.is_finished(point) else b""

    def as_json(self) -> dict[str, Any]:
        """Plain lists, with null for unknown values."""
        plain = finite(self.values)
        return {
            "dimensions": {n: {"values": list(d.values), "unit": d.unit} for n, d in self.layout.dimensions.items()},
            "variables": {
                n: {"dims": list(v.dims), "unit": v.unit, "title": v.title, "values": plain[n]}
                for n, v in self.layout.variables.items()
            },
        }

    def save(self, path: pathlib.Path) -> None:
        """Writes the file, completely or not at all."""
        image = io.BytesIO()  # HDF5 answers a full disk in many ways, and a plain file in one
        with h5py.File(image, "w") as file:
            self._write(file)
        write_bytes(path, sealed(image.getvalue()))

    def _write(self, file: h5py.File) -> None:
        for name, dim in self.layout.dimensions.items():
            text = isinstance(dim.values[0], str)
            scale = file.create_dataset(name, data=np.array(dim.values, dtype=h5py.string_dtype() if text else None))
            scale.make_scale(name)
            scale.attrs.update(long_name=dim.title, units=dim.unit)
        every = {n: (v.dims, self.values[n], v.title, v.unit) for n, v in self.layout.variables.items()}
        every["sha256"] = (self.layout.point_dims, self.checksums, "checksum of the point and its coordinates", "1")
        every["finished"] = (self.layout.point_dims, self.finished.astype(np.uint8), "point is computed", "1")
        for name, (dims, values, title, unit) in every.items():
            dataset = file.create_dataset(name, data=values)
            dataset.attrs.update(long_name=title, units=unit, sha256=_digest(values))
            for i, d in enumerate(dims):
                dataset.dims[i].attach_scale(file[d])

    @classmethod
    def load(cls, path: pathlib.Path, layout: Layout) -> Results:
        """Reads what `save` wrote.

        Raises:
            UsageError: if the file is damaged as a whole, or is whole and holds other coordinates or shapes.
        """
        results = cls(layout)
        try:
            with h5py.File(path) as file:
                for name, dim in layout.dimensions.items():
                    found = own(file, name).asstr()[()] if isinstance(dim.values[0], str) else own(file, name)[()]
                    if tuple(np.ravel(found)) != tuple(dim.values):
                        raise OtherLayout(f"its {name} is {np.ravel(found).tolist()}, not {list(dim.values)}")
                for name in layout.variables:
                    read = _checked if layout.shared(name) else _of_shape
                    results.values[name] = read(own(file, name), results.values[name].shape, "f")
                results.finished = _checked(own(file, "finished"), results.finished.shape, "u").astype(bool)
                results.checksums = _of_shape(own(file, "sha256"), results.checksums.shape, "S")
                results.damaged = results._forget_damaged()
        except Exception as error:  # h5py raises whatever HDF5 makes of damaged bytes
            other = isinstance(error, OtherLayout) and is_whole(path)
            what = "was made with other settings or another version" if other else "is damaged or not a results file"
            raise UsageError(f"{path} {what} ({error}). Move it away or use --fresh.") from error
        return results


def own(file: h5py.File, name: str) -> h5py.Dataset:
    """A data set that is stored in this file itself."""
    found: Any = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset):
        raise OtherLayout(f"it has no {name}")
    if found.is_virtual or found.id.get_create_plist().get_external_count():
        raise ValueError(f"its {name} is stored in another file")
    return found


def _of_shape(dataset: h5py.Dataset, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """The numbers, if they have the expected type and shape."""
    if dataset.shape != shape or dataset.dtype.kind != kind:
        raise OtherLayout(f"its {dataset.name} is {dataset.dtype} of shape {dataset.shape}, not of shape {shape}")
    return np.array(dataset[()])


def _checked(dataset: h5py.Dataset, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """The numbers, if they are those that were written."""
    values = _of_shape(dataset, shape, kind)
    if dataset.attrs.get("sha256") != _digest(values):
        raise ValueError(f"its {dataset.name} does not match its checksum")
    return values


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
