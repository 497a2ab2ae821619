"""Compact models over time: a source waveform in, current and state out."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from devices.compact.base import AbstractMemristor


def _floats(values) -> Array:
    return 1.0 * jnp.asarray(values)


def _seconds(times) -> Array:
    """Times [s] as an array, if its precision can hold the steps between them (not a nanosecond after a second)."""
    kept = _floats(times)
    if isinstance(times, jax.Array) or isinstance(kept, Tracer):
        return kept
    with np.errstate(invalid="ignore"):  # infinite times are left to Waveform to refuse
        wanted, got = (np.diff(np.atleast_1d(np.asarray(t, float))) for t in (times, kept))
        lost = np.abs(got - wanted) > 0.01 * np.abs(wanted)
    if np.any(lost):
        raise ValueError(
            f"Waveform: {kept.dtype} cannot resolve times {np.min(wanted[wanted > 0]):g} s apart up to "
            f"{np.max(np.abs(times)):g} s. Use `with jax.enable_x64(True):`, or simulate pieces that start at 0 s, with `x0`."
        )
    return kept


class Waveform(eqx.Module):
    """A voltage that is linear between its points. Two points at one time are a jump.

    Args:
        t: times [s], ascending. v: voltages [V].

    Raises:
        ValueError: if concrete times are not finite and ascending, or there are fewer than two points, or if the precision
            in use cannot hold the steps between them.
    """

    t: Float[Array, " points"] = eqx.field(converter=_seconds)
    v: Float[Array, " points"] = eqx.field(converter=_floats)

    def __check_init__(self):
        if isinstance(self.t, Tracer) or not isinstance(self.t, jax.Array) or self.t.ndim != 1:
            return
        if self.t.shape != self.v.shape or self.t.size < 2:
            raise ValueError(
                f"Waveform needs two points or more and as many times as voltages, got {self.t.shape}, {self.v.shape}."
            )
        if not bool(jnp.all(jnp.isfinite(self.t)) & jnp.all(jnp.diff(self.t) >= 0) & jnp.all(jnp.isfinite(self.v))):
            raise ValueError("Waveform needs finite voltages and finite times [s] in ascending order.")


def sine(amplitude: float, frequency: float, *, cycles: int = 1, points: int = 200) -> Waveform:
    """`amplitude sin(2 pi frequency t)` [V] with `points` per cycle, `frequency` in [Hz]."""
    phase = jnp.linspace(0, cycles, cycles * points + 1)
    return Waveform(phase / frequency, amplitude * jnp.sin(2 * jnp.pi * phase))


def triangle(*corners: float, rate: float, points: int = 100) -> Waveform:
    """Straight sweeps from 0 V through the voltages `corners` [V] at `rate` [V/s], `points` per sweep."""
    volts = [0.0, *corners]
    ends = jnp.cumsum(jnp.abs(jnp.diff(jnp.asarray(volts)))) / rate
    legs = [jnp.linspace(a, b, points + 1)[1:] for a, b in itertools.pairwise(volts)]
    times = [jnp.linspace(a, b, points + 1)[1:] for a, b in zip([0.0, *ends], ends, strict=False)]
    return Waveform(jnp.concatenate([jnp.zeros(1), *times]), jnp.concatenate([jnp.zeros(1), *legs]))


class Simulation(eqx.Module):
    """What a waveform did to a memristor.

    Args:
        t, v: times [s] and voltages [V] of the waveform's points. i: currents there [A]. x: states there.
        error: estimated error of the last state due to the time steps, as a fraction of the state's range; the largest
            over cells. It sums the errors of the steps and does not know whether the model lets them grow or fade.
        converged: whether it is below the requested tolerance.
        energy: dissipated from the first point up to each point [J].
    """

    t: Float[Array, " points"]
    v: Float[Array, " points"]
    i: Float[Array, "points *cells"]
    x: Float[Array, "points *cells"]
    energy: Float[Array, "points *cells"]
    error: Float[Array, ""]
    converged: Bool[Array, ""]


def simulate(
    model: AbstractMemristor,
    waveform: Waveform,
    *,
    x0: Float[Array, "*cells"] | float | None = None,
    substeps: int = 1,
    tolerance: float = 1e-2,
    throw: bool = True,
    key: PRNGKeyArray | None = None,
) -> Simulation:
    """Drives a memristor with a waveform.

    Each interval of the waveform is cut into `substeps`, each made of two of the model's own steps with the voltage frozen
    at the middle of its half. One further step over the whole substep gives an estimate of the error (a third of the
    difference). Second order in the step; first order through a jump of the rate.

    Args:
        model: parameters of shape `cells` make an array of cells.
        x0: state at the start; by default the model's own.
        substeps: steps per interval. tolerance: largest estimated error of a state, as a fraction of its range.
        throw: raise where the tolerance is missed, rather than only saying so in `converged`.
            Stochastic models have no estimate.

    Raises:
        RuntimeError: if `throw` and the estimated error exceeds the tolerance. Use more substeps.
        ValueError: if a stochastic model gets no key.
    """
    if model.stochastic and key is None:
        raise ValueError(f"{type(model).__name__} is stochastic and needs a key: simulate(..., key=jax.random.key(0)).")
    start = model.initial if x0 is None else jnp.asarray(x0, jnp.result_type(float))
    sim = _run(model, waveform, start, jnp.asarray(tolerance), key if model.stochastic else None, substeps)
    if throw:
        sim = eqx.error_if(
            sim,
            ~sim.converged,
            f"simulate: the time steps are too long for this model and waveform (estimated error above {tolerance:g} of the "
            "state's range). Use more substeps, or throw=False to look at the result.",
        )
    return sim


@eqx.filter_jit
def _run(model, waveform, start, tolerance, key, substeps: int) -> Simulation:
    cells = [jax.eval_shape(f, start, waveform.v[0]).shape for f in (model.current, model.derivative)]
    start = jnp.broadcast_to(start, jnp.broadcast_shapes(*cells))
    keys = None if key is None else jax.random.split(key, (waveform.t.size - 1, substeps, 3))

    def interval(carry, ends):
        (t0, t1, v0, v1), keys = ends
        dt = (t1 - t0) / substeps

        def substep(carry, at):
            k, keys = at
            x, error, heat = carry
            middle = lambda f: v0 + (v1 - v0) * (k + f) / substeps  # noqa: E731
            whole, between, end = _moves(model, x, dt, middle, keys)
            if key is None:
                error = error + jnp.abs(end - whole) / 3
            return (end, error, heat + dt * middle(0.5) * model.current(between, middle(0.5))), None

        carry, _ = lax.scan(substep, carry, (jnp.arange(substeps, dtype=t0.dtype), keys))
        return carry, (carry[0], carry[2])

    t, v = waveform.t, waveform.v
    zero = jnp.zeros_like(start)
    (_, error, _), (x, heat) = lax.scan(interval, (start, zero, zero), ((t[:-1], t[1:], v[:-1], v[1:]), keys))
    x = jnp.concatenate([start[None], x])
    low, high = model.bounds
    error = jnp.max(error / (high - low))
    return Simulation(
        t=t,
        v=v,
        i=model.current(x, v.reshape(-1, *(1,) * start.ndim)),
        x=x,
        energy=jnp.concatenate([zero[None], heat]),
        error=error,
        converged=error <= tolerance,
    )


def _moves(model, x, dt, middle, keys):
    """States after one whole step, after half of it, and after two halves. A scan, so that the model is compiled once."""

    def move(at, how):
        share, when, key = how
        moved = model.step(at, middle(when), share * dt, **({} if keys is None else {"key": key}))
        return jnp.where(share < 1, moved, at), moved

    share, when = jnp.asarray([1.0, 0.5, 0.5], dt.dtype), jnp.asarray([0.5, 0.25, 0.75], dt.dtype)
    _, moved = lax.scan(move, x, (share, when, keys))
    return moved
