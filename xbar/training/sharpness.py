"""Gradients that look for flat minima, where errors of the weights cost least."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


def sharpness_aware(
    gradient: Callable[..., Any], radius: float = 0.05, *, adaptive: bool = False
) -> Callable[..., Any]:
    """A gradient taken where the loss nearby is worst: `jax.grad(loss)` becomes `sharpness_aware(jax.grad(loss))`.

    $$ g' = \\nabla L\\!\\left(w + \\rho \\frac{g}{\\lVert g \\rVert}\\right), \\quad g = \\nabla L(w); \\qquad
       \\text{adaptive: } w + \\rho \\frac{w^2 g}{\\lVert w\\, g \\rVert} $$

    Args:
        gradient: `(params, *rest) -> gradients`, as `jax.grad` and `eqx.filter_grad` give it; called twice with the same
            `rest`, so that both see the same devices.
        radius: `rho`, in the units of the weights (.05), or, adaptive, relative to them (usually .5).
        adaptive: larger weights may move further, as under errors in proportion to them.

    Raises:
        ValueError: for a radius that is not above 0.

    Reference: Foret et al. 2021, arXiv:2010.01412; adaptive: Kwon et al. 2021, arXiv:2102.11600.

    Breaks when: the gradient is 0: there is no direction, and it stays 0. Costs twice a plain gradient.
    """
    if radius <= 0:
        raise ValueError(f"sharpness_aware: radius={radius!r}; it must be above 0, usually .05.")

    def at_the_worst(params: Any, *rest: Any, **more: Any) -> Any:
        g = gradient(params, *jax.tree.map(_again, rest), **jax.tree.map(_again, more))
        weighted = _each(lambda w, d: jnp.abs(w) * d, params, g) if adaptive else g
        size = jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(eqx.filter(weighted, eqx.is_inexact_array))))
        step = jnp.where(size > 0, radius / jnp.where(size > 0, size, 1), 0)
        move = lambda w, d: jax.lax.stop_gradient(w + (step * d * (w**2 if adaptive else 1)).astype(w.dtype))  # noqa: E731
        return gradient(_each(move, params, g), *rest, **more)

    return at_the_worst


def _again(leaf: Any) -> Any:
    """A key that may be used once more, as both gradients are to see the same draws; anything else as it is."""
    is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.clone(leaf) if is_key else leaf


def _each(f: Callable[..., Any], params: Any, gradients: Any) -> Any:
    """`f(w, g)` of every real leaf with a gradient; others as they are."""
    one = lambda g, w: w if g is None or not eqx.is_inexact_array(w) else f(w, g)  # noqa: E731
    return jax.tree.map(one, gradients, params, is_leaf=lambda x: x is None)
