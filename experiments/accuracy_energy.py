"""Accuracy of a network on crossbars over time, against the energy of an inference.

{naive mapping, hardware-aware training} x {device} x {ADC bits} x {time} over several chips, compared with the digital
network and an H100.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from experiments import chosen_devices, chosen_macros, chosen_networks, mesh
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

if TYPE_CHECKING:
    import numpy as np

    import xbar
    from experiments.datasets import Dataset
    from experiments.networks import Network

TITLE = "Accuracy of a network on memristor crossbars, against the energy of an inference"
SECONDS = {"1s": 1.0, "1h": 3_600.0, "1d": 86_400.0, "1mo": 2_592_000.0, "1y": 31_536_000.0}
COMPONENTS = (  # of `xbar.energy`, which is not imported for the command's help
    *("array", "lines", "dac", "sample_hold", "adc", "accumulate"),
    *("digital", "memory", "network", "off_chip", "leakage", "clock", "neurons"),
)
GPU_CASES = ("batch 1", "batch 1, launches free", "ridge batch", "ridge batch, launches free")
ENERGY_INPUTS = 32  # whose energy is averaged
RATES = (2e-3, 1e-3, 3e-4)  # learning rates of the rounds of hardware-aware training
ADC_BITS = (4, 6, 8)
TRAININGS = ("naive", "hardware-aware")


@dataclasses.dataclass(frozen=True)
class Config(chosen_macros.Setting):
    """Settings; the defaults take about two minutes on two cores."""

    network: str = "cnn"
    """Network: mlp, cnn, lenet5, resnet8, ds-cnn, mobilenet, resnet14, resnet20, resnet32, gru, lstm, speech-cnn, ecg-cnn,
    transformer; or a Python file such as ./mine.py that defines f (f(params, x) -> logits) and params, or module (a PyTorch
    module); x and y to test on; and optionally x_train and y_train."""
    data: str | None = None
    """Data set, for networks that support several: digits is included, the others come from XBAR_DATA or `xbar data fetch`."""
    devices: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--device"])] = ("ideal", "pcm", "reram")
    """Memory cells: ideal, pcm (Joshi 2020), reram (Wan 2022), any device that `xbar cite` lists, or a device file
    (*.toml)."""
    assume: str | None = None
    """Fills in what a device lacks (write errors, drift, read noise): with the laws of another device, such as
    pcm_joshi2020, scaled to its range; or, for write errors alone, with a share of the range, such as 0.03."""
    posterior: bool = False
    """Read every chip a second time with a device drawn from the posterior that a device file carries."""
    adc_bits: tuple[int, ...] | None = None
    """Resolutions of the output converters; by default 4 6 8, or that of the architecture."""
    times: tuple[Literal["1s", "1h", "1d", "1mo", "1y"], ...] = ("1s", "1d", "1y")
    """Times after programming; each device is evaluated only at those that its data support."""
    chips: int = 8
    """Chips programmed for each setting."""
    test_images: int = 1000
    """Maximum number of test images."""
    steps: int | None = None
    """Steps of digital training, for networks without given weights; by default set by the network, 1500 for mlp and cnn."""
    hardware_steps: int = 300
    """Steps of hardware-aware training, starting from the digital network; 0 leaves it out."""
    percentile: float = 99.0
    """Converter ranges cover this percentage of what a calibration batch puts on them."""
    clip: float = 2.5
    """In hardware-aware training, weights are clipped to this many standard deviations of their layer."""
    mesh: int = 1
    """Devices (GPUs, or CPU threads acting as such) over which the tiles of each chip are spread; accuracies do not change."""
    seed: int = 0
    """Random seed of the training, the chips and the noise."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    mesh.check_mesh(config.mesh)
    chosen_macros.check(config)
    least = dict(chips=1, test_images=1, steps=1, hardware_steps=0)
    for name, bound in least.items():
        if (value := getattr(config, name)) is not None and value < bound:
            raise UsageError(f"--{name.replace('_', '-')} {value}: give at least {bound}.")
    for name, values in (("devices", config.devices), ("adc_bits", adc_bits(config)), ("times", config.times)):
        if not values or len(set(values)) != len(values):
            raise UsageError(f"--{name.replace('_', '-')}: give one or more different values, not {list(values)}.")
    for bits in adc_bits(config):
        if not 2 <= bits <= 16:
            raise UsageError(f"--adc-bits {bits}: give 2 to 16 bits.")
    if not 0 < config.percentile <= 100:
        raise UsageError(f"--percentile {config.percentile}: give a number above 0 and at most 100.")
    if not config.clip > 0:
        raise UsageError(f"--clip {config.clip}: give a number above 0.")
    if config.posterior and not any(device.endswith(".toml") for device in config.devices):
        raise UsageError(
            f"--posterior: none of {', '.join(config.devices)} is a device file, and only a device file has a posterior. "
            "Give --device FILE.toml, which `xbar fit` writes."
        )
    for device in config.devices:
        chosen_macros.check_fits(config, chosen_devices.find(device, config.assume))
        if config.posterior:
            chosen_devices.drawn(device, config.chips, config.assume)
    chosen_networks.find(config).measured_on()
    if config.assume is not None and not any(
        chosen_devices.completes(device, config.assume) for device in config.devices
    ):
        raise UsageError(
            f"--assume {config.assume}: it has no law that {' or '.join(config.devices)} lacks. Leave it out."
        )
    for device in config.devices:  # now that all files are known to be there
        if not _tools(config, device).known:
            raise UsageError(f"--times {' '.join(config.times)}: {device} has no data at any of these times; add 1s.")


def adc_bits(config: Config) -> tuple[int, ...]:
    """Resolutions of the output converters: as given, those of the architecture, or three."""
    if config.adc_bits is not None:
        return config.adc_bits
    return ADC_BITS if config.architecture is None else (chosen_macros.own_adc_bits(config),)


def inputs(config: Config) -> dict[str, str]:
    """Hashes of the network's files, by which a run is identified."""
    return chosen_networks.inputs(config)


def trainings(config: Config) -> tuple[str, ...]:
    """How the weights are trained: as the network's data and the settings allow."""
    return TRAININGS if config.hardware_steps and chosen_networks.find(config).teachable else TRAININGS[:1]


def layout(config: Config) -> Layout:
    dimensions = {
        "training": Dimension(trainings(config), "how the weights were trained"),
        "device": Dimension(config.devices, "memory cell"),
        "adc_bits": Dimension(adc_bits(config), "ADC resolution", "bit"),
        "time": Dimension(tuple(SECONDS[t] for t in config.times), "time since programming", "s"),
        "chip": Dimension(range(config.chips), "chip"),
        "component": Dimension(COMPONENTS, "component"),
        "quantile": Dimension((0.1, 0.9), "quantile over the uncertainty of the energy model"),
        "gpu_case": Dimension(GPU_CASES, "use of the H100"),
    }
    setting = ("training", "device", "adc_bits", "time")
    variables = {
        "accuracy": Variable((*setting, "chip"), "share of test images classified correctly"),
        "accuracy_posterior": Variable(
            (*setting, "chip"), "the same with a device drawn from the posterior for each chip; NaN without one"
        ),
        "energy": Variable((*setting, "chip", "component"), "energy of an inference, median coefficients", "J"),
        "energy_quantile": Variable((*setting, "quantile"), "quantile of the energy of an inference", "J"),
        "digital_accuracy": Variable(("training", "device", "adc_bits"), "accuracy of the weights without hardware"),
        "gpu_energy": Variable(("gpu_case",), "energy of an inference on an H100, INT8", "J"),
        "macs": Variable((), "multiply-accumulates of an inference"),
        "test_images": Variable((), "test images"),
    }
    return Layout(dimensions, variables, ("device", "adc_bits"))


# -- computing -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class State:
    """What all points share.

    Args:
        network: the requested network. model: its trained parameters. gpu_energy: of an inference [J]. macs: of an inference.
    """

    network: Network
    model: Any
    gpu_energy: tuple[float, ...]
    macs: float

    @property
    def data(self) -> Dataset:
        return self.network.measured_on()

    @property
    def calibration(self) -> Any:
        """Inputs that converter ranges are taken from: of the training set, where there is one."""
        import jax.numpy as jnp

        return jnp.asarray(self.network.unlabelled(256))


def prepare(config: Config) -> State:
    """Loads the data, trains the digital network if its weights are not given, and asks for its energy on a GPU."""
    import jax
    import jax.numpy as jnp

    import xbar
    from experiments import supervised

    network = chosen_networks.find(config)
    model = supervised.trained(network, config.steps, key=jax.random.fold_in(jax.random.key(config.seed), 1))
    one = jnp.asarray(network.measured_on().x_test[:1])
    gpu = xbar.gpu_baseline(network.f, model, one)
    energies = [e for case in (gpu.one, gpu.ridge) for e in (case.energy, case.energy_without_launch)]
    return State(network, model, tuple(map(float, energies)), chosen_networks.macs(network.f, model, one))


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """Trains hardware-aware for one device and ADC, and reads the networks on many chips at all times."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    key = jax.random.key(config.seed)
    tools = _tools(dataclasses.replace(config, seed=0), point["device"])  # whose programs serve every seed
    bits = jnp.asarray(float(point["adc_bits"]))
    versions = [(state.model, None)]
    if len(trainings(config)) > 1:
        versions.append(tools.train(state, bits, jax.random.fold_in(key, 2)))
    x_test, y_test = map(jnp.asarray, state.data.some("test", config.test_images))
    found: dict[str, list[Any]] = {
        "accuracy": [],
        "accuracy_posterior": [],
        "energy": [],
        "energy_quantile": [],
        "digital_accuracy": [],
    }
    chips = jax.random.split(jax.random.fold_in(key, 3), config.chips)
    for model, ranges in versions:
        for name, value in tools.evaluate(model, ranges, bits, state.calibration, x_test, y_test, chips).items():
            found[name].append(value)
        found["digital_accuracy"].append(float(state.network.metric(state.network.f(model, x_test), y_test)))
    arrays = {name: np.asarray(values) for name, values in found.items()}
    return {**arrays, "gpu_energy": state.gpu_energy, "macs": state.macs, "test_images": len(x_test)}


def rounds(config: Config) -> list[int]:
    """Steps of each round of hardware-aware training, which add up to those of the settings."""
    return [len(range(i, config.hardware_steps, len(RATES))) for i in range(len(RATES))]


class _Tools:
    """Training and evaluation for one device, compiled once for all ADC resolutions."""

    def __init__(self, config: Config, device: str):
        from experiments import supervised

        self.config = config
        self.name = device
        self.device = chosen_devices.find(device, config.assume)
        self.network = chosen_networks.find(config)
        self.times = [SECONDS[t] for t in config.times]
        self.known = [i for i, t in enumerate(self.times) if self._has_data(t)]
        made = functools.cache(
            lambda n: supervised.Trainer(self._noisy, steps=n, clip=config.clip, loss=self.network.loss)
        )
        self.trainers = [made(n) if n else None for n in rounds(config)]

    def _has_data(self, t: float) -> bool:
        try:
            self.device.check_time(t)
        except ValueError:
            return False
        return True

    def _analog(self, bits: Any, device: Any = None) -> xbar.Analog:
        import xbar

        tile = chosen_macros.tile(self.config, self.device, adc_bits=bits)
        if device is not None:
            tile = dataclasses.replace(tile, device=device)
        return xbar.analog(self.network.f, mesh.spread(tile, self.config.mesh))

    def _noisy(self, model: Any, images: Any, key: Any, extra: Any) -> Any:
        """Logits on devices drawn for this step only, at one of the times, with the ranges of a calibrated chip."""
        import jax

        import xbar

        bits, ranges, times = extra
        write, read, when = jax.random.split(key, 3)
        chip = self._analog(bits).program(model, images[:1], key=write).with_ranges(ranges)
        return xbar.compensate(chip)(images, t=jax.random.choice(when, times), key=read)

    def _chip(self, model: Any, bits: Any, images: Any, key: Any, device: Any) -> xbar.Chip:
        """One chip, calibrated on training images, with drift compensation."""
        import jax

        import xbar

        write, read = jax.random.split(key)
        chip = self._analog(bits, device).program(model, images[:1], key=write)
        return xbar.calibrate(chip, images, key=read, method="percentile", percentile=self.config.percentile)

    def train(self, state: State, bits: Any, key: Any) -> tuple[Any, Any]:
        """Fine-tunes the digital network in the presence of fresh devices, their drift, and the converters.

        Converter ranges are those of a calibrated chip, measured again at the start of each of a few rounds; those of
        the last round belong to the trained network.
        """
        import jax
        import jax.numpy as jnp

        data, model = state.data, state.model
        times = jnp.asarray([self.times[i] for i in self.known])
        for i, (rate, trainer) in enumerate(zip(RATES, self.trainers, strict=True)):
            if trainer is None:
                continue
            chip_key, train_key = jax.random.split(jax.random.fold_in(key, i))
            ranges = self._programs.made(model, bits, state.calibration, chip_key, None).ranges
            model = trainer.run(
                model, data.x_train, data.y_train, key=train_key, rate=rate, extra=(bits, ranges, times)
            )
        return model, ranges

    def evaluate(self, model: Any, ranges: Any, bits: Any, x_cal: Any, x: Any, y: Any, chips: Any) -> dict[str, Any]:
        """Accuracy and energy of every chip at every time; NaN at times without data."""
        import jax
        import numpy as np

        found = self._read(model, ranges, bits, x_cal, x, y, chips, [None] * len(chips))
        found["accuracy_posterior"] = np.full(found["accuracy"].shape, np.nan)
        if self.config.posterior:
            drawn = chosen_devices.drawn(self.name, len(chips), self.config.assume)
            if drawn is not None:
                devices = [jax.tree.map(lambda a, i=i: a[i], drawn) for i in range(len(chips))]
                again = self._read(model, ranges, bits, x_cal, x, y, chips, devices)
                found["accuracy_posterior"] = again["accuracy"]
        full = {}
        for name, value in found.items():
            full[name] = np.full((len(self.times), *value.shape[1:]), np.nan)
            full[name][self.known] = value
        return full

    def _read(
        self, model: Any, ranges: Any, bits: Any, x_cal: Any, x: Any, y: Any, keys: Any, devices: list[Any]
    ) -> dict[str, np.ndarray]:
        """Accuracy and energy `(times, chips, ...)`, one chip after another; with the ranges that the network was trained
        with, or those of its calibration if None."""
        import jax.numpy as jnp
        import numpy as np

        run, rows = self._programs, []
        for key, device in zip(keys, devices, strict=True):
            chip = run.made(model, bits, x_cal, key, device)
            chip = chip if ranges is None else chip.with_ranges(ranges)
            for i in self.known:
                now = run.taken(chip, jnp.asarray(self.times[i]))
                rows.append({"accuracy": run.accuracy(now, x, y, key), **run.priced(now, x[:ENERGY_INPUTS])})
        shape = (len(keys), len(self.known))
        found = {n: np.stack([np.asarray(row[n]) for row in rows]) for n in rows[0]}
        found = {n: np.swapaxes(v.reshape(*shape, *v.shape[1:]), 0, 1) for n, v in found.items()}
        return {**found, "energy_quantile": found["energy_quantile"].mean(1)}

    @functools.cached_property
    def _programs(self) -> Any:
        """What a chip goes through, compiled part by part: as one program it would take twice as long to compile, and once
        more for the ranges of a trained network."""
        import equinox as eqx

        def accuracy(chip, x, y, key):
            return self.network.metric(chip(x, key=key), y)

        def priced(chip, x):
            ledger = chip.energy(x, inferences=len(x), **chosen_macros.prices(self.config, self.device))
            return {"energy": ledger.by_component, "energy_quantile": ledger.quantiles((0.1, 0.9))}

        taken = eqx.filter_jit(lambda chip, t: chip.at(t))
        return types.SimpleNamespace(
            made=eqx.filter_jit(self._chip),
            taken=taken,
            accuracy=eqx.filter_jit(accuracy),
            priced=eqx.filter_jit(priced),
        )


def _tools(config: Config, device: str) -> _Tools:
    files = chosen_devices.inputs(device, config.assume) | chosen_networks.inputs(config)
    return _made(config, device, tuple(files.values()))


@functools.lru_cache(maxsize=4)
def _made(config: Config, device: str, hashes: tuple[str, ...]) -> _Tools:
    return _Tools(config, device)


def present(config: Config, results: Results) -> Any:
    from experiments import accuracy_energy_view as view

    latest = max(SECONDS[t] for t in config.times)
    made = {name: chosen_devices.find(name, config.assume) for name in config.devices}
    beyond = tuple(
        said for device in made.values() if (said := device.extrapolates(latest, chosen_macros.v_read(config)))
    )
    sources = tuple(
        f"{n}: {d.provenance.name}, {', '.join(d.provenance.dois) or 'no publication'}" for n, d in made.items()
    )
    lacks = {n: d.unmeasured for n, d in made.items() if d.provenance.numbers != "none"}
    assumed = {n: tuple(x for x in d.provenance.notes if x.startswith("ASSUMED")) for n, d in made.items()}
    return view.present(config, results, view.About(sources, beyond, lacks, assumed, chosen_networks.sentences(config)))
