"""Charge-trapping memory."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from devices.catalogue import Provenance, published
from devices.curves import Saturating, Squared
from devices.device import Device
from devices.drift import InterpolatedShift
from devices.noise import WhiteReadNoise

_DAY = 86_400.0  # s
_I_MAX = 1600.0  # nA
_VOLTS = 0.1  # V: the scale that turns currents into conductances; it gives the 16 uS that the source suggests

AGRAWAL = Provenance(
    name="sonos_agrawal2022",
    technology="SONOS (40 nm charge-trap transistors, subthreshold)",
    doi="10.1109/IEDM45625.2022.10019564",
    measured="mean drift, spread and read noise of the currents of 128 thousand cells, 0 .. 1600 nA, over five days",
    span=(0.0, 5 * _DAY),
    notes=(
        "The data are currents; a drain voltage of 0.1 V turns them into conductances up to 16 uS.",
        "Mean drift and spread are interpolated linearly between days.",
        "Read noise is taken as white, at the bandwidth of a 1 us read.",
    ),
)

# mean drift of the current [nA] after 1 .. 5 days, ascending powers of the current [nA]
_SHIFT = [
    [
        6.83650e-01, 6.51250e-03, -4.03163e-04, 3.37944e-06, -1.87435e-08, 5.88902e-11,
        -1.07685e-13, 1.17751e-16, -7.60016e-20, 2.67255e-23, -3.94954e-27,
    ],
    [
        6.60925e-01, 8.60627e-03, -1.72936e-04, 7.44096e-07, -5.94866e-09, 2.36734e-11,
        -4.83740e-14, 5.56072e-17, -3.65397e-20, 1.28405e-23, -1.87450e-27,
    ],
    [
        1.15821e00, 1.96116e-02, -4.70807e-04, 3.67510e-06, -2.08786e-08, 6.59752e-11,
        -1.19499e-13, 1.28435e-16, -8.11574e-20, 2.78802e-23, -4.02057e-27,
    ],
    [
        8.72216e-01, 1.70926e-02, -2.23370e-04, 1.57526e-06, -1.32779e-08, 5.08256e-11,
        -1.01251e-13, 1.14633e-16, -7.46124e-20, 2.60559e-23, -3.78724e-27,
    ],
    [
        1.15294e00, 1.03149e-02, -6.05199e-05, 1.76086e-08, -6.46690e-09, 3.39044e-11,
        -7.53872e-14, 8.98185e-17, -6.00346e-20, 2.12615e-23, -3.11099e-27,
    ],
]  # fmt: skip
# spread A (1 - exp(-I/B)) [nA] after 0 .. 5 days
_A = [19.88665, 25.59102, 28.72753, 31.04318, 33.76214, 34.57909]
_B = [176.3115, 186.85544, 193.56834, 198.90332, 204.77023, 207.34309]
_NOISE_A, _NOISE_B = 12.58037, 215.36557  # nA, of the read noise


@published(AGRAWAL)
def sonos_agrawal2022() -> Device:
    """SONOS transistor in subthreshold, 0 .. 16 uS (1600 nA): state-dependent spread, mean drift over five days, read noise.

    Reference: Agrawal et al., IEDM 2022, 10.1109/IEDM45625.2022.10019564; the fits as in CrossSim, `SONOS` (BSD-3).

    Breaks when: times exceed five days (the last day's values hold there, and a warning says so).
    """
    siemens = 1e-9 / _VOLTS  # S per nA
    powers = _I_MAX ** np.arange(11) * siemens
    shift = np.concatenate([np.zeros((1, 11)), np.asarray(_SHIFT) * powers])
    g_max = _I_MAX * siemens
    return Device(
        g_min=0.0,
        g_max=g_max,
        drift=InterpolatedShift(
            times=jnp.arange(6) * _DAY,
            shift=jnp.asarray(shift),
            a=jnp.asarray(_A) * siemens,
            b=jnp.asarray(_B) * siemens,
            g_max=g_max,
        ),
        read_noise=WhiteReadNoise(
            variance=Squared(Saturating(_NOISE_A * siemens, _NOISE_B / _I_MAX)), g_max=g_max, bandwidth=0.5e6
        ),
        provenance=AGRAWAL,
    )
