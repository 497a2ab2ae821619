"""Phase-change memory."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from devices.catalogue import Provenance, published
from devices.curves import ClippedLogarithm, ClippedPower, Polynomial, Split
from devices.device import Device
from devices.drift import PowerLawDrift
from devices.noise import OneOverFNoise
from devices.presets._scale import RANGE_NOTE, Scale
from devices.programming import SpreadProgramming
from devices.steps import ExponentialStep
from devices.updates import CellSpread, CycleNoise, PulseUpdate

_US = 1e-6  # S
_READS = "Read noise is drawn independently at each read; real 1/f noise is correlated between reads."

JOSHI = Provenance(
    name="pcm_joshi2020",
    technology="PCM (doped Ge2Sb2Te5 mushroom cells, 90 nm CMOS: recalled, not read)",
    doi="10.1038/s41467-020-16108-9",
    also=("10.1109/ICECS46596.2019.8964852",),
    measured="write error, drift exponents and 1/f noise of arrays of phase-change cells",
    span=(0.0, 86_400.0),
    notes=(
        "t = 0 is 20 s after programming. The span is the day for which the paper's networks were followed on hardware (its "
        "abstract); how long single cells were was not read.",
        _READS,
    ),
)


@published(JOSHI)
def pcm_joshi2020() -> Device:
    """Doped-Ge2Sb2Te5 phase-change memory, 0 .. 25 uS: write error, drift with a spread of exponents, 1/f noise.

    With x = target/g_max: sigma_write = 0.26348 + 1.9650 x - 1.1731 x^2 uS; nu = clip(-0.0155 ln x + 0.0244, 0.049, 0.1)
    +- clip(-0.0125 ln x - 0.0059, 0.008, 0.045); t0 = 20 s; Q = min(0.0088/x^0.65, 0.2).

    Reference: Joshi et al., Nat. Commun. 11, 2473 (2020), 10.1038/s41467-020-16108-9, and Nandakumar et al., ICECS 2019,
    10.1109/ICECS46596.2019.8964852; the constants as in aihwkit 1.2.0, `PCMLikeNoiseModel` (MIT licence).
    """
    g_max = 25 * _US
    return Device(g_min=0.0, g_max=g_max, **_joshi_laws(g_max), provenance=JOSHI)


def _joshi_laws(g_max: float) -> dict[str, Any]:
    """Write error, drift and read noise of `pcm_joshi2020`, at the same share of another range."""
    write = jnp.asarray([0.26348, 1.9650, -1.1731]) * _US * (g_max / (25 * _US))
    return {
        "programming": SpreadProgramming(Polynomial(write), g_max),
        "drift": PowerLawDrift(
            nu_mean=ClippedLogarithm(-0.0155, 0.0244, 0.049, 0.1),
            nu_std=ClippedLogarithm(-0.0125, -0.0059, 0.008, 0.045),
            g_max=g_max,
            t0=20.0,
        ),
        "read_noise": OneOverFNoise(q=ClippedPower(0.0088, 0.65, 0.2), g_max=g_max, t0=20.0),
    }


HERMES = Provenance(
    name="pcm_hermes2023",
    technology="PCM (14 nm CMOS, IBM HERMES project chip)",
    doi="10.1038/s41928-023-01010-1",
    also=("10.1109/JSSC.2022.3140414",),
    measured="write error, drift exponents and 1/f noise of the chip's cells, with one or two devices per weight",
    notes=(
        "t = 0 is 200 s after programming with one device and 300 s with two.",
        "Two devices are taken to hold the same conductance; the chip's own programming distributes it better.",
        _READS,
    ),
)


@published(HERMES)
def pcm_hermes2023(devices_per_weight: int = 2) -> Device:
    """Phase-change memory of the HERMES project chip, one device (0 .. 10.35 uS) or two in parallel (0 .. 20.7 uS).

    Args:
        devices_per_weight: 1 or 2 devices that share one conductance.

    Raises:
        ValueError: for another number of devices.

    Reference: Le Gallo et al., Nat. Electron. 6, 680 (2023), 10.1038/s41928-023-01010-1; the constants as in aihwkit 1.2.0,
    `HermesNoiseModel` (MIT licence).
    """
    if devices_per_weight not in (1, 2):
        raise ValueError(f"pcm_hermes2023: devices_per_weight is 1 or 2, not {devices_per_weight!r}.")
    one = devices_per_weight == 1
    g_max, t0 = (10.35 * _US, 200.0) if one else (20.7 * _US, 300.0)
    write = (
        [0.15781817, 2.32443916, -2.16310839, 0.68841818] if one else [0.16603222, 4.71806468, -8.48101252, 4.68961419]
    )
    if one:
        nu_std = Split(0.3039, ClippedLogarithm(-0.012, -0.0023, 0.0124, 0.04), Polynomial([0.0104, 0.0116, -0.0165]))
        q = Split(
            0.1591, ClippedLogarithm(-0.0078, 0.0038, 0.0179, 0.04), Polynomial([0.0088, 0.0768, -0.1352, 0.0664])
        )
    else:
        nu_std = Split(0.3055, ClippedLogarithm(-0.0117, -0.0057, 0.0091, 0.04), Polynomial([0.0073, 0.0093, -0.0118]))
        q = Split(0.16, ClippedLogarithm(-0.0117, -0.0069, 0.015, 0.04), Polynomial([0.0123, 0.0211, -0.0280, 0.0069]))
    nu_mean = Split(0.0945, ClippedLogarithm(-0.0387, -0.0182, 0.072, 0.13), Polynomial([0.0736, -0.0126, -0.0436]))
    return Device(
        g_min=0.0,
        g_max=g_max,
        programming=SpreadProgramming(Polynomial(jnp.asarray(write) * _US), g_max),
        drift=PowerLawDrift(nu_mean, nu_std, g_max, t0),
        read_noise=OneOverFNoise(q, g_max, t0),
        provenance=HERMES,
    )


PULSED = Provenance(
    name="pcm_nandakumar2020",
    technology="PCM (Ge2Sb2Te5), gradually crystallised by identical pulses",
    doi="10.3389/fnins.2020.00406",
    also=("10.1038/s41467-020-16108-9",),
    measured="mean and spread of the response to SET pulses, in normalised weights 0 .. 2",
    numbers="read",
    notes=(
        RANGE_NOTE,
        "Depression of a phase-change cell is abrupt (a RESET); pulses down are the mild ones of the parameter set.",
        "Write error, drift and read noise are those of pcm_joshi2020 at the same share of the range; drift and noise "
        "at the conductance that the pulses have left.",
    ),
)


@published(PULSED)
def pcm_nandakumar2020(g_max: float = 25e-6) -> Device:
    """Phase-change memory under identical SET pulses: large first steps that saturate, with state-dependent noise.

    Args:
        g_max: conductance of a weight of 2 in the normalised set [S].

    Reference: Nandakumar et al., Front. Neurosci. 14, 406 (2020), 10.3389/fnins.2020.00406; the constants as in aihwkit 1.2.0,
    `PCMPresetDevice` (MIT licence), a one-sided exponential step.
    """
    scale = Scale(0.0, g_max, 0.0, 2.0)
    step, unit = 0.01 * scale.unit, scale.unit
    return Device(
        g_min=0.0,
        g_max=g_max,
        **_joshi_laws(g_max),
        update=PulseUpdate(
            law=ExponentialStep(step, step, -27.235, -2.235, 2.5, 2.5, -1.0, 0.0, 0.0, 0.0, g_max),
            cells=CellSpread(step=0.2, balance=0.05, others={"g_max": 0.1 * g_max}),
            pulses=CycleNoise(relative=0.6, additive=0.6 * 0.042 * unit, slope=0.6 * 0.108),
        ),
        provenance=PULSED,
    )
