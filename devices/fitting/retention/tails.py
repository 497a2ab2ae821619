"""Tails of a deviation that all reads of one write share: none, Student's t, or a mixture of two normal distributions.

A write's reads deviate by `lambda` times a normal vector y of known covariance; the three differ in how the factor lambda is
distributed over writes.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.fitting.engine.candidate import Values
from devices.fitting.engine.parameters import Parameter
from devices.programming import AbstractError, Normal, NormalMixture, StudentT


class AbstractTails(eqx.Module):
    """The distribution of the factor lambda."""

    def parameters(self) -> tuple[Parameter, ...]:
        """What there is to be found."""
        return ()

    def guess(self) -> dict[str, float]:
        """Where to start from."""
        return {}

    @abc.abstractmethod
    def cost(
        self, values: Values, squares: Float[Array, " writes"], reads: Float[Array | np.ndarray, " writes"]
    ) -> Float[Array, " writes"]:
        """Negative log density of each write's reads, of which `squares` is `y' C^-1 y`, except for `ln det(C) / 2`."""

    @abc.abstractmethod
    def factors(self, values: Values, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Float[Array, "*writes"]:
        """Draws of lambda."""

    @abc.abstractmethod
    def shape(self, values: Any) -> Any:
        """The distribution of one deviation in units of its scale, with SciPy's `cdf`, `ppf`, `logpdf` and `var`."""

    def scores(self, values: Any, z: np.ndarray, squares: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Deviations given the earlier reads of their writes (their number and the sum of their squares) as standard normal
        numbers."""
        tail = self.beyond(values, np.abs(z), squares, seen)
        return np.sign(z) * stats.norm.isf(np.maximum(tail, 1e-300))

    @abc.abstractmethod
    def beyond(self, values: Any, z: np.ndarray, squares: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Probability of a deviation larger than `z`, given the earlier ones."""

    @abc.abstractmethod
    def error(self, values: Values) -> AbstractError:
        """The same for a law of a device."""


class NoTails(AbstractTails):
    """lambda is 1."""

    def cost(self, values, squares, reads):
        return squares / 2 + reads / 2 * jnp.log(2 * jnp.pi)

    def factors(self, values, shape, *, key):
        return jnp.ones(shape)

    def shape(self, values):
        return stats.norm()

    def beyond(self, values, z, squares, seen):
        return stats.norm.sf(z)

    def error(self, values):
        return Normal()


class StudentTails(AbstractTails):
    """`lambda^2 = dof / chi^2_dof`: every deviation is Student's t."""

    def parameters(self):
        return (Parameter("dof", "", 0.5, 200.0, (1.5, 10.0), log=True),)

    def guess(self):
        return {"dof": 3.0}

    def cost(self, values, squares, reads):
        dof = values["dof"]
        shape = lax.lgamma(dof / 2) - lax.lgamma((dof + reads) / 2) + reads / 2 * jnp.log(dof * jnp.pi)
        return shape + (dof + reads) / 2 * jnp.log1p(squares / dof)

    def factors(self, values, shape, *, key):
        dof = values["dof"]
        return jnp.sqrt(dof / 2 / jax.random.gamma(key, dof / 2, shape, jnp.float64))

    def shape(self, values):
        return stats.t(values["dof"])

    def beyond(self, values, z, squares, seen):
        dof = values["dof"]
        return stats.t.sf(z * np.sqrt((dof + seen) / (dof + squares)), dof + seen)

    def error(self, values):
        return StudentT(values["dof"])


class MixtureTails(AbstractTails):
    """lambda is 1, or `widening` for a `share` of the writes: two kinds of cells, or of writes."""

    def parameters(self):
        return (
            Parameter("share", "", 1e-4, 0.9999, (0.02, 0.6)),
            Parameter("widening", "", 1.001, 1e3, (1.5, 8.0), log=True),
        )

    def guess(self):
        return {"share": 0.2, "widening": 3.0}

    def cost(self, values, squares, reads):
        share, wide = values["share"], values["widening"]
        narrow = jnp.log1p(-share) - squares / 2
        other = jnp.log(share) - reads * jnp.log(wide) - squares / (2 * wide**2)
        return reads / 2 * jnp.log(2 * jnp.pi) - jnp.logaddexp(narrow, other)

    def factors(self, values, shape, *, key):
        return jnp.where(jax.random.uniform(key, shape, jnp.float64) < values["share"], values["widening"], 1.0)

    def shape(self, values):
        return TwoNormals(values["share"], values["widening"])

    def beyond(self, values, z, squares, seen):
        wide = values["widening"]
        odds = (
            np.log(values["share"] / (1 - values["share"])) - seen * np.log(wide) + squares / 2 * (1 - wide**-2)
        )  # of having been the wide one so far
        share = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
        return (1 - share) * stats.norm.sf(z) + share * stats.norm.sf(z / wide)

    def error(self, values):
        return NormalMixture(values["share"], values["widening"])


class TwoNormals:
    """A normal distribution of standard deviation 1 and, with probability `share`, one of `widening`; methods as SciPy's."""

    def __init__(self, share: float, widening: float):
        self.share, self.widening = share, widening

    def cdf(self, z: Any) -> Any:
        return (1 - self.share) * stats.norm.cdf(z) + self.share * stats.norm.cdf(np.divide(z, self.widening))

    def logpdf(self, z: Any) -> Any:
        wide = np.log(self.share / self.widening) + stats.norm.logpdf(np.divide(z, self.widening))
        return np.logaddexp(np.log1p(-self.share) + stats.norm.logpdf(z), wide)

    def var(self) -> float:
        return 1 - self.share + self.share * self.widening**2

    def ppf(self, p: Any) -> Any:
        """By bisection between the quantiles of the two."""
        ends = np.stack([stats.norm.ppf(p), self.widening * stats.norm.ppf(p)])
        low, high = ends.min(0), ends.max(0)
        for _ in range(60):
            middle = (low + high) / 2
            above = self.cdf(middle) > p
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return (low + high) / 2
