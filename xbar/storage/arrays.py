"""Arrays as bytes: how each kind of number is kept, and how the same array of JAX or NumPy is made from it again."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xbar.storage.chip_file_error import ChipFileError

_PLAIN = {f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)} - {"float8"}
_EIGHT = {
    f"float8_{kind}" for kind in ("e3m4", "e4m3", "e4m3fn", "e4m3fnuz", "e4m3b11fnuz", "e5m2", "e5m2fnuz", "e8m0fnu")
}
_BYTES = {"bool", "bfloat16", "float4_e2m1fn", "int2", "int4", "uint2", "uint4"} | _EIGHT  # kept as the bytes they are
_PAIRS = {"complex64": "float32", "complex128": "float64"}  # kept as pairs along one more axis
_KEYS = ("threefry2x32", "rbg", "unsafe_rbg")


def dtype_of(name: Any) -> np.dtype:
    """The dtype of this name.

    Raises:
        ChipFileError: if it is not the name of a kind of number.
    """
    if name in _PLAIN or name in _PAIRS or (name in _BYTES and (name == "bool" or hasattr(jnp, name))):
        return jnp.dtype(name)
    raise ChipFileError(f"{name!r} is not a kind of number that a chip's file may hold.")


def kept_as(name: Any, shape: tuple[int, ...]) -> tuple[np.dtype, tuple[int, ...]]:
    """The dtype and shape in which numbers are kept, little-endian whatever the machine."""
    dtype = dtype_of(name)
    if name in _PAIRS:
        return np.dtype(_PAIRS[name]).newbyteorder("<"), (*shape, 2)
    return (np.dtype(f"<u{dtype.itemsize}") if name in _BYTES else dtype.newbyteorder("<")), shape


def to_kept(x: Any) -> np.ndarray:
    """An array as it is kept; of random keys, their data."""
    if isinstance(x, jax.Array) and not (x.is_fully_addressable or x.is_fully_replicated):
        raise ChipFileError("an array of the chip is spread over several processes: gather it first.")
    key = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    data = np.asarray(jax.random.key_data(x) if key else x)
    kept, shape = kept_as(jnp.dtype(data.dtype).name, data.shape)
    data = np.ascontiguousarray(data).reshape(-1)
    return data.view(kept.newbyteorder("=")).astype(kept, copy=False).reshape(shape)


def digest(kept: np.ndarray) -> str:
    """SHA-256 of an array as it is kept."""
    return hashlib.sha256(kept.reshape(-1).view(np.uint8).data).hexdigest()


def from_kept(kept: np.ndarray, node: dict[str, Any], name: str) -> Any:
    """The array that `to_kept` was given, from the node that describes it."""
    dtype = dtype_of(node["dtype"])
    if node["dtype"] == "bool" and kept.size and kept.max() > 1:
        raise ChipFileError(f"{name} holds {kept.max()} where 0 or 1 is expected.")
    data = kept.astype(kept.dtype.newbyteorder("="), copy=False).reshape(-1).view(dtype).reshape(node["shape"])
    if node.get("numpy") == "scalar":
        return data[()]
    if "numpy" in node:
        return data
    _check_width(dtype, name)
    if "key" in node:
        if node["key"] not in _KEYS:
            raise ChipFileError(
                f"{name}: {node['key']!r} is not a known random-number generator; known are {', '.join(_KEYS)}."
            )
        return jax.random.wrap_key_data(jnp.asarray(data), impl=node["key"])
    return _weak(data) if node.get("weak") else jnp.asarray(data)


def _check_width(dtype: np.dtype, name: str) -> None:
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise ChipFileError(
            f"{name} is {dtype.name}, and JAX is set to 32 bits, which would round it. "
            'Set jax.config.update("jax_enable_x64", True) before loading.'
        )


def _weak(data: np.ndarray) -> jax.Array:
    """An array whose dtype gives way to others, as that of a Python number does."""
    zero = {"i": 0, "f": 0.0, "c": 0j}.get(data.dtype.kind)
    if zero is None:
        raise ChipFileError(
            f"{data.dtype.name} cannot be weakly typed; only signed integers, floats and complex numbers can."
        )
    with jax.enable_x64(data.dtype.itemsize >= (16 if data.dtype.kind == "c" else 8)):
        return jax.lax.full(data.shape, zero).at[...].set(data)
