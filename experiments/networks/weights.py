"""Puts trained weights from files into networks, and folds batch norm into the layer before it."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from experiments.datasets.dataset import read_npz
from experiments.framework.errors import UsageError
from experiments.framework.files import write_bytes

Arrays = Mapping[str, np.ndarray]
Model = TypeVar("Model")


def fold_batch_norm(
    weight: Float[np.ndarray, "out *rest"],
    bias: Float[np.ndarray, " out"] | None,
    *,
    gamma: Float[np.ndarray, " out"],
    beta: Float[np.ndarray, " out"],
    mean: Float[np.ndarray, " out"],
    variance: Float[np.ndarray, " out"],
    epsilon: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a layer that does what this one and the batch norm after it do in evaluation.

    $$ w' = \\frac{\\gamma}{\\sqrt{v + \\epsilon}} w, \\qquad b' = \\frac{\\gamma}{\\sqrt{v + \\epsilon}} (b - m) + \\beta $$

    Args:
        weight: output channels first. bias: of the layer, None for 0. gamma, beta: gain and shift of the batch norm.
        mean, variance: its running statistics. epsilon: as in its definition.

    Computed in float64, given in the weight's dtype.
    """
    gain = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    folded = weight * gain.reshape(-1, *(1,) * (weight.ndim - 1))
    shift = beta + gain * ((0.0 if bias is None else bias) - mean.astype(np.float64))
    return folded.astype(weight.dtype), shift.astype(weight.dtype)


def read(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` or `.safetensors` file, by name.

    Raises:
        UsageError: for another suffix, a file that is missing or damaged, or a missing package.
    """
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix != ".safetensors":
        raise UsageError(f"{path}: weights are read from .npz and .safetensors files.")
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise UsageError(f"{path}: install safetensors to read it: pip install 'xbar-sim[import]'.") from error
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}).") from error


def put(model: Model, arrays: Arrays, source: str = "weights") -> Model:
    """The model with the arrays of these names in place of its own.

    Args:
        arrays: for each array of the model, one under its path (`layers.0.weight`). Shapes may differ in axes of length 1,
            as those of a bias do between libraries.
        source: what messages call the arrays.

    Raises:
        UsageError: if one is missing, left over, of another shape, not of floats, or not finite.
    """
    found, tree = jax.tree_util.tree_flatten_with_path(model)
    names = [_name(path) if hasattr(leaf, "shape") else None for path, leaf in found]
    wanted = {name for name in names if name}
    for what, odd in (("lacks", wanted - set(arrays)), ("has, besides what is needed,", set(arrays) - wanted)):
        if odd:
            shown = ", ".join(sorted(odd)[:5]) + (" and more" if len(odd) > 5 else "")
            raise UsageError(
                f"{source} {what} {shown}. It needs {', '.join(sorted(wanted)[:5])} ... ({len(wanted)} in all)."
            )
    leaves = [
        _fitted(arrays[n], leaf, f"{source}: {n}") if n else leaf for n, (_, leaf) in zip(names, found, strict=True)
    ]
    return jax.tree.unflatten(tree, leaves)


def load(model: Model, path: str | pathlib.Path, renamed: Callable[[Arrays], Arrays] = lambda arrays: arrays) -> Model:
    """The model with the weights of a `.npz` or `.safetensors` file.

    Args:
        renamed: makes arrays under the model's paths from those of the file: another library's names and layouts.

    Raises:
        UsageError: as `read` and `put` do.
    """
    arrays = read(path)
    try:
        return put(model, renamed(arrays), str(path))
    except KeyError as error:
        raise UsageError(f"{path}: lacks {error}.") from error


def save(model: Any, path: pathlib.Path) -> None:
    """Writes the arrays of a model under their paths to a `.npz` file, which `load` reads; completely or not at all."""
    found = jax.tree_util.tree_flatten_with_path(model)[0]
    file = io.BytesIO()
    np.savez(file, **{_name(at): np.asarray(leaf) for at, leaf in found if hasattr(leaf, "shape")})  # pyright: ignore[reportArgumentType]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, file.getvalue())


def _fitted(array: np.ndarray, leaf: Any, name: str) -> jax.Array:
    bare = lambda shape: tuple(n for n in shape if n != 1)  # noqa: E731
    if not (jnp.issubdtype(array.dtype, jnp.floating) and bare(array.shape) == bare(leaf.shape)):
        raise UsageError(f"{name} is {array.dtype} {array.shape}; floats of shape {leaf.shape} are expected.")
    if not np.isfinite(array.astype(np.float32)).all():
        raise UsageError(f"{name} is not finite everywhere.")
    return jnp.asarray(array, leaf.dtype).reshape(leaf.shape)


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")
