"""A user's own network: a Python file."""

from __future__ import annotations

import pathlib
import runpy
import traceback
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from experiments.datasets import Dataset
from experiments.framework import own_code
from experiments.framework.errors import UsageError
from experiments.networks.network import Network

WANTED = (
    "It defines f (f(params, x) -> logits of a batch) and params, or module (a torch.nn.Module in evaluation mode); and x, y "
    "(inputs (n, ...) and integer labels to test on); and, for hardware-aware training, x_train and y_train"
)


def own(path: str) -> Network:
    """The network that a Python file defines; the file is run.

    It defines `f` and `params`, or `module`, a torch.nn.Module; `x` and `y`, inputs and labels to test on; and, if it is to be
    trained hardware-aware, `x_train` and `y_train`. Random numbers need a fixed seed: these arrays identify a run.

    Raises:
        UsageError: if the file cannot be run, or lacks something.
    """
    names = _run(path)
    function, params = _function(path, names)
    parts = {part: _examples(path, names, part) for part in ("", "_train")}
    x, y = parts[""] or _lacks(path, "x and y")
    x_train, y_train = parts["_train"] or (x[:0], y[:0])
    if x_train.shape[1:] != x.shape[1:]:
        raise UsageError(
            f"--network {path}: x_train holds inputs of shape {x_train.shape[1:]}, x of {x.shape[1:]}; they must match."
        )
    _check_outputs(path, function, params, x, y)
    data = Dataset(pathlib.Path(path).name, x_train, y_train, x, y, in_runs=True)  # they may be sorted
    return Network(path, function, params, data, trained=True)


def contents(network: Network) -> dict[str, str]:
    """Hashes of what a file has loaded or made: parameters, data, and the program of `f` with arrays in it."""
    from experiments import checkpoints

    data, name = network.measured_on(), pathlib.Path(network.name).name
    parts = {
        "f": checkpoints.program(network.f, network.params, jax.numpy.asarray(data.x_test[:1])),
        "params": network.params,
        "x": data.x_test,
        "y": data.y_test,
        "x_train": data.x_train,
        "y_train": data.y_train,
    }
    return {f"{name}: {part}": checkpoints.fingerprint(value)[:12] for part, value in parts.items()}


def _run(path: str) -> Mapping[str, Any]:
    if not pathlib.Path(path).is_file():
        raise UsageError(f"--network {path}: there is no such file.")
    try:
        own_code.let_import(pathlib.Path(path))
        return runpy.run_path(path, run_name="__xbar__")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        at = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        where = f", line {at[-1].lineno}" if at else ""
        raise UsageError(f"--network {path}{where}: {type(error).__name__}: {error}") from error


def _function(path: str, names: Mapping[str, Any]) -> tuple[Any, Any]:
    if "module" in names:
        import xbar

        try:
            return xbar.from_torch(names["module"])
        except (TypeError, ValueError, ImportError) as error:
            raise UsageError(f"--network {path}: {error}") from error
    if not callable(names.get("f")) or "params" not in names:
        return _lacks(path, "f and params, or module")
    arrays = lambda leaf: jax.numpy.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf  # noqa: E731
    return names["f"], jax.tree.map(arrays, names["params"])


def _examples(path: str, names: Mapping[str, Any], part: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Inputs and labels, None if neither is there."""
    found = [names.get(f"{letter}{part}") for letter in "xy"]
    if all(a is None for a in found):
        return None
    if any(a is None for a in found):
        return _lacks(path, f"both of x{part} and y{part}")
    x, y = (np.asarray(a) for a in found)
    if x.ndim < 1 or x.dtype.kind not in "fiub" or y.dtype.kind not in "iu" or len(x) != len(y) or not len(x):
        raise UsageError(
            f"--network {path}: x{part} is {x.dtype} {x.shape} and y{part} {y.dtype} {y.shape}; numbers (n, ...) and n "
            "integer labels are expected."
        )
    return (x.astype(np.float32) if x.dtype.kind == "f" else x), y.astype(np.int32)


def _check_outputs(path: str, f: Any, params: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Checks the logits of the first two inputs, and that there is a class for every label."""
    try:
        out = jax.numpy.asarray(f(params, x[:2]))
    except Exception as error:
        raise UsageError(f"--network {path}: f(params, x[:2]) fails: {type(error).__name__}: {error}") from error
    expected = y[:2].shape
    if out.shape[:-1] != expected or out.dtype.kind != "f":
        raise UsageError(
            f"--network {path}: f(params, x[:2]) gives {out.dtype} {out.shape}; logits of shape "
            f"{(*expected, 'classes')} are expected."
        )
    if y.min() < 0 or y.max() >= out.shape[-1]:
        raise UsageError(
            f"--network {path}: y ranges from {y.min()} to {y.max()}, but f gives {out.shape[-1]} classes, 0 to "
            f"{out.shape[-1] - 1}."
        )


def _lacks(path: str, what: str) -> Any:
    raise UsageError(f"--network {path}: it lacks {what}. {WANTED}.")
