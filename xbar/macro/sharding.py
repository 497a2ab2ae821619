"""Which device of a mesh holds which tiles."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from xbar.macro.partition import Partition

Axes = str | tuple[str, ...] | None

BY_TILE = "cbijr"  # [cell, block, row tile, column tile, row], more axes may follow
CELLS = "cbirj"  # [cell, block, row tile, row, column tile], the layout of `ProgrammedArray`


@dataclasses.dataclass(frozen=True)
class Sharding:
    """Spreads the tiles of a matrix over the devices of a mesh: each programs, keeps and reads its own.

    The chip is the same bit for bit as on one device. A read sums over the row tiles, so that `row_tiles` costs one sum of
    outputs over devices; `blocks` and `col_tiles` cost nothing except in what is done with the outputs afterwards. Axes
    of the mesh that are not named here are free for batches and chips.

    Args:
        mesh: the devices, as `jax.make_mesh` gives them; of several processes after `jax.distributed.initialize`.
        blocks, row_tiles, col_tiles: the mesh axis, or axes, along which the blocks of a layer (its groups), its rows of tiles
            and its columns of tiles are spread; None: every device has all of them.

    Raises:
        ValueError: for an axis that the mesh does not have, or one that is named twice.

    Inputs, parameters and keys may be spread over the same devices. JAX's axes of explicit type ask for a layout at every
    reshape, of which a read has many: use `sharding.mesh`, whose axes are automatic, or `jax.sharding.Mesh(devices,
    names)`.

    Breaks when: a layer has fewer tiles than the mesh has devices along an axis, or a number of tiles that is not a
    multiple of them: programming raises an error.
        Give such a layer a tile without a sharding.
    """

    mesh: Mesh
    blocks: Axes = None
    row_tiles: Axes = None
    col_tiles: Axes = None

    def __post_init__(self):
        object.__setattr__(self, "mesh", Mesh(self.mesh.devices, self.mesh.axis_names))
        named = self.axis_names
        if unknown := sorted(set(named) - set(self.mesh.axis_names)):
            raise ValueError(f"Sharding: the mesh has the axes {self.mesh.axis_names}, but not {', '.join(unknown)}.")
        if len(set(named)) < len(named):
            raise ValueError(f"Sharding: {named} names an axis of the mesh twice; each can spread one kind of tiles.")

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The axes of the mesh over which tiles are spread."""
        each = (self.blocks, self.row_tiles, self.col_tiles)
        return tuple(name for axes in each for name in ((axes,) if isinstance(axes, str) else axes or ()))

    def check(self, part: Partition, path: str) -> None:
        """Raises a ValueError unless the tiles of a layer fall evenly on the devices."""
        for name in ("blocks", "row_tiles", "col_tiles"):
            axes, count = getattr(self, name), getattr(part, name)
            devices = math.prod(self.mesh.shape[a] for a in ((axes,) if isinstance(axes, str) else axes or ()))
            if count % devices:
                raise ValueError(
                    f"{path}: Sharding({name}={axes!r}) spreads over {devices} devices, but the layer has "
                    f"{name}={count}, which they do not divide evenly. Choose another tile size or mesh, or give this "
                    "layer a Tile without sharding: xbar.analog(f, lambda path, shape: ...)."
                )

    def spec(self, layout: str) -> PartitionSpec:
        """Where the axes `layout` are spread: `b` blocks, `i` row tiles, `j` column tiles; any other letter is not."""
        own = {"b": self.blocks, "i": self.row_tiles, "j": self.col_tiles}
        return PartitionSpec(*(own.get(letter) for letter in layout))

    def keep(self, x: Array, layout: str) -> Array:
        """`x`, laid out as `layout` says. Axes of length 1 are not spread; leading axes of `vmap` stay as they are."""
        spec = self.spec(layout)
        own = (axes if n > 1 else None for axes, n in zip(spec, x.shape, strict=False))
        return jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, PartitionSpec(*own)))

    def each_device(self, f: Callable[..., Any], layouts: tuple[Any, ...], out: Any) -> Callable[..., Any]:
        """`f` run by every device on its own tiles; `layouts` and `out` as in `spec`, one for each tree of arrays."""
        specs = jax.tree.map(self.spec, layouts), jax.tree.map(self.spec, out)
        return jax.shard_map(
            f, mesh=self.mesh, in_specs=specs[0], out_specs=specs[1], axis_names=set(self.axis_names), check_vma=False
        )


def check_automatic(what: str, *trees: Any) -> None:
    """Raises a ValueError for arrays that are spread along axes of explicit type."""
    for leaf in jax.tree.leaves(trees):
        own = jax.typeof(leaf).sharding if isinstance(leaf, jax.Array) else None
        if own is not None and any(axes is not None for axes in own.spec):
            raise ValueError(
                f"{what}: an array of shape {leaf.shape} is spread as {own.spec} on a mesh with axes of explicit type, as "
                "jax.make_mesh makes them by default. Place it on the mesh of an xbar.Sharding (sharding.mesh) or on "
                "jax.sharding.Mesh(devices, names): their axes are automatic."
            )
