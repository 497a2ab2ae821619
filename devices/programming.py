"""Write errors: what was asked for against what was programmed."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._numerics import unit_normals
from devices.base import AbstractProgramming
from devices.curves import Polynomial


class ExactProgramming(AbstractProgramming):
    """`g = target`."""

    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return target


class PolynomialProgramming(AbstractProgramming):
    """Gaussian write error whose spread is a polynomial of the target conductance.

    $$ g = \\max(g_T + \\sigma(g_T / g_{max})\\,\\xi, 0), \\qquad \\sigma(x) = \\max(\\sum_k c_k x^k, 0) $$

    Args:
        coefficients: `c_k` [S], ascending powers of `target / g_max`.
        g_max: normalisation [S].

    Reference: PCM, Joshi et al. 2020, 10.1038/s41467-020-16108-9.

    Breaks when: the error has heavy tails, or is asymmetric; the clip at 0 S makes the mean of very low targets
    rise (by 0.4 sigma at a target of 0).
    """

    coefficients: Float[Array, " powers"] = eqx.field(converter=jnp.asarray)
    g_max: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def spread(self, target: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """Standard deviation of the write error [S] at `target` [S]."""
        return Polynomial(self.coefficients)(target / self.g_max)

    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return jnp.maximum(target + self.spread(target) * unit_normals(key, target), 0)
