"""Events of a spiking run: spikes, synaptic operations, updates of neurons, packets and hops; differentiable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from xbar.energy.units import as_float
from xbar.spiking.layers import Spiking, SpikingRun


class EventCounts(eqx.Module):
    """Events of one inference, means over a batch.

    Args:
        spikes: of the inputs and of each layer. synaptic: additions of a weight, one for each spike and synapse it meets.
        dense: synapses times steps: what `synaptic` is if every neuron spikes in every step. updates: neurons times steps.
        packets: messages between cores, one for each spike and core it goes to. hops: of all packets, on the mesh.
        steps: time steps.
    """

    spikes: tuple[Float[Array, ""], ...]
    synaptic: Float[Array, ""]
    dense: Float[Array, ""]
    updates: Float[Array, ""]
    packets: Float[Array, ""]
    hops: Float[Array, ""]
    steps: int = eqx.field(static=True)

    @property
    def share(self) -> Float[Array, ""]:
        """Operations that were done, as a share of those of a dense network in all steps."""
        return self.synaptic / self.dense


def count_events(
    network: Spiking, x: Shaped[Array, "steps batch ..."], run: SpikingRun, *, per_core: int = 256
) -> EventCounts:
    """Counts the events of a run.

    A spike costs an operation in every synapse that leaves its neuron, and goes as one packet to each core of the layer that
    it feeds. Cores hold `per_core` neurons and lie on a square mesh, filled row by row, back and forth, layer after
    layer; inputs enter at the corner. Of analog inputs (values other than 0 and 1), each that is not 0 counts as a
    spike.

    Args:
        network: what ran. x: its inputs. run: its result. per_core: neurons of one core; 256 as in TrueNorth.

    Raises:
        ValueError: for `per_core` below 1.

    Breaks when: synapses pool or scale in addition to their weights: fan-outs are those of weights alone.
    """
    if per_core < 1:
        raise ValueError(f"count_events: per_core={per_core}; a core holds at least 1 neuron.")
    batch, steps = x.shape[1], x.shape[0]
    first = (x != 0).astype(jnp.float32) if x.dtype != bool else x.astype(jnp.float32)
    sources = [jnp.sum(s, 0) / batch for s in (first, *run.spikes)]  # per batch element and neuron, over steps
    rates = [jnp.sum(s, 0) for s in sources]
    places = mesh_places([1] + [max(1, -(-int(r.size) // per_core)) for r in rates[1:]])
    synaptic = dense = packets = hops = jnp.zeros(())
    for i, (synapse, loop) in enumerate(zip(network.synapses, network.recurrent, strict=True)):
        for body, source in ((synapse, i), (loop, i + 1)):
            if body is None:
                continue
            out = fan_out(body, rates[source].shape)
            synaptic = synaptic + jnp.sum(rates[source] * out)
            dense = dense + steps * jnp.sum(out)
            sent, far = _travel(rates[source], places[source], places[i + 1], per_core)
            packets, hops = packets + sent, hops + far
    spikes = tuple(jnp.sum(r) for r in rates)
    return EventCounts(spikes, synaptic, dense, as_float(steps * sum(r.size for r in rates[1:])), packets, hops, steps)


def fan_out(synapse: Callable[[Array], Array], shape: tuple[int, ...]) -> Float[Array, "*neurons"]:
    """Synapses that leave each input neuron: the slope of the sum of outputs with every weight at 1 and every bias at 0."""
    ones = jax.tree_util.tree_map_with_path(_of_ones, synapse)
    return jax.grad(lambda s: jnp.sum(ones(s)))(jnp.zeros(shape))


def _of_ones(path: Any, leaf: Any) -> Any:
    if not eqx.is_inexact_array(leaf):
        return leaf
    name = getattr(path[-1], "name", getattr(path[-1], "key", "")) if path else ""
    return jnp.zeros_like(leaf) if "bias" in str(name) else jnp.ones_like(leaf)


def mesh_places(cores: Sequence[int]) -> list[np.ndarray]:
    """Places `(cores, 2)` of each layer's cores on a square mesh, filled row by row, back and forth."""
    side = max(1, int(np.ceil(np.sqrt(sum(cores)))))
    y, x = np.divmod(np.arange(sum(cores)), side)
    places = np.stack([np.where(y % 2, side - 1 - x, x), y], -1)
    return np.split(places, np.cumsum(cores)[:-1])


def _travel(
    rates: Float[Array, "*neurons"], here: np.ndarray, there: np.ndarray, per_core: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Packets of these spikes, and their hops (distances in both directions of the mesh)."""
    core = np.minimum(np.arange(rates.size) // per_core, len(here) - 1)
    way = np.abs(here[:, None] - there[None]).sum((-1, -2))
    return jnp.sum(rates) * len(there), jnp.sum(rates.ravel() * way[core])
