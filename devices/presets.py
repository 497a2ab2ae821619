"""Published devices, each with its source and the reach of its data."""

from __future__ import annotations

import jax.numpy as jnp

from devices.base import Device, Provenance
from devices.conduction import Ohmic
from devices.curves import ClippedLogarithm, ClippedPower
from devices.drift import NoDrift, PowerLawDrift, TabulatedSpread
from devices.faults import NoFaults
from devices.noise import NoReadNoise, OneOverFNoise
from devices.programming import ExactProgramming, PolynomialProgramming

_US = 1e-6  # S


def ideal(g_min: float = 0.0, g_max: float = 25e-6) -> Device:
    """A cell that holds exactly what it is given: no write error, drift, noise or fault.

    Args:
        g_min, g_max: conductance range [S]; the default spans what `pcm_joshi2020` spans, so that energies compare.
    """
    return Device(
        g_min=g_min,
        g_max=g_max,
        programming=ExactProgramming(),
        drift=NoDrift(),
        read_noise=NoReadNoise(),
        conduction=Ohmic(),
        faults=NoFaults(),
        provenance=Provenance(name="ideal", technology="ideal conductor", measured="nothing: a reference"),
    )


def pcm_joshi2020() -> Device:
    """Doped-Ge2Sb2Te5 phase-change memory, 0 .. 25 uS: write error, drift with a spread of exponents, 1/f noise.

    With x = target/g_max: sigma_write = 0.26348 + 1.9650 x - 1.1731 x^2 uS; nu = clip(-0.0155 ln x + 0.0244, 0.049, 0.1)
    +- clip(-0.0125 ln x - 0.0059, 0.008, 0.045); t0 = 20 s; Q = min(0.0088/x^0.65, 0.2).

    Reference: Joshi et al., Nat. Commun. 11, 2473 (2020), 10.1038/s41467-020-16108-9, and Nandakumar et al., ICECS 2019,
    10.1109/ICECS46596.2019.8964852; the constants as in aihwkit 1.2.0, `PCMLikeNoiseModel` (MIT licence).
    """
    g_max = 25 * _US
    return Device(
        g_min=0.0,
        g_max=g_max,
        programming=PolynomialProgramming(jnp.asarray([0.26348, 1.9650, -1.1731]) * _US, g_max),
        drift=PowerLawDrift(
            nu_mean=ClippedLogarithm(-0.0155, 0.0244, 0.049, 0.1),
            nu_std=ClippedLogarithm(-0.0125, -0.0059, 0.008, 0.045),
            g_max=g_max,
            t0=20.0,
        ),
        read_noise=OneOverFNoise(q=ClippedPower(0.0088, 0.65, 0.2), g_max=g_max, t0=20.0),
        conduction=Ohmic(),
        faults=NoFaults(),
        provenance=Provenance(
            name="pcm_joshi2020",
            technology="PCM (doped Ge2Sb2Te5 mushroom cells, 90 nm CMOS: recalled, not read)",
            doi="10.1038/s41467-020-16108-9",
            measured="write error, drift exponents and 1/f noise of arrays of phase-change cells",
            notes=(
                "t = 0 is 20 s after programming; a year is an extrapolation of the fitted power law.",
                "Read noise is drawn anew at each read; real 1/f noise is correlated between reads.",
            ),
        ),
    )


def reram_wan2022() -> Device:
    """Filamentary HfO2/TaOx ReRAM of the NeuRRAM chip, 0 .. 40 uS: spread around the target after 1 s, 1 d and 2 d.

    Spread at each time: a quartic of target/g_max; no other time is known, so no other time is answered.

    Reference: Wan et al., Nature 608, 504 (2022), 10.1038/s41586-022-04992-8; the polynomials as in aihwkit 1.2.0,
    `ReRamWan2022NoiseModel` (MIT licence).

    Breaks when: read noise matters (none was published with the set, so none is modelled).
    """
    times = (1.0, 86_400.0, 172_800.0)
    spread = jnp.asarray(
        [
            [0.348, 16.030, -43.853, 45.393, -16.815],
            [0.701, 22.086, -50.773, 47.095, -16.458],
            [0.782, 20.274, -43.507, 37.062, -11.934],
        ]
    )
    g_max = 40 * _US
    return Device(
        g_min=0.0,
        g_max=g_max,
        programming=ExactProgramming(),
        drift=TabulatedSpread(times, spread * _US, g_max),
        read_noise=NoReadNoise(),
        conduction=Ohmic(),
        faults=NoFaults(),
        provenance=Provenance(
            name="reram_wan2022",
            technology="ReRAM (130 nm CMOS; HfO2/TaOx, 1T1R: recalled, not read)",
            doi="10.1038/s41586-022-04992-8",
            measured="spread of conductance after write-verify, at 1 s, 1 day and 2 days",
            times=times,
            notes=(
                "Known at 1 s, 1 day and 2 days only. A cell's deviation is taken to keep its sign and rank between them.",
                "No read-noise model was published with this set.",
            ),
        ),
    )
