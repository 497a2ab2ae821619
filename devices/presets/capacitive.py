"""Charge on a capacitor, read by a transistor."""

from __future__ import annotations

from devices.catalogue import Provenance, published
from devices.device import Device
from devices.drift import StretchedExponential
from devices.presets._scale import RANGE_NOTE, Scale
from devices.steps import LinearStep
from devices.updates import CellSpread, CycleNoise, PulseUpdate

LI = Provenance(
    name="capacitor_li2018",
    technology="capacitor cell (CMOS)",
    doi="10.1109/VLSIT.2018.8510648",
    measured="response to pulses up and down, in normalised weights -1 .. 1",
    numbers="assumed",
    span=(0.0, 1.0),
    notes=(
        RANGE_NOTE,
        "The pulse law is the published fit; leakage towards the middle is an assumption: "
        "it takes a million times `cycle` seconds.",
    ),
)


@published(LI)
def capacitor_li2018(g_min: float = 1e-6, g_max: float = 10e-6, cycle: float = 1e-7) -> Device:
    """Capacitor cell: 400 almost linear, symmetric steps; the charge leaks away.

    Args:
        g_min, g_max: mean conductance range [S]. cycle: time of one update cycle [s]; the charge lasts 1e6 of them.

    Reference: Li et al., VLSI 2018, 10.1109/VLSIT.2018.8510648; the constants as in aihwkit 1.2.0,
    `CapacitorPresetDevice` (MIT licence).
    """
    scale = Scale(g_min, g_max, -1.0, 1.0)
    step, unit = 0.005 * scale.unit, scale.unit
    return Device(
        g_min=g_min,
        g_max=g_max,
        drift=StretchedExponential(tau=1e6 * cycle, rest=scale.zero, spread=0.3),
        update=PulseUpdate(
            law=LinearStep(step, step, 0.05, 0.05, scale.zero, g_min, g_max),
            cells=CellSpread(
                step=0.1,
                balance=0.06,
                others={"g_min": 0.07 * unit, "g_max": 0.07 * unit, "gamma_up": 0.01, "gamma_down": 0.01},
            ),
            pulses=CycleNoise(additive=0.3 * step),
        ),
        provenance=LI,
    )
