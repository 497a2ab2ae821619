"""Chips that are too large for one device: `--mesh 8` spreads the tiles of each layer over eight."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from experiments.framework.errors import UsageError

if TYPE_CHECKING:
    import xbar

AXIS = "devices"
_FLAG = "--xla_force_host_platform_device_count"


def check_mesh(count: int) -> None:
    """Raises UsageError unless there are `count` devices. A CPU is made into as many, if JAX has not started yet."""
    if count < 1:
        raise UsageError(f"--mesh {count}: give at least 1.")
    if count == 1:
        return
    import jax

    flags = os.environ.get("XLA_FLAGS", "")
    if _FLAG not in flags:  # workers inherit it
        os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}={count}"
    if len(jax.devices()) < count:
        raise UsageError(f"--mesh {count}: there are {len(jax.devices())} devices. Give at most as many.")


def spread(tile: xbar.Tile, count: int) -> Any:
    """The tile of each layer: over `count` devices by its columns of tiles, or by its rows, where these divide evenly."""
    if count == 1:
        return tile
    import jax

    import xbar

    devices = jax.sharding.Mesh(jax.devices()[:count], (AXIS,))

    def choose(path: str, shape: tuple[int, ...]) -> xbar.Tile:
        groups = shape[0] if len(shape) == 3 else 1
        part = tile.partition(groups, *shape[-2:])
        for name in ("col_tiles", "row_tiles"):
            if getattr(part, name) % count == 0:
                return dataclasses.replace(tile, sharding=xbar.Sharding(devices, **{name: AXIS}))
        return tile

    return choose
