"""One chip as published: the macro, the prices of its circuits, and the order of work."""

from __future__ import annotations

import equinox as eqx

from xbar.energy.schedule import Schedule
from xbar.energy.technology import Technology
from xbar.macro.tile import Tile


class Architecture(eqx.Module):
    """A named architecture: `xbar.analog(f, arch.tile)`, then `chip.energy(x, technology=arch)`.

    Args:
        name: its name. tile: its macro. technology: prices, powers and areas. schedule: order of work.
        provenance: sentences: what was published, what was inferred from it, what is missing.
    """

    name: str = eqx.field(static=True)
    tile: Tile
    technology: Technology
    schedule: Schedule = eqx.field(default_factory=Schedule)
    provenance: tuple[str, ...] = eqx.field(static=True, default=())

    def __str__(self) -> str:
        return "\n".join([self.name, *(f"  - {line}" for line in self.provenance)])
