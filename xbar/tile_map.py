"""The tile map: which weights sit on which tiles."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

from xbar.graph.nodes import Layer
from xbar.macro.tile import Tile


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One line of the tile map.

    Args:
        path: parameter. kind: "dot" or "conv". shape: (inputs, outputs) of one matrix. matrices: how many of them.
        tiles: macros used, 0 if the layer stays digital. tile: (rows, cols) of one.
        utilisation: share of the macros' places that hold a weight. device: name of the device.
        packed: matrices that share a macro, block-diagonally.
    """

    path: str
    kind: str
    shape: tuple[int, int]
    matrices: int
    tiles: int
    tile: tuple[int, int] | None
    utilisation: float
    device: str
    packed: int = 1


@dataclasses.dataclass(frozen=True)
class TileMap:
    """The tile map of a chip; print it for a table, iterate over it for its rows."""

    rows: tuple[LayerRow, ...]

    @classmethod
    def of(cls, layers: Sequence[Layer], tiles: Mapping[int, Tile]) -> TileMap:
        """The tile map of `layers`, where `tiles` holds the macro of each mapped one."""
        return cls(tuple(row for i, layer in enumerate(layers) for row in _rows(layer, tiles.get(i))))

    @property
    def tiles(self) -> int:
        """All macros of the chip."""
        return sum(r.tiles for r in self.rows)

    def __iter__(self) -> Iterator[LayerRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        head = ("layer", "kind", "matrix", "tiles", "of", "used", "device")
        body = [head, *(_cells(r) for r in self.rows), ("total", "", "", f"{self.tiles}", "", "", "")]
        widths = [max(len(line[i]) for line in body) for i in range(len(head))]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in body)

    __repr__ = __str__


def _rows(layer: Layer, tile: Tile | None) -> list[LayerRow]:
    """A row for each block of the network that has such a layer."""
    groups, k, n = layer.product.sizes
    stack = math.prod(layer.lengths) // len(layer.names)
    common = (layer.product.kind, (k, n), groups * stack)
    if tile is None:
        return [LayerRow(name, *common, 0, None, 0.0, "digital") for name in layer.names]
    part = tile.partition(groups, k, n)
    used = (part.tiles * stack, (tile.rows, tile.cols), part.utilisation, tile.device.provenance.name)
    return [LayerRow(name, *common, *used, part.packed * part.shared) for name in layer.names]


def _cells(row: LayerRow) -> tuple[str, ...]:
    matrix = f"{row.shape[0]} x {row.shape[1]}" + (f" ({row.matrices} of them)" if row.matrices > 1 else "")
    matrix += f", {row.packed} a tile" if row.packed > 1 else ""
    if row.tile is None:
        return row.path, row.kind, matrix, "0", "", "", row.device
    return (
        row.path,
        row.kind,
        matrix,
        f"{row.tiles}",
        f"{row.tile[0]} x {row.tile[1]}",
        f"{row.utilisation:.0%}",
        row.device,
    )
