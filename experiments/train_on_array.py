"""Training on the arrays themselves: accuracy, pulses and energy of any network, device and algorithm.

Chips start with random weights and learn by pulses to their own cells. Errors go back through the same arrays. The cost is
counted: heat of every pulse, converted reads, digital work; and compared with the roofline of a GPU for the same training.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments import chosen_devices, chosen_networks
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "Training on the arrays: accuracy by epoch, and what it costs"
GPUS = ("H100", "A100")
ALGORITHMS = ("sgd", "tiki-taka", "tiki-taka2", "c-tiki-taka2", "agad", "mixed-precision", "manhattan")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about three minutes on two cores."""

    network: str = "mlp"
    """Network; see `xbar run accuracy-energy --help`."""
    data: str | None = None
    """Data set, for networks that support several."""
    device: tuple[str, ...] = ("ecram_lithium_tang2018", "capacitor_li2018")
    """Devices whose pulses are known: published ones, or device files of your own (`my_device.toml`)."""
    algorithm: tuple[str, ...] = ("sgd", "tiki-taka2", "agad", "mixed-precision")
    """Algorithms: sgd, tiki-taka, tiki-taka2, c-tiki-taka2, agad, mixed-precision, manhattan."""
    chips: int = 5
    """Chips for each device and algorithm; chips of the same number start from the same weights and see the same samples."""
    epochs: int = 10
    """Passes over the training data."""
    batch: int = 8
    """Samples per update."""
    rate: float = 0.1
    """Learning rate of the gradient; it falls to a tenth over the training."""
    weight: float = 1.0
    """The weight at the end of the conductance range."""
    samples: bool = False
    """Apply the pulses of one sample after another, exactly, instead of those of a batch at once."""
    v_pulse: float = 1.0
    """Voltage of a programming pulse [V], for its energy."""
    width: float = 1e-7
    """Its duration [s]."""
    adc_bits: int = 8
    """Resolution of the output converters, forward and backward."""
    seed: int = 0
    """Random seed of the weights, samples and chips."""


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
        raise UsageError(f"--algorithm {unknown[0]}: unknown; choose from {', '.join(ALGORITHMS)}.")
    for name in config.device:
        device(name)
    network = chosen_networks.find(config)
    if not network.teachable:
        raise UsageError(f"--network {config.network}: it has no data to train on.")


def inputs(config: Config) -> dict[str, str]:
    """Hashes of the network's files, by which a run is identified."""
    return chosen_networks.inputs(config)


def device(name: str) -> Any:
    """A device that learns.

    Raises:
        UsageError: if there is none of this name, it has no pulse law, or errors cannot go back through its cells.
    """
    found = chosen_devices.find(name)
    if getattr(found.update, "law", None) is None:
        raise UsageError(
            f"--device {name}: it has no pulse law, so it cannot learn. Fit pulse trains, or give another device."
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
        "gpu": Dimension(GPUS, "GPU"),
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
        "roofline": Variable(("gpu",), "roofline of the same training on a GPU at its ridge batch, one sample", "J"),
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


def rule(config: Config, name: str, schedule: Any) -> Any:
    """The transformation of an algorithm."""
    from experiments.array_training import algorithm
    from xbar.training import insitu

    drive = insitu.Drive(v_up=config.v_pulse, v_down=config.v_pulse, width=config.width)
    order = "samples" if config.samples else "summed"
    return insitu.on_arrays(algorithm(name), schedule, drive=drive, order=order)


@dataclasses.dataclass(frozen=True)
class State:
    """The course, the accuracy of the same training in floating point, and a sample's roofline on each GPU [J]."""

    course: Any
    digital: Any
    gpu: dict[str, float]


def prepare(config: Config) -> State:
    """Trains in floating point."""
    import jax
    import numpy as np

    import xbar
    from experiments.array_training import Course
    from xbar import energy

    network = chosen_networks.find(config)
    course = Course.of(network, config.epochs, config.batch, config.rate)
    bounds = {}
    for name, gpu in zip(GPUS, (energy.h100_sxm(), energy.a100_sxm()), strict=True):
        found = xbar.gpu_baseline(network.f, network.params, course.x[:1], gpu=gpu)
        bounds[name] = 3 * float(found.ridge.energy_without_launch)  # forward, and twice as much backward
    digital = jax.vmap(lambda k: course.floating_point(k)[1])(course.keys(config.seed, config.chips))
    return State(course, np.asarray(digital), bounds)


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """All chips of one device and algorithm, side by side, epoch by epoch; each epoch is stored, and a run that was
    killed resumes there."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import xbar
    from experiments import array_training, checkpoints
    from experiments.framework import progress
    from experiments.public_data.places import cache

    course, keys = state.course, state.course.keys(config.seed, config.chips)
    learn = rule(config, point["algorithm"], course.schedule)
    trainer = array_training.ArrayTrainer(learn, course.network.loss, config.batch)
    analog = xbar.analog(
        course.network.f, array_training.pairs(device(point["device"]), config.weight, config.adc_bits)
    )
    learned = jax.jit(jax.vmap(lambda k: course.begin(analog, learn, k)))(keys)
    step = jax.jit(jax.vmap(lambda learned, key, i: course.epoch(trainer, learned, key, i), (0, 0, None)))
    found = _Seen(config, learned)
    data = (course.x, course.y, course.x_test, course.y_test)
    settings = (repr(config), dict(point), chosen_devices.inputs(*config.device) | inputs(config))
    name = checkpoints.fingerprint(jax.tree.leaves(learned), jax.random.key_data(keys), data, settings)
    path = cache().parent / "array-training" / f"{name[:24]}.npz"
    done, (learned, found.values) = checkpoints.load(path, name, (learned, found.values))
    for i in progress.steps(range(done, config.epochs), f"{point['device']}, {point['algorithm']}"):
        learned, right = step(learned, keys, jnp.asarray(i))
        found.add(i, learned, right)
        checkpoints.save(path, name, i + 1, (learned, found.values))
    path.unlink(missing_ok=True)
    some = course.x[: config.batch]
    reading, backward = array_training.energy_of_reads(analog.program(course.start(keys[0]), some, key=keys[0]), some)
    values = {name: np.asarray(v) for name, v in found.values.items()}
    return values | {
        "writing": found.writing(),
        "reading": np.full(config.chips, reading),
        "backward": np.full(config.chips, backward),
        "digital_accuracy": state.digital,
        "roofline": [state.gpu[name] for name in GPUS],
        "samples": float(course.updates * config.batch),
    }


class _Seen:
    """What is recorded after each epoch."""

    def __init__(self, config: Config, learned: Any):
        import numpy as np

        layers = len(learned.total)
        shape = (config.chips, config.epochs)
        self.values: dict[str, Any] = {
            n: np.zeros((*shape, layers), np.float32) for n in ("pulses", "joules", "reads", "digital")
        }
        self.values |= {n: np.zeros(shape, np.float32) for n in ("accuracy", "seconds", "busiest")}

    def add(self, epoch: int, learned: Any, accuracy: Any) -> None:
        """Records an epoch."""
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
        """Energy of pulses, and of the conversions of transfers at the ledger's energy of a converter."""
        from xbar import energy

        tech = energy.Technology()
        read = float(tech.adc_conversion(8.0, 100e-9) + tech.at_node(tech.driver))
        return (self.values["joules"] + read * self.values["reads"]).sum(-1)


def present(config: Config, results: Results) -> Any:
    from experiments import train_on_array_view

    return train_on_array_view.present(config, results)
