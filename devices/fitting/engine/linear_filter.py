"""Kalman filter of linear models whose states decay independently, and draws from them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from devices.fitting.engine.parameters import Parameter


class LinearModel(eqx.Module):
    """A hidden vector, and readings that are weighted sums of it with independent noise.

    $$ x_{t+1} = \\mathrm{diag}(f)\\, x_t + B \\eta_t, \\qquad x_0 = A \\eta_0, \\qquad y_t = H_t x_t +
    \\mathrm{diag}(w)\\, \\epsilon_t $$

    Args:
        keep: f. first: A. fresh: B. noise: w. All driving numbers are unit normal.
    """

    keep: Float[Array, " states"]
    first: Float[Array, "states states"]
    fresh: Float[Array, "states states"]
    noise: Float[Array, " outputs"]

    def innovations(
        self,
        y: Float[Array, "rows outputs"],
        weights: Float[Array, "rows outputs states"],
        used: Float[Array, "rows outputs"],
    ) -> tuple[Float[Array, "rows outputs"], Float[Array, "rows outputs"]]:
        """Each reading minus its prediction from all before it, including those of the same row, and the variance of
        that; 0 and 1/2 pi where there is no reading."""
        fresh = self.fresh @ self.fresh.T

        def row(carry, at):
            mean, spread = carry
            y, weights, used = at
            out = []
            for k in range(y.shape[0]):  # a handful
                along = spread @ weights[k]
                total, miss = weights[k] @ along + self.noise[k] ** 2, y[k] - weights[k] @ mean
                gain = used[k] * along / total
                mean, spread = mean + gain * miss, spread - jnp.outer(gain, along)
                out.append((jnp.where(used[k] > 0, miss, 0.0), jnp.where(used[k] > 0, total, 0.5 / jnp.pi)))
            miss, total = (jnp.stack(x) for x in zip(*out, strict=True))
            return (self.keep * mean, self.keep[:, None] * spread * self.keep + fresh), (miss, total)

        start = jnp.zeros_like(self.keep), self.first @ self.first.T
        return lax.scan(row, start, (y, weights, used))[1]

    def draw(self, weights: Float[Array, "rows outputs states"], *, key: PRNGKeyArray) -> Float[Array, "rows outputs"]:
        """Readings."""
        first, drive, noise = jax.random.split(key, 3)
        kind = self.keep.dtype
        start = self.first @ jax.random.normal(first, self.keep.shape, kind)
        fresh = jax.random.normal(drive, (weights.shape[0], *self.keep.shape), kind)
        _, states = lax.scan(lambda x, e: (self.keep * x + self.fresh @ e, x), start, fresh)
        seen = jnp.einsum("ros,rs->ro", weights, states)
        return seen + self.noise * jax.random.normal(noise, seen.shape, kind)


def correlation_parameters(prefix: str, names: tuple[str, ...]) -> tuple[Parameter, ...]:
    """Partial correlations of each pair, given the names before the first of the two: any values make a correlation matrix."""
    pairs = [(a, b) for j, b in enumerate(names) for a in names[:j]]
    return tuple(Parameter(f"{prefix} {a} {b}", "", -0.995, 0.995, (-0.6, 0.6)) for a, b in pairs)


def correlation_root(values, prefix: str, names: tuple[str, ...]) -> Float[Array, "names names"]:
    """Lower triangular root of the correlation matrix.

    $$ L_{ij} = z_{ij} \\sqrt{1 - \\textstyle\\sum_{m<j} L_{im}^2} $$
    """
    rows = []
    for j, b in enumerate(names):
        left, row = jnp.ones(()), []
        for a in names[:j]:
            z = values[f"{prefix} {a} {b}"]
            row.append(z * jnp.sqrt(left))
            left = left * (1 - z**2)
        rows.append(jnp.stack([*row, jnp.sqrt(left), *[jnp.zeros(())] * (len(names) - j - 1)]))
    return jnp.stack(rows)
