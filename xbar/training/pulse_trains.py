"""Outer products by coincidence: pulse trains on rows and columns whose overlaps are the pulses that a cell gets."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._checks import Checked, Whole, positive


class PulseTrains(Checked):
    """Turns `-rate d x^T` into whole numbers of pulses at every crossing of an array.

    Rows carry pulses in `BL` slots, each with probability `p_x`, columns with `p_d`; a cell gets a pulse in every
    slot in which both have one. With `a b = rate / (s BL)`, the mean is the outer product in units of the step `s`:

    $$ p_x = \\min(a |x|, 1), \\quad p_d = \\min(b |d|, 1), \\quad E[n s] = -\\mathrm{rate}\\; d\\, x $$

    as long as no probability is cut at 1.

    Args:
        step: s, the change that one pulse makes, in units of the weight.
        slots: BL at most (31 as a rule).
        manage_slots: take only as many slots as the largest product needs, `ceil(rate max|x| max|d| / s)`, and give
            rows the largest probability, 1; what exceeds `slots` is lost. Otherwise all slots are used, and the
            largest probabilities of rows and columns are made equal.
        mean_count: no randomness: every train has its mean number of pulses, rounded, and a cell the mean number of
            coincidences, rounded.

    Reference: Gokmen, Vlasov 2016, 10.3389/fnins.2016.00333; the management rules as aihwkit 1.2.0 has them (MIT licence). Its
    "deterministic implicit" trains, whose result depends on how pulses are ordered within a train, have no counterpart here.
    """

    step: Float[Array, ""] = eqx.field(
        converter=positive.but(advice="It is the change of a weight that one pulse makes.")
    )
    slots: int = eqx.field(static=True, converter=Whole(1, 1000, advice="A train has 31 slots as a rule."), default=31)
    manage_slots: bool = eqx.field(static=True, default=True)
    mean_count: bool = eqx.field(static=True, default=False)

    def probabilities(
        self, x: Float[Array, " rows"], d: Float[Array, " cols"], rate: Float[Array, ""] | float
    ) -> tuple[Float[Array, " rows"], Float[Array, " cols"], Float[Array, ""]]:
        """Probability of a pulse on each row and each column in a slot, and the number of slots in use."""
        x, d = jnp.abs(x), jnp.abs(d)
        most = [jnp.max(v) for v in (x, d)]
        x_max, d_max = (jnp.where(v > 0, v, 1) for v in most)  # nothing but zeros gets no pulse at any scale
        if self.manage_slots:
            # a hair less, so that a product that is a whole number of steps does not get one slot more by rounding
            needed = jnp.ceil(rate * most[0] * most[1] / self.step * (1 - 1e-5))
            used = jnp.clip(needed, 1, self.slots)
            a, b = 1 / x_max, rate / (self.step * used) * x_max
        else:
            used = jnp.asarray(float(self.slots), x.dtype)
            both = jnp.sqrt(rate / (self.step * used))
            a, b = both * jnp.sqrt(d_max / x_max), both * jnp.sqrt(x_max / d_max)
        return jnp.minimum(a * x, 1), jnp.minimum(b * d, 1), used

    def __call__(
        self,
        x: Float[Array, " rows"],
        d: Float[Array, " cols"],
        rate: Float[Array, ""] | float,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "rows cols"]:
        """Pulses for each cell, up if positive, never more than `slots`: what `Device.pulse(cells, n, most=slots)` takes.

        Args:
            x: activations of the rows. d: errors of the columns. rate: learning rate. key: not needed for `mean_count`.

        Raises:
            ValueError: if trains are random and there is no key.
        """
        p_x, p_d, used = self.probabilities(x, d, rate)
        signs = -jnp.sign(x)[:, None] * jnp.sign(d)[None]
        if self.mean_count:
            return signs * jnp.round(jnp.round(p_x * used)[:, None] * jnp.round(p_d * used)[None] / used)
        if key is None:
            raise ValueError("PulseTrains: random trains need key=jax.random.key(0), or choose mean_count=True.")
        rows, cols = jax.random.split(key)
        live = (jnp.arange(self.slots).astype(x.dtype) < used)[:, None]
        on_rows = live & (jax.random.uniform(rows, (self.slots, x.size)) < p_x[None])
        on_cols = jax.random.uniform(cols, (self.slots, d.size)) < p_d[None]
        return signs * (on_rows.T.astype(x.dtype) @ on_cols.astype(x.dtype))
