"""Write errors: the programmed conductance against its target."""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices._checks import (
    Checked,
    at_least_0,
    chance,
    positive,
    positive_siemens,
    same_length,
    siemens,
    signed_siemens,
)
from devices.base import AbstractProgramming
from devices.curves import Curve, siemens_spread
from devices.random import unit_normals, unit_uniforms


class ExactProgramming(AbstractProgramming):
    """`g = target`."""

    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return target


class AbstractError(Checked):
    """The shape of an error: a random number of unit scale."""

    @abc.abstractmethod
    def __call__(self, like: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        """A draw for each cell."""


class Normal(AbstractError):
    """Standard normal: the scale is the standard deviation."""

    def __call__(self, like: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return unit_normals(key, like)


class Uniform(AbstractError):
    """Uniform between -1 and 1: the scale is the half width, and the standard deviation 0.577 of it."""

    def __call__(self, like: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return 2 * unit_uniforms(key, like) - 1


class StudentT(AbstractError):
    """Student's t: heavy tails; the standard deviation is `sqrt(dof / (dof - 2))` of the scale, infinite for `dof <= 2`.

    Args:
        dof: degrees of freedom; 1 is Cauchy's distribution, infinity the normal one.
    """

    dof: Float[Array, ""] = eqx.field(converter=positive.but(infinite=True))

    def __call__(self, like: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return jax.random.t(key, self.dof.astype(jnp.float32), like.shape, jnp.float32).astype(like.dtype)


class NormalMixture(AbstractError):
    """Standard normal, or for a `share` of the cells `widening` times as wide: the standard deviation is
    `sqrt(1 + share (widening^2 - 1))` of the scale.

    Args:
        share: probability of the wide one. widening: its standard deviation in units of the other's.
    """

    share: Float[Array, ""] = eqx.field(converter=chance)
    widening: Float[Array, ""] = eqx.field(converter=at_least_0)

    def __call__(self, like: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        which, size = jax.random.split(key)
        wide = unit_uniforms(which, like) < self.share
        return unit_normals(size, like) * jnp.where(wide, self.widening.astype(like.dtype), 1)


class SpreadProgramming(AbstractProgramming):
    """An independent write error whose scale depends on the target.

    $$ g = \\max(g_T + \\sigma(g_T / g_{max})\\,\\xi, 0) $$

    Args:
        spread: `sigma` [S]: a number or a curve of the normalised target (`devices.curves`: `Polynomial`, `Proportional`,
            `InverselyProportional`, `Saturating`, `Table`).
        g_max: normalisation [S].
        error: distribution of xi: `Normal()`, `Uniform()`, `StudentT(dof)` or `NormalMixture(share, widening)`.

    Reference: PCM, Joshi et al. 2020, 10.1038/s41467-020-16108-9 (normal, polynomial spread).

    Breaks when: the error is asymmetric; the clip at 0 S makes the mean of very low targets rise (by 0.4 sigma at a
    target of 0, for a normal error).
    """

    spread: Curve = eqx.field(converter=siemens_spread)
    g_max: Float[Array, ""] = eqx.field(converter=positive_siemens)
    error: AbstractError = eqx.field(default_factory=Normal)

    def scale(self, target: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """Scale of the write error [S] at `target` [S]."""
        return self.spread(target / self.g_max)

    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return jnp.maximum(target + self.scale(target) * self.error(target, key=key), 0)


class QuantisedProgramming(AbstractProgramming):
    """Only certain conductance levels can be targeted: each target is moved to the nearest level, which is then programmed.

    The derivative with respect to the target passes straight through.

    Args:
        levels: the conductances [S], ascending. programming: the write error at each.
    """

    levels: Float[Array, " levels"] = eqx.field(converter=siemens.but(ascending=True))
    programming: AbstractProgramming = eqx.field(default_factory=ExactProgramming)

    def nearest(self, target: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """The level nearest to each target."""
        levels = self.levels.astype(target.dtype)
        bounds = (levels[1:] + levels[:-1]) / 2
        rounded = levels[jnp.searchsorted(bounds, jax.lax.stop_gradient(target))]
        return rounded + (target - jax.lax.stop_gradient(target))

    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return self.programming(self.nearest(target), key=key)


class ScaledProgramming(AbstractProgramming):
    """The write error of a cell with another range, at the same share of that range.

    $$ g = P(s\\,g_T) / s $$

    Args:
        programming: P, of the other cell. factor: s, the other cell's largest conductance over this one's.
    """

    programming: AbstractProgramming
    factor: Float[Array, ""] = eqx.field(converter=positive)

    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        factor = self.factor.astype(target.dtype)
        return self.programming(target * factor, key=key) / factor


class QuantileProgramming(AbstractProgramming):
    """A write error as it was measured: its quantiles at a few targets, linear between them.

    $$ g = \\max(g_T + q(u, g_T), 0), \\qquad u \\sim U(0, 1) $$

    Args:
        targets: [S], ascending. probabilities: of the quantiles, ascending in (0, 1). errors: the quantiles [S].

    Breaks when: tails beyond the outermost probabilities matter (they are cut there), or targets lie outside the
    measured ones (the nearest measured target is used).
    """

    targets: Float[Array, " targets"] = eqx.field(converter=siemens.but(ascending=True))
    probabilities: Float[Array, " probabilities"] = eqx.field(converter=chance.but(ascending=True, ties=True))
    errors: Float[Array, "targets probabilities"] = eqx.field(converter=signed_siemens)

    def __check_init__(self):
        same_length(self, "targets", "errors")

    def quantile(self, target: Float[Array, "*cells"], u: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
        """Error [S] at `target` [S] that is not exceeded with probability `u`."""
        row, across = _bracket(self.targets.astype(target.dtype), target)
        column, along = _bracket(self.probabilities.astype(target.dtype), u)
        at = lambda i, j: self.errors[row + i, column + j].astype(target.dtype)  # noqa: E731
        low, high = (at(i, 0) + along * (at(i, 1) - at(i, 0)) for i in (0, 1))
        return low + across * (high - low)

    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        u = unit_uniforms(key, target)
        return jnp.maximum(target + self.quantile(target, u), 0)


def _bracket(nodes, x):
    """The interval of ascending `nodes` that holds `x`, and how far along it, between 0 and 1."""
    left = jnp.clip(jnp.searchsorted(nodes, x, side="right") - 1, 0, nodes.shape[0] - 2)
    return left, jnp.clip((x - nodes[left]) / (nodes[left + 1] - nodes[left]), 0, 1)
