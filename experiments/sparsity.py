"""Which hardware profits from zeros? Energy of a layer against the share of zeros in its inputs and in its weights.

The same products on a GPU, whose dense arithmetic multiplies zeros (with 2:4 weights it skips half), on a crossbar that
reads a frame at a time, on one that is driven by events, and on a digital event-driven chip.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments import chosen_devices, chosen_macros
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "Which hardware profits from zeros: energy against the sparsity of inputs and weights"
SYSTEMS = {
    "H100, dense": "roofline, INT8, at the ridge batch: zeros are multiplied like other numbers",
    "H100, 2:4 weights": "from 50 % zeros in weights on, two of four: twice the operations per second, 5/8 of the bytes",
    "frame-based crossbar": "the energy of reads of all inputs at once: converters work however many inputs are zero",
    "event-driven crossbar": "the same reads where circuits wait for events: rows at 0 are not driven, addresses travel, and "
    "integrators and comparators replace converters",
    "Loihi": "published energies of a synaptic operation and of a neuron's update: zeros of both kinds are skipped",
}
NEURON_UPDATE = 81e-12  # [J] of Loihi, active: keras-spiking [R]
TWO_OF_FOUR = 0.5 * (1 + 2 / 8)  # bytes of 2:4 weights of 8 bits: half the values, 2 bits of position each


@dataclasses.dataclass(frozen=True)
class Config(chosen_macros.Setting):
    """Settings; the defaults take about a minute on two cores."""

    MACRO = {"rows": 256, "cols": 256}  # noqa: RUF012  (not a field: what `chosen_macros.setting` starts from)

    inputs: int = 256
    """Inputs of the layer."""
    outputs: int = 256
    """Outputs of the layer."""
    activation_zeros: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99)
    """Shares of zeros in the inputs."""
    weight_zeros: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.9)
    """Shares of zeros in the weights."""
    device: str = "pcm"
    """Memory cell; see `xbar run sensitivity --help`."""
    adc_bits: int | None = None
    """Resolution of the output converters; by default 8, or as in the architecture."""
    vectors: int = 64
    """Input vectors to average over."""
    chips: int = 5
    """Chips, with weights and inputs of their own."""
    seed: int = 0
    """Random seed of the weights, inputs and chips."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    chosen_macros.check(config)
    for name in ("inputs", "outputs", "vectors", "chips"):
        if not 1 <= getattr(config, name) <= 4096:
            raise UsageError(f"--{name} {getattr(config, name)}: give 1 to 4096.")
    for name in ("activation_zeros", "weight_zeros"):
        values = getattr(config, name)
        if not values or len(set(values)) != len(values) or not all(0 <= v < 1 for v in values):
            raise UsageError(
                f"--{name.replace('_', '-')}: give different shares from 0 to below 1, not {list(values)}."
            )
    if config.adc_bits is not None and not 2 <= config.adc_bits <= 16:
        raise UsageError(f"--adc-bits {config.adc_bits}: give 2 to 16 bits.")
    chosen_macros.check_fits(config, chosen_devices.find(config.device))


def layout(config: Config) -> Layout:
    dimensions = {
        "weight_zeros": Dimension(config.weight_zeros, "share of zeros in the weights"),
        "activation_zeros": Dimension(config.activation_zeros, "share of zeros in the inputs"),
        "system": Dimension(tuple(SYSTEMS), "system"),
        "chip": Dimension(range(config.chips), "chip, with weights and inputs of its own"),
        "part": Dimension(("array", "converters", "rest"), "part of the frame-based crossbar's energy"),
    }
    places = ("weight_zeros", "activation_zeros")
    variables = {
        "energy": Variable((*places, "system", "chip"), "energy of a multiply-accumulate of the dense layer", "J"),
        "parts": Variable((*places, "part", "chip"), "the same of the frame-based crossbar by part", "J"),
    }
    return Layout(dimensions, variables, ("weight_zeros",))


class Layer:
    """The layer on crossbars; compiled once for all shares of zeros."""

    def __init__(self, config: Config):
        import equinox as eqx

        self.config, self.device = config, chosen_devices.find(config.device)
        self.energies = eqx.filter_jit(self._energies)

    def _energies(self, key: Any, weight_zeros: Any, activation_zeros: Any) -> dict[str, Any]:
        """Energies of one chip for all input vectors together [J], for each share of zeros in the inputs."""
        import jax

        import xbar
        from xbar.energy import Technology
        from xbar.energy.pricing import priced

        c = self.config
        keys = jax.random.split(key, 3)
        w = jax.random.normal(keys[0], (c.inputs, c.outputs)) * thinned(keys[0], weight_zeros, (c.inputs, c.outputs))
        dense = abs(jax.random.normal(keys[1], (c.vectors, c.inputs)))
        tile = chosen_macros.tile(c, self.device, adc_bits=c.adc_bits)
        chip = xbar.analog(lambda w, x: x @ w, tile).program(w, dense, key=keys[2])
        chip = xbar.calibrate(chip, dense, percentile=99.9)
        arch = chosen_macros.of(c, self.device)
        node = Technology().node if arch is None else arch.technology.node
        waiting = Technology(node=node, events=True, readout="integrators")

        def at(zeros: Any) -> dict[str, Any]:
            x = dense * thinned(keys[1], zeros, dense.shape)
            ledger = chip.energy(x, inferences=1, **chosen_macros.prices(c, self.device))
            return {
                "parts": ledger.by_component,
                "events": priced(dataclasses.replace(ledger.recipe, technology=waiting)).terms.sum(),
                "products": ((x != 0).sum(0) * (w != 0).sum(1)).sum(),
            }

        return jax.lax.map(at, activation_zeros)


def thinned(key: Any, zeros: Any, shape: tuple[int, ...]) -> Any:
    """Ones and zeros with a share `zeros` of zeros: those with the smallest of independent uniform draws."""
    import jax
    import jax.numpy as jnp

    draws = jax.random.uniform(jax.random.fold_in(key, 1), shape).reshape(-1)
    count = jnp.round(zeros * draws.size).astype(int)
    largest = jnp.where(count > 0, jnp.sort(draws)[count - 1], -1.0)
    return (draws > largest).reshape(shape).astype(float)


prepare = Layer


def compute(config: Config, state: Layer, point: dict[str, Any]) -> dict[str, Any]:
    """All systems for one share of zeros in the weights."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from experiments.accuracy_energy import COMPONENTS
    from xbar.energy import loihi_event

    macs = config.inputs * config.outputs * config.vectors
    shape = (len(config.activation_zeros), len(SYSTEMS), config.chips)
    energy, parts = np.empty(shape), np.empty((shape[0], 3, config.chips))
    split = {"array": ("array", "lines"), "converters": ("dac", "sample_hold", "adc", "clock")}
    for j in range(config.chips):
        key = jax.random.fold_in(jax.random.key(config.seed), j)
        every = state.energies(key, jnp.asarray(point["weight_zeros"]), jnp.asarray(config.activation_zeros))
        for i in range(len(config.activation_zeros)):
            found = {name: np.asarray(value, float)[i] for name, value in every.items()}
            by = dict(zip(COMPONENTS, found["parts"], strict=True))
            own = [sum(by[c] for c in split[name]) for name in ("array", "converters")]
            total = sum(by.values())
            parts[i, :, j] = [*own, total - sum(own)]
            loihi = float(found["products"]) * loihi_event().value
            loihi += config.vectors * config.outputs * NEURON_UPDATE
            gpus = [gpu_energy(config, point["weight_zeros"], sparse) * config.vectors for sparse in (False, True)]
            energy[i, :, j] = [*gpus, total, float(found["events"]), loihi]
    return {"energy": energy / macs, "parts": parts / macs}


def gpu_energy(config: Config, weight_zeros: float, sparse: bool) -> float:
    """Energy of one vector on an H100 [J]; `sparse` uses 2:4 where half of the weights are 0."""
    import dataclasses as dc

    from xbar import energy

    gpu, size = energy.h100_sxm(), config.inputs * config.outputs
    if sparse and weight_zeros >= 0.5:
        gpu = dc.replace(
            gpu, peak={name: 2 * peak for name, peak in gpu.peak.items()}
        )  # the data sheet's "with sparsity"
    stored = size * (TWO_OF_FOUR if sparse and weight_zeros >= 0.5 else 1.0)
    batch = energy.ridge_batch(2.0 * size, stored, gpu=gpu)
    return float(
        energy.roofline(
            2.0 * size, stored, config.inputs + config.outputs, 1, gpu=gpu, batch=batch
        ).energy_without_launch
    )


def present(config: Config, results: Results) -> Any:
    from experiments import sparsity_view

    return sparsity_view.present(config, results)
