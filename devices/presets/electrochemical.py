"""Electrochemical memory."""

from __future__ import annotations

from devices.catalogue import Provenance, published
from devices.device import Device
from devices.presets._scale import RANGE_NOTE, Scale
from devices.steps import LinearStep
from devices.updates import CellSpread, CycleNoise, PulseUpdate

_NO_RETENTION = "Self-discharge and read noise are not part of the set; neither is modelled."

TANG = Provenance(
    name="ecram_lithium_tang2018",
    technology="ECRAM (lithium)",
    doi="10.1109/IEDM.2018.8614551",
    measured="response to pulses up and down, in normalised weights around the symmetry point",
    notes=(RANGE_NOTE, _NO_RETENTION),
)
KIM = Provenance(
    name="ecram_oxide_kim2019",
    technology="ECRAM (metal oxide)",
    doi="10.1109/IEDM19573.2019.8993463",
    measured="response to pulses up and down, in normalised weights around the symmetry point",
    notes=(RANGE_NOTE, _NO_RETENTION),
)


def _ecram(about: Provenance, g_min, g_max, w_min, w_max, dw, gammas, cycle) -> Device:
    scale = Scale(g_min, g_max, w_min, w_max)
    step, unit = dw * scale.unit, scale.unit
    return Device(
        g_min=g_min,
        g_max=g_max,
        update=PulseUpdate(
            law=LinearStep(step, step, gammas[0], gammas[1], scale.zero, g_min, g_max),
            cells=CellSpread(
                step=0.1,
                balance=0.01,
                others={
                    "g_min": 0.05 * abs(w_min) * unit,
                    "g_max": 0.05 * w_max * unit,
                    "gamma_up": 0.05,
                    "gamma_down": 0.05,
                },
            ),
            pulses=CycleNoise(relative=cycle),
        ),
        provenance=about,
    )


@published(TANG)
def ecram_lithium_tang2018(g_min: float = 1e-6, g_max: float = 10e-6) -> Device:
    """Lithium ECRAM under pulses: 1000 nearly linear steps, 30 % noise per step.

    Args:
        g_min, g_max: mean conductance range [S].

    Reference: Tang et al., IEDM 2018, 10.1109/IEDM.2018.8614551; the constants as in aihwkit 1.2.0, `EcRamPresetDevice`
    (MIT licence).
    """
    return _ecram(TANG, g_min, g_max, -0.8276, 1.1724, 0.002, (0.1153, 0.5085), 0.3)


@published(KIM)
def ecram_oxide_kim2019(g_min: float = 1e-6, g_max: float = 10e-6) -> Device:
    """Metal-oxide ECRAM under pulses: 7000 steps, noise twice the step.

    Args:
        g_min, g_max: mean conductance range [S].

    Reference: Kim et al., IEDM 2019, 10.1109/IEDM19573.2019.8993463; the constants as in aihwkit 1.2.0,
    `EcRamMOPresetDevice` (MIT licence).
    """
    return _ecram(KIM, g_min, g_max, -0.8286, 1.1714, 2.8214e-4, (0.4152, 0.7342), 2.0)
