"""Leaky integrate-and-fire neurons, as bodies of a scan over time steps."""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._checks import Checked, Number
from xbar.spiking.surrogate import Surrogate, spike

Method = Literal["exponential", "euler", "impulse"]
Reset = Literal["subtract", "to_reset"]
_SECONDS = Number(unit="s", low=0.0, above=True, likely=100.0, advice="Times are in seconds: 20 ms is 0.02.")
_NUMBER = Number()
_POSITIVE = Number(low=0.0, above=True)
_OR_NONE = _SECONDS.but(optional=True)


class NeuronState(eqx.Module):
    """What a population of neurons carries from one time step to the next.

    Args:
        v: membrane. i: synaptic current (exponential synapses). a: adaptation of the threshold. wait: time left until a
            neuron may integrate again [s].
    """

    v: Float[Array, "*neurons"]
    i: Float[Array, "*neurons"]
    a: Float[Array, "*neurons"]
    wait: Float[Array, "*neurons"]


class LIF(Checked):
    """Leaky integrate-and-fire neurons; with exponential synapses, a refractory time, an adaptive threshold where asked for.

    $$ \\tau\\dot v = v_{leak} - v + r\\,i, \\qquad \\tau_s\\dot i = -i + w_{in}\\,x, \\qquad \\tau_a\\dot a = -a $$

    A neuron spikes where `v` reaches `threshold + a`; then `v` is lowered by that or set to `v_reset`, `a` grows by
    `adaptation`, and the neuron rests for `refractory`. Without `tau_syn` the input is the current. `tau=inf`
    integrates without a leak, `r i` a step: inputs are charges then. A neuron at rest neither integrates nor spikes.

    Args:
        tau: membrane time constant [s]; a number, or one for each neuron.
        r: resistance. v_leak, threshold, v_reset: of the membrane, in its own unit.
        tau_syn: of the synapses [s], or None. w_in: weight of the input into them.
        refractory: [s]. adaptation: growth of the threshold at a spike. tau_adapt: of its decay [s].
        reset: `"subtract"` lowers by the threshold, `"to_reset"` sets to `v_reset`.
        method: of a step of `dt`: `"exponential"` (exact for inputs that are constant over it), `"euler"` (forward),
            `"impulse"` (exact decay; the input adds `r i dt / tau` at once).
        late: 1 where spikes are decided by the membrane of the step before, as pipelined platforms do, else 0.
        surrogate, sharpness: of the spikes' derivative.

    Breaks when: `dt` is not small against `refractory` and the time between spikes: several spikes within a step are one.
    """

    tau: Float[Array, "*neurons"] = eqx.field(converter=_SECONDS.but(infinite=True), default=20e-3)
    r: Float[Array, "*neurons"] = eqx.field(converter=_NUMBER, default=1.0)
    v_leak: Float[Array, "*neurons"] = eqx.field(converter=_NUMBER, default=0.0)
    threshold: Float[Array, "*neurons"] = eqx.field(converter=_POSITIVE, default=1.0)
    v_reset: Float[Array, "*neurons"] = eqx.field(converter=_NUMBER, default=0.0)
    tau_syn: Float[Array, "*neurons"] | None = eqx.field(converter=_OR_NONE, default=None)
    w_in: Float[Array, "*neurons"] = eqx.field(converter=_NUMBER, default=1.0)
    refractory: Float[Array, "*neurons"] | None = eqx.field(converter=_OR_NONE, default=None)
    adaptation: Float[Array, "*neurons"] | None = eqx.field(converter=_NUMBER.but(optional=True), default=None)
    tau_adapt: Float[Array, "*neurons"] = eqx.field(converter=_SECONDS, default=0.2)
    reset: Reset = eqx.field(static=True, default="subtract")
    method: Method = eqx.field(static=True, default="exponential")
    late: int = eqx.field(static=True, default=0)
    surrogate: Surrogate = eqx.field(static=True, default="fast_sigmoid")
    sharpness: float = eqx.field(static=True, default=25.0)

    def __check_init__(self):
        for name, known in (
            ("reset", ("subtract", "to_reset")),
            ("method", ("exponential", "euler", "impulse")),
            ("late", (0, 1)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"LIF: {name}={getattr(self, name)!r}; it must be {' or '.join(map(repr, known))}.")

    def start(self, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> NeuronState:
        """Neurons at rest."""
        rest = jnp.broadcast_to(self.v_leak, shape).astype(dtype)
        zero = jnp.zeros(shape, dtype)
        return NeuronState(rest, zero, zero, zero)

    def step(
        self, state: NeuronState, x: Float[Array, "*neurons"], dt: Float[Array, ""] | float
    ) -> tuple[NeuronState, Float[Array, "*neurons"]]:
        """One time step of `dt` [s] with the input `x`: the state after it, and spikes (0 or 1)."""
        return neuron_step(self, state, x, dt)

    def stepped(self, state: NeuronState, x: Array, dt: Array | float) -> tuple[NeuronState, Array]:
        """The equations of `step`, which calls them under a name that energy ledgers know."""
        before, i = state.v, self._current(state, x, dt)
        v = self._integrated(state.v, i, dt)
        resting = False if self.refractory is None else state.wait > 0.5 * dt
        v = v if self.refractory is None else jnp.where(resting, state.v, v)
        a = state.a if self.adaptation is None else state.a * jnp.exp(-dt / self.tau_adapt)
        level = self.threshold + a
        decides = before if self.late else v
        spikes = spike((decides - level) / level, self.surrogate, self.sharpness)
        spikes = spikes if self.refractory is None else jnp.where(resting, 0, spikes)
        fired = jax.lax.stop_gradient(spikes)  # the reset has no derivative of its own
        v = v - fired * level if self.reset == "subtract" else jnp.where(fired > 0, self.v_reset, v)
        wait = state.wait if self.refractory is None else jnp.where(fired > 0, self.refractory, state.wait - dt)
        a = a if self.adaptation is None else a + fired * self.adaptation
        return NeuronState(v, i, a, wait), spikes

    def _current(self, state: NeuronState, x: Array, dt: Array | float) -> Array:
        if self.tau_syn is None:
            return x
        share = dt / self.tau_syn
        kept, taken = (1 - share, share) if self.method == "euler" else (jnp.exp(-share), -jnp.expm1(-share))
        return kept * state.i + taken * self.w_in * x

    def _integrated(self, v: Array, i: Array, dt: Array | float) -> Array:
        share = dt / self.tau
        if self.method == "euler":
            moved = v + share * (self.v_leak - v + self.r * i)
        else:
            gain = -jnp.expm1(-share) if self.method == "exponential" else share
            moved = self.v_leak + jnp.exp(-share) * (v - self.v_leak) + gain * self.r * i
        return jnp.where(jnp.isinf(self.tau), v + self.r * i, moved)


@jax.jit
def neuron_step(body: LIF, state: NeuronState, x: Array, dt: Array | float) -> tuple[NeuronState, Array]:
    """A step as one call: a ledger finds neurons by its name (`xbar.graph.rows_of_work.NEURON_STEP`)."""
    return body.stepped(state, x, dt)


class FixedPointLIF(Checked):
    """Leaky integrate-and-fire in whole numbers, as in Loihi and its simulator.

    $$ v \\leftarrow \\lfloor v (4096 - d) / 4096 \\rfloor + x \\text{ (towards zero)} $$

    The input and the threshold are whole numbers; a spike sets the membrane to 0, decided by the membrane of the step before.

    Args:
        decay: d, 0 to 4096. threshold: whole number.

    Reference: Davies et al. 2018, 10.1109/MM.2018.112130359; the traces of the NIR study, 10.1038/s41467-024-52259-9.

    Breaks when: the membrane and an input together reach 2^31.
    """

    decay: int = eqx.field(static=True)
    threshold: int = eqx.field(static=True)

    def __check_init__(self):
        if not 0 <= self.decay <= 4096:
            raise ValueError(f"FixedPointLIF: decay={self.decay}; it must be from 0 to 4096.")

    def start(self, shape: tuple[int, ...]) -> Array:
        """Neurons at rest."""
        return jnp.zeros(shape, jnp.int32)

    def step(self, v: Array, x: Array) -> tuple[Array, Array]:
        """One time step: the membrane after it, and spikes (0 or 1)."""
        fired = v > self.threshold
        v = jnp.where(fired, 0, v)
        kept, (high, low) = (
            4096 - self.decay,
            jnp.divmod(jnp.abs(v), 4096),
        )  # in two parts: no product exceeds |v| or 2^24
        return jnp.sign(v) * (high * kept + low * kept // 4096) + x, fired.astype(jnp.int32)
