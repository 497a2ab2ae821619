"""Accuracy of a network on crossbars over time, against the energy of an inference.

{naive mapping, trained hardware-aware} x {device} x {ADC bits} x {time} over several chips, with the digital network and an
H100 beside them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from experiments import chosen_devices
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

if TYPE_CHECKING:
    import xbar

TITLE = "Accuracy of a network on memristor crossbars, against the energy of an inference"
SECONDS = {"1s": 1.0, "1h": 3_600.0, "1d": 86_400.0, "1mo": 2_592_000.0, "1y": 31_536_000.0}
COMPONENTS = ("array", "dac", "adc", "accumulate", "digital", "memory")
GPU_CASES = ("batch 1", "batch 1, launches free", "ridge batch", "ridge batch, launches free")
RATES = (2e-3, 1e-3, 3e-4)  # learning rates of the rounds of hardware-aware training
TRAININGS = ("naive", "hardware-aware")
V_READ = 0.2  # V, of a full-scale input


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take about two minutes on two cores."""

    data: Literal["digits", "mnist", "fashion-mnist"] = "digits"
    """Data set; digits ships, the others come from XBAR_DATA."""
    network: Literal["mlp", "cnn"] = "mlp"
    """Multi-layer perceptron or small convolutional network."""
    devices: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--device"])] = ("ideal", "pcm", "reram")
    """Memory cells: ideal, pcm (Joshi 2020), reram (Wan 2022), any device that `xbar cite` lists, or a device file
    (*.toml)."""
    assume: str | None = None
    """What devices lack (write errors, drift, read noise): that of another device, such as pcm_joshi2020, scaled to their
    range, or write errors of a share of the range, such as 0.03."""
    posterior: bool = False
    """Read every chip a second time with a device drawn from the posterior that a device file carries."""
    adc_bits: tuple[int, ...] = (4, 5, 6, 7, 8)
    """Resolutions of the output converters."""
    times: tuple[Literal["1s", "1h", "1d", "1mo", "1y"], ...] = ("1s", "1h", "1d", "1mo", "1y")
    """Times after programming; a device is asked only for those that its data support."""
    dac_bits: int = 8
    """Resolution of the input converters."""
    encoding: Literal["amplitude", "bit_serial"] = "amplitude"
    """How inputs are put on word lines."""
    chips: int = 16
    """Chips programmed for each setting."""
    rows: int = 64
    """Word lines of a tile."""
    cols: int = 64
    """Bit-line pairs of a tile."""
    test_images: int = 1000
    """Test images at most."""
    steps: int = 1500
    """Steps of digital training."""
    hardware_steps: int = 1500
    """Steps of hardware-aware training, starting from the digital network."""
    percentile: float = 99.0
    """Converter ranges cover this percentage of what a calibration batch puts on them."""
    clip: float = 2.5
    """In hardware-aware training, weights are clipped to this many standard deviations of their layer."""
    seed: int = 0
    """Decides the training, the chips and the noise."""


def check(config: Config) -> None:
    """Raises UsageError for settings that cannot be."""
    for name in ("chips", "rows", "cols", "test_images", "steps", "hardware_steps"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give at least 1.")
    for name in ("devices", "adc_bits", "times"):
        values = getattr(config, name)
        if not values or len(set(values)) != len(values):
            raise UsageError(f"--{name.replace('_', '-')}: give one or more different values, not {list(values)}.")
    for bits in (*config.adc_bits, config.dac_bits):
        if not 2 <= bits <= 16:
            raise UsageError(f"{bits} bits: a converter here has 2 to 16.")
    if not 0 < config.percentile <= 100:
        raise UsageError(f"--percentile {config.percentile}: give a number above 0 and at most 100.")
    if not config.clip > 0:
        raise UsageError(f"--clip {config.clip}: give a number above 0.")
    if config.posterior and not any(device.endswith(".toml") for device in config.devices):
        raise UsageError(
            f"--posterior: none of {', '.join(config.devices)} is a device file, which alone carries a posterior. Give "
            "--device FILE.toml, which `xbar fit` writes."
        )
    for device in config.devices:
        chosen_devices.find(device, config.assume)
        if config.posterior:
            chosen_devices.drawn(device, config.chips, config.assume)
        if not _tools(config, device).known:
            raise UsageError(f"--times {' '.join(config.times)}: {device} has data at none of them; add 1s.")
    if config.assume is not None and not any(
        chosen_devices.completes(device, config.assume) for device in config.devices
    ):
        raise UsageError(
            f"--assume {config.assume}: it has no law that {' or '.join(config.devices)} lacks. Leave it out."
        )


def inputs(config: Config) -> dict[str, str]:
    """Contents of the device files, as a hash: a run belongs to them."""
    files = [name for name in (*config.devices, config.assume or "") if name.endswith(".toml")]
    return {name: hashlib.sha256(pathlib.Path(name).read_bytes()).hexdigest()[:12] for name in files}


def layout(config: Config) -> Layout:
    dimensions = {
        "training": Dimension(TRAININGS, "how the weights were trained"),
        "device": Dimension(config.devices, "memory cell"),
        "adc_bits": Dimension(config.adc_bits, "ADC resolution", "bit"),
        "time": Dimension(tuple(SECONDS[t] for t in config.times), "time since programming", "s"),
        "chip": Dimension(tuple(range(config.chips)), "chip"),
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
        "test_images": Variable((), "test images"),
    }
    return Layout(dimensions, variables, ("device", "adc_bits"))


# -- computing -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class State:
    """What all points share."""

    data: Any
    model: Any
    gpu_energy: tuple[float, ...]


def prepare(config: Config) -> State:
    """Loads the data, trains the digital network, and asks for its energy on a GPU."""
    import jax
    import jax.numpy as jnp

    import xbar
    from experiments import datasets, networks, supervised

    data = datasets.load(config.data)
    key = jax.random.key(config.seed)
    model = networks.make(config.network, *data.x_train.shape[1:], key=jax.random.fold_in(key, 0))
    plain = supervised.Trainer(lambda m, x, k, extra: networks.forward(m, x), steps=config.steps)
    model = plain.run(model, data.x_train, data.y_train, key=jax.random.fold_in(key, 1))
    gpu = xbar.gpu_baseline(networks.forward, model, jnp.asarray(data.x_test[:1]))
    energies = [e for case in (gpu.one, gpu.ridge) for e in (case.energy, case.energy_without_launch)]
    return State(data, model, tuple(map(float, energies)))


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """Trains hardware-aware for one device and ADC, and reads both networks on many chips at all times."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from experiments import networks

    key = jax.random.key(config.seed)
    tools = _tools(config, point["device"])
    bits = jnp.asarray(float(point["adc_bits"]))
    aware, ranges = tools.train(state, bits, jax.random.fold_in(key, 2))
    x_test, y_test = (jnp.asarray(a[: config.test_images]) for a in (state.data.x_test, state.data.y_test))
    found: dict[str, list[Any]] = {
        "accuracy": [],
        "accuracy_posterior": [],
        "energy": [],
        "energy_quantile": [],
        "digital_accuracy": [],
    }
    chips = jax.random.split(jax.random.fold_in(key, 3), config.chips)
    for model, own_ranges in ((state.model, None), (aware, ranges)):
        for name, value in tools.evaluate(model, own_ranges, bits, state.data, x_test, y_test, chips).items():
            found[name].append(value)
        digital = networks.accuracy(networks.forward(model, x_test), y_test)
        found["digital_accuracy"].append(float(digital))
    arrays = {name: np.asarray(values) for name, values in found.items()}
    return {**arrays, "gpu_energy": state.gpu_energy, "test_images": len(x_test)}


class _Tools:
    """Training and evaluation for one device, compiled once for all ADC resolutions."""

    def __init__(self, config: Config, device: str):
        from experiments import networks, supervised

        self.config = config
        self.name = device
        self.device = chosen_devices.find(device, config.assume)
        self.forward = networks.forward
        self.times = [SECONDS[t] for t in config.times]
        self.known = [i for i, t in enumerate(self.times) if self._has_data(t)]
        steps = max(config.hardware_steps // len(RATES), 1)
        self.trainer = supervised.Trainer(self._noisy, steps=steps, clip=config.clip)

    def _has_data(self, t: float) -> bool:
        try:
            self.device.check_time(t)
        except ValueError:
            return False
        return True

    def _network(self, bits: Any, device: Any = None) -> xbar.Analog:
        import xbar

        c = self.config
        dac, adc = xbar.DAC(bits=c.dac_bits, encoding=c.encoding), xbar.ADC(bits=bits)
        return xbar.analog(
            self.forward,
            xbar.Tile(device=device or self.device, rows=c.rows, cols=c.cols, dac=dac, adc=adc, v_read=V_READ),
        )

    def _noisy(self, model: Any, images: Any, key: Any, extra: Any) -> Any:
        """Logits on devices of this step only, at one of the times, with the ranges of a calibrated chip."""
        import jax

        import xbar

        bits, ranges, times = extra
        write, read, when = jax.random.split(key, 3)
        chip = self._network(bits).program(model, images[:1], key=write).with_ranges(ranges)
        return xbar.compensate(chip)(images, t=jax.random.choice(when, times), key=read)

    def _chip(self, model: Any, ranges: Any, bits: Any, images: Any, key: Any, device: Any = None) -> xbar.Chip:
        """One chip with the ranges that its network was trained with, or calibrated on training images if None."""
        import jax

        import xbar

        write, read = jax.random.split(key)
        chip = self._network(bits, device).program(model, images[:1], key=write)
        if ranges is not None:
            return xbar.compensate(chip.with_ranges(ranges))
        return xbar.calibrate(chip, images, key=read, method="percentile", percentile=self.config.percentile)

    def train(self, state: State, bits: Any, key: Any) -> tuple[Any, Any]:
        """Fine-tunes the digital network in the presence of fresh devices, their drift, and the converters.

        Converter ranges are those of a calibrated chip, measured anew at the start of each of a few rounds; those of
        the last round belong to the trained network.
        """
        import jax
        import jax.numpy as jnp

        data, model = state.data, state.model
        times = jnp.asarray([self.times[i] for i in self.known])
        for i, rate in enumerate(RATES):
            chip_key, train_key = jax.random.split(jax.random.fold_in(key, i))
            ranges = self._ranges(model, bits, jnp.asarray(data.x_train[:256]), chip_key)
            model = self.trainer.run(
                model, data.x_train, data.y_train, key=train_key, rate=rate, extra=(bits, ranges, times)
            )
        return model, ranges

    def evaluate(self, model: Any, ranges: Any, bits: Any, data: Any, x: Any, y: Any, chips: Any) -> dict[str, Any]:
        """Accuracy and energy of every chip at every time; NaN at times without data."""
        import jax.numpy as jnp
        import numpy as np

        times = jnp.asarray([self.times[i] for i in self.known])
        given = (model, ranges, bits, jnp.asarray(data.x_train[:256]), x, y, times, chips)
        found = {name: np.asarray(value) for name, value in self._read(*given, None).items()}
        found["accuracy_posterior"] = np.full(found["accuracy"].shape, np.nan)
        if (
            self.config.posterior
            and (drawn := chosen_devices.drawn(self.name, len(chips), self.config.assume)) is not None
        ):
            found["accuracy_posterior"] = np.asarray(self._read(*given, drawn)["accuracy"])
        full = {}
        for name, value in found.items():
            full[name] = np.full((len(self.times), *value.shape[1:]), np.nan)
            full[name][self.known] = value
        return full

    @functools.cached_property
    def _ranges(self) -> Any:
        import equinox as eqx

        return eqx.filter_jit(lambda model, bits, images, key: self._chip(model, None, bits, images, key).ranges)

    @functools.cached_property
    def _read(self) -> Any:
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        from experiments import networks

        @eqx.filter_jit
        def read(model, ranges, bits, x_cal, x, y, times, chips, drawn):
            make = lambda k, device: self._chip(model, ranges, bits, x_cal, k, device)  # noqa: E731
            wafer = jax.vmap(make, in_axes=(0, None if drawn is None else 0))(chips, drawn)

            def at(t):
                then = jax.vmap(lambda chip: chip.at(t))(wafer)
                one = lambda chip, k: networks.accuracy(chip(x, key=k), y)  # noqa: E731
                accuracy = jax.vmap(one)(then, chips)
                ledger = jax.vmap(lambda chip: chip.energy(x[:64], inferences=len(x[:64])))(then)
                quantiles = jnp.mean(ledger.quantiles((0.1, 0.9)), axis=-1)
                return {"accuracy": accuracy, "energy": ledger.by_component, "energy_quantile": quantiles}

            return jax.lax.map(at, times)

        return read


@functools.lru_cache(maxsize=8)
def _tools(config: Config, device: str) -> _Tools:
    return _Tools(config, device)


def present(config: Config, results: Results) -> Any:
    from experiments import accuracy_energy_view as view

    latest = max(SECONDS[t] for t in config.times)
    made = {name: chosen_devices.find(name, config.assume) for name in config.devices}
    beyond = tuple(said for device in made.values() if (said := device.extrapolates(latest, V_READ)))
    sources = tuple(
        f"{n}: {d.provenance.name}, {', '.join(d.provenance.dois) or 'no publication'}" for n, d in made.items()
    )
    lacks = {n: d.unmeasured for n, d in made.items() if d.provenance.numbers != "none"}
    assumed = {n: tuple(x for x in d.provenance.notes if x.startswith("ASSUMED")) for n, d in made.items()}
    return view.present(config, results, view.About(sources, beyond, lacks, assumed))
