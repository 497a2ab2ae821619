"""From a compact model to a synapse: what one pulse does to the conductance, as a step law."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from devices._numerics import solve_increasing
from devices.compact.base import AbstractMemristor
from devices.compact.simulation import Waveform, simulate
from devices.disturb import Disturb
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

    For each of `nodes` equidistant conductances, the state that has it is found, driven through each pulse, and read
    again. The law is differentiable in the model's parameters and the pulses'. It also carries the heat of a pulse at
    every conductance, `integral of v i dt` of the model (and of what is in series with it).

    Args:
        model: a memristor, or a `Circuit` around one. up, down: the pulse that makes it more, and less, conductive.
        v_read: voltage at which conductance is `i / v` [V]; the state does not move at a read.
        nodes: entries of the table. substeps: time steps on each part of a pulse. tolerance: of a state, as in `simulate`.
        states: the two states whose conductances are the synapse's range; by default the model's bounds.
        cells, pulses: spread between cells and noise between pulses to add, as in `PulseUpdate`.

    Returns: a `PulseUpdate` for `Device(update=...)` or `WriteVerify`; `law.g_min` and `law.g_max` are its range [S].

    Raises:
        RuntimeError: if a pulse is not resolved by this many substeps.
        ValueError: if the model is stochastic, the conductance is the same at both ends, or a concrete pulse drives
            the wrong way.

    Breaks when: one pulse crosses most of the range (the table is then coarse), or the model remembers more than its
    conductance shows (as with a second state).
    """
    table = _Table.of(model, v_read, nodes, substeps, tolerance, states)
    (steps_up, joules_up), (steps_down, joules_down) = table.driven(up), table.driven(down)
    g, steps_down = table.g, -steps_down
    if not isinstance(steps_up, Tracer):
        _check(float(g[0]), float(g[-1]), float(jnp.sum(steps_up)), float(jnp.sum(steps_down)))
    heat = PulseHeat(joules_up, joules_down, g[0], g[-1])
    return PulseUpdate(PiecewiseStep(steps_up, steps_down, g[0], g[-1]), cells, pulses, heat=heat)


def disturbance(
    model: AbstractMemristor,
    up: Pulse,
    down: Pulse,
    read: Pulse | None = None,
    *,
    heat: float = 0.0,
    v_read: float = 0.1,
    nodes: int = 33,
    substeps: int = 32,
    tolerance: float = 1e-2,
    states: tuple[float, float] | None = None,
) -> Disturb:
    """What a compact model does in pulses of half and a third of the voltage, and in a read, in shares of its steps.

    $$ r = \\sum_g \\Delta g(V / 2) \\Big/ \\sum_g \\Delta g(V) $$

    over equidistant conductances; what moves the wrong way counts as 0.

    Args:
        read: the pulse of one read; None: no read disturb. heat: see `Disturb`; a model of one cell has no neighbours.
            All others as in `pulse_response`.

    Raises:
        ValueError: as for `pulse_response`.

    Breaks when: the share depends on the state, as that of thermally switched cells does: it is then that of an average cell.
    """
    table = _Table.of(model, v_read, nodes, substeps, tolerance, states)
    whole = [jnp.sum(table.moved(pulse)) for pulse in (up, down)]
    _check(float(table.g[0]), float(table.g[-1]), float(whole[0]), -float(whole[1]))

    def share(pulse: Pulse, fraction: float, of: Array) -> Array:
        weaker = dataclasses.replace(pulse, amplitude=pulse.amplitude * fraction)
        return jnp.clip(jnp.sum(table.moved(weaker)) / of, 0, 1)

    half_up, half_down, third_up, third_down = (
        share(pulse, fraction, of) for fraction in (1 / 2, 1 / 3) for pulse, of in zip((up, down), whole, strict=True)
    )
    moved = jnp.zeros(()) if read is None else jnp.sum(table.moved(read))
    by_read = jnp.clip(moved / jnp.where(moved > 0, whole[0], -whole[1]), -1, 1)
    return Disturb(half_up, half_down, third_up, third_down, heat, by_read)


class _Table(eqx.Module):
    """States of a model at equidistant conductances, and how it is driven."""

    model: AbstractMemristor
    g: Float[Array, " nodes"]
    x: Float[Array, " nodes"]
    v_read: float
    substeps: int
    tolerance: float

    @classmethod
    def of(cls, model, v_read, nodes, substeps, tolerance, states) -> _Table:
        if model.stochastic:
            raise ValueError(
                f"pulse_response: {type(model).__name__} is stochastic and has no single answer to a pulse. "
                "Give its mean model, and the noise as pulses=CycleNoise(...)."
            )
        read = lambda x: _conductance(model, x, v_read)  # noqa: E731
        ends = jnp.asarray(model.bounds if states is None else states, jnp.result_type(float))
        conductances = read(ends)
        sign = jnp.sign(conductances[1] - conductances[0])
        g = jnp.linspace(jnp.min(conductances), jnp.max(conductances), nodes)
        x = solve_increasing(
            lambda x: sign * (read(x) - g), jnp.full_like(g, jnp.min(ends)), jnp.full_like(g, jnp.max(ends))
        )
        return cls(model, g, x, v_read, substeps, tolerance)

    def driven(self, pulse: Pulse) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
        """Change of each conductance by a pulse [S], and the heat of it [J]."""
        end = simulate(self.model, pulse.waveform(), x0=self.x, substeps=self.substeps, tolerance=self.tolerance)
        moved = jnp.clip(_conductance(self.model, end.x[-1], self.v_read), self.g[0], self.g[-1]) - self.g
        return moved, end.energy[-1]

    def moved(self, pulse: Pulse) -> Float[Array, " nodes"]:
        """Change of each conductance by a pulse [S]."""
        return self.driven(pulse)[0]


def _conductance(model: AbstractMemristor, x: Array, v_read: float) -> Array:
    return model.current(x, jnp.full_like(x, v_read)) / v_read


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
