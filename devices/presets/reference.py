"""Idealised cells that were never built: references for comparison."""

from __future__ import annotations

from devices.catalogue import Provenance, published
from devices.device import Device
from devices.presets._scale import RANGE_NOTE, Scale
from devices.steps import ConstantStep
from devices.updates import CellSpread, CycleNoise, PulseUpdate

IDEAL = Provenance(name="ideal", technology="ideal conductor", measured="nothing: a reference", numbers="none")


@published(IDEAL)
def ideal(g_min: float = 0.0, g_max: float = 25e-6) -> Device:
    """A cell that holds exactly what it is given: no write error, drift, noise or fault.

    Args:
        g_min, g_max: conductance range [S]; the default spans what `pcm_joshi2020` spans, so that energies compare.
    """
    return Device(g_min=g_min, g_max=g_max, provenance=IDEAL)


GOKMEN = Provenance(
    name="constant_step_gokmen2016",
    technology="specification of a resistive processing unit (no device)",
    doi="10.3389/fnins.2016.00333",
    measured="nothing: what a device should do to train networks, 1200 steps over its range",
    numbers="assumed",
    notes=(RANGE_NOTE,),
)


@published(GOKMEN)
def constant_step_gokmen2016(g_min: float = 0.0, g_max: float = 25e-6) -> Device:
    """Constant steps, 1250 over the range, with 30 % spread from cell to cell and from pulse to pulse.

    Args:
        g_min, g_max: mean conductance range [S].

    Reference: Gokmen, Vlasov 2016, 10.3389/fnins.2016.00333; the constants as in aihwkit 1.2.0, `GokmenVlasovPresetDevice`
    (MIT licence).
    """
    scale = Scale(g_min, g_max, -1.0, 1.0)
    step, unit = 0.0016 * scale.unit, scale.unit
    return Device(
        g_min=g_min,
        g_max=g_max,
        update=PulseUpdate(
            law=ConstantStep(step, step, g_min, g_max),
            cells=CellSpread(step=0.3, balance=0.01, others={"g_min": 0.3 * unit, "g_max": 0.3 * unit}),
            pulses=CycleNoise(relative=0.3),
        ),
        provenance=GOKMEN,
    )
