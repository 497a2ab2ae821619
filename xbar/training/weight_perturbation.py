"""Weights with hardware noise, for the forward pass of training; gradients pass to the weights unchanged."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from devices.random import unit_normals, unit_uniforms
from xbar.training.array_weights import ArrayWeights, Per, chosen_weights

Normals = Callable[[PRNGKeyArray, Array], Array]
YEAR = 31_536_000.0


def weight_noise(
    params: Any,
    scale: Float[Array, ""] | float,
    *,
    key: PRNGKeyArray,
    relative: bool = True,
    per: Per = "tensor",
    weights: ArrayWeights | None = None,
    normals: Normals = unit_normals,
) -> Any:
    """`params` whose weights carry normal noise: put it around the parameters in a loss.

    $$ \\tilde w = w + \\eta\\, m\\, \\xi, \\quad \\xi \\sim N(0, 1), \\qquad
       m = \\max_{tensor}|w|,\\ \\max_{channel}|w| \\text{ or } 1 $$

    No gradient flows through `m`, so that the gradient with respect to `w` is that at `w~`.

    Args:
        scale: `eta`, a share of the largest weight, or with `relative=False` in the units of the weights. It may be traced: an
            Optax schedule of the step makes a schedule of noise. .03 to .08 are usual shares.
        key: new in each step. per: what shares one `m`; channels are columns of the array.
        weights: which leaves carry noise (`weights_of`); None: all with two axes longer than 1.
        normals: `(key, like) -> array`; by default fresh ones, or a `NoisePool`.

    Raises:
        ValueError: for per="channel" without weights, which know the channels, or a negative scale.

    Warns of a share above 1.

    Reference: Joshi et al. 2020, 10.1038/s41467-020-16108-9 (per layer, up to 8 % of its largest weight); Buechel et al. 2025,
    arXiv:2505.09663 (analog foundation models: 3 % per channel).

    Breaks when: the share is so large that training no longer finds the task (above .08, Joshi et al.); one outlier sets
    `m` of all weights that share it: clip (`clip_weights`).
    """
    chosen = chosen_weights(weights, params, per)
    _check_scale(scale, relative)

    def noisy(w: Array, axes: tuple[int, ...], own: PRNGKeyArray) -> Array:
        size = jnp.max(jnp.abs(jax.lax.stop_gradient(w)), axes, keepdims=True) if relative else jnp.ones((), w.dtype)
        return w + jnp.asarray(scale, w.dtype) * size * normals(own, w).astype(w.dtype)

    return chosen.map(noisy, params, chosen.keys(key, params), per=per)


def _check_scale(scale: Any, relative: bool) -> None:
    if isinstance(scale, Tracer):
        return
    if not np.min(scale) >= 0:
        raise ValueError(f"weight_noise: scale={scale}; it is a standard deviation and must be 0 or more.")
    if relative and np.max(scale) > 1:
        warnings.warn(
            f"weight_noise: scale={scale} is more than the largest weight. It is a share: 0.05 for 5 %.",
            stacklevel=3,
        )


def drop_weights(
    params: Any, rate: Float[Array, ""] | float, *, key: PRNGKeyArray, weights: ArrayWeights | None = None
) -> Any:
    """`params` with each weight set to 0 with probability `rate`, as if its cells were open: DropConnect.

    $$ \\tilde w = M w, \\quad M \\sim \\mathrm{Bernoulli}(1 - p) $$

    The other weights are not scaled up in return, as they are not in an array with faults.

    Args:
        rate: `p`, in [0, 1). key: new in each step. weights: as in `weight_noise`.

    Reference: Wan et al. 2013, ICML (PMLR 28, Regularization of neural networks using DropConnect).

    Breaks when: faults stick at a high conductance: the weight is then large, not 0.
    """
    if not isinstance(rate, Tracer) and not 0 <= float(rate) < 1:
        raise ValueError(f"drop_weights: rate={rate!r}; it is the probability that a weight is 0, within [0, 1).")
    chosen = chosen_weights(weights, params)
    drop = lambda w, axes, own: jnp.where(unit_uniforms(own, w) < rate, jnp.zeros((), w.dtype), w)  # noqa: E731
    return chosen.map(drop, params, chosen.keys(key, params))


class NoisePool(eqx.Module):
    """Normals drawn once, of which every use takes a slice at a random offset: a tenth of the time of fresh ones.

    For `weight_noise(..., normals=pool)`. Pass the pool into a jitted step as an argument, not as a constant.

    Args:
        key: decides the pool. size: how many normals; several times as many as the largest weight has elements.

    Breaks when: statistics are measured: slices overlap, so that draws of different steps or layers are correlated. Use
    fresh draws in tests and for chips.
    """

    values: Float[Array, " size"]

    def __init__(self, key: PRNGKeyArray, size: int = 2**22):
        self.values = jax.random.normal(key, (size,))

    def __call__(self, key: PRNGKeyArray, like: Float[Array, "..."]) -> Float[Array, "..."]:
        """As many normals as `like` has elements, in its shape."""
        if like.size > self.values.size:
            raise ValueError(
                f"NoisePool of {self.values.size} normals for {like.size} weights: make it larger (size=)."
            )
        start = jax.random.randint(key, (), 0, self.values.size - like.size + 1)
        return jax.lax.dynamic_slice(self.values, (start,), (like.size,)).reshape(like.shape).astype(like.dtype)


def log_uniform_times(first: float = 1.0, last: float = YEAR, count: int = 9) -> tuple[float, ...]:
    """Times after programming [s] at equal steps of the logarithm: those that `moment_matched` is to know, to draw from
    in training.

    Args:
        first, last: [s], by default a second and a year. count: how many, at least 2.
    """
    if not 0 < first < last or count < 2:
        raise ValueError(
            f"log_uniform_times: first={first} s, last={last} s, count={count}; give 0 < first < last and count >= 2."
        )
    return tuple(float(t) for t in jnp.geomspace(first, last, count))


def draw_time(key: PRNGKeyArray, first: float = 1.0, last: float = YEAR) -> Float[Array, ""]:
    """A time after programming [s], its logarithm uniform between those of `first` and `last`: for
    `network(params, x, key=k, t=draw_time(k2), compensate="tile")`, on devices whose data cover all these times.

    Reference: Rasch et al. 2023, 10.1038/s41467-023-40770-4, evaluate from a second to a year.
    """
    if not 0 < first < last:
        raise ValueError(f"draw_time: first={first} s, last={last} s; give 0 < first < last.")
    low, high = jnp.log(first), jnp.log(last)
    drawn = jnp.exp(jax.random.uniform(key, (), minval=low, maxval=high))
    return jnp.clip(drawn, first, last)  # rounding leaves no time that a device has no data for
