"""Weights without outliers: clipped after each step, and spread over the conductances column by column."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from xbar.training.array_weights import ArrayWeights, Per, chosen_weights


def clip_weights(
    params: Any,
    sigmas: float | None = None,
    *,
    limit: float | None = None,
    per: Per = "tensor",
    weights: ArrayWeights | None = None,
) -> Any:
    """`params` whose weights are clipped: without outliers the others use more of the conductance range.

    $$ w' = \\mathrm{clip}(w, -c, c), \\qquad c = k\\, \\mathrm{std}(w) \\text{ or a fixed limit} $$

    Args:
        sigmas: `k`, of each tensor's or channel's own standard deviation. limit: `c` itself, in the units of the weights.
            Give one of the two. per, weights: as in `weight_noise`.

    Raises:
        ValueError: for both or neither of them, or numbers that are not positive.

    Reference: Joshi et al. 2020, 10.1038/s41467-020-16108-9; Buechel et al. 2025, arXiv:2505.09663 (2.5 per channel).

    Breaks when: the clean network needs its outliers: clip while training, not afterwards, or clean accuracy is lost.
    """
    if (sigmas is None) == (limit is None) or (sigmas or limit or 0) <= 0:
        raise ValueError(
            f"clip_weights: sigmas={sigmas}, limit={limit}; give one of the two, above 0, such as sigmas=2.5."
        )

    def clipped(w: Array, axes: tuple[int, ...]) -> Array:
        most = jnp.asarray(limit, w.dtype) if sigmas is None else sigmas * jnp.std(w, axes, keepdims=True)
        return jnp.clip(w, -most, most)

    return chosen_weights(weights, params, per).map(clipped, params, per=per)


def keep_clipped(
    sigmas: float | None = None,
    *,
    limit: float | None = None,
    per: Per = "tensor",
    weights: ArrayWeights | None = None,
) -> optax.GradientTransformation:
    """`clip_weights` after each step, as the last link of an Optax chain: `optax.chain(optax.adam(1e-3), keep_clipped(2.5))`.

    $$ u' = \\mathrm{clip}(w + u) - w $$

    Args: as in `clip_weights`. Its `update` needs the parameters: `optimiser.update(grads, state, params)`.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("keep_clipped: give update() the parameters: optimiser.update(grads, state, params).")
        moved = optax.apply_updates(params, updates)
        clipped = clip_weights(moved, sigmas, limit=limit, per=per, weights=weights)
        return jax.tree.map(lambda new, old, u: u if new is None else new - old, clipped, params, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def remap_channels(params: Any, weights: ArrayWeights) -> tuple[Any, Any]:
    """Weights that fill the range of conductances in every channel, and the digital factor of each channel: `w = s w'`.

    $$ s = \\max_{channel}|w|, \\qquad \\max_{channel}|w'| = 1 $$

    Arrays do this themselves at programming (`xbar.Differential(per="column")`, tile by tile); this is for training in the
    mapped units, and for arrays with one scale per tile, which a network follows with factors of its own.

    Returns:
        `params` with `w'`, and a pytree like it with `s` (1 for all other leaves), which broadcasts against the weights.

    Reference: Rasch et al. 2023, 10.1038/s41467-023-40770-4 (channel-wise weight scaling).

    Breaks when: a channel is nothing but one outlier.
    """
    leaves, tree = jax.tree.flatten(params)
    rows = lambda w, own: tuple(d for d in range(w.ndim) if d not in own)  # noqa: E731
    scales = [
        jnp.ones(()) if own is None else _scale(w, rows(w, own))
        for w, own in zip(leaves, weights.channels, strict=True)
    ]
    remapped = [w if own is None else w / s for w, s, own in zip(leaves, scales, weights.channels, strict=True)]
    return jax.tree.unflatten(tree, remapped), jax.tree.unflatten(tree, scales)


def _scale(w: Float[Array, "..."], axes: tuple[int, ...]) -> Float[Array, "..."]:
    largest = jnp.max(jnp.abs(w), axes, keepdims=True)
    return jnp.where(largest > 0, largest, 1)
