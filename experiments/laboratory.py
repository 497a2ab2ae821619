"""A device with its imperfections as variables: what a laboratory could improve."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """One imperfection.

    Args:
        name: in code and tables. what: in words. reference: the value at `x = ln(value / reference) = 0`.
        today: the value of the device; 0 where it has none or nothing is known. low, high: bounds of the value.
    """

    name: str
    what: str
    reference: float
    today: float
    low: float
    high: float

    def value(self, x: float) -> float:
        return float(self.reference * np.exp(x))

    @property
    def bounds(self) -> tuple[float, float]:
        """Bounds of x."""
        return float(np.log(self.low / self.reference)), float(np.log(self.high / self.reference))

    @property
    def start(self) -> float:
        """x of the device as it is; half a decade above the lower bound where it has no such imperfection."""
        return float(np.log((self.today or self.low * 3) / self.reference))

    def shown(self, value: float) -> str:
        """A value with its unit, as a laboratory would state it."""
        if self.name == "on_off":
            return f"{1 / value:.3g}"
        if self.name == "stuck":
            return f"{100 * (1 - value):.4g} %"
        return f"{100 * value:.3g} %"

    @property
    def heading(self) -> str:
        """What `shown` shows."""
        return {"on_off": "on/off ratio (at least)", "stuck": "cells that work (at least)"}.get(self.name, self.what)


def tolerances(device: Any, t: float, volts: float, key: Any) -> tuple[Tolerance, ...]:
    """The imperfections of a device that the specification is about, with their values today.

    Write error, drift spread and read noise are those of cells in the middle of the range, as shares of it, and follow the
    device's own laws; those without a law are left out. On/off ratio (as `g_min / g_max`), stuck cells and nonlinearity
    (`i(v)/(g v) - 1` at `volts`) are always included.

    Args:
        t: time since programming [s]. volts: the read voltage [V]. key: for the cells that are sampled.
    """
    from devices.physical_numbers import departure_from_ohm, typical_cell

    typical = typical_cell(device, t, 5e6, key=key)
    words = {
        "write": "write error, rms, of the range",
        "drift_spread": "drift spread, of the range",
        "read_noise": "read noise, rms, of the range",
    }
    found = [
        Tolerance(name, what, typical[name], typical[name], typical[name] * 0.03, typical[name] * 10)
        for name, what in words.items()
        if typical[name] > 1e-7 and _has(device, name)
    ]
    ratio = float(device.g_min / device.g_max)
    found.append(Tolerance("on_off", "g_min over g_max", 0.01, ratio, min(1e-4, ratio or 1), max(0.5, ratio)))
    stuck = _stuck(device)
    found.append(Tolerance("stuck", "stuck cells", 1e-3, stuck, min(1e-5, stuck or 1), 0.5))
    bent = abs(departure_from_ohm(device, volts))
    reference = bent or 0.01
    found.append(
        Tolerance(
            "nonlinearity", "departure from Ohm's law", reference, bent, min(1e-4, reference / 10), max(0.5, 2 * bent)
        )
    )
    return tuple(found)


def _has(device: Any, name: str) -> bool:
    words = {"write": "write errors", "drift_spread": "drift", "read_noise": "read noise"}
    return words[name] not in device.unmeasured


def _stuck(device: Any) -> float:
    from devices.faults import StuckAt

    own = device.faults
    return float(own.p_low + own.p_high + own.p_open) if isinstance(own, StuckAt) else 0.0


def built(device: Any, known: tuple[Tolerance, ...], x: Any, volts: float, high: float, graded: bool) -> Any:
    """The device at these logarithms of its tolerances.

    Args:
        volts: the read voltage, at which nonlinearity is given [V].
        high: share of the stuck cells that are stuck at the highest conductance; the others are at the lowest.
        graded: stuck cells with a derivative (`devices.amplification.PartlyStuck`), or completely stuck.
    """
    import jax.numpy as jnp

    import devices
    from devices.amplification import PartlyStuck
    from devices.conduction import Cubic
    from devices.faults import NoFaults, StuckAt, SumOfFaults

    factor = {t.name: jnp.exp(x[i]) for i, t in enumerate(known)}
    value = {t.name: t.reference * factor[t.name] for t in known}
    names = ("write", "drift_spread", "read_noise")
    factors = devices.Factors(**{n: factor[n] for n in names if n in factor}, nonlinearity=factor["nonlinearity"])
    made = devices.amplify(device, factors)
    g_min, p = device.g_max * value["on_off"], jnp.minimum(value["stuck"], 0.6)
    faults = (
        PartlyStuck(p, high, g_min, device.g_max) if graded else StuckAt(p * (1 - high), p * high, g_min, device.g_max)
    )
    if not isinstance(device.faults, NoFaults | StuckAt):
        faults = SumOfFaults((device.faults, faults))
    changes: dict[str, Any] = {"g_min": g_min, "faults": faults}
    if device.conduction.linear:
        changes["conduction"] = Cubic(value["nonlinearity"] / volts**2)
    return dataclasses.replace(made, **changes)
