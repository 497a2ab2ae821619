"""Low-rank digital adapters beside fixed analog weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from xbar.chip import Chip
from xbar.macro.state import Correction


def low_rank_adapters(
    chip: Chip, rank: int, *, key: PRNGKeyArray, layers: Callable[[str], bool] | None = None
) -> dict[int, Correction]:
    """A trainable matrix of low rank beside each array, computed in digital logic; the cells stay as they are.

    $$ y' = y + x A B, \\qquad A \\in \\mathbb R^{k \\times r},\\ B \\in \\mathbb R^{r \\times n}, \\quad
       A \\sim N(0, 1/k),\\ B = 0 $$

    A dictionary by layer number, a pytree to differentiate with respect to and to give to Optax:

        adapters = low_rank_adapters(chip, 4, key=key)
        loss = lambda adapters: task(chip.with_corrections(adapters)(x, t=t, key=k), y)

    or `network(params, x, key=k, corrections=adapters)` for fresh devices in every step. As `B` is 0, nothing changes at
    first. A new task or an older chip needs new adapters and no writing of cells.

    Args:
        chip: the layers that there are, whatever the function. rank: `r`, usually 1 to 16. key: decides `A`.
        layers: `path -> bool`: which layers get one; all by default. Layers of one path in a loop of equal blocks get one
            each.

    Raises:
        ValueError: for a rank that is not a whole number above 0, or if no layer is chosen.

    Reference: Li et al. 2024, arXiv:2411.17367 (AHWA-LoRA); Hu et al. 2021, arXiv:2106.09685.

    Breaks when: a matrix is small: `r (k + n)` is then not a small fraction of `k n`. The adapters' work is digital:
    `Chip.energy` says that it is not counted.
    """
    if isinstance(rank, bool) or int(rank) != rank or rank < 1:
        raise ValueError(f"low_rank_adapters: rank={rank!r}; it must be a whole number of at least 1.")
    found = {}
    for i, array in chip.arrays.items():
        layer = chip.plan_layers[i]
        if layers is not None and not any(map(layers, layer.names)):
            continue
        groups, k, n = layer.product.sizes
        stack = (*layer.lengths, groups)
        dtype = jax.tree.leaves(array.code)[0].dtype
        a = jax.random.normal(jax.random.fold_in(key, i), (*stack, k, rank), dtype) / math.sqrt(k)
        found[i] = Correction(a=a, b=jnp.zeros((*stack, rank, n), dtype))
    if not found:
        names = ", ".join(name for i in chip.arrays for name in chip.plan_layers[i].names)
        raise ValueError(f"low_rank_adapters: layers= chose none of {names}.")
    return found


def share_of_weights(adapters: dict[int, Correction], chip: Chip) -> float:
    """The numbers in adapters as a share of the weights on the chip's arrays."""
    sizes = (math.prod((*chip.plan_layers[i].lengths, *chip.plan_layers[i].product.sizes)) for i in chip.arrays)
    return sum(leaf.size for leaf in jax.tree.leaves(adapters)) / sum(sizes)
