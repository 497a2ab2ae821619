"""Chips that are too large for one device: `--mesh 8` spreads the tiles of each layer over eight."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import TYPE_CHECKING, Any

from experiments.framework.errors import UsageError
from experiments.framework.progress import say

if TYPE_CHECKING:
    import xbar

AXIS = "devices"
FEW = 8  # devices that any CPU may be divided into, to try a mesh out
_FLAG = "--xla_force_host_platform_device_count"


def check_mesh(count: int) -> None:
    """Raises UsageError unless there are `count` devices. A CPU is divided into that many, if JAX has not started yet."""
    if count < 1:
        raise UsageError(f"--mesh {count}: give at least 1.")
    if count == 1:
        return
    import jax

    flags = os.environ.get("XLA_FLAGS", "")
    if _FLAG not in flags and count <= max(FEW, os.cpu_count() or 1):  # workers inherit it
        os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}={count}".strip()
    if len(jax.devices()) < count:
        os.environ["XLA_FLAGS"] = flags
        raise UsageError(f"--mesh {count}: only {len(jax.devices())} devices are available. Give at most that number.")


def spread(tile: xbar.Tile, count: int) -> Any:
    """The tile of each layer: spread over `count` devices by its columns of tiles, or by its rows, if these divide evenly."""
    if count == 1:
        return tile
    import jax

    import xbar

    devices = jax.sharding.Mesh(jax.devices()[:count], (AXIS,))

    def choose(path: str, shape: tuple[int, int]) -> xbar.Tile:
        part = tile.partition(1, *shape)
        for name in ("col_tiles", "row_tiles"):
            if getattr(part, name) % count == 0:
                return dataclasses.replace(tile, sharding=xbar.Sharding(devices, **{name: AXIS}))
        _say_whole(path, part.row_tiles, part.col_tiles, count)
        return tile

    return choose


@functools.cache
def _say_whole(path: str, row_tiles: int, col_tiles: int, count: int) -> None:
    """Says, once per layer, that it is not spread."""
    say(
        f"--mesh {count}: {path} has {row_tiles} x {col_tiles} tiles, neither a multiple of {count}; every device holds the "
        "whole layer. Choose other --rows or --cols to spread it."
    )
