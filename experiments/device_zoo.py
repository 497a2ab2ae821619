"""Every published device: I-V, pulses with spread, drift with spread, read noise, programming error; one figure each."""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "The device zoo: what each published parameter set does"
QUANTILES = (0.1, 0.5, 0.9)
STATES = (0.2, 0.5, 0.9)  # of the conductance range
FREQUENCIES = (1, 10, 100)  # times the slowest of a compact model's loops
POINTS = {"target": 21, "time": 41, "frequency": 127, "pulse": 100, "volt": 41, "loop": 400}
RATE, READS = 10_000.0, 4096  # of the noise traces: Hz, and how many


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about two minutes on two cores."""

    devices: tuple[str, ...] = ()
    """Names as `xbar cite` lists them; all of them if none is given."""
    cells: int = 1000
    """Cells drawn for every spread."""
    seed: int = 0
    """Random seed of the cells and the noise."""


def names(config: Config) -> tuple[str, ...]:
    """The devices to show."""
    import devices

    return config.devices or tuple(n for n in devices.names() if devices.catalogue.makes_itself(n))


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    import devices

    if config.cells < 10:
        raise UsageError(f"--cells {config.cells}: give at least 10.")
    if len(set(config.devices)) != len(config.devices):
        raise UsageError(f"--devices: give different names, not {list(config.devices)}.")
    for name in config.devices:
        try:
            devices.find(name)
        except ValueError as error:
            raise UsageError(f"--devices {name}: {error}") from error
        if not devices.catalogue.makes_itself(name):
            raise UsageError(
                f"--devices {name}: it needs a shape or a key to be made, and can only be used from Python."
            )


def memory(config: Config) -> dict[str, float]:
    """Bytes that the cells of one device take [B]: at each point of a curve, a handful of float32 numbers."""
    return {f"{config.cells} cells": 16.0 * config.cells * max(POINTS.values())}


def layout(config: Config) -> Layout:
    count = lambda n, title: Dimension(tuple(range(n)), title)  # noqa: E731
    dimensions = {
        "device": Dimension(names(config), "device"),
        "quantile": Dimension(QUANTILES, "quantile over cells"),
        "state": Dimension(STATES, "state, as a fraction of the conductance range"),
        "slowness": Dimension(FREQUENCIES, "frequency of a loop, relative to the slowest"),
        **{name: count(n, f"number of the {name}") for name, n in POINTS.items()},
    }
    spread = ("quantile",)
    variables = {
        "write_target": Variable(("device", "target"), "programmed target", "S"),
        "write_error": Variable(("device", "target", *spread), "conductance after programming minus target", "S"),
        "drift_time": Variable(("device", "time"), "time since programming", "s"),
        "conductance": Variable(("device", "state", "time", *spread), "conductance over time", "S"),
        "noise_frequency": Variable(("device", "frequency"), "frequency", "Hz"),
        "noise": Variable(("device", "state", "frequency"), "relative density of read noise, mean over cells", "1/Hz"),
        "pulse_count": Variable(("device", "pulse"), "pulses applied, up and then down", "1"),
        "pulsed": Variable(("device", "pulse", *spread), "conductance after so many pulses", "S"),
        "read_volt": Variable(("device", "volt"), "read voltage", "V"),
        "current": Variable(("device", "state", "volt"), "read current", "A"),
        "loop_volt": Variable(("device", "loop"), "voltage of a loop", "V"),
        "loop_current": Variable(("device", "slowness", "loop"), "current of the second loop", "A"),
        "loop_error": Variable(("device", "slowness"), "estimated error of the state at the end, of its range"),
        "loop_hertz": Variable(("device",), "frequency of the slowest loop", "Hz"),
    }
    return Layout(dimensions, variables, ("device",))


def prepare(config: Config) -> None:
    """Shares nothing between points."""


def compute(config: Config, state: None, point: dict[str, Any]) -> dict[str, Any]:
    """All curves of one device; what it has no law for stays NaN."""
    import jax

    import devices

    make = devices.find(point["device"])
    made = make()
    key = jax.random.fold_in(jax.random.key(config.seed), names(config).index(point["device"]))
    if isinstance(made, devices.Device):
        return {**written(made, config.cells, key), **read(made, config.cells, key), **pulsed(made, config.cells, key)}
    with jax.enable_x64(True):  # some compact models need it
        return loops(point["device"], make())


def written(device: Any, cells: int, key: Any) -> dict[str, Any]:
    """Programming error against target, and drift of three states."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from devices.drift import NoDrift
    from devices.programming import ExactProgramming

    span, q, found = device.g_max - device.g_min, jnp.asarray(QUANTILES), {}
    if not isinstance(device.programming, ExactProgramming):
        target = device.g_min + span * jnp.linspace(0, 1, POINTS["target"])
        wide = jnp.broadcast_to(target[:, None], (POINTS["target"], cells))
        found["write_target"] = target
        found["write_error"] = jnp.quantile(device.program(wide, key=key).g - wide, q, axis=1).T
    if not isinstance(device.drift, NoDrift):
        times = _times(device)
        states = jnp.broadcast_to((device.g_min + span * jnp.asarray(STATES))[:, None], (len(STATES), cells))
        made = device.program(states, key=key)
        g = jnp.stack([jnp.quantile(device.conductance(made, float(t)), q, axis=1).T for t in times], 1)
        full = np.full((len(STATES), POINTS["time"], len(QUANTILES)), np.nan)
        full[:, : len(times)] = g
        found["drift_time"], found["conductance"] = np.full(POINTS["time"], np.nan), full
        found["drift_time"][: len(times)] = times
    return jax.tree.map(np.asarray, found)


def _times(device: Any) -> Any:
    """The times of the data if these are few, else decades from a millisecond to the end of the data, or three years."""
    import numpy as np

    about = device.provenance
    if about.times is not None:
        return np.asarray(about.times)
    last = 1e8 if about.span is None else about.span[1]
    return np.geomspace(1e-4 if last <= 1 else 1.0, last, POINTS["time"])


def read(device: Any, cells: int, key: Any) -> dict[str, Any]:
    """Read I-V of three states, and the spectrum of their noise."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import scipy.signal

    g = device.g_min + (device.g_max - device.g_min) * jnp.asarray(STATES)
    volts = jnp.linspace(-1, 1, POINTS["volt"]) * (device.provenance.volts or 0.5)
    found = {"read_volt": volts, "current": device.conduction(g[:, None], volts)}
    if device.has_read_noise:
        few = min(cells, 100)
        made = device.program(jnp.broadcast_to(g[:, None], (len(STATES), few)), key=key)
        trace = jax.jit(lambda c, k: device.trace(c, READS / RATE, RATE, key=k, t=device.first_time))(made, key)
        values = np.asarray(trace, float)
        length = 2 * POINTS["frequency"] + 2
        f, density = scipy.signal.welch(values / values.mean(0) - 1, RATE, nperseg=length, axis=0, detrend=False)  # pyright: ignore[reportArgumentType]
        found["noise_frequency"], found["noise"] = f[1:-1], density[1:-1].mean(-1).T
    return {name: np.asarray(value) for name, value in found.items()}


def pulsed(device: Any, cells: int, key: Any) -> dict[str, Any]:
    """A full sweep of pulses up and another down, sampled a hundred times on the way."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    if device.update is None:
        return {}
    half = POINTS["pulse"] // 2
    block = _sweep(device) // half + 1
    made = device.program(jnp.full(cells, device.g_min), key=key)

    @jax.jit
    def apply(made, n, key):
        after = device.pulse(made, n, key=key, most=block)
        return after, jnp.quantile(after.g, jnp.asarray(QUANTILES))

    seen = []
    for k in range(2 * half):
        made, found = apply(made, block if k < half else -block, jax.random.fold_in(key, k))
        seen.append(found)
    return {"pulse_count": block * np.arange(1.0, 2 * half + 1), "pulsed": np.asarray(seen)}


def _sweep(device: Any) -> int:
    """About as many pulses as it takes from one end to the other: twice the range divided by the mean step in the middle."""
    import jax.numpy as jnp

    law = device.update.law
    g = jnp.linspace(device.g_min, device.g_max, 33)[4:-4]
    step = float(jnp.mean(jnp.minimum(law.up(g), law.down(g))))
    return int(min(2 * float(device.g_max - device.g_min) / max(step, 1e-30), 5000))


def loops(name: str, model: Any) -> dict[str, Any]:
    """The second of two sine loops at three frequencies."""
    import numpy as np

    from devices.compact import simulate, sine
    from experiments.device_zoo_waveforms import SINES

    if name not in SINES:
        return {}
    how, count = SINES[name], POINTS["loop"]
    currents, errors = [], []
    for factor in FREQUENCIES:
        wave = sine(how.volts, how.hertz * factor, cycles=2, points=count)
        sim = simulate(how.circuit(model), wave, substeps=how.substeps, throw=False)
        currents.append(np.asarray(sim.i[count + 1 :], float))
        errors.append(float(sim.error))
    volts = np.asarray(wave.v[count + 1 :])
    return {"loop_volt": volts, "loop_current": np.asarray(currents), "loop_error": errors, "loop_hertz": how.hertz}


def present(config: Config, results: Results) -> Any:
    from experiments import device_zoo_view as view

    return view.present(config, results)
