"""A rate-coded network of LIF neurons on handwritten digits: accuracy on devices over time, its events, and what these cost
on crossbars and on event-driven chips, per inference, including static power and time."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from experiments import chosen_devices, datasets, sensing
from experiments.crossbar_study import SECONDS
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "A spiking network on handwritten digits: accuracy over time, events, and their energy"
QUANTILES = (0.1, 0.5, 0.9)
EVENTS = ("input spikes", "hidden spikes", "synaptic operations", "dense operations", "updates", "packets", "hops")
STEPS = 20
READOUTS = ("events, converters", "events, integrators", "dense, converters")
GPU_CASES = ("ridge batch, launches free", "batch 1")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take a few minutes on two cores. mnist needs its files below XBAR_DATA."""

    data: Literal["mnist", "digits", "fashion-mnist"] = "mnist"
    """Data set; digits is included."""
    devices: tuple[str, ...] = ("ideal", "pcm", "reram")
    """Memory cells."""
    times: tuple[Literal["1s", "1h", "1d", "1mo", "1y"], ...] = ("1s", "1d", "1mo")
    """Times after programming; each device is evaluated only at those that its data support."""
    adc_bits: int = 6
    """Resolution of the output converters."""
    chips: int = 5
    """Chips for each device."""
    images: int = 1000
    """Maximum number of test images on devices; the digital accuracy is that of all images."""
    hidden: int = 256
    """Hidden neurons."""
    rows: int = 256
    """Word lines per tile."""
    cols: int = 256
    """Bit-line pairs per tile."""
    steps: int = 2000
    """Steps of training."""
    penalty: float = 0.0
    """Penalty on hidden spikes, per neuron and step."""
    seed: int = 0
    """Random seed of the training, the chips and the spikes."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    for name, least in (("chips", 2), ("images", 1), ("hidden", 1), ("rows", 1), ("cols", 1), ("steps", 1)):
        if getattr(config, name) < least:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least {least}.")
    if not 2 <= config.adc_bits <= 16:
        raise UsageError(f"--adc-bits {config.adc_bits}: give 2 to 16 bits.")
    if not 0 <= config.penalty < 1e6:
        raise UsageError(f"--penalty {config.penalty}: give a number that is not negative.")
    for device in config.devices:
        if not sensing.known_times(config, chosen_devices.find(device)):
            raise UsageError(f"--times {' '.join(config.times)}: {device} has no data at any of these times; add 1s.")
    sensing.needs(config.data)


def layout(config: Config) -> Layout:
    dimensions = {
        "device": Dimension(config.devices, "memory cell"),
        "time": Dimension(tuple(SECONDS[t] for t in config.times), "time since programming", "s"),
        "chip": Dimension(range(config.chips), "chip"),
        "readout": Dimension(READOUTS, "what is read, and what stands at the end of a column"),
        "gpu_case": Dimension(GPU_CASES, "use of an H100"),
        "quantile": Dimension(QUANTILES, "quantile over the uncertainty of the energy model"),
        "event": Dimension(EVENTS, "kind of event"),
    }
    variables = {
        "accuracy": Variable(("device", "time", "chip"), "share of test images classified correctly"),
        "energy": Variable(("device", "readout", "quantile"), "energy of an inference", "J"),
        "seconds": Variable(("device", "readout"), "time of an inference", "s"),
        "events": Variable(("event",), "events of an inference"),
        "gpu_energy": Variable(("gpu_case",), "the same steps on an H100, INT8", "J"),
        "digital_accuracy": Variable((), "accuracy without hardware, of all test images"),
    }
    return Layout(dimensions, variables, ("device",))


@dataclasses.dataclass(frozen=True)
class State:
    """The trained network, test spikes and labels, spikes for converter ranges, and results on the network itself."""

    network: Any
    layers: Any
    spikes: Any
    y: Any
    spikes_cal: Any
    accuracy: float
    events: np.ndarray
    gpu: tuple[float, float]


def prepare(config: Config) -> State:
    """Trains the network and counts its events."""
    import jax
    import jax.numpy as jnp

    import xbar
    from experiments.spiking_networks import LIFNetwork

    data, key = datasets.load(config.data), jax.random.key(config.seed)
    size = int(np.prod(data.x_train.shape[1:]))
    network = LIFNetwork((size, config.hidden, data.classes), STEPS, coding="rate", gain=0.5)
    how: Any = dict(steps=config.steps, key=key, penalty=config.penalty)
    layers = network.trained(data.x_train, data.y_train, **how)
    keys = jax.random.split(jax.random.fold_in(key, 1), 3)
    logits = network.logits(layers, data.x_test, keys[0])
    spikes = network.encode(jnp.asarray(data.x_test[: config.images]), keys[1])
    gpu = xbar.gpu_baseline(network, layers, spikes[:, :1])
    return State(
        network,
        layers,
        spikes,
        jnp.asarray(data.y_test[: config.images]),
        network.encode(jnp.asarray(data.x_train[:128]), keys[2]),
        float(np.mean(np.asarray(logits.argmax(-1)) == data.y_test)),
        counted(jax.jit(network.events)(layers, spikes)),
        (float(gpu.ridge.energy_without_launch), float(gpu.one.energy)),
    )


def counted(events: Any) -> np.ndarray:
    """Events of an inference, in the order of EVENTS."""
    hidden = sum(events.spikes[1:], start=0.0)
    rest = (events.synaptic, events.dense, events.updates, events.packets, events.hops)
    return np.array([float(x) for x in (events.spikes[0], hidden, *rest)])


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """Chips of one device over time, and the energy of the first."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import xbar
    from xbar.energy import Technology

    device = chosen_devices.find(point["device"])
    known = sensing.known_times(config, device)
    times = jnp.asarray([SECONDS[config.times[i]] for i in known])
    dac = xbar.DAC(bits=2, encoding="bit_serial", range=1.0)
    tile = xbar.Tile(device=device, rows=config.rows, cols=config.cols, dac=dac, adc=xbar.ADC(bits=config.adc_bits))
    network = xbar.analog(state.network, tile)

    @eqx.filter_jit
    def read(layers, cal, spikes, y, keys, times):
        few = spikes[:, :16]

        def one(key):
            chip = xbar.calibrate(network.program(layers, cal, key=key), cal, percentile=99.9)
            right, ledgers = jax.lax.map(lambda t: at(chip.at(t), key), times)
            return right, jax.tree.map(lambda a: a[0], ledgers)

        def at(chip, key):
            ledger = chip.energy(few, technology=Technology(events=True), inferences=few.shape[1])
            return jnp.mean(chip(spikes, key=key).argmax(-1) == y), ledger

        return jax.lax.map(one, keys)

    keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 3), config.chips)
    right, ledgers = read(state.layers, state.spikes_cal, state.spikes, state.y, keys, times)
    ways = (Technology(events=True), Technology(events=True, readout="integrators"), Technology())
    both = [ledgers.with_technology(way) for way in ways]
    energy = [np.asarray(ledger.quantiles(QUANTILES)).mean(-1) for ledger in both]
    seconds = [float(ledger.latency.mean()) for ledger in both]
    accuracy = np.full((len(config.times), config.chips), np.nan)
    accuracy[known] = np.asarray(right).T
    found = {"accuracy": accuracy, "energy": np.asarray(energy), "seconds": np.asarray(seconds)}
    return {**found, "events": state.events, "digital_accuracy": state.accuracy, "gpu_energy": state.gpu}


def present(config: Config, results: Results) -> Any:
    from experiments import spiking_view

    return spiking_view.present(config, results)
