"""The target conductances for a programmer, cell by cell, as a table."""

from __future__ import annotations

import csv
import math
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from devices._numerics import at_least_float32
from xbar.chip import Chip
from xbar.graph.nodes import Layer
from xbar.graph.stationary_weights import weights
from xbar.graph.tracing import aval_of, flatten, trace
from xbar.macro.layout import beside_rows
from xbar.macro.tile import Tile
from xbar.storage.chip_file_error import ChipFileError
from xbar.storage.structure import plain
from xbar.storage.whole_files import replacing
from xbar.transform import Analog

COLUMNS = ("layer", "step", "cell", "block", "tile_row", "tile_column", "row", "column")
AXES = (*COLUMNS[1:5], "row", "tile_column", "column")  # of arrays, as `ProgrammedArray` lays them out
AT_ONCE = 2**16  # lines of a table that are written together


def export_targets(
    path: str | os.PathLike[str], network: Analog, params: Any, *inputs: Any, chip: Chip | None = None
) -> None:
    """Writes the target conductance of every physical cell, for the programmer of a real array.

    A chip keeps its cells, not their targets, so these are encoded again from the weights, as programming does. Cells
    in the last row or column of tiles that no weight uses hold the target of a weight 0.

    Args:
        path: `*.csv`, a line for each cell with units in the head; or `*.h5`, for each layer an array with the axes step,
            cell, block, tile row, row, tile column, column. Complete or not at all; an existing file is replaced.
        network: as `xbar.analog` makes it. params: the weights. inputs: example inputs; only shapes and dtypes matter.
        chip: one that was programmed from these weights: adds the conductance of its cells at the earliest time that the
            device's data describe.

    The columns: `layer` is the path of the parameter, `step` counts the matrices that a loop steps through, `cell` the cells
    of one weight in the mapping's order (positive before negative, lowest digit first), `block` the matrices of a layer that
    share no tile; rows are word lines, columns bit lines, counted in each tile, from 0.

    Raises:
        ChipFileError: for another kind of file, or a chip with other layers. ValueError: as `Analog.program` does.
    """
    path = pathlib.Path(path)
    if path.suffix not in (".csv", ".h5"):
        raise ChipFileError(f"{path}: targets are written as .csv or .h5. Give one of these endings.")
    if chip is not None and chip.wafer:
        raise ChipFileError(
            "export_targets: chip is a wafer. Give one of its chips: jax.tree.map(lambda x: x[0], wafer)."
        )
    if chip is not None and any(array.cells is None for array in chip.arrays.values()):
        raise ChipFileError(
            "export_targets: chip was taken at a time and has no cells. Give the chip that it came from."
        )
    planned = network.program(params, *inputs, key=jax.random.key(0)) if chip is None else chip
    leaves, frame = flatten(params)
    traced, given = trace(network.f, frame, [aval_of(leaf) for leaf in leaves], inputs, planned.rolled)
    if [x.signature for x in traced.layers] != [x.signature for x in planned.plan_layers]:
        raise ChipFileError(
            "export_targets: the chip does not have the layers of the network with these inputs. Give its network."
        )
    matrices = weights(traced, leaves, given.captured, frozenset(planned.arrays))
    found = []
    for i, tile in sorted(planned.tiles.items()):
        target = encoded(tile, traced.layers[i], matrices[i])
        achieved = None if chip is None else _achieved(chip, i).reshape(target.shape)
        found.append((traced.layers[i], np.asarray(target), None if achieved is None else np.asarray(achieved)))
    with replacing(path) as temporary:
        (_write_csv if path.suffix == ".csv" else _write_hdf5)(temporary, found)


def encoded(
    tile: Tile, layer: Layer, w: Float[Array, "*stack groups k n"]
) -> Float[Array, "steps cells blocks row_tiles rows col_tiles lines"]:
    """The target conductances [S] of a layer's cells, in the layout of `ProgrammedArray`."""
    part, device = tile.partition(*layer.product.sizes), tile.device
    stack = w.reshape(-1, *layer.product.sizes).astype(at_least_float32(w.dtype))
    encode = lambda m: beside_rows(tile.mapping.encode(part.split(m), device.g_min, device.g_max)[0])  # noqa: E731
    return jnp.stack([encode(m) for m in stack])


def _achieved(chip: Chip, i: int) -> Array:
    device, cells = chip.tiles[i].device, chip.arrays[i].cells
    assert cells is not None
    return device.conductance(cells, device.first_time)


Found = Sequence[tuple[Layer, np.ndarray, np.ndarray | None]]


def _write_csv(path: pathlib.Path, found: Found) -> None:
    with path.open("x", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        achieved = any(values is not None for _, _, values in found)
        out.writerow([*COLUMNS, "target [S]", *(["achieved [S]"] if achieved else [])])
        for layer, target, values in found:
            for lines in _lines(layer, target, values):
                out.writerows(lines)


def _lines(layer: Layer, target: np.ndarray, achieved: np.ndarray | None) -> Iterator[Iterator[tuple]]:
    """Lines of the table, some at a time: numbers with as many digits as they have."""
    steps_of_name = max(math.prod(layer.lengths) // len(layer.names), 1)
    for start in range(0, target.size, AT_ONCE):
        flat = np.arange(start, min(start + AT_ONCE, target.size))
        step, cell, block, tile_row, row, tile_col, col = (
            axis.tolist() for axis in np.unravel_index(flat, target.shape)
        )
        names = [layer.names[s // steps_of_name] for s in step]
        numbers = [values.reshape(-1)[flat].astype(str).tolist() for values in (target, achieved) if values is not None]
        yield zip(names, step, cell, block, tile_row, tile_col, row, col, *numbers, strict=True)


def _write_hdf5(path: pathlib.Path, found: Found) -> None:
    with h5py.File(path, "x") as file:
        for layer, target, achieved in found:
            group, number = plain(layer.path), 1
            while group in file:
                number += 1
                group = f"{plain(layer.path)} ({number})"
            for name, values in (("target", target), ("achieved", achieved)):
                if values is not None:
                    dataset = file.create_dataset(f"{group}/{name}", data=values)
                    dataset.attrs["units"] = "S"
                    for axis, label in zip(dataset.dims, AXES, strict=True):
                        axis.label = label
