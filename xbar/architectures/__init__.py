"""Published chips by name: the macro, the prices of its circuits and the order of work of published architectures.

`arch = xbar.architectures.isaac()`, `chip = xbar.analog(f, arch.tile).program(...)`, `chip.energy(x, technology=arch)`.
Each says what was published, what was inferred from that, and what is missing (`print(arch)`).
"""

from collections.abc import Callable

from xbar.architectures.architecture import Architecture
from xbar.architectures.measured_chips import hermes, ibm_34tile, neurram
from xbar.architectures.on_paper import isaac, neurosim_default, puma

ARCHITECTURES: dict[str, Callable[..., Architecture]] = {
    "isaac": isaac,
    "puma": puma,
    "neurram": neurram,
    "hermes": hermes,
    "ibm_34tile": ibm_34tile,
    "neurosim_default": neurosim_default,
}

__all__ = ["ARCHITECTURES", "Architecture", "hermes", "ibm_34tile", "isaac", "neurosim_default", "neurram", "puma"]
