"""Resistive memory: filamentary and interfacial oxides, silver in silicon."""

from __future__ import annotations

import jax.numpy as jnp

from devices.catalogue import Provenance, published
from devices.conduction import StateDependent, TitaniumOxide
from devices.curves import LogarithmicOverState, Polynomial
from devices.device import Device
from devices.drift import LogTimeRelaxation, TabulatedSpread
from devices.faults import StuckAt
from devices.noise import OneOverFNoise
from devices.presets._scale import RANGE_NOTE, Scale
from devices.programming import SpreadProgramming
from devices.steps import ExponentialStep, Referenced, SoftBounds, neurosim_exponential
from devices.updates import CellSpread, CycleNoise, PulseUpdate

_US = 1e-6  # S
_NO_RETENTION = "Drift and read noise are not part of the set; neither is modelled."

WAN = Provenance(
    name="reram_wan2022",
    technology="ReRAM (130 nm CMOS; HfO2/TaOx, 1T1R: recalled, not read)",
    doi="10.1038/s41586-022-04992-8",
    measured="spread of conductance after write-verify, at 1 s, 1 day and 2 days",
    times=(1.0, 86_400.0, 172_800.0),
    notes=(
        "Known at 1 s, 1 day and 2 days only. A cell's deviation is taken to keep its sign and rank between them.",
        "No read-noise model was published with this set.",
    ),
)


@published(WAN)
def reram_wan2022() -> Device:
    """Filamentary HfO2/TaOx ReRAM of the NeuRRAM chip, 0 .. 40 uS: spread around the target after 1 s, 1 d and 2 d.

    Spread at each time: a quartic of target/g_max; other times are not known, and are refused.

    Reference: Wan et al., Nature 608, 504 (2022), 10.1038/s41586-022-04992-8; the polynomials as in aihwkit 1.2.0,
    `ReRamWan2022NoiseModel` (MIT licence).

    Breaks when: read noise matters (none was published with the set, so none is modelled).
    """
    spread = jnp.asarray(
        [
            [0.348, 16.030, -43.853, 45.393, -16.815],
            [0.701, 22.086, -50.773, 47.095, -16.458],
            [0.782, 20.274, -43.507, 37.062, -11.934],
        ]
    )
    g_max = 40 * _US
    return Device(g_min=0.0, g_max=g_max, drift=TabulatedSpread(WAN.times or (), spread * _US, g_max), provenance=WAN)


MILO = Provenance(
    name="reram_milo2021",
    technology="ReRAM (HfO2, 1T1R: recalled, not read)",
    doi="10.1109/IRPS46558.2021.9405119",
    measured="write error of the IGVVA-100 algorithm over 50 .. 225 uS; read I-V up to 0.5 V, trusted for 62.5 .. 110 uS",
    volts=0.5,
    notes=(_NO_RETENTION,),
)


@published(MILO)
def reram_milo2021() -> Device:
    """HfO2 ReRAM programmed with write-verify, 50 .. 225 uS: write error that falls with conductance, nonlinear read-out.

    sigma_write = 4.782321 - 0.009107 G uS.

    Reference: Milo et al., IRPS 2021, 10.1109/IRPS46558.2021.9405119; the fits as in CrossSim 3.2, `RRAMMilo` (BSD-3).
    """
    g_max = 225 * _US
    return Device(
        g_min=50 * _US,
        g_max=g_max,
        programming=SpreadProgramming(Polynomial(jnp.asarray([4.782321, -0.009107 * 225]) * _US), g_max),
        conduction=StateDependent(
            quadratic=[7.063e-3, 5.711e-3, 1.541e-3, 1.388e-4], cubic=[1.2968e-3, 6.7919e-4, 8.871e-5]
        ),
        provenance=MILO,
    )


CMO = Provenance(
    name="reram_cmo_falcone2025",
    technology="ReRAM (conductive metal oxide on HfOx, analog filamentary)",
    doi="10.1002/adfm.202504688",
    measured="write error for two acceptance windows, mean and spread of relaxation in log time, 1/f noise; 9 .. 88.2 uS",
    notes=(
        "Relaxation is known from 1 s on; before 1 s only its spread at 1 s is applied.",
        "The 1/f noise amplitude is the logarithmic fit that aihwkit ships.",
    ),
)


@published(CMO)
def reram_cmo_falcone2025(acceptance: float = 0.002) -> Device:
    """Analog CMO/HfOx ReRAM, 9 .. 88.2 uS: tight write-verify, relaxation linear in log time, 1/f noise.

    Args:
        acceptance: window of the write-verify, as a fraction of the target: 0.002 or 0.02.

    Raises:
        ValueError: for another window.

    Reference: Falcone et al. 2025, 10.1002/adfm.202504688 (recalled, not read); the constants as in aihwkit 1.2.0,
    `ReRamCMONoiseModel` (MIT licence).
    """
    writes = {0.002: [0.00081107, 0.00106879], 0.02: [0.0112185391, 0.01129027418]}
    if acceptance not in writes:
        raise ValueError(f"reram_cmo_falcone2025: acceptance is 0.002 or 0.02 of the target, not {acceptance!r}.")
    constant, slope = writes[acceptance]
    g_max = 88.2 * _US
    return Device(
        g_min=9 * _US,
        g_max=g_max,
        programming=SpreadProgramming(Polynomial([constant * _US, slope * g_max]), g_max),
        drift=LogTimeRelaxation(
            shift=-0.08900206 * _US,
            spread=0.04201137 * _US,
            g_max=g_max,
            t0=1.0,
            offset=0.41183342 / 0.04201137,
            power=1.0,
            low=9 * _US,
            high=g_max,
        ),
        read_noise=OneOverFNoise(
            q=LogarithmicOverState(0.0277316483 / 88.2, 1 / 88.2), g_max=g_max, t0=0.0, present=True
        ),
        provenance=CMO,
    )


GONG2018 = Provenance(
    name="reram_gong2018",
    technology="ReRAM (HfO2)",
    doi="10.1038/s41467-018-04485-1",
    measured="1000 pulses up and 1000 down on one cell, in normalised weights -1 .. 1; spreads from cell to cell",
    notes=(RANGE_NOTE, _NO_RETENTION),
)


@published(GONG2018)
def reram_gong2018(g_min: float = 10e-6, g_max: float = 50e-6) -> Device:
    """HfO2 ReRAM under identical pulses: exponential steps, noise five times the step, strong write noise.

    Args:
        g_min, g_max: mean conductance range [S].

    Reference: Gong et al., Nat. Commun. 9, 2102 (2018), 10.1038/s41467-018-04485-1; the constants as in aihwkit 1.2.0,
    `ReRamESPresetDevice` (MIT licence).
    """
    scale = Scale(g_min, g_max, -1.0, 1.0)
    step, unit = 0.00135 * scale.unit, scale.unit
    return Device(
        g_min=g_min,
        g_max=g_max,
        update=PulseUpdate(
            law=ExponentialStep(
                step, step * (1 - 0.259359), -1.18445, -0.081404, 5.0, 5.0, -0.5, -0.5, scale.zero, g_min, g_max
            ),
            cells=CellSpread(step=0.2, balance=0.05, others={"g_min": 0.3 * unit, "g_max": 0.3 * unit}),
            pulses=CycleNoise(relative=5.0),
            write_noise=75 * step,
        ),
        provenance=GONG2018,
    )


def _array_2022(about: Provenance, g_min, g_max, dw, spread, bounds, cycle, write, broken) -> Device:
    scale = Scale(g_min, g_max, -1.0, 1.0)
    step, unit = dw * scale.unit, scale.unit
    law = SoftBounds(step, step, scale.zero, g_min, g_max)
    return Device(
        g_min=g_min,
        g_max=g_max,
        faults=StuckAt(
            p_low=broken / 2, p_high=broken / 2, g_low=scale.zero - 0.01 * unit, g_high=scale.zero + 0.01 * unit
        ),
        update=PulseUpdate(
            law=Referenced(law=law, reference=-scale.zero, at_symmetry=True),  # pyright: ignore[reportCallIssue]
            cells=CellSpread(
                step=spread,
                balance=0.01,
                others={"law.g_max": bounds[0] * unit, "law.g_min": bounds[1] * unit, "reference": 0.05 * unit},
                log_normal=True,
            ),
            pulses=CycleNoise(additive=cycle * step),
            write_noise=write * step,
        ),
        provenance=about,
    )


_ARRAY_NOTES = (
    RANGE_NOTE,
    "Each cell is seen from its own symmetry point, which a reference cell is taken to hold (with an error of 0.05 weights).",
    "Corrupt cells are stuck close to a weight of 0, as in aihwkit's set.",
    _NO_RETENTION,
)
OM2022 = Provenance(
    name="reram_array_om_gong2022",
    technology="ReRAM array (HfO2 with an optimised material, 14 nm CMOS)",
    doi="10.1109/IEDM45625.2022.10019569",
    measured="steps, bounds and noise of the cells of an array, in normalised weights; 13.48 % of the cells corrupt",
    notes=_ARRAY_NOTES,
)
HFO2022 = Provenance(
    name="reram_array_hfo2_gong2022",
    technology="ReRAM array (HfO2 baseline, 14 nm CMOS)",
    doi="10.1109/IEDM45625.2022.10019569",
    measured="steps, bounds and noise of the cells of an array, in normalised weights; 9.77 % of the cells corrupt",
    notes=_ARRAY_NOTES,
)


@published(OM2022)
def reram_array_om_gong2022(g_min: float = 10e-6, g_max: float = 50e-6) -> Device:
    """Optimised-material ReRAM array: soft bounds, about 21 steps over the range, very different from cell to cell.

    Args:
        g_min, g_max: mean conductance range [S].

    Reference: Gong et al., IEDM 2022, 10.1109/IEDM45625.2022.10019569; the constants as in aihwkit 1.2.0,
    `ReRamArrayOMPresetDevice` (MIT licence).
    """
    return _array_2022(OM2022, g_min, g_max, 0.0949, 0.7829, (0.3499, 0.5695), 0.4158, 1.4113, 0.1348)


@published(HFO2022)
def reram_array_hfo2_gong2022(g_min: float = 10e-6, g_max: float = 50e-6) -> Device:
    """Baseline HfO2 ReRAM array: soft bounds, about 4 steps over the range, very different from cell to cell.

    Args:
        g_min, g_max: mean conductance range [S].

    Reference: Gong et al., IEDM 2022, 10.1109/IEDM45625.2022.10019569; the constants as in aihwkit 1.2.0,
    `ReRamArrayHfO2PresetDevice` (MIT licence).
    """
    return _array_2022(HFO2022, g_min, g_max, 0.4622, 0.7125, (0.4295, 0.599), 0.2174, 0.5841, 0.0977)


AGSI = Provenance(
    name="agsi_jo2010",
    technology="ReRAM (Ag in amorphous Si)",
    doi="10.1021/nl904092h",
    also=("10.1109/TCAD.2018.2789723",),
    measured="97 potentiating (3.2 V, 300 us) and 100 depressing (2.8 V, 300 us) pulses, 3.08 .. 38.5 nS",
    notes=("Spread between pulses 3.5 % of the range, as for NeuroSim's default device.", _NO_RETENTION),
)


@published(AGSI)
def agsi_jo2010() -> Device:
    """Ag:a-Si synapse, 3.08 .. 38.5 nS: NeuroSim's default device, exponential steps with labels 2.4 and -4.88.

    Reference: Jo et al., Nano Lett. 10, 1297 (2010), 10.1021/nl904092h; the constants as in NeuroSim 3.0, `Cell.cpp`.
    """
    g_min, g_max = 3.0769e-9, 38.462e-9
    return Device(
        g_min=g_min,
        g_max=g_max,
        update=PulseUpdate(
            law=neurosim_exponential(g_min, g_max, 97, 100, 2.4, -4.88),
            pulses=CycleNoise(additive=0.035 * (g_max - g_min)),
        ),
        provenance=AGSI,
    )


TIO2 = Provenance(
    name="tio2_crossbar",
    technology="ReRAM (Al2O3/TiO2-x, passive crossbar)",
    measured="static I-V of crossbar cells against conductance and temperature; 3 .. 316 uS",
    notes=(
        "From github.com/caixunshiren/pytorch-metal-oxide-memristor-crossbar (Apache-2.0), the group's model.",
        "Only the mean static conduction is here; the spread between cells and the pulse tables are not.",
        "Room temperature (25 C) is assumed.",
    ),
)


@published(TIO2)
def tio2_crossbar() -> Device:
    """Passive TiO2-x crossbar cell, 3.16 .. 316 uS: static conduction with a cubic term."""
    return Device(g_min=3.16 * _US, g_max=316 * _US, conduction=TitaniumOxide(), provenance=TIO2)
