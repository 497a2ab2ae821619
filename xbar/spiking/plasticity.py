"""Learning from the times of spikes: changes of weights, or pulses for the device's own law."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from devices._checks import Checked, Number

_SECONDS = Number(unit="s", low=0.0, above=True, likely=10.0, advice="Times are in seconds: 20 ms is 0.02.")
_NUMBER = Number()


class PairSTDP(Checked):
    """Spike-timing dependent plasticity of pairs, by traces.

    $$ \\Delta w = a_+ e^{-\\Delta t/\\tau_+} \\ (\\Delta t > 0), \\qquad
       \\Delta w = -a_- e^{\\Delta t/\\tau_-} \\ (\\Delta t < 0), \\qquad \\Delta t = t_{post} - t_{pre} $$

    summed over all pairs. Spikes in the same step change nothing.

    Args:
        a_plus, a_minus: changes for spikes that coincide. tau_plus, tau_minus: of the windows [s].

    Reference: Song, Miller and Abbott 2000, 10.1038/78829.
    """

    a_plus: Float[Array, ""] = eqx.field(converter=_NUMBER, default=0.01)
    a_minus: Float[Array, ""] = eqx.field(converter=_NUMBER, default=0.012)
    tau_plus: Float[Array, ""] = eqx.field(converter=_SECONDS, default=20e-3)
    tau_minus: Float[Array, ""] = eqx.field(converter=_SECONDS, default=20e-3)

    def start(self, inputs: int, outputs: int) -> tuple[Float[Array, " inputs"], Float[Array, " outputs"]]:
        """Traces before any spike."""
        return jnp.zeros(inputs), jnp.zeros(outputs)

    def step(
        self, traces: tuple[Array, Array], pre: Float[Array, " inputs"], post: Float[Array, " outputs"], dt: float
    ) -> tuple[tuple[Array, Array], Float[Array, "inputs outputs"]]:
        """One time step of `dt` [s]: the traces after it, and the change of every weight."""
        x, y = (t * jnp.exp(-dt / tau) for t, tau in zip(traces, (self.tau_plus, self.tau_minus), strict=True))
        change = self.a_plus * jnp.outer(x, post) - self.a_minus * jnp.outer(pre, y)
        return (x + pre, y + post), change


class SimplifiedSTDP(Checked):
    """A pulse up for every input that spiked within a window before the output's spike, a pulse down for every other.

    The size of a change is the device's: pulses go to `Device.pulse`, whose law saturates, spreads and differs by cell.

    Args:
        window: [s].

    Reference: Querlioz et al. 2013, 10.1109/TNANO.2013.2250995.

    Breaks when: several outputs spike in one step and share inputs: each column gets its own pulses, as word lines allow one
        column at a time.
    """

    window: Float[Array, ""] = eqx.field(converter=_SECONDS, default=25e-3)

    def start(self, inputs: int) -> Float[Array, " inputs"]:
        """Time since each input's last spike [s]: none yet."""
        return jnp.full(inputs, jnp.inf)

    def step(
        self, since: Float[Array, " inputs"], pre: Array, post: Array, dt: float
    ) -> tuple[Float[Array, " inputs"], Int[Array, "inputs outputs"]]:
        """One time step of `dt` [s]: times since the last spikes after it, and pulses (1 up, -1 down, 0 none)."""
        since = jnp.where(pre > 0, 0.0, since + dt)
        sign = jnp.where(since <= self.window, 1, -1)
        return since, sign[:, None] * (post > 0).astype(jnp.int32)[None, :]
