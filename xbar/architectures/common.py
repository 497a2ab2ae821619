"""What the named architectures share."""

from __future__ import annotations

from devices import Device
from devices.catalogue import Provenance
from xbar.energy.technology import Technology

# What published powers and areas cover, instead of prices of events.
EVENTS = (
    *("wire", "gate", "dac", "driver", "pulse_width", "sample_hold", "shift_add", "rescale", "memory", "hop", "link"),
    *("adc_leakage", "memory_leakage", "register", "cell_area", "dac_area", "driver_area", "shift_add_area"),
    *("memory_area", "router_area", "lane_area"),
)


def published_only(technology: Technology, *kept: str) -> Technology:
    """Prices without those of events that `technology.parts` cover, except the ones that are `kept`."""
    return technology.without(*(name for name in EVENTS if name not in kept))


def assumed_cell(g_min: float, g_max: float, name: str, note: str) -> Device:
    """An ideal cell of a conductance range [S] that an architecture implies."""
    return Device(g_min, g_max, provenance=Provenance(name, numbers="assumed", notes=(note,)))


def check_choice(what: str, value: object, allowed: tuple) -> None:
    """Raises ValueError unless the setting is one of those `allowed`."""
    if value not in allowed:
        raise ValueError(f"{what} = {value!r}; it must be {' or '.join(map(repr, allowed))}.")
