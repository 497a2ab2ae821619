"""Outer products by coincidence: pulse trains on rows and columns whose overlaps are the pulses that a cell gets."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from devices._checks import Checked, Whole, positive
from devices.random import unit_uniforms


class Coincidences(eqx.Module):
    """What pulse trains amount to, summed over vectors.

    Args:
        up, down: pulses to each cell. rows, cols: pulses on each line, coincident or not. slots: those that passed,
            over all vectors.
    """

    up: Float[Array, "*tiles rows cols"]
    down: Float[Array, "*tiles rows cols"]
    rows: Float[Array, "*tiles rows"]
    cols: Float[Array, "*tiles cols"]
    slots: Float[Array, "*tiles"]


class PulseTrains(Checked):
    """Turns `-rate d x^T` into whole numbers of pulses at every crossing of an array.

    Rows carry pulses in `BL` slots, each with probability `p_x`, columns with `p_d`; a cell gets a pulse in every
    slot in which both have one. With `a b = rate / (s BL)`, the mean is the outer product in units of the step `s`:

    $$ p_x = \\min(a |x|, 1), \\quad p_d = \\min(b |d|, 1), \\quad E[n s] = -\\mathrm{rate}\\; d\\, x $$

    as long as no probability is cut at 1.

    Args:
        step: s, the change that one pulse makes, in units of the weight; None where it is taken from a device
            (`xbar.training.insitu`).
        slots: the largest BL (usually 31).
        manage_slots: take only as many slots as the largest product needs, `ceil(rate max|x| max|d| / s)`, and give
            rows the largest probability, 1; what exceeds `slots` is lost. Otherwise all slots are used, and the
            largest probabilities of rows and columns are made equal.
        mean_count: no randomness: every train has its mean number of pulses, rounded, those of rows one after the other and
            those of columns spread evenly, so that a cell gets the mean number of coincidences, rounded.

    Reference: Gokmen, Vlasov 2016, 10.3389/fnins.2016.00333; the management rules as in aihwkit 1.2.0 (MIT licence).
    """

    step: Float[Array, ""] | None = eqx.field(
        converter=positive.but(optional=True, advice="It is the change of a weight that one pulse makes."), default=None
    )
    slots: int = eqx.field(static=True, converter=Whole(1, 1000, advice="A train usually has 31 slots."), default=31)
    manage_slots: bool = eqx.field(static=True, default=True)
    mean_count: bool = eqx.field(static=True, default=False)

    def probabilities(
        self, x: Float[Array, " rows"], d: Float[Array, " cols"], rate: Float[Array, ""] | float
    ) -> tuple[Float[Array, " rows"], Float[Array, " cols"], Float[Array, ""]]:
        """Probability of a pulse on each row and each column in a slot, and the number of slots in use.

        Raises:
            ValueError: without a step.
        """
        if self.step is None:
            raise ValueError("PulseTrains: step= is missing. Give the change of a weight that one pulse makes.")
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
        found = self.summed(x[None], d[None], rate, key=key)
        return found.up - found.down

    def summed(
        self,
        x: Float[Array, "*tiles vectors rows"],
        d: Float[Array, "*tiles vectors cols"],
        rate: Float[Array, ""] | float,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Coincidences:
        """What the trains of many vectors, one after the other, add up to: exact coincidences of each, by sign.

        Args:
            x, d: vectors and errors, of many tiles at once, each of which has pulse generators of its own.

        Raises:
            ValueError: if trains are random and there is no key.

        Managed slots are processed one by one, as many as the vector that needs most of them takes.
        """
        if key is None and not self.mean_count:
            raise ValueError("PulseTrains: random trains need key=jax.random.key(0), or choose mean_count=True.")
        probabilities = jnp.vectorize(lambda x, d: self.probabilities(x, d, rate), signature="(r),(c)->(r),(c),()")
        p_x, p_d, used = probabilities(x, d)
        row_signs, col_signs = jnp.sign(x), -jnp.sign(d)
        busy = jnp.any(p_x > 0, -1) & jnp.any(p_d > 0, -1)
        passed = jnp.sum(jnp.where(busy, used, 0), -1)
        vectors = x.shape[-2]
        packed = vectors * self.slots < BASE  # even the sum over all slots
        if self.manage_slots and vectors > 1:

            def one(slot: Array) -> _Sums:
                on_rows, on_cols = self._slot(p_x, p_d, used, key, slot)
                found = _coincide(on_rows, on_cols, row_signs, col_signs, vectors < BASE)
                return found if packed else found._replace(pulses=_unpacked(found.pulses))

            nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(one, jnp.zeros((), jnp.int32)))
            most = jnp.max(jnp.where(busy, used, 0), initial=0).astype(jnp.int32)
            found = lax.fori_loop(0, most, lambda s, sofar: jax.tree.map(jnp.add, sofar, one(s)), nothing)
        else:
            on = jax.vmap(lambda s: self._slot(p_x, p_d, used, key, s), out_axes=-2)(jnp.arange(self.slots))
            on_rows, on_cols = (a.reshape(*a.shape[:-3], -1, a.shape[-1]) for a in on)
            each = [jnp.repeat(a, self.slots, axis=-2) for a in (row_signs, col_signs)]
            found = _coincide(on_rows, on_cols, each[0], each[1], packed)
        return Coincidences(*_unpacked(found.pulses), found.rows, found.cols, passed)

    def _slot(self, p_x: Array, p_d: Array, used: Array, key: PRNGKeyArray | None, slot: Array) -> tuple[Array, Array]:
        """Which rows and columns carry a pulse in one slot."""
        last, slot = used[..., None], slot.astype(used.dtype)
        if key is None or self.mean_count:
            row, col = jnp.round(p_x * last), jnp.round(p_d * last)
            sent = lambda s: jnp.round(s * col / last)  # noqa: E731  # by then
            return slot < row, (slot < last) & (sent(slot + 1) > sent(slot))
        rows, cols = jax.random.split(jax.random.fold_in(key, slot.astype(jnp.uint32)))
        return (slot < last) & (unit_uniforms(rows, p_x) < p_x), unit_uniforms(cols, p_d) < p_d


BASE = 4096  # pulses up and down of one cell share a float32 in this base, as long as neither can reach it


class _Sums(NamedTuple):
    """Pulses to each cell, up and down in two arrays or packed in one, and those on the lines."""

    pulses: tuple[Array, ...]
    rows: Array
    cols: Array


def _coincide(on_rows: Array, on_cols: Array, row_signs: Array, col_signs: Array, packed: bool) -> _Sums:
    """Sums over vectors of products of pulses: whole numbers below 2^24, exact in float32."""
    real = lambda a: a.astype(jnp.float32)  # noqa: E731
    rows, up = real(on_rows), col_signs > 0
    product = lambda a, b: jnp.einsum("...vr,...vc->...rc", a, b, precision=lax.Precision.HIGHEST)  # noqa: E731

    def of(rows: Array, up: Array) -> tuple[Array, ...]:
        """Those of rows of one sign."""
        plus, minus = real(on_cols & up), real(on_cols & ~up)
        return (product(rows, plus + BASE * minus),) if packed else (product(rows, plus), product(rows, minus))

    positive, negative = rows * real(row_signs > 0), rows * real(row_signs < 0)
    plus = of(positive, up)
    none = jax.tree.map(jnp.zeros_like, plus)
    minus = lax.cond(jnp.any(negative > 0), lambda: of(negative, ~up), lambda: none)
    pulses = tuple(a + b for a, b in zip(plus, minus, strict=True))
    return _Sums(pulses, jnp.sum(rows, -2), jnp.sum(real(on_cols), -2))


def _unpacked(pulses: tuple[Array, ...]) -> tuple[Array, Array]:
    """Those up, and those down."""
    if len(pulses) == 2:
        return pulses
    down = jnp.floor(pulses[0] / BASE)
    return pulses[0] - BASE * down, down
