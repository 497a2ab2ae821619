"""Converter ranges that are learned instead of measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.calibration import with_ideal_converters
from xbar.chip import Chip


def learn_ranges(
    chip: Chip,
    *inputs: Any,
    key: PRNGKeyArray | None = None,
    t: Float[Array, ""] | float | None = None,
    loss: Callable[[Any], Float[Array, ""]] | None = None,
    steps: int = 50,
    rate: float = 0.05,
) -> Chip:
    """Moves a calibrated chip's converter ranges to where they cost least, by gradients.

    $$ \\ln r \\leftarrow \\ln r - \\eta\\, \\mathrm{Adam}\\!\\left(\\frac{\\partial L}{\\partial \\ln r}\\right), \\qquad
       \\frac{\\partial q(x)}{\\partial r} = \\begin{cases} (q(x) - x)/r & |x| < r \\\\ \\mathrm{sign}(x) & \\text{else}
       \\end{cases} $$

    A range is a compromise between rounding and clipping; the derivative accounts for both. Without labels, the loss is
    the squared difference of the outputs from those of the same cells with ideal converters.

    Args:
        chip: calibrated, for ranges to start from. inputs: a representative batch.
        key: for the noise of the reads, the same in each step; None reads without noise. t: time since programming [s].
        loss: `outputs -> number` of your own, such as a cross-entropy with labels. steps, rate: of Adam; the rate is that
            of ln r.

    Returns:
        The chip with the ranges of the lowest loss that was seen.

    Raises:
        ValueError: for a chip that is not calibrated.

    Reference: Esser et al. 2020, arXiv:1902.08153 (learned step size); Rasch et al. 2023, 10.1038/s41467-023-40770-4, and
    Buechel et al. 2025, arXiv:2505.09663, learn input ranges while training: for that, differentiate with respect to
    the ranges given to `network(..., ranges=)`.

    Breaks when: the batch does not have the extremes that later inputs have.
    """
    if chip.wafer:
        settings: Any = dict(t=t, loss=loss, steps=steps, rate=rate)
        return chip.each_chip(lambda one, k: learn_ranges(one, *inputs, key=k, **settings), key)
    if chip.ranges.keys() != chip.arrays.keys():
        raise ValueError("learn_ranges: this chip has no ranges to start from. Calibrate it: xbar.calibrate(chip, x).")
    now = chip if chip.taken is not None else chip.at(t)
    read = lambda c: c.watch(inputs, key=key)[0]  # noqa: E731
    wanted = read(with_ideal_converters(now)) if loss is None else None
    cost = loss or (lambda y: sum(map(_squared_error, jax.tree.leaves(y), jax.tree.leaves(wanted))))
    optimiser = optax.adam(rate)

    def step(state: Any, _: None) -> tuple[Any, Any]:
        logs, moments = state
        value, slope = jax.value_and_grad(lambda r: cost(read(now.with_ranges(jax.tree.map(jnp.exp, r)))))(logs)
        updates, moments = optimiser.update(slope, moments)
        return (optax.apply_updates(logs, updates), moments), (value, logs)

    start = jax.tree.map(jnp.log, chip.ranges)
    _, (values, seen) = jax.lax.scan(step, (start, optimiser.init(start)), None, length=steps)
    best = jnp.nanargmin(values)
    return chip.with_ranges(jax.tree.map(lambda r: jnp.exp(r[best]), seen))


def _squared_error(a: Array, b: Array) -> Array:
    return jnp.mean(jnp.square(a - jax.lax.stop_gradient(b)))
