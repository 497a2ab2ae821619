"""Training on the arrays themselves: accuracy, pulses and joules of any network, device and algorithm.

Chips start with random weights and learn by pulses to their own cells. Errors go back through the same arrays. What is paid is
counted: heat of every pulse, converted reads, digital work; beside it the roofline of a GPU for the same training.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from experiments import chosen_devices, chosen_networks
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "Training on the arrays: accuracy by epoch, and what it costs"
ALGORITHMS = ("sgd", "tiki-taka", "tiki-taka2", "c-tiki-taka2", "agad", "mixed-precision", "manhattan")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about three minutes on two cores."""

    network: str = "mlp"
    """Network; see `xbar run accuracy-energy --help`."""
    data: str | None = None
    """Data set, where a network knows several."""
    device: tuple[str, ...] = ("ecram_lithium_tang2018", "capacitor_li2018")
    """Devices whose pulses are known: published ones, or device files of your own (`my_device.toml`)."""
    algorithm: tuple[str, ...] = ("sgd", "tiki-taka2", "agad", "mixed-precision")
    """Algorithms: sgd, tiki-taka, tiki-taka2, c-tiki-taka2, agad, mixed-precision, manhattan."""
    chips: int = 5
    """Chips of each device and algorithm; the same number starts from the same weights and sees the same samples."""
    epochs: int = 10
    """Passes over the training data."""
    batch: int = 8
    """Samples of an update."""
    rate: float = 0.1
    """Learning rate of the gradient; it falls to a tenth over the training."""
    weight: float = 1.0
    """The weight at the end of the conductance range."""
    samples: bool = False
    """Pulses of one sample after another, exactly, instead of those of a batch at once."""
    v_pulse: float = 1.0
    """Voltage of a programming pulse [V], for its energy."""
    width: float = 1e-7
    """Its duration [s]."""
    adc_bits: int = 8
    """Resolution of the output converters, forward and backward."""
    seed: int = 0
    """Decides weights, samples and chips."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    for name in ("chips", "epochs", "batch"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least 1.")
    for name in ("rate", "weight", "v_pulse", "width"):
        if not 0 < getattr(config, name) < float("inf"):
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give a number above 0.")
    if not 2 <= config.adc_bits <= 16:
        raise UsageError(f"--adc-bits {config.adc_bits}: give 2 to 16 bits.")
    for name in ("device", "algorithm"):
        given = getattr(config, name)
        if not given or len(set(given)) != len(given):
            raise UsageError(f"--{name} {' '.join(given)}: give one or more different names.")
    unknown = [name for name in config.algorithm if name not in ALGORITHMS]
    if unknown:
        raise UsageError(f"--algorithm {unknown[0]}: unknown; there are {', '.join(ALGORITHMS)}.")
    for name in config.device:
        device(name)
    network = chosen_networks.find(config)
    if not network.teachable:
        raise UsageError(f"--network {config.network}: there is nothing to train on.")


def inputs(config: Config) -> dict[str, str]:
    """Files of the network and of devices, as hashes."""
    files = {name: chosen_networks.hash_of(pathlib.Path(name)) for name in config.device if name.endswith(".toml")}
    return chosen_networks.inputs(config) | files


def device(name: str) -> Any:
    """A device that learns.

    Raises:
        UsageError: if there is none of this name, it has no pulse law, or errors cannot go back through its cells.
    """
    found = chosen_devices.find(name)
    if getattr(found.update, "law", None) is None:
        raise UsageError(
            f"--device {name}: it has no pulse law, so that it cannot learn. Fit pulse trains, or name another."
        )
    if not found.conduction.linear:
        raise UsageError(f"--device {name}: its cells are not ohmic, and no backward read is defined for them.")
    return found


def layout(config: Config) -> Layout:
    dimensions = {
        "device": Dimension(config.device, "device"),
        "algorithm": Dimension(config.algorithm, "algorithm"),
        "chip": Dimension(range(config.chips), "chip"),
        "epoch": Dimension(range(1, config.epochs + 1), "epochs"),
        "layer": Dimension(_layers(config), "layer"),
    }
    by = ("device", "algorithm", "chip")
    variables = {
        "accuracy": Variable((*by, "epoch"), "test accuracy"),
        "digital_accuracy": Variable(("chip", "epoch"), "test accuracy of the same training in floating point"),
        "pulses": Variable((*by, "epoch", "layer"), "pulses so far"),
        "joules": Variable((*by, "epoch", "layer"), "heat of these pulses", "J"),
        "reads": Variable((*by, "epoch", "layer"), "conversions of transfers so far"),
        "digital": Variable((*by, "epoch", "layer"), "digital operations of updates so far"),
        "seconds": Variable((*by, "epoch"), "time of pulses and transfers so far, layers side by side", "s"),
        "writing": Variable((*by, "epoch"), "energy of pulses and transfers so far", "J"),
        "busiest": Variable((*by, "epoch"), "pulses to the cell of a layer that got most, the mean of its cells"),
        "reading": Variable(by, "energy of the forward reads and the digital work of one sample", "J"),
        "backward": Variable(by, "reads backward, as a share of those forward"),
        "gpu": Variable((), "roofline of the same training on a GPU at its ridge batch, one sample", "J"),
        "samples": Variable((), "samples of an epoch"),
    }
    return Layout(dimensions, variables, ("device", "algorithm"))


def _layers(config: Config) -> tuple[str, ...]:
    import jax

    import devices
    import xbar

    network = chosen_networks.find(config)
    x = network.measured_on().x_train[: config.batch]
    chip = jax.eval_shape(
        lambda k: xbar.analog(network.f, xbar.Tile(devices.ideal())).program(network.params, x, key=k),
        jax.random.key(0),
    )
    return tuple(layer.path for layer in chip.plan_layers)


def rule(config: Config, name: str, updates: int) -> Any:
    """The transformation of an algorithm."""
    import optax

    from xbar.training import insitu

    fast = insitu.FastArray(reads=8)
    made = {
        "sgd": lambda: insitu.SGD(),
        "tiki-taka": lambda: insitu.TikiTaka(fast, transfer=0.1),
        "tiki-taka2": lambda: insitu.tiki_taka2(fast=fast, transfer=0.1),
        "c-tiki-taka2": lambda: insitu.chopped_tiki_taka2(fast=fast, transfer=0.1),
        "agad": lambda: insitu.agad(fast=fast, transfer=0.1),
        "mixed-precision": lambda: insitu.MixedPrecision(),
        "manhattan": lambda: insitu.Manhattan(threshold=0.5),
    }[name]()
    drive = insitu.Drive(v_up=config.v_pulse, v_down=config.v_pulse, width=config.width)
    rate = optax.exponential_decay(config.rate, updates, 0.1)
    return insitu.on_arrays(made, rate, drive=drive, order="samples" if config.samples else "summed")


@dataclasses.dataclass(frozen=True)
class State:
    """The network, its data, and the accuracy of the same training in floating point."""

    network: Any
    x: Any
    y: Any
    x_test: Any
    y_test: Any
    digital: Any
    gpu: float


def prepare(config: Config) -> State:
    """Trains in floating point."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import xbar

    network = chosen_networks.find(config)
    data = network.measured_on()
    arrays = [jnp.asarray(a) for a in (data.x_train, data.y_train, data.x_test, data.y_test)]
    gpu = xbar.gpu_baseline(network.f, network.params, arrays[0][:1]).ridge.energy_without_launch
    x, y, x_test, y_test = arrays
    state = State(network, x, y, x_test, y_test, None, 3 * float(gpu))  # forward, and twice as much backward
    digital = jax.vmap(lambda k: _floating_point(config, state, k))(_chip_keys(config))
    return dataclasses.replace(state, digital=np.asarray(digital))


def _chip_keys(config: Config) -> Any:
    import jax

    return jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 1), config.chips)


def _order(config: Config, state: State, key: Any, epoch: Any) -> Any:
    import jax

    return jax.random.permutation(jax.random.fold_in(jax.random.fold_in(key, 0), epoch), len(state.x))


def _start(state: State, key: Any) -> Any:
    """Random weights of one chip: those of the network, each tensor in another order."""
    import equinox as eqx
    import jax

    real, rest = eqx.partition(state.network.params, eqx.is_inexact_array)
    leaves, tree = jax.tree.flatten(real)
    keys = jax.random.split(jax.random.fold_in(key, 1), len(leaves))
    mixed = [jax.random.permutation(k, w.ravel()).reshape(w.shape) for w, k in zip(leaves, keys, strict=True)]
    return eqx.combine(jax.tree.unflatten(tree, mixed), rest)


def _floating_point(config: Config, state: State, key: Any) -> Any:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    updates = len(state.x) // config.batch
    network, schedule = state.network, optax.exponential_decay(config.rate, updates * config.epochs, 0.1)
    real, rest = eqx.partition(_start(state, key), eqx.is_inexact_array)

    def step(carry, rows):
        p, number = carry
        loss = lambda p: network.loss(network.f(eqx.combine(p, rest), state.x[rows]), state.y[rows])  # noqa: E731
        slopes = jax.grad(loss)(p)
        return (jax.tree.map(lambda a, b: a - schedule(number) * b, p, slopes), number + 1), None

    def epoch(carry, i):
        rows = _order(config, state, key, i)[: updates * config.batch].reshape(updates, config.batch)
        carry, _ = jax.lax.scan(step, carry, rows)
        return carry, network.metric(network.f(eqx.combine(carry[0], rest), state.x_test), state.y_test)

    return jax.lax.scan(epoch, (real, jnp.zeros((), jnp.int32)), jnp.arange(config.epochs))[1]


def tile(config: Config, name: str) -> Any:
    """A weight is a cell and a reference of its own in the middle of the range, with converters for both directions."""
    import xbar

    found = device(name)
    adc = xbar.ADC(bits=config.adc_bits)
    mapping = xbar.Offset(reference="cell", scale=config.weight)
    return xbar.Tile(found, adc=adc, mapping=mapping, backward=xbar.Periphery(xbar.DAC(), adc))


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """All chips of one device and algorithm, side by side, epoch by epoch; each epoch is kept, and a run that was
    killed goes on there."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import xbar
    from experiments import array_training, checkpoints
    from experiments.framework import progress
    from experiments.public_data.places import cache

    updates = len(state.x) // config.batch
    network, keys = state.network, _chip_keys(config)
    learn = rule(config, point["algorithm"], updates * config.epochs)
    trainer = array_training.ArrayTrainer(learn, network.loss, config.batch)
    analog = xbar.analog(network.f, tile(config, point["device"]))
    program = lambda k: analog.program(_start(state, k), state.x[: config.batch], key=jax.random.fold_in(k, 2))  # noqa: E731
    begin = jax.jit(jax.vmap(lambda k: learn.init(program(k), key=jax.random.fold_in(k, 3))))
    learned = begin(keys)

    def one(learned: Any, key: Any, i: Any) -> Any:
        rows = _order(config, state, key, i)
        after, _ = trainer.epoch(
            learned, state.x[rows], state.y[rows], jax.random.fold_in(jax.random.fold_in(key, 4), i)
        )
        test = jax.random.fold_in(key, 5)
        return after, array_training.accuracy(after, state.x_test, state.y_test, test)

    step = jax.jit(jax.vmap(one, (0, 0, None)))
    found = _Seen(config, learned)
    name = checkpoints.fingerprint(jax.tree.leaves(learned), jax.random.key_data(keys), repr(config), dict(point))
    path = cache().parent / "array-training" / f"{name[:24]}.npz"
    done, (learned, found.values) = checkpoints.load(path, name, (learned, found.values))
    for i in progress.steps(range(done, config.epochs), f"{point['device']}, {point['algorithm']}"):
        learned, right = step(learned, keys, jnp.asarray(i))
        found.add(i, learned, right)
        checkpoints.save(path, name, i + 1, (learned, found.values))
    path.unlink(missing_ok=True)
    reading, backward = _reading(config, state, analog, keys)
    values = {name: np.asarray(v) for name, v in found.values.items()}
    return values | {
        "writing": found.writing(),
        "reading": np.full(config.chips, reading),
        "backward": np.full(config.chips, backward),
        "digital_accuracy": state.digital,
        "gpu": state.gpu,
        "samples": float(updates * config.batch),
    }


class _Seen:
    """What is written down after each epoch."""

    def __init__(self, config: Config, learned: Any):
        import numpy as np

        layers = len(learned.total)
        shape = (config.chips, config.epochs)
        self.values: dict[str, Any] = {
            n: np.zeros((*shape, layers), np.float32) for n in ("pulses", "joules", "reads", "digital")
        }
        self.values |= {n: np.zeros(shape, np.float32) for n in ("accuracy", "seconds", "busiest")}

    def add(self, epoch: int, learned: Any, accuracy: Any) -> None:
        """After an epoch."""
        import numpy as np

        self.values = {name: np.array(v) for name, v in self.values.items()}
        sums = {i: total.sum for i, total in learned.total.items()}
        for j, i in enumerate(sorted(sums)):
            for name in ("pulses", "joules", "reads", "digital"):
                self.values[name][:, epoch, j] = np.asarray(getattr(sums[i], name))
        cells = {i: a.cells.g[0, 0].size for i, a in learned.chip.arrays.items()}
        each = [np.asarray(s.pulses) / cells[i] for i, s in sums.items()]
        self.values["accuracy"][:, epoch] = np.asarray(accuracy)
        self.values["seconds"][:, epoch] = np.max([np.asarray(s.seconds) for s in sums.values()], 0)
        self.values["busiest"][:, epoch] = np.max(each, 0)

    def writing(self) -> Any:
        """Pulses, and conversions of transfers at the ledger's price of a converter."""
        from xbar import energy

        tech = energy.Technology()
        read = float(tech.adc_conversion(8.0, 100e-9) + tech.at_node(tech.driver))
        return (self.values["joules"] + read * self.values["reads"]).sum(-1)


def _reading(config: Config, state: State, analog: Any, keys: Any) -> tuple[float, float]:
    """Energy of one sample's forward pass [J], and backward reads by forward ones."""
    from xbar.training.insitu.backpropagation import uses

    chip = analog.program(_start(state, keys[0]), state.x[: config.batch], key=keys[0])
    ledger = chip.energy(state.x[: config.batch], inferences=config.batch)
    found = uses(chip, (state.x[: config.batch],))
    work = lambda chosen: sum(u.vectors[0] * u.vectors[1] * u.vectors[2] * u.n for u in chosen)  # noqa: E731
    return float(ledger.total), work([u for u in found if u.backward]) / work(found)


def present(config: Config, results: Results) -> Any:
    from experiments import train_on_array_view

    return train_on_array_view.present(config, results)
