"""Committees: several chips that decide together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.chip import Chip


def committee(
    wafer: Chip,
    *inputs: Any,
    t: Float[Array, ""] | float | None = None,
    key: PRNGKeyArray | None = None,
    of: Callable[[Any], Any] = lambda outputs: outputs,
) -> Any:
    """The mean of the outputs of all chips of a wafer.

    $$ y = \\frac1N \\sum_i h\\bigl(f_i(x)\\bigr) $$

    Errors that are independent from chip to chip fall with the square root of their number; what the network itself
    gets wrong stays. Networks from several trainings do better, where available: stack their outputs and take the mean.

    Args:
        wafer: chips programmed with one network (`jax.vmap` of `program`). inputs, t, key: as in a call of a chip.
        of: `h`, what is averaged for each output; `jax.nn.softmax` for probabilities.

    Raises:
        ValueError: for a single chip.

    Reference: Joksas et al. 2020, 10.1038/s41467-020-18098-0 (averaged outputs of networks, at equal numbers of memristors).

    Breaks when: errors are common to all chips, such as a drift that is not compensated.
    """
    if not wafer.wafer:
        raise ValueError(
            "committee: this is a single chip. Make a wafer: jax.vmap(lambda k: network.program(params, x, key=k))(keys)."
        )
    return jax.tree.map(lambda y: jnp.mean(y, 0), jax.vmap(of)(wafer(*inputs, t=t, key=key)))
