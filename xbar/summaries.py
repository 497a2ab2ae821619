"""How a chip is printed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from devices._show import short
from xbar.macro.tile import Tile
from xbar.macro.tile_summary import lines

if TYPE_CHECKING:
    from xbar.chip import Chip
    from xbar.transform import Analog

_MOST = 3  # devices and times that are named


def chip_text(chip: Chip) -> str:
    """A chip in a few lines."""
    tiles = list(chip.tiles.values())
    weights = sum(
        math.prod(chip.plan_layers[i].lengths) * math.prod(chip.plan_layers[i].product.sizes) for i in chip.tiles
    )
    layers = sum(len(chip.plan_layers[i].names) for i in chip.tiles)
    digital = sum(len(x.names) for i, x in enumerate(chip.plan_layers) if i not in chip.tiles)
    rows: list[tuple[str, str | None]] = [
        ("layers", f"{layers} on arrays" + (f", {digital} digital" if digital else "")),
        ("tiles", f"{chip.layers.tiles} of {_some([f'{t.rows} x {t.cols}' for t in tiles])}, {weights} weights"),
        ("devices", _some([t.device.provenance.name for t in tiles])),
        ("converters", _some([f"{t.dac!r}, {t.adc!r}" for t in tiles])),
        ("calibrated", _calibrated(chip)),
        (
            "taken",
            None if chip.taken is None else f"at {_some([short(t, 's') for t in chip.taken.values()])}, for reads",
        ),
    ]
    cells = [a.cells.g if a.cells is not None else getattr(a.settled, "net", None) for a in chip.arrays.values()]
    wafer = chip.wafer if all(hasattr(g, "shape") for g in cells) else ()
    many = f"Wafer of {' x '.join(map(str, wafer))} chips" if wafer else "Chip"
    return lines(f"{many} with {chip.f.name}", rows)


def analog_text(network: Analog) -> str:
    """A function on crossbars in a few lines."""
    chosen = (
        repr(network.tile) if isinstance(network.tile, Tile) else "a tile for each layer, by a function of its path"
    )
    slopes = ", straight-through gradients" if network.straight_through else ""
    return "\n".join([f"Analog {network.f.name}{slopes}", *(f"  {line}" for line in chosen.splitlines())])


def _calibrated(chip: Chip) -> str:
    ranges = sum(a.ranges is not None for a in chip.arrays.values())
    compensated = any(a.reference is not None for a in chip.arrays.values())
    said = "no" if not ranges else "yes" if ranges == len(chip.arrays) else f"{ranges} of {len(chip.arrays)} layers"
    return said + (", drift compensated" if compensated else "")


def _some(names: list[str]) -> str:
    """Different names, each once, the first few of them."""
    once = list(dict.fromkeys(names))
    return "; ".join(once[:_MOST]) + (f" and {len(once) - _MOST} more" if len(once) > _MOST else "")
