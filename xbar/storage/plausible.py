"""Whether a loaded chip is plausible: the classes and shapes of its parts, and possible conductances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from devices import Cells, Device
from devices.catalogue import Provenance
from xbar.chip import Chip
from xbar.graph.nodes import Layer
from xbar.macro.converters import ADC, DAC
from xbar.macro.mappings import AbstractMapping
from xbar.macro.state import ProgrammedArray, Ranges, Settled
from xbar.macro.tile import Tile
from xbar.macro.wires import AbstractWires
from xbar.storage.chip_file_error import ChipFileError


def check(chip: Chip) -> None:
    """Raises ChipFileError, saying what is wrong, if a chip is not plausible."""
    for name, kind in {"arrays": dict, "tiles": dict, "leaves": tuple, "rolled": bool, "plan_layers": tuple}.items():
        _is(getattr(chip, name), kind, name)
    for i, layer in enumerate(chip.plan_layers):
        _is(layer, Layer, f"plan_layers[{i}]")
    numbers = set(chip.arrays)
    if numbers != set(chip.tiles) or not numbers <= set(range(len(chip.plan_layers))):
        raise ChipFileError(
            f"arrays of layers {list(chip.arrays)} on tiles of layers {list(chip.tiles)}, of {len(chip.plan_layers)} "
            "layers: each mapped layer needs one of each."
        )
    if chip.taken is not None and set(_is(chip.taken, dict, "taken")) != numbers:
        raise ChipFileError(f"times of layers {list(chip.taken)} for arrays of layers {sorted(numbers)}.")
    for i in sorted(numbers):
        _check_tile(chip.tiles[i], chip.plan_layers[i].path)
    for i in sorted(numbers):
        _check_array(chip.arrays[i], chip.plan_layers[i], chip.tiles[i], chip.wafer)
    if not chip.wafer:
        for i in sorted(numbers):
            _check_as_constructed(chip.tiles[i], chip.plan_layers[i].path)
    _check_leaves(chip)


def _is(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ChipFileError(f"{where} is a {type(value).__name__}; expected {kind.__name__}.")
    return value


def _check_tile(tile: Any, path: str) -> None:
    _is(tile, Tile, f"{path}: the tile")
    parts = {"device": Device, "dac": DAC, "adc": ADC, "wires": AbstractWires, "mapping": AbstractMapping}
    for name, kind in {**parts, "rows": int, "cols": int}.items():
        _is(getattr(tile, name), kind, f"{path}: tile.{name}")
    if tile.rows < 1 or tile.cols < 1:
        raise ChipFileError(f"{path}: a tile of {tile.rows} x {tile.cols} cells.")
    _is(tile.device.provenance, Provenance, f"{path}: tile.device.provenance")


def _check_as_constructed(tile: Tile, path: str) -> None:
    """Raises if the constructor of any part of a tile would refuse what it holds."""
    for module in _modules(tile):
        for kind in type(module).__mro__:
            if "__check_init__" not in vars(kind):
                continue
            try:
                vars(kind)["__check_init__"](module)
            except (ValueError, TypeError) as error:
                raise ChipFileError(f"{path}: {error}") from error


def _modules(x: Any) -> Iterator[eqx.Module]:
    """A module and all modules in it, the inner ones first."""
    inner = jax.tree.leaves(x, is_leaf=lambda y: isinstance(y, eqx.Module) and y is not x)
    for part in inner:
        if isinstance(part, eqx.Module) and part is not x:
            yield from _modules(part)
    if isinstance(x, eqx.Module):
        yield x


def _check_array(array: Any, layer: Layer, tile: Tile, wafer: tuple[int, ...]) -> None:
    path = layer.path
    _is(array, ProgrammedArray, f"{path}: the array")
    part, mapping = tile.partition(*layer.product.sizes), tile.mapping
    lines = part.used_cols + mapping.extra_cols
    stack = (*wafer, *layer.lengths)
    places = (*stack, mapping.cells, part.blocks, part.row_tiles, part.used_rows, part.col_tiles)
    if array.cells is not None:
        _is(array.cells, Cells, f"{path}: cells")
        _shaped(array.cells.g, (*places, lines), f"{path}: cells.g")
        _check_conductances(array.cells.g, path)
    elif array.settled is None:
        raise ChipFileError(f"{path}: the array has neither cells nor what reads at one time need of them.")
    per_tile = (*stack, part.blocks, part.row_tiles, part.col_tiles)
    if array.ranges is not None:
        _is(array.ranges, Ranges, f"{path}: ranges")
        _spread(array.ranges.dac, (*stack, part.blocks, part.row_tiles), f"{path}: ranges.dac")
        _spread(array.ranges.adc, per_tile, f"{path}: ranges.adc")
    if array.reference is not None:
        per_column = np.shape(array.reference)[-1:] == (part.used_cols,)
        _shaped(array.reference, (*per_tile, part.used_cols if per_column else 1), f"{path}: reference")
    if array.settled is not None:
        _is(array.settled, Settled, f"{path}: settled")
        _shaped(array.settled.conductance, (*places, lines), f"{path}: settled.conductance")
        net = (*stack, mapping.reads, *places[len(stack) + 1 :], part.used_cols)
        _shaped(array.settled.net, net, f"{path}: settled.net")
        _shaped(array.settled.readout, (*per_tile, part.used_cols), f"{path}: settled.readout")
        _check_conductances(array.settled.conductance, path, least=-np.inf)  # a solution of wires may round below 0


def _shaped(x: Any, shape: tuple[int, ...], where: str) -> None:
    _is(x, jax.Array, where)
    if x.shape != shape or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ChipFileError(f"{where} is {x.dtype} of shape {x.shape}; the layer's tiles need floats of shape {shape}.")


def _spread(x: Any, shape: tuple[int, ...], where: str) -> None:
    """Raises unless there is a number for every converter: ranges that a user has set may be shared by some."""
    fits = np.ndim(x) <= len(shape) and all(n in (1, m) for n, m in zip(np.shape(x)[::-1], shape[::-1], strict=False))
    if not isinstance(x, jax.Array | np.ndarray | float) or not fits:
        raise ChipFileError(f"{where} has shape {np.shape(x)}; the layer's tiles need {shape}.")


def _check_conductances(g: jax.Array, path: str, least: float = 0.0) -> None:
    if not bool(jnp.all(jnp.isfinite(g) & (g >= least))):
        values = np.asarray(g, float)
        bad = values[~(np.isfinite(values) & (values >= least))]
        raise ChipFileError(
            f"{path}: {bad.size} of {values.size} cells have an impossible conductance, such as {bad[0]:g} S; "
            "it must be finite and not below 0 S. Program the chip again."
        )


def _check_leaves(chip: Chip) -> None:
    if len(chip.leaves) != len(chip.avals):
        raise ChipFileError(f"the file keeps {len(chip.leaves)} parameters out of {len(chip.avals)}.")
    for leaf, aval, path in zip(chip.leaves, chip.avals, chip.frame.paths, strict=True):
        if leaf is not None and (np.shape(leaf)[len(chip.wafer) :] != aval.shape or leaf.dtype != aval.dtype):
            raise ChipFileError(
                f"the parameter {path} is {leaf.dtype} of shape {np.shape(leaf)}; {aval.dtype} of shape {aval.shape} "
                "is expected."
            )
