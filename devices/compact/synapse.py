"""From a compact model to a synapse: what one pulse does to the conductance, as a step law."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from devices._numerics import solve_increasing
from devices.compact.base import AbstractMemristor
from devices.compact.simulation import Waveform, simulate
from devices.steps import PiecewiseStep
from devices.updates import CellSpread, CycleNoise, PulseHeat, PulseUpdate


class Pulse(eqx.Module):
    """A trapezoidal pulse, followed by a rest at 0 V.

    Args:
        amplitude: [V], with its sign. width: time at the amplitude [s]. rise: time of each edge [s]. rest: time at 0
            V before the cell is read [s].
    """

    amplitude: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    width: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    rise: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=0.0)
    rest: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=0.0)

    def waveform(self) -> Waveform:
        """The pulse from its first edge to the end of the rest."""
        ends = jnp.cumsum(jnp.stack([jnp.zeros_like(self.rise), self.rise, self.width, self.rise, self.rest]))
        volts = jnp.stack([self.amplitude * 0, self.amplitude, self.amplitude, self.amplitude * 0, self.amplitude * 0])
        return Waveform(ends, volts)


def pulse_response(
    model: AbstractMemristor,
    up: Pulse,
    down: Pulse,
    *,
    v_read: float = 0.1,
    nodes: int = 129,
    substeps: int = 32,
    tolerance: float = 1e-2,
    states: tuple[float, float] | None = None,
    cells: CellSpread | None = None,
    pulses: CycleNoise | None = None,
) -> PulseUpdate:
    """The pulse law of a compact model: a table of the steps that one pulse up and one pulse down make at every conductance.

    For `nodes` conductances at equal distances the state that has it is found, driven through each pulse, and read
    again. The law is differentiable in the model's parameters and the pulses'. The heat of a pulse at every conductance,
    `integral of v i dt` of the model (and of what is in series with it), comes along.

    Args:
        model: a memristor, or a `Circuit` around one. up, down: the pulse that makes it more, and less, conductive.
        v_read: voltage at which conductance is `i / v` [V]; the state does not move at a read.
        nodes: entries of the table. substeps: time steps on each part of a pulse. tolerance: of a state, as in `simulate`.
        states: the two states whose conductances are the synapse's range; by default the model's bounds.
        cells, pulses: spread between cells and noise between pulses to add, as in `PulseUpdate`.

    Returns: a `PulseUpdate` for `Device(update=...)` or `WriteVerify`; `law.g_min` and `law.g_max` are its range [S].

    Raises:
        RuntimeError: if a pulse is not resolved by so many substeps.
        ValueError: if the model is stochastic, the conductance is the same at both ends, or a concrete pulse drives
            the wrong way.

    Breaks when: one pulse crosses most of the range (the table is then coarse), or the model remembers more than its
    conductance says (as with a second state).
    """
    if model.stochastic:
        raise ValueError(
            f"pulse_response: {type(model).__name__} is stochastic and has no single answer to a pulse. "
            "Give its mean model, and the noise as pulses=CycleNoise(...)."
        )
    read = lambda x: model.current(x, jnp.full_like(x, v_read)) / v_read  # noqa: E731
    ends = jnp.asarray(model.bounds if states is None else states, jnp.result_type(float))
    conductances = read(ends)
    sign = jnp.sign(conductances[1] - conductances[0])
    g = jnp.linspace(jnp.min(conductances), jnp.max(conductances), nodes)
    x = solve_increasing(
        lambda x: sign * (read(x) - g), jnp.full_like(g, jnp.min(ends)), jnp.full_like(g, jnp.max(ends))
    )

    def moved(pulse: Pulse):
        end = simulate(model, pulse.waveform(), x0=x, substeps=substeps, tolerance=tolerance)
        return jnp.clip(read(end.x[-1]), g[0], g[-1]) - g, end.energy[-1]

    (steps_up, joules_up), (steps_down, joules_down) = moved(up), moved(down)
    steps_down = -steps_down
    if not isinstance(steps_up, Tracer):
        _check(float(g[0]), float(g[-1]), float(jnp.sum(steps_up)), float(jnp.sum(steps_down)))
    heat = PulseHeat(joules_up, joules_down, g[0], g[-1])
    return PulseUpdate(PiecewiseStep(steps_up, steps_down, g[0], g[-1]), cells, pulses, heat=heat)


def _check(low: float, high: float, up: float, down: float) -> None:
    if not high > low:
        raise ValueError(
            f"pulse_response: the conductance is {low:g} S in both end states, so there is nothing to programme."
        )
    for name, total in (("up", up), ("down", down)):
        if total < 0:
            raise ValueError(
                f"pulse_response: the pulse {name!r} moves the conductance the other way; change the sign of its amplitude."
            )
        if total == 0:
            raise ValueError(
                f"pulse_response: the pulse {name!r} does not move the conductance; it may be below a threshold."
            )
