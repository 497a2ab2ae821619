"""The same weights as a network of integrate-and-fire neurons: rates stand for activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.order_statistics import percentile_of_magnitudes
from xbar.spiking.layers import Spiking, SpikingRun
from xbar.spiking.neurons import LIF

NEVER = 1e30  # a threshold that is not reached: the last layer adds up


def converted(
    layers: Sequence[Callable[[Array], Array]],
    x: Float[Array, "batch ..."],
    steps: int,
    *,
    percentile: float = 99.9,
    dt: float = 1e-3,
) -> Spiking:
    """A chain of linear layers with ReLU between them, as spiking neurons with the same weights.

    $$ w_l' = w_l \\lambda_{l-1} / \\lambda_l, \\qquad b_l' = b_l / \\lambda_l + 1 / (2T) $$

    with the largest activation of each layer `lambda_l` (a percentile over a batch; 1 for the inputs and the last layer),
    neurons that integrate without a leak and subtract their threshold of 1 at a spike. The rate of a neuron is its
    activation over `lambda_l`, rounded to 1/T, in [0, 1]; half a threshold is given over the T steps so that it is rounded
    and not truncated. The last layer does not spike: `v / T` are the logits.

    Args:
        layers: of one input each, with leaves `weight` and perhaps `bias`. x: inputs in [0, 1], to take activations from.
        steps: T. percentile: of activations. dt: duration of a step [s]; it changes nothing but the clock.

    Reference: Diehl et al. 2015, 10.1109/IJCNN.2015.7280696; Rueckauer et al. 2017, 10.3389/fnins.2017.00682; both
        recalled, not read.

    Breaks when: neurons spike late because what feeds them does: with few steps deep layers lag behind.
    """
    scale, synapses, neurons = jnp.ones(()), [], []
    for number, layer in enumerate(layers):
        last = number == len(layers) - 1
        x = jax.vmap(layer)(x)
        top = (
            jnp.ones(())
            if last
            else jnp.maximum(percentile_of_magnitudes(jax.nn.relu(x).ravel(), percentile, (0,)), 1e-6)
        )
        x = x if last else jax.nn.relu(x)
        half = 0.0 if last else 0.5 / steps
        synapses.append(_rescaled(layer, scale / top, 1 / top, half))
        neurons.append(LIF(tau=jnp.inf, threshold=NEVER if last else 1.0))
        scale = top
    return Spiking(synapses, neurons, dt)


class _Biased(eqx.Module):
    """A layer that has no bias, and one for all of its outputs."""

    layer: Callable[[Array], Array]
    bias: Float[Array, ""]

    def __call__(self, x: Array) -> Array:
        return self.layer(x) + self.bias


def _rescaled(layer: Any, weights: Array, bias: Array, more: float) -> Any:
    """A layer with its weights and biases multiplied, and `more` added to every bias (every output, without one)."""
    named = lambda path: "bias" in str(getattr(path[-1], "name", getattr(path[-1], "key", "")))  # noqa: E731

    def change(path: Any, leaf: Any) -> Any:
        if not eqx.is_inexact_array(leaf):
            return leaf
        return leaf * bias + more if named(path) else leaf * weights

    own = [named(path) for path, leaf in jax.tree_util.tree_leaves_with_path(layer) if eqx.is_inexact_array(leaf)]
    changed = jax.tree_util.tree_map_with_path(change, layer)
    return changed if any(own) or not more else _Biased(changed, jnp.asarray(more))


def rate_logits(run: SpikingRun) -> Float[Array, "batch outputs"]:
    """Logits of a converted network: what its last layer has added up, over the number of steps."""
    return run.v[-1] / len(run.v)
