"""Networks of spiking layers: products are ordinary ones, so that `xbar.analog` puts their weights on crossbars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from xbar.spiking.neurons import LIF


class SpikingRun(eqx.Module):
    """The result of a spiking run.

    Args:
        spikes: of each layer, over time. v: membrane of the last layer, over time.
    """

    spikes: tuple[Float[Array, "steps batch ..."], ...]
    v: Float[Array, "steps batch outputs"]

    @property
    def counts(self) -> tuple[Float[Array, " batch"], ...]:
        """Spikes of each layer, summed over neurons and time; differentiable, so that they can be penalised."""
        return tuple(jnp.sum(s, axis=(0, *range(2, s.ndim))) for s in self.spikes)


class Spiking(eqx.Module):
    """Layers of synapses and neurons, run over time.

    Args:
        synapses: of each layer, `currents = synapse(spikes)` for one input (an `eqx.nn.Linear`, a convolution, ...).
        neurons: of each layer.
        recurrent: of each layer, synapses from its own spikes of the step before, or None.
        dt: time step [s].
    """

    synapses: list[Callable[[Array], Array]]
    neurons: list[LIF]
    recurrent: list[Callable[[Array], Array] | None]
    dt: float = eqx.field(static=True)

    def __init__(
        self,
        synapses: Sequence[Callable[[Array], Array]],
        neurons: Sequence[LIF],
        dt: float = 1e-3,
        recurrent: Sequence[Any] | None = None,
    ):
        if len(synapses) != len(neurons):
            raise ValueError(
                f"Spiking: {len(synapses)} layers of synapses and {len(neurons)} of neurons; give equally many of both."
            )
        self.synapses, self.neurons, self.dt = list(synapses), list(neurons), dt
        self.recurrent = list(recurrent) if recurrent is not None else [None] * len(synapses)

    def __call__(self, x: Shaped[Array, "steps batch ..."]) -> SpikingRun:
        """Runs over the first axis of `x`; spikes may be booleans."""
        shapes = self._shapes(x)
        states = tuple(n.start(s) for n, s in zip(self.neurons, shapes, strict=True))
        silent = tuple(jnp.zeros(s) for s in shapes)

        def step(carry, spikes):
            states, last = carry
            new, out = [], []
            for synapse, neuron, loop, state, own in zip(
                self.synapses, self.neurons, self.recurrent, states, last, strict=True
            ):
                current = jax.vmap(synapse)(spikes)
                current = current if loop is None else current + jax.vmap(loop)(own)
                state, spikes = neuron.step(state, current, self.dt)
                new.append(state)
                out.append(spikes)
            return (tuple(new), tuple(out)), (tuple(out), new[-1].v)

        _, (spikes, v) = jax.lax.scan(step, (states, silent), x)
        return SpikingRun(spikes, v)

    def _shapes(self, x: Array) -> list[tuple[int, ...]]:
        """Shapes of all layers' neurons for this batch."""
        found, like = [], jax.ShapeDtypeStruct(x.shape[1:], jnp.float32)
        for synapse in self.synapses:
            like = jax.eval_shape(jax.vmap(synapse), like)
            found.append(like.shape)
        return found
