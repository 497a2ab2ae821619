"""How carefully cells are written: the error left after a number of pulses, and which layers are worth the pulses."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfinv
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def error_after(pulses: ArrayLike) -> Float[Array, "*layers"]:
    """Rms write error of a loop that needs `pulses` on average, as a share of that of a single pulse.

    Every pulse redraws the error (normal, standard deviation 1), and the loop stops inside a window of half width a:

    $$ n = 1 / \\mathrm{erf}(a / \\sqrt 2), \\qquad s^2 = 1 - 2 a n \\varphi(a) $$

    with phi the normal density: the variance of a normal error cut off at +-a. For many pulses `s = sqrt(pi / 6) / n`.

    Args:
        pulses: n, mean number of pulses of a cell, above 1.

    Breaks when: pulses creep towards the target (the error then falls faster, until a step is as large as the window), or
    the verifying read is as noisy as the window is wide.
    """
    n = jnp.asarray(pulses, jnp.result_type(float))
    a = np.sqrt(2.0) * erfinv(1 / n)
    density = jnp.exp(-(a**2) / 2) / np.sqrt(2 * np.pi)
    return jnp.sqrt(1 - 2 * a * n * density)


def shares(costs: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Pulses of each layer, relative to the mean over all cells, that raise the loss least.

    With the error of a cell as `1 / n`, `sum F / n^2` at given `sum N n` is least for `n ~ (F / N)^(1/3)`.

    Args:
        costs: F, rise of the loss due to each layer's errors at equal effort. cells: N of each layer.
    """
    floor = 1e-3 * np.max(costs / cells)
    raw = np.maximum(costs / cells, floor if floor > 0 else 1.0) ** (1 / 3)
    return raw / (np.sum(raw * cells) / np.sum(cells))


def layer_costs(task: Any, model: Any, paths: tuple[str, ...], key: Any, probes: int = 8) -> np.ndarray:
    """Rise of the loss due to equal relative errors of all weights of a layer, for each layer [loss per squared error].

    $$ F_l = \\max_i w_i^2 \\sum_i \\max(H_{ii}, 0) $$

    H is the diagonal of the loss's second derivative on the task's inputs (near a minimum, its Fisher information), as
    `xbar.training.curvature` estimates it.

    Args:
        task: `x`, `y`, and the network. paths: of the layers' weights among the parameters; one that is not there, such as a
            weight made of several, counts as the mean of the others. probes: of the estimate.
    """
    from xbar.training import curvature

    network = task.network
    loss = lambda params, x, y: network.loss(network.f(params, x), y)  # noqa: E731
    measure = eqx.filter_jit(lambda params, x, y, k: curvature(loss, params, x, y, key=k, probes=probes))
    second, weights = _by_path(measure(model, task.x, task.y, key)), _by_path(model)
    of = lambda p: float(np.max(weights[p] ** 2) * np.sum(np.maximum(second[p], 0)))  # noqa: E731
    known = [of(p) for p in paths if p in weights]
    return np.array([of(p) if p in weights else np.mean(known or [1.0]) for p in paths])


def _by_path(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_inexact_array))[0]
    return {jax.tree_util.keystr(p, simple=True, separator=".") or "params": np.asarray(x, float) for p, x in leaves}
