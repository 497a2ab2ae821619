"""Hardware-aware training: what each technique costs without hardware, and what it saves on chips as they age.

{techniques} x {devices} x {times} x {as read, statistics of outputs matched}, over chips that all techniques share, so that
differences are paired by chip and by input.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import numpy as np
import tyro

from experiments import chosen_devices, chosen_networks
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

if TYPE_CHECKING:
    from experiments.hardware_training.chips import Reader
    from experiments.hardware_training.splits import Fold

TITLE = "Techniques of hardware-aware training: what they cost and what they save"
SECONDS = {"1s": 1.0, "1h": 3_600.0, "1d": 86_400.0, "1mo": 2_592_000.0, "1y": 31_536_000.0}
REPAIRS = ("none", "statistics matched")
Name = Literal[  # of `hardware_training.techniques`, which is not imported for the command's help
    "naive",
    "longer",
    "clipped",
    "drop-connect",
    "noise",
    "flat",
    "distilled",
    "device",
    "device, distilled",
    "lora",
]
NAMES: tuple[Name, ...] = get_args(Name)
V_READ = 0.2  # V, of a full-scale input


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take a few minutes on two cores."""

    network: str = "cnn"
    """Network: mlp and cnn (digits) need no other data, ecg-cnn (heartbeats) trains fast too; ds-cnn-float (keywords),
    resnet8, mobilenet, resnet14, resnet20, transformer take longer. See `xbar run accuracy-energy --help` for all."""
    data: str | None = None
    """Data set, for networks that support several."""
    devices: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--device"])] = ("pcm", "reram_milo2021")
    """Memory cells: pcm (Joshi 2020), reram (Wan 2022), any device that `xbar cite` lists, or a device file (*.toml)."""
    techniques: tuple[Name, ...] = NAMES
    """Techniques; naive is what the others are compared with."""
    times: tuple[Literal["1s", "1h", "1d", "1mo", "1y"], ...] = ("1s", "1d", "1y")
    """Times after programming; each device is evaluated only at those that its data support."""
    chips: int = 8
    """Chips programmed with the weights of each technique; the same chips for all techniques."""
    test_inputs: int = 1000
    """Maximum number of test inputs."""
    folds: int = 4
    """Folds of the test inputs, where there is no training set: each is tested by a network trained on the others."""
    training_steps: int = 600
    """Steps of each technique, starting from the digital network."""
    batch: int = 64
    """Inputs per step."""
    rate: float = 3e-4
    """Initial learning rate of Adam."""
    noise: float = 0.05
    """Noise on weights in training: standard deviation, as a share of the largest of their channel."""
    clip: float = 3.0
    """Weights are clipped to this many standard deviations."""
    clip_per: Literal["tensor", "channel"] = "tensor"
    """Whether these are standard deviations of a tensor, or of each of its output channels."""
    temperature: float = 2.0
    """Temperature of distillation."""
    steps: int | None = None
    """Steps of digital training, for networks without given weights; by default set by the network."""
    adc_bits: int = 8
    """Resolution of the output converters."""
    dac_bits: int = 8
    """Resolution of the input converters."""
    rows: int = 256
    """Word lines per tile."""
    cols: int = 256
    """Bit-line pairs per tile."""
    percentile: float = 99.99
    """Converter ranges cover this percentage of what a calibration batch puts on them."""
    seed: int = 0
    """Random seed of the training, the chips and the noise."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    least = dict(chips=2, test_inputs=2, folds=2, training_steps=1, batch=1, rows=1, cols=1, steps=1)
    for name, bound in least.items():
        if (value := getattr(config, name)) is not None and value < bound:
            raise UsageError(f"--{name.replace('_', '-')} {value}: give at least {bound}.")
    for name in ("devices", "techniques", "times"):
        values = getattr(config, name)
        if not values or len(set(values)) != len(values):
            raise UsageError(f"--{name}: give one or more different values, not {list(values)}.")
    if "naive" not in config.techniques:
        raise UsageError("--techniques: naive is missing, with which the others are compared; add it.")
    for name in ("adc_bits", "dac_bits"):
        if not 2 <= getattr(config, name) <= 16:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give 2 to 16 bits.")
    for name, most in (("percentile", 100.0), ("rate", 1.0), ("noise", 1.0), ("clip", 100.0), ("temperature", 100.0)):
        if not 0 < getattr(config, name) <= most:
            raise UsageError(f"--{name} {getattr(config, name)}: give a number above 0 and at most {most:g}.")
    for device in config.devices:
        if not known_times(config, device):
            raise UsageError(f"--times {' '.join(config.times)}: {device} has no data at any of these times; add 1s.")
    network = chosen_networks.find(config)
    if network.measured_on().y_test.ndim == 1 and network.loss.__name__ != "cross_entropy":
        raise UsageError(
            f"--network {config.network}: its outputs are not classes; the study scores classes and symbols."
        )


def inputs(config: Config) -> dict[str, str]:
    """Hashes of the network's files, by which a run is identified."""
    return chosen_networks.inputs(config)


def known_times(config: Config, device: str) -> tuple[int, ...]:
    """Which of the times the device's data cover; none beyond, although a law would extrapolate."""
    found, made = [], chosen_devices.find(device)
    for i, name in enumerate(config.times):
        if made.extrapolates(t=SECONDS[name]):
            continue
        try:
            made.check_time(SECONDS[name])
        except ValueError:
            continue
        found.append(i)
    return tuple(found)


def layout(config: Config) -> Layout:
    tested = min(config.test_inputs, len(chosen_networks.find(config).measured_on().x_test))
    dimensions = {
        "technique": Dimension(config.techniques, "how the weights were trained"),
        "device": Dimension(config.devices, "memory cell"),
        "time": Dimension(tuple(SECONDS[t] for t in config.times), "time since programming", "s"),
        "repair": Dimension(REPAIRS, "what is done to a chip without training"),
        "chip": Dimension(range(config.chips), "chip"),
        "input": Dimension(range(tested), "test input"),
    }
    variables = {
        "score": Variable(
            ("technique", "device", "time", "repair", "chip", "input"),
            "1 where the input is classified correctly, else 0; of text, the mean loss of a window; NaN: no data at this time",
        ),
        "clean": Variable(("technique", "device", "input"), "the same of the trained weights without hardware"),
    }
    return Layout(dimensions, variables, ("technique", "device"))


@dataclasses.dataclass(frozen=True)
class State:
    """What all points share: the digital network, and the splits."""

    network: Any
    params: Any
    folds: list[Fold]


def prepare(config: Config) -> State:
    """Loads the data, and trains the digital network if its weights are not given."""
    import jax

    from experiments import supervised
    from experiments.hardware_training import splits

    network = chosen_networks.find(config)
    params = supervised.trained(network, config.steps, key=jax.random.fold_in(jax.random.key(config.seed), 1))
    return State(network, params, splits.folds(network, config.folds, config.test_inputs))


def tile(config: Config, device: str) -> Any:
    """The macro of the settings."""
    import xbar

    return xbar.Tile(
        device=chosen_devices.find(device),
        rows=config.rows,
        cols=config.cols,
        dac=xbar.DAC(bits=config.dac_bits),
        adc=xbar.ADC(bits=config.adc_bits),
        v_read=V_READ,
    )


def _reader(config: Config, device: str) -> Reader:
    files = chosen_devices.inputs(device) | chosen_networks.inputs(config)
    return _made(config, device, tuple(files.values()))


@functools.lru_cache(maxsize=4)
def _made(config: Config, device: str, hashes: tuple[str, ...]) -> Reader:
    from experiments.hardware_training.chips import Reader

    return Reader(chosen_networks.find(config), tile(config, device), config.percentile)


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """Trains by one technique for one device, on each split, and reads the chips at all times."""
    import jax

    from experiments.framework.progress import steps
    from experiments.hardware_training import techniques

    device, reader = point["device"], _reader(config, point["device"])
    known = known_times(config, device)
    times = [SECONDS[config.times[i]] for i in known]
    tested = sum(len(fold.y_test) for fold in state.folds)
    score = np.full((len(config.times), len(REPAIRS), config.chips, tested), np.nan)
    clean = np.full(tested, np.nan)
    recipe = techniques.Recipe(
        steps=config.training_steps,
        batch=config.batch,
        rate=config.rate,
        noise=config.noise,
        clip=config.clip,
        clip_per=config.clip_per,
        temperature=config.temperature,
    )
    for i, fold in enumerate(state.folds):
        key = jax.random.fold_in(jax.random.key(config.seed), 1000 + i)
        trained = techniques.train(
            point["technique"], state.network, state.params, fold, tile(config, device), times, recipe, key
        )
        clean[fold.places] = reader.clean(trained, fold.x_test, fold.y_test)
        for chip in steps(range(config.chips), "chips"):
            own = jax.random.fold_in(jax.random.fold_in(jax.random.key(config.seed), 3), chip)
            found = reader.read(trained, fold.x_cal, fold.x_test, fold.y_test, times, own)
            score[np.ix_(list(known), range(len(REPAIRS)), [chip], fold.places.tolist())] = found[:, :, None]
    return {"score": score, "clean": clean}


def present(config: Config, results: Results) -> Any:
    from experiments import training_study_view

    return training_study_view.present(config, results)
