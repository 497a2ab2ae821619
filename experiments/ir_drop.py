"""What the resistance of wires costs in accuracy, against array size and ohms per cell, and what helps against it.

{wires as they are, a gain per column, heavy lines moved to the drivers, both, trained through the wires, trained with the
wires in the forward pass alone} x size x resistance. Cells are exact, so that all errors come from the wires.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from experiments import chosen_networks
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "Wire resistance: error and accuracy against array size, and what helps"
REMEDIES = ("none", "column gain", "remapped", "remapped, gain", "trained", "ideal backward")
HIDDEN = 256  # neurons: the second layer fills the word lines of a 256-row tile
BATCH = 64


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about four minutes on two cores."""

    network: str | None = None
    """Network; by default a perceptron 64-256-10 on digits. Or one of those in `xbar run accuracy-energy --help` that consists
    of dense layers and convolutions without groups, such as mlp, cnn, lenet5, ecg-cnn, resnet8."""
    data: str | None = None
    """Data set, for networks that support several."""
    sizes: tuple[int, ...] = (16, 32, 64, 128)
    """Rows and bit-line pairs of a tile."""
    ohms: tuple[float, ...] = (0.5, 2.0, 8.0)
    """Resistance of word and bit line from one cell to the next [ohm]; xbar.ohm_per_cell gives it for a process."""
    g_min: float = 1e-6
    """Lowest conductance of a cell [S]."""
    g_max: float = 1e-4
    """Highest conductance of a cell [S]."""
    largest_trained: int = 32
    """Tiles up to this size are trained through (the cost grows with the fourth power)."""
    steps: int = 1500
    """Steps of digital training, for networks without given weights."""
    wire_steps: int = 150
    """Steps of training through the wires, from the digital network."""
    test_images: int = 445
    """Maximum number of test images."""
    seed: int = 0
    """Random seed of the training."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    for name in ("sizes", "ohms"):
        values = getattr(config, name)
        if not values or len(set(values)) != len(values) or min(values) < (2 if name == "sizes" else 0):
            raise UsageError(
                f"--{name}: give one or more different values (sizes of 2 or more, ohms of 0 or more), not {list(values)}."
            )
    if not 0 <= config.g_min < config.g_max:
        raise UsageError(f"--g-min {config.g_min:g} --g-max {config.g_max:g}: give 0 <= g_min < g_max, in siemens.")
    if config.data is not None and config.network is None:
        raise UsageError(
            f"--data {config.data}: the default network is one for digits. Give --network too, or leave it out."
        )
    measured = find(config).measured_on()
    if config.network is not None and measured.y_test.ndim != 1:
        raise UsageError(f"--network {config.network}: it does not classify, and this experiment reports accuracies.")
    for name in ("steps", "wire_steps", "test_images"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give at least 1.")


def inputs(config: Config) -> dict[str, str]:
    """Hashes of the network's files."""
    return {} if config.network is None else chosen_networks.inputs(config)


def memory(config: Config) -> dict[str, float]:
    """Bytes that wires of the largest tile take [B]: about forty numbers per cell in the solution and its derivative."""
    largest = max(config.sizes)
    return {f"wires of {largest} x {largest} cells": 160.0 * largest**2}


def layout(config: Config) -> Layout:
    nodes = range(max(config.sizes))
    dimensions = {
        "size": Dimension(config.sizes, "rows and columns of a tile"),
        "ohm": Dimension(config.ohms, "wire resistance a cell", "ohm"),
        "remedy": Dimension(REMEDIES, "what is done about it"),
        "row": Dimension(nodes, "word line"),
        "col": Dimension(nodes, "bit line"),
    }
    variables = {
        "accuracy": Variable(("size", "ohm", "remedy"), "share of test images classified correctly; NaN: not trained"),
        "output_error": Variable(
            ("size", "ohm"), "root mean square error of the network's outputs, relative to their root mean square"
        ),
        "weight_error": Variable(("size", "ohm"), "relative root mean square change of the weights"),
        "drop": Variable(
            ("size", "ohm", "row", "col"), "voltage across each cell, relative to its input; NaN beyond the tile"
        ),
        "digital_accuracy": Variable((), "accuracy of the weights without hardware"),
        "test_images": Variable((), "number of test images"),
    }
    return Layout(dimensions, variables, ("size", "ohm"))


@dataclasses.dataclass(frozen=True)
class State:
    """What all points share: the network, its trained parameters, which of them are on arrays, and trainers, which are
    compiled once for all resistances."""

    network: Any
    model: Any
    weights: Any
    trainers: dict[bool, Any] = dataclasses.field(default_factory=dict, compare=False)

    def seen(self, model: Any, through: Any) -> Any:
        """The parameters that the arrays compute with: `through` maps a matrix (inputs x outputs) to that behind wires."""

        def one(w: Any, _: Any) -> Any:
            return through(w.reshape(len(w), -1).T).T.reshape(w.shape)

        return model if through is None else self.weights.map(one, model)

    def forward(self, model: Any, x: Any, through: Any = None) -> Any:
        """Outputs of the network behind the wires."""
        return self.network.f(self.seen(model, through), x)


def forward(layers: Any, images: Any) -> Any:
    """Logits of dense layers."""
    import jax

    x = images.reshape(len(images), -1)
    for k, layer in enumerate(layers):
        x = x @ layer.weight.T + layer.bias
        x = jax.nn.relu(x) if k + 1 < len(layers) else x
    return x


def find(config: Config) -> Any:
    """The network of the settings."""
    import equinox as eqx
    import jax

    from experiments import datasets, networks

    if config.network is not None:
        return chosen_networks.find(config)
    first, last = jax.random.split(jax.random.key(config.seed))
    model = [eqx.nn.Linear(64, HIDDEN, key=first), eqx.nn.Linear(HIDDEN, 10, key=last)]
    return networks.Network(f"64-{HIDDEN}-10", forward, model, datasets.load("digits"), trained=False)


def prepare(config: Config) -> State:
    """Loads the data, and trains the digital network if its weights are not given."""
    import jax

    from experiments import supervised
    from xbar import training

    network = find(config)
    model = supervised.trained(network, config.steps, key=jax.random.fold_in(jax.random.key(config.seed), 1))
    weights = training.weights_of(network.f, model, network.measured_on().x_test[:1])
    for own, leaf in zip(weights.channels, jax.tree.leaves(model), strict=True):
        if own is not None and own != (0,):
            raise UsageError(
                f"--network {config.network}: a weight of shape {leaf.shape} has its channels along axes {own}. Wires are "
                "studied with dense layers and convolutions without groups, outputs first: mlp, cnn, lenet5, ecg-cnn, resnet8."
            )
    return State(network, model, weights)


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """Everything at one size and resistance."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    tools, data = Wires(config, point["size"], point["ohm"]), state.network.measured_on()
    x, y = map(jnp.asarray, data.some("test", config.test_images))
    accuracy = lambda model, through: float(state.network.metric(state.forward(model, x, through), y))  # noqa: E731
    remedies = {"none": (), "column gain": ("gain",), "remapped": ("remap",), "remapped, gain": ("remap", "gain")}
    found = [accuracy(state.model, functools.partial(tools.through, remedies=r)) for r in remedies.values()]
    for exact in (True, False):
        trains = point["size"] <= config.largest_trained and state.network.teachable
        found.append(accuracy(tools.train(state, exact), tools.through) if trains else np.nan)
    of_arrays = [
        w for w, own in zip(jax.tree.leaves(state.model), state.weights.channels, strict=True) if own is not None
    ]
    weights = [w.reshape(len(w), -1).T for w in of_arrays]
    changed = [tools.through(w) for w in weights]
    rms = lambda many: float(jnp.sqrt(sum(jnp.sum(a**2) for a in many) / sum(a.size for a in many)))  # noqa: E731
    ideal, real = (state.network.f(m, x) for m in (state.model, state.seen(state.model, tools.through)))
    return {
        "accuracy": np.array(found),
        "output_error": rms([real - ideal]) / rms([ideal]),
        "weight_error": rms([c - w for c, w in zip(changed, weights, strict=True)]) / rms(weights),
        "drop": tools.drop(max(config.sizes)),
        "digital_accuracy": accuracy(state.model, None),
        "test_images": len(x),
    }


class Wires:
    """Weights behind the wires of tiles of one size and resistance."""

    def __init__(self, config: Config, size: int, ohm: float):
        import devices
        import xbar

        self.config, self.size = config, size
        self.wires = xbar.ResistiveWires(ohm, ohm)
        device = devices.Device(config.g_min, config.g_max)
        self.tile = xbar.Tile(device, size, size, dac=xbar.DAC(None), adc=xbar.ADC(None), wires=self.wires)

    def through(self, weight: Any, remedies: tuple[str, ...] = ()) -> Any:
        """The matrix that the arrays compute with: their outputs for unit vectors."""
        import jax.numpy as jnp

        rows, cols = (
            self._order(weight) if "remap" in remedies else (jnp.arange(weight.shape[0]), jnp.arange(weight.shape[1]))
        )
        placed = weight[rows][:, cols]
        seen = _compiled()[0](self.tile, placed)
        if "gain" in remedies:
            seen = self._gained(placed, seen)
        return jnp.zeros_like(seen).at[rows[:, None], cols[None]].set(seen)

    def _order(self, weight):
        """Within each tile, heavy rows to the bottom, where bit lines end, and heavy columns to the left, next to the
        drivers."""
        import jax.numpy as jnp

        def sorted_blocks(load, ascending):
            blocks = [jnp.arange(k, min(k + self.size, len(load))) for k in range(0, len(load), self.size)]
            return jnp.concatenate([b[jnp.argsort(load[b] if ascending else -load[b])] for b in blocks])

        load = jnp.abs(weight)
        return sorted_blocks(load.sum(1), True), sorted_blocks(load.sum(0), False)

    def _gained(self, weight, seen):
        """One factor for each bit-line pair of each tile, by least squares: a digital gain after the converter."""
        import jax.numpy as jnp

        parts = []
        for k in range(0, len(weight), self.size):
            want, have = weight[k : k + self.size], seen[k : k + self.size]
            power = jnp.sum(have**2, 0)
            parts.append(have * jnp.where(power > 0, jnp.sum(want * have, 0) / jnp.where(power > 0, power, 1), 1))
        return jnp.concatenate(parts)

    def train(self, state: State, exact: bool) -> Any:
        """The network after some steps with the wires in the forward pass.

        Args:
            exact: gradients through the map of the wires; otherwise those of ideal arrays, as in other simulators.
        """
        import jax
        import jax.numpy as jnp

        from experiments import supervised

        def forward(model: Any, x: Any, key: Any, tile: Any) -> Any:
            seen = lambda w: _compiled()[0](tile, w)  # noqa: E731
            through = seen if exact else lambda w: w + jax.lax.stop_gradient(seen(w) - w)
            return state.forward(model, x, through)

        if exact not in state.trainers:
            steps = self.config.wire_steps
            state.trainers[exact] = supervised.Trainer(forward, steps=steps, batch=BATCH, loss=state.network.loss)
        data = state.network.measured_on()
        inputs, labels, key = jnp.asarray(data.x_train), jnp.asarray(data.y_train), jax.random.key(self.config.seed)
        return state.trainers[exact].run(state.model, inputs, labels, key=key, rate=1e-3, extra=self.tile)

    def drop(self, most: int) -> Any:
        """Voltage across every cell of a full tile of mid-range cells, all inputs at 1 V, relative to the input."""
        import jax.numpy as jnp
        import numpy as np

        middle = (self.config.g_min + self.config.g_max) / 2
        found = _compiled()[1](self.wires, jnp.full((self.size, self.size), middle), jnp.ones((1, self.size)))
        full = np.full((most, most), np.nan)
        full[: self.size, : self.size] = found.v_word[0] - found.v_bit[0]
        return full


@functools.cache
def _compiled() -> Any:
    """The matrix that an array computes with, and the solution of the wires: compiled once per size, not per resistance."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import xbar

    @eqx.filter_jit
    def seen(tile, weight):
        array = xbar.analog(lambda w, x: x @ w, tile)
        return array(weight, jnp.eye(len(weight), dtype=weight.dtype), key=jax.random.key(0))

    return seen, eqx.filter_jit(lambda wires, g, v: wires.solve(g, v))


def present(config: Config, results: Results) -> Any:
    from experiments import ir_drop_view

    return ir_drop_view.present(config, results)
