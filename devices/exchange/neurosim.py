"""A pulse law as NeuroSim's numbers: labels of nonlinearity, levels, spreads."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from devices.device import Device
from devices.neurosim_labels import a_from_label
from devices.updates import PulseUpdate

MOST_PULSES = 100_000
NEARLY = 0.02  # of the range: a sweep that only approaches its end has reached it there


def to_neurosim(device: Device) -> dict[str, Any]:
    """The device's pulse law in NeuroSim's parameters.

    The mean response to identical pulses from one end of the range to the other gives the number of levels; the
    nonlinearity label is 10.1 times its largest deviation from a straight line, both axes normalised, as in
    NeuroSim's own table; `A` follows from the label. Conductances in siemens, spreads relative to the range, as in
    NeuroSim.

    Raises:
        ValueError: if the device has no pulse law of the kind `PulseUpdate`, or a direction does not move the cell.

    Reference: Chen, Peng, Yu 2018, 10.1109/TCAD.2018.2789723; parameter names as in NeuroSim 3.0, `Cell.cpp`.

    Breaks when: the law is not exponential-like; `deviation_*` is its distance from NeuroSim's curve, as a share of the
    range.
    """
    update = device.update
    if not isinstance(update, PulseUpdate):
        raise ValueError(
            f"{device.provenance.name} has no pulse law, so NeuroSim has no numbers for it. Fit pulse trains first."
        )
    law = update.law
    low, high = float(law.g_min), float(law.g_max)
    found: dict[str, Any] = {"maxConductance": high, "minConductance": low}
    for name, direction in (("LTP", 1), ("LTD", -1)):
        curve = _sweep(law, low, high, direction)
        levels = len(curve) - 1
        x = np.linspace(0, 1, len(curve))
        y = (curve - curve[0]) / (curve[-1] - curve[0])
        label = float(np.clip(10.1 * np.max(np.abs(y - x)), 0.01, 9))
        a = float(a_from_label(jnp.asarray(label)))
        sign = direction * (1 if np.sum(y - x) >= 0 else -1)
        theirs = (
            np.expm1(-x / a) / np.expm1(-1 / a) if np.sum(y - x) >= 0 else 1 - np.expm1(-(1 - x) / a) / np.expm1(-1 / a)
        )
        found |= {
            f"maxNumLevel{name}": levels,
            f"NL_{name}": sign * label,
            f"A_{name}": a * levels,
            f"deviation_{name}": float(np.max(np.abs(theirs - y))),
        }
    pulses, cells, step = update.pulses, update.cells, float(np.mean([high - low]))
    sigma = 0.0
    if pulses is not None:
        mean_step = step / np.mean([found["maxNumLevelLTP"], found["maxNumLevelLTD"]])
        sigma = (float(pulses.relative) * mean_step + float(pulses.additive)) / step
    found["sigmaCtoC"] = sigma
    found["sigmaDtoD_of_steps"] = 0.0 if cells is None else float(cells.step)
    return found


def _sweep(law: Any, low: float, high: float, direction: int) -> np.ndarray:
    """Mean conductance [S] after 0, 1, 2, ... pulses from one end, up to the other or nearly so."""
    start = low if direction > 0 else high

    @jax.jit
    def chunk(g):
        def pulse(g, _):
            moved = law.clip(g + law.up(g) if direction > 0 else g - law.down(g))
            return moved, moved

        return jax.lax.scan(pulse, g, length=1000)

    g, seen = jnp.asarray(start, jnp.float32), [np.array([start])]
    for _ in range(MOST_PULSES // 1000):
        g, values = chunk(g)
        seen.append(np.asarray(values, float))
        if abs(seen[-1][-1] - seen[-1][-2]) < 1e-7 * (high - low):
            break
    curve = np.concatenate(seen)
    share = np.abs(curve - start) / (high - low)
    if share.max() < 0.1:
        raise ValueError(
            f"{MOST_PULSES} pulses {'up' if direction > 0 else 'down'} move the cell by only {share.max():.1%} of its range."
        )
    reached = np.flatnonzero(share >= 1 - 1e-6)
    last = reached[0] if len(reached) else np.flatnonzero(share >= share.max() * (1 - NEARLY))[0]
    return curve[: max(int(last), 1) + 1]
