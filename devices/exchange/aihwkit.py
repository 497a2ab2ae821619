"""A pulse law as the parameters of one of aihwkit's pulsed devices."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from devices import steps
from devices.device import Device
from devices.updates import PulseUpdate

NODES = 32  # of a tabulated law; aihwkit's CUDA kernels take fewer than 64


def to_aihwkit(device: Device) -> dict[str, Any]:
    """The device's pulse law in aihwkit's parameters: `{"class": "ExpStepDevice", "parameters": {...}, "notes": [...]}`.

    Weights are `w = 2 (g - g_0) / (g_max - g_min)`, with `g_0` the law's conductance of a weight of 0, or the middle
    of the range. `aihwkit.simulator.configs.devices.<class>(**parameters)` makes the device there. A law that has no
    counterpart becomes a table of steps (`PiecewiseStepDevice`).

    Raises:
        ValueError: if the device has no pulse law of the kind `PulseUpdate`.

    Reference: parameters of aihwkit 1.2.0 (MIT licence), `aihwkit.simulator.configs.devices`.

    Breaks when: cells differ in parameters for which aihwkit has none; `notes` lists what is left out.
    """
    update = device.update
    if not isinstance(update, PulseUpdate):
        raise ValueError(
            f"{device.provenance.name} has no pulse law, so aihwkit has no pulsed device like it. Fit pulse trains first."
        )
    law, notes = update.law, []
    zero = float(getattr(law, "g_zero", (law.g_min + law.g_max) / 2))
    unit = float(law.g_max - law.g_min) / 2
    kind, shape, step_up, step_down = _shape(law, zero, notes)
    step = max(step_up, step_down)
    parameters = {
        "dw_min": step / unit,
        "up_down": 1 - step_down / step_up if step_up >= step_down else step_up / step_down - 1,
        "w_min": (float(law.g_min) - zero) / unit,
        "w_max": (float(law.g_max) - zero) / unit,
        **shape,
        **_spread(update, unit, zero, notes),
        **_noise(update, step, kind, notes),
    }
    return {
        "class": kind,
        "parameters": {k: float(f"{v:.7g}") if isinstance(v, float) else v for k, v in parameters.items()},
        "notes": notes,
    }


def _shape(law: Any, zero: float, notes: list[str]) -> tuple[str, dict[str, Any], float, float]:
    """Class, parameters of its shape, and the two steps at a weight of 0 [S]."""
    up, down = float(getattr(law, "step_up", 0)), float(getattr(law, "step_down", 0))
    match law:
        case steps.ConstantStep():
            return "ConstantStepDevice", {}, up, down
        case steps.LinearStep():
            return "LinearStepDevice", {"gamma_up": float(law.gamma_up), "gamma_down": float(law.gamma_down)}, up, down
        case steps.SoftBounds() if law.low is None and law.high is None:
            return "SoftBoundsDevice", {}, up, down
        case steps.SoftBounds():
            low, high = (float(end) for end in law._ends())
            gammas = {
                "gamma_up": (float(law.g_max) - zero) / (high - zero),
                "gamma_down": (zero - float(law.g_min)) / (zero - low),
            }
            return "LinearStepDevice", gammas, up, down
        case steps.ExponentialStep():
            names = {
                "A_up": "amplitude_up",
                "A_down": "amplitude_down",
                "gamma_up": "gamma_up",
                "gamma_down": "gamma_down",
            }
            shape = {
                theirs: float(getattr(law, ours)) for theirs, ours in {**names, "a": "scale", "b": "offset"}.items()
            }
            return "ExpStepDevice", shape, up, down
        case steps.PowerStep():
            gammas = float(law.gamma_up), float(law.gamma_down)
            most = max(gammas)
            tilt = 1 - gammas[1] / most if gammas[0] == most else gammas[0] / most - 1
            return "PowStepDevice", {"pow_gamma": most, "pow_up_down": tilt}, up, down
    return _table(law, notes)


def _table(law: Any, notes: list[str]) -> tuple[str, dict[str, Any], float, float]:
    g = jnp.linspace(law.g_min, law.g_max, NODES)
    up, down = (np.maximum(np.asarray(f(g), float), 0) for f in (law.up, law.down))
    if not isinstance(law, steps.PiecewiseStep):
        notes.append(f"{type(law).__name__} has no counterpart: its steps are tabulated at {NODES} weights")
    step_up, step_down = up.max(), down.max()
    shape = {
        "piecewise_up": [float(f"{x:.6g}") for x in up / step_up],
        "piecewise_down": [float(f"{x:.6g}") for x in down / step_down],
    }
    return "PiecewiseStepDevice", shape, float(step_up), float(step_down)


def _spread(update: PulseUpdate, unit: float, zero: float, notes: list[str]) -> dict[str, Any]:
    if update.cells is None:
        return {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_min_dtod": 0.0, "w_max_dtod": 0.0}
    others = {name: float(s) for name, s in update.cells.others.items()}
    found = {"dw_min_dtod": float(update.cells.step), "up_down_dtod": float(update.cells.balance)}
    if update.cells.log_normal:
        found["dw_min_dtod_log_normal"] = True
    for theirs, ours in (("w_min_dtod", "g_min"), ("w_max_dtod", "g_max")):
        found[theirs] = others.pop(ours, 0.0) / max(abs(float(getattr(update.law, ours)) - zero), 1e-30)
    for name in ("gamma_up", "gamma_down"):
        if name in others:
            found[f"{name}_dtod"] = others.pop(name)
    notes.extend(f"spread of {name} between cells is left out" for name in others)
    return found


def _noise(update: PulseUpdate, step: float, kind: str, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pulses = update.pulses
    if pulses is not None:
        relative, additive = float(pulses.relative), float(pulses.additive)
        found["dw_min_std"] = relative if relative or not additive else additive / step
        if kind in ("LinearStepDevice", "SoftBoundsDevice"):
            found["mult_noise"] = bool(relative or not additive)
        if relative and additive:
            notes.append("noise of pulses that does not scale with the step is left out")
        notes.extend(
            f"{name} of pulse noise is left out" for name in ("slope", "correlation") if float(getattr(pulses, name))
        )
    else:
        found["dw_min_std"] = 0.0
    if update.write_noise is not None:
        found["write_noise_std"] = float(update.write_noise) / step
    return found
