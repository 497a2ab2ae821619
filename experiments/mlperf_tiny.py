"""The four networks of MLPerf Tiny on crossbars: accuracy over time, energy and latency, compared with measured boards.

Weights are the benchmark's own. Each chip is read as mapped, and once more with every channel re-calibrated to its digital
statistics on unlabelled inputs; neither needs training.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from experiments import chosen_devices, chosen_macros, chosen_networks, measured_tiny
from experiments.accuracy_energy import COMPONENTS, SECONDS
from experiments.framework.errors import UsageError
from experiments.framework.files import hash_of
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "MLPerf Tiny on crossbars: accuracy over time, energy and latency, against measured boards"
VARIANTS = ("as mapped", "re-calibrated")
QUANTILES = ("P10", "P50", "P90")
PERCENTILE = 99.99  # of magnitudes that converter ranges cover
WRITES = dict(
    pulses=20, reads=20, v_write=1.75, width=8.52e-6
)  # assumed for a cell where its device does not say; the pulse
# is that of the NeuRRAM model in CiMLoop [R]
BATCH = 50  # inputs that are read at once
Name = Literal["ds-cnn", "resnet8", "mobilenet", "autoencoder"]


@dataclasses.dataclass(frozen=True)
class Config(chosen_macros.Setting):
    """Settings; the defaults take several minutes on two cores, half of them compilation."""

    MACRO = {"rows": 256, "cols": 256}  # noqa: RUF012  (not a field: what `chosen_macros.setting` starts from)

    networks: tuple[Name, ...] = ("ds-cnn", "resnet8", "mobilenet", "autoencoder")
    """Networks: keywords, CIFAR-10 images, wake words, machine sounds (energy only: its recordings are not available)."""
    device: str = "pcm"
    """Memory cell: pcm (Joshi 2020), reram (Wan 2022), any device that `xbar cite` lists, or a device file (*.toml)."""
    assume: str | None = None
    """Fills in what the device lacks; see `xbar run accuracy-energy --help`."""
    adc_bits: int | None = None
    """Resolution of the output converters; by default 8, or as in the architecture."""
    times: tuple[Literal["1s", "1h", "1d", "1mo", "1y"], ...] = ("1s", "1d")
    """Times after programming."""
    chips: int = 5
    """Chips for each network."""
    images: int = 200
    """Test inputs, of 1,000."""
    calibration: int = 100
    """Unlabelled inputs, other than those of the test, that ranges and statistics are taken from."""
    energy_inputs: int = 2
    """Test inputs whose energy is averaged."""
    schedule: Literal["serial", "pipelined"] | None = None
    """Order of work: one layer after another, or a pipeline; by default serial, or as in the architecture."""
    fixed: bool = False
    """Also compute the energy of every network without data: full-scale inputs, cells in the middle of their range."""
    inferences: float = 1e6
    """Inferences over which the energy of programming is spread."""
    seed: int = 0
    """Random seed of the chips and the noise."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    chosen_macros.check(config)
    for name, least in dict(chips=1, images=1, calibration=2, energy_inputs=1).items():
        if getattr(config, name) < least:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give at least {least}.")
    if not 1 <= config.inferences < float("inf"):
        raise UsageError(f"--inferences {config.inferences}: give at least 1.")
    for name in ("networks", "times"):
        values = getattr(config, name)
        if not values or len(set(values)) != len(values):
            raise UsageError(f"--{name}: give one or more different values, not {list(values)}.")
    if config.adc_bits is not None and not 2 <= config.adc_bits <= 16:
        raise UsageError(f"--adc-bits {config.adc_bits}: give 2 to 16 bits.")
    device = chosen_devices.find(config.device, config.assume)
    chosen_macros.check_fits(config, device)
    for time in config.times:
        try:
            device.check_time(SECONDS[time])
        except ValueError as error:
            raise UsageError(f"--times {time}: {error}") from error
    if config.assume is not None and not chosen_devices.completes(config.device, config.assume):
        raise UsageError(f"--assume {config.assume}: it has no law that {config.device} lacks. Leave it out.")
    inputs(config)


def inputs(config: Config) -> dict[str, str]:
    """Hashes of the files of the networks and of the measured systems."""
    from experiments import networks

    files = [*(f for n in config.networks for f in networks.files(n)), measured_tiny.path()]
    return {file.name: hash_of(file) for file in files}


def layout(config: Config) -> Layout:
    dimensions = {
        "network": Dimension(config.networks, "network"),
        "variant": Dimension(VARIANTS, "how the chip was set up"),
        "time": Dimension(tuple(SECONDS[t] for t in config.times), "time since programming", "s"),
        "chip": Dimension(range(config.chips), "chip"),
        "component": Dimension(COMPONENTS, "component"),
        "quantile": Dimension(QUANTILES, "of the uncertainty of the energy model"),
    }
    variables = {
        "accuracy": Variable(("network", "variant", "time", "chip"), "share of test inputs classified correctly"),
        "output_error": Variable(
            ("network", "variant", "time", "chip"), "rms difference from the digital outputs, by their spread"
        ),
        "digital_accuracy": Variable(("network",), "accuracy of the weights without hardware"),
        "energy": Variable(("network", "chip", "component"), "energy of an inference, median coefficients", "J"),
        "energy_quantile": Variable(("network", "quantile"), "quantile of the energy of an inference", "J"),
        "fixed_energy": Variable(("network",), "energy of an inference without data; NaN if not asked for", "J"),
        "programming": Variable(("network",), "energy of writing the arrays once, verifying reads with it", "J"),
        "latency": Variable(("network",), "time of an inference at batch 1", "s"),
        "period": Variable(("network",), "time from one inference to the next", "s"),
        "area": Variable(("network",), "area of all circuits", "m^2"),
        "gpu_energy": Variable(("network",), "energy of an inference on an H100 at batch 1, launches free", "J"),
        "macs": Variable(("network",), "multiply-accumulates of an inference"),
        "images": Variable(("network",), "test inputs"),
    }
    return Layout(dimensions, variables, ("network",))


@dataclasses.dataclass(frozen=True)
class Task:
    """A network and the inputs it is read with; `y` is None where there are no recorded inputs."""

    network: Any
    x: Any
    y: Any
    calibration: Any

    @classmethod
    def of(cls, config: Config, name: str) -> Task:
        import jax
        import jax.numpy as jnp

        from experiments import networks

        network = networks.find(name, jax.random.key(config.seed))
        if network.data is None:  # decibels of the magnitude of log-mels
            x = -30.0 + 10.0 * jax.random.normal(jax.random.key(17), (config.images + config.calibration, 640))
            return cls(network, x[: config.images], None, x[config.images :])
        data = network.measured_on()
        mixed, labels = data.some("test")
        x, y = jnp.asarray(mixed[: config.images]), jnp.asarray(labels[: config.images])
        rest = data.x_train if len(data.x_train) else mixed[len(x) :]
        if len(rest) < config.calibration:
            raise UsageError(
                f"--images {config.images} --calibration {config.calibration}: {data.name} has only {len(data.x_test)} "
                "inputs for both together. Give fewer."
            )
        return cls(network, x, y, jnp.asarray(rest[-config.calibration :]))

    def score(self, outputs: Any) -> float:
        """The accuracy; NaN without labels."""
        return float("nan") if self.y is None else float(self.network.metric(outputs, self.y))


def compute(config: Config, state: Any, point: dict[str, Any]) -> dict[str, Any]:
    """Programs and reads all chips of one network."""
    import jax
    import numpy as np

    import xbar
    from experiments.framework.progress import steps

    task = Task.of(config, point["network"])
    f, params = task.network.f, task.network.params
    tile = chosen_macros.tile(config, chosen_devices.find(config.device, config.assume), adc_bits=config.adc_bits)
    analog, wanted = xbar.analog(f, tile), np.asarray(jax.jit(f)(params, task.x))
    gpu = xbar.gpu_baseline(f, params, task.x[:1])
    read = [
        _chip(config, task, analog, wanted, jax.random.fold_in(jax.random.key(config.seed), i))
        for i in steps(range(config.chips), point["network"])
    ]
    ledgers = [r.pop("ledger") for r in read]
    found = {name: np.stack([r[name] for r in read], -1) for name in read[0]}
    mean = lambda of: float(np.mean([float(of(x)) for x in ledgers]))  # noqa: E731
    fixed = read_fixed(config, task, analog) if config.fixed else float("nan")
    return {
        **found,
        "digital_accuracy": task.score(wanted),
        "energy": np.stack([np.asarray(x.by_component) for x in ledgers]),
        "energy_quantile": np.mean([np.asarray(x.quantiles((0.1, 0.5, 0.9))) for x in ledgers], 0),
        "fixed_energy": fixed,
        "programming": programming_energy(task, analog, ledgers[0], jax.random.key(config.seed)),
        "latency": mean(lambda x: x.latency),
        "period": mean(lambda x: x.period),
        "area": mean(lambda x: x.square_metres),
        "gpu_energy": float(gpu.one.energy_without_launch),
        "macs": chosen_networks.macs(f, params, task.x[:1]),
        "images": len(task.x),
    }


def _prices(config: Config) -> dict[str, Any]:
    from xbar.energy import Schedule

    found = chosen_macros.prices(config, chosen_devices.find(config.device, config.assume))
    return found if config.schedule is None else {**found, "schedule": Schedule(config.schedule)}


def programming_energy(task: Task, analog: Any, ledger: Any, key: Any) -> float:
    """Energy of writing the arrays once [J]: pulses and verifying reads of the device's write-verify loop, or `WRITES`, with
    the conversions of the reads."""
    from xbar.energy import AssumedWrites

    writes = analog.programming(task.network.params, task.x[:1], key=key, assumed=AssumedWrites(**WRITES))
    return float(ledger.with_programming(writes, inferences=1).amortised_programming)


def read_fixed(config: Config, task: Task, analog: Any) -> float:
    """Energy of an inference, independent of the data [J]."""
    import jax

    chip = analog.program(task.network.params, task.x[:1], key=jax.random.key(config.seed))
    return float(chip.energy(task.x[:1], inferences=1, fixed=True, **_prices(config)).total)


def _chip(config: Config, task: Task, analog: Any, wanted: Any, key: Any) -> dict[str, Any]:
    """Accuracy and error of one chip in both variants at all times, and its ledger."""
    import jax
    import numpy as np

    import xbar
    from xbar.training import match_statistics

    write, range_key, read_key = jax.random.split(key, 3)
    params, x_cal = task.network.params, task.calibration
    chip = analog.program(params, task.x[:1], key=write)
    chip = xbar.calibrate(chip, x_cal, key=range_key, method="percentile", percentile=PERCENTILE)
    accuracy = np.full((len(VARIANTS), len(config.times)), np.nan)
    error = np.full_like(accuracy, np.nan)
    for j, time in enumerate(config.times):
        now = chip.at(SECONDS[time])
        matched = match_statistics(now, params, x_cal, key=jax.random.fold_in(range_key, j))
        for i, made in enumerate((_with_no_effect(matched), matched)):
            outputs = _outputs(made, task.x, jax.random.fold_in(read_key, j))
            accuracy[i, j] = task.score(outputs)
            error[i, j] = np.sqrt(np.mean((outputs - wanted) ** 2)) / np.std(wanted)
    some = task.x[: config.energy_inputs]
    ledger = chip.at(SECONDS[config.times[-1]]).energy(some, inferences=len(some), **_prices(config))
    return {"accuracy": accuracy, "output_error": error, "ledger": ledger}


def _with_no_effect(chip: Any) -> Any:
    """The chip with gains of 1 and offsets of 0: read by the same program as the re-calibrated chip."""
    import jax.numpy as jnp

    from xbar.macro.state import Correction

    own = {i: array.correction for i, array in chip.arrays.items()}
    return chip.with_corrections(
        {i: Correction(jnp.ones_like(c.gain), jnp.zeros_like(c.offset)) for i, c in own.items()}
    )


def _outputs(chip: Any, x: Any, key: Any) -> Any:
    """Outputs of all inputs, a batch at a time, with read noise of their own."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    count = min(BATCH, len(x))
    padded = jnp.concatenate([x, x[: -len(x) % count]])  # so that one program reads all batches
    batches = padded.reshape(-1, count, *x.shape[1:])
    keys = jax.random.split(key, len(batches))
    return np.concatenate([np.asarray(chip(b, key=k)) for b, k in zip(batches, keys, strict=True)])[: len(x)]


def present(config: Config, results: Results) -> Any:
    from experiments import mlperf_tiny_view

    return mlperf_tiny_view.present(config, results)
