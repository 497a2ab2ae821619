"""From a fitted compact model to a synapse: square pulses of the largest voltages that were measured."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from devices.compact.base import AbstractMemristor
from devices.steps import PiecewiseStep
from devices.updates import PulseUpdate

PULSES = 64  # cross 90 % of the range
NODES = 129
TIMES = (1e-12, 1e4, 321)  # [s] looked at for the width; twenty a decade


def pulse_laws(
    model: AbstractMemristor, v_up: Float[Array, ""], v_down: Float[Array, ""], v_read: Float[Array, ""]
) -> dict[str, Any]:
    """`g_min`, `g_max` and `update` of a compact model under square pulses of two voltages.

    The range is what very long pulses reach. Widths, one for each direction, are such that 64 pulses cross 90 % of it; the
    steps are those of a train from one end to the other, so that elements in parallel keep their order of switching.

    Args:
        model: arrays of parameters are elements in parallel. v_up, v_down: pulses [V]. v_read: read voltage [V].

    Breaks when: the train turns back half way and there are several elements, whose states the conductance does not
    determine.
    """
    low, high = (jnp.asarray(b) for b in model.bounds)
    unit = jnp.ones(elements(model), jnp.result_type(float))
    middle = (low + high) / 2 * unit
    ends = [_hold(model, middle, v, jnp.asarray(TIMES[1])) for v in (v_down, v_up)]
    off, on = (read(model, x, v_read) for x in ends)
    g_min, g_max = jnp.minimum(off, on), jnp.maximum(off, on)
    g_max = jnp.maximum(g_max, g_min * (1 + 1e-6) + 1e-30)
    nodes = jnp.linspace(g_min, g_max, NODES)
    steps = []
    for v, first, goal in ((v_up, ends[0], on), (v_down, ends[1], off)):
        begin = read(model, first, v_read)
        width = _width(model, first, v, v_read, begin + 0.9 * (goal - begin))
        g = _train(model, first, v, width, v_read)
        order = jnp.argsort(g[:-1])
        steps.append(jnp.interp(nodes, g[:-1][order], jnp.abs(jnp.diff(g))[order]))
    law = PiecewiseStep(steps[0], steps[1], g_min, g_max)
    return {"g_min": g_min, "g_max": g_max, "update": PulseUpdate(law)}


def elements(model: AbstractMemristor) -> int:
    """How many elements in parallel a model with arrays of parameters is."""
    x, v = jnp.mean(jnp.asarray(model.bounds[1])), jnp.zeros(())
    return max(jax.eval_shape(model.derivative, x, v).size, 1)


def read(model: AbstractMemristor, x: Float[Array, " elements"], v: Float[Array, ""]) -> Float[Array, ""]:
    """Conductance [S] at a read voltage [V]."""
    return jnp.sum(model.current(x, jnp.full_like(x, v))) / v


def _hold(model, x, v, time):
    """State after a time at one voltage: steps that grow, for models whose step is not exact."""
    edges = jnp.concatenate([jnp.zeros(1), jnp.geomspace(TIMES[0], 1.0, 160)]) * time
    return lax.scan(lambda x, dt: (model.step(x, jnp.full_like(x, v), dt), None), x, jnp.diff(edges))[0]


def _width(model, x, v, v_read, goal):
    """1/64 of the time at which the conductance passes `goal`, on a grid in the logarithm of time."""
    edges = jnp.concatenate([jnp.zeros(1), jnp.geomspace(*TIMES)])

    def step(x, dt):
        x = model.step(x, jnp.full_like(x, v), dt)
        return x, read(model, x, v_read)

    _, g = lax.scan(step, x, jnp.diff(edges))
    sign = jnp.sign(goal - read(model, x, v_read))
    covered = lax.cummax(sign * g)
    covered = covered + jnp.arange(covered.size) * 1e-12 * jnp.abs(goal)  # strictly ascending, to be inverted
    return jnp.exp(jnp.interp(sign * goal, covered, jnp.log(edges[1:]))) / PULSES


def _train(model, x, v, width, v_read):
    """Conductances [S] before and after each of four times as many pulses as cross the range; four steps per pulse."""

    def pulse(x, _):
        after = lax.fori_loop(0, 4, lambda _, x: model.step(x, jnp.full_like(x, v), width / 4), x)
        return after, read(model, x, v_read)

    _, g = lax.scan(pulse, x, None, length=4 * PULSES)
    return g
