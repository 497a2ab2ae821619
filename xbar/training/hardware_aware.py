"""Tiles for hardware-aware training: the spread over cells is drawn once per output."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from jaxtyping import PRNGKeyArray

import devices
from xbar.macro.tile import Tile


def moment_matched(tile: Tile, times: Sequence[float] | float | None = None, *, key: PRNGKeyArray) -> Tile:
    """This tile with `devices.moment_matched` of its cells, at the noise bandwidth of its reads.

    `xbar.analog(f, moment_matched(tile, key=key))` is what to train: every input vector sees cells of its own with the
    mean, the write error, the drift, the faults and the read noise of the device, and no cell is drawn. What was
    trained is then programmed with the tile itself.

    On a tile with `read_noise="frozen"`, all vectors of a call see the same cells, as on a chip, with one normal for
    each pair of cells and without a second product; with `xbar.analog(..., gradient="straight_through")` this is
    training with weight noise.

    Args:
        times: times after programming that training will ask for [s]; the first that the data describe is always
            included.
        key: decides the cells that are sampled.

    Breaks when: see `devices.moment_matched`; behind resistive wires the spread is that of cells without wires.
    """
    return dataclasses.replace(tile, device=devices.moment_matched(tile.device, times, tile.bandwidth, key=key))
