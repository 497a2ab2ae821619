"""The physical numbers of a device: each with its place, unit and value, and copies of the device with other values."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import GetAttrKey
from jaxtyping import Array, Float

from devices.device import Device


@dataclasses.dataclass(frozen=True)
class PhysicalNumber:
    """One number of a device.

    Args:
        path: where it stands (`drift.nu_mean.slope`, `programming.spread.coefficients[1]`). unit: of its value, or of the
            curve that it belongs to; "" for one without. value: [unit].
        leaf, entry: which array of the device, and which of its entries, in order.
    """

    path: str
    unit: str
    value: float
    leaf: int
    entry: int

    @property
    def part(self) -> str:
        """The part of the device that it belongs to: `drift`, `read_noise`, ...; `range` for g_min and g_max."""
        first = self.path.split(".")[0]
        return "range" if first in ("g_min", "g_max") else first


def device_numbers(device: Device) -> list[PhysicalNumber]:
    """All finite numbers of a device, in the order of its arrays."""
    found = []
    for i, (path, leaf) in enumerate(_leaves(device)):
        name, unit = jax.tree_util.keystr(path, simple=True, separator="."), _unit(device, path)
        values = np.asarray(leaf, float)
        for j, value in enumerate(values.ravel()):
            place = f"{name}[{','.join(map(str, np.unravel_index(j, values.shape)))}]" if values.ndim else name
            if np.isfinite(value):
                found.append(PhysicalNumber(place, unit, float(value), i, j))
    return found


def shifted(device: Device, numbers: list[PhysicalNumber], by: Float[Array, " numbers"]) -> Device:
    """The device with `by` [the unit of each] added to some of its numbers; differentiable."""
    leaves = [leaf for _, leaf in _leaves(device)]
    for i in sorted({n.leaf for n in numbers}):
        own = [(n.entry, k) for k, n in enumerate(numbers) if n.leaf == i]
        entries, places = (np.asarray(x) for x in zip(*own, strict=True))
        flat = leaves[i].reshape(-1)
        leaves[i] = flat.at[entries].add(by[places].astype(flat.dtype)).reshape(leaves[i].shape)
    dynamic, static = eqx.partition(device, eqx.is_inexact_array)
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(dynamic), leaves), static)


def values_of(drawn: Device, numbers: list[PhysicalNumber]) -> np.ndarray:
    """The values of some numbers in devices along a leading axis, as `device_file.load_draws` gives them: [devices,
    numbers]."""
    leaves = [np.asarray(leaf, float).reshape(len(leaf), -1) for _, leaf in _leaves(drawn)]
    return np.stack([leaves[n.leaf][:, n.entry] for n in numbers], 1)


def _leaves(device: Device) -> list[tuple[Any, jax.Array]]:
    return jax.tree_util.tree_flatten_with_path(eqx.filter(device, eqx.is_inexact_array))[0]


def _unit(device: Device, path: Any) -> str:
    """The unit of the innermost field on the path to a number that states one."""
    owner: Any = device
    unit = ""
    for key in path:
        if isinstance(key, GetAttrKey):
            field = next(f for f in dataclasses.fields(owner) if f.name == key.name)
            unit = getattr(field.metadata.get("converter"), "unit", "") or unit
            owner = getattr(owner, key.name)
        else:
            owner = owner[getattr(key, "key", getattr(key, "idx", 0))]
    return unit


def typical_cell(device: Device, t: float, bandwidth: float, *, key: jax.Array, cells: int = 4096) -> dict[str, float]:
    """The imperfections of cells in the middle of the range, as shares of it: rms write error, mean and spread of
    the drift, rms read noise.

    Args:
        t: time since programming [s]. bandwidth: of a read [Hz]. key: decides the cells that are sampled.

    Returns:
        `write`, `drift_mean`, `drift_spread`, `read_noise` over `g_max - g_min`; for conduction see
        `departure_from_ohm`.
    """
    middle = (device.g_min + device.g_max) / 2
    span = float(device.g_max - device.g_min)
    made = device.program(jnp.full((cells,), middle), key=key)
    moved = (device.drift(made.g, made.drift, jnp.asarray(t, made.g.dtype)) - made.g) / span
    noise = device.read_variance(made, t, bandwidth)
    error = (np.asarray(made.g, float) - float(middle)) / span
    return {
        "write": float(np.sqrt(np.mean(error**2))),
        "drift_mean": float(jnp.mean(moved)),
        "drift_spread": float(jnp.std(moved)),
        "read_noise": float(jnp.sqrt(jnp.mean(noise)) / span),
    }


def departure_from_ohm(device: Device, v: float) -> float:
    """`i(v) / (g v) - 1` of a cell in the middle of the range at `v` [V]."""
    middle = (device.g_min + device.g_max) / 2
    return float(device.conduction(middle, jnp.asarray(v, middle.dtype)) / (middle * v)) - 1
