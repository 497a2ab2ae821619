"""One network on one device at one time, chip by chip: what sensitivity, specification and yield ask about."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal

from experiments import chosen_devices, chosen_macros, chosen_networks
from experiments.framework.errors import UsageError

SECONDS = {"1s": 1.0, "1h": 3_600.0, "1d": 86_400.0, "1mo": 2_592_000.0, "1y": 31_536_000.0}
SPOKEN = {"1s": "1 s", "1h": "1 hour", "1d": "1 day", "1mo": "1 month", "1y": "1 year"}


@dataclasses.dataclass(frozen=True)
class Setting(chosen_macros.Setting):
    """Settings that these experiments share."""

    network: str = "mlp"
    """Network: mlp, cnn, lenet5, resnet8, ds-cnn, mobilenet, resnet14, resnet20, resnet32, gru, lstm, speech-cnn, ecg-cnn,
    transformer; or a Python file such as ./mine.py that defines f and params (or module) with x and y."""
    data: str | None = None
    """Data set, for networks that support several: digits is included, the others come from XBAR_DATA or `xbar data fetch`."""
    device: str = "pcm"
    """Memory cell: pcm (Joshi 2020), reram (Wan 2022), any device that `xbar cite` lists, or a device file (*.toml)."""
    assume: str | None = None
    """Fills in what the device lacks (write errors, drift, read noise): with the laws of another device, such as
    pcm_joshi2020, scaled to its range; or, for write errors alone, with a share of the range, such as 0.03."""
    time: Literal["1s", "1h", "1d", "1mo", "1y"] = "1d"
    """Time after programming."""
    adc_bits: int | None = None
    """Resolution of the output converters; by default 8, or as in the architecture."""
    percentile: float = 99.9
    """Converter ranges cover this percentage of what a calibration batch puts on them."""
    chips: int = 16
    """Chips, each with cells of its own."""
    images: int = 500
    """Maximum number of test inputs."""
    steps: int | None = None
    """Steps of digital training, for networks without given weights; by default set by the network."""
    seed: int = 0
    """Random seed of the training, the chips and the noise."""


def check(config: Any) -> None:
    """Raises UsageError if a setting is invalid."""
    chosen_macros.check(config)
    least = dict(chips=2, images=1, steps=1)
    for name, bound in least.items():
        if (value := getattr(config, name)) is not None and value < bound:
            raise UsageError(f"--{name.replace('_', '-')} {value}: give at least {bound}.")
    if config.adc_bits is not None and not 2 <= config.adc_bits <= 16:
        raise UsageError(f"--adc-bits {config.adc_bits}: give 2 to 16 bits.")
    if not 0 < config.percentile <= 100:
        raise UsageError(f"--percentile {config.percentile}: give a number above 0 and at most 100.")
    device = chosen_devices.find(config.device, config.assume)
    try:
        device.check_time(SECONDS[config.time])
    except ValueError as error:
        raise UsageError(f"--time {config.time}: {error}") from error
    chosen_macros.check_fits(config, device)
    if config.assume is not None and not chosen_devices.completes(config.device, config.assume):
        raise UsageError(f"--assume {config.assume}: it has no law that {config.device} lacks. Leave it out.")
    chosen_networks.find(config).measured_on()


def inputs(config: Any) -> dict[str, str]:
    """Hashes of the network's files, by which a run is identified."""
    return chosen_networks.inputs(config)


def layers(config: Any) -> tuple[str, ...]:
    """Names of the weights that can be put on arrays, in the order in which the network uses them."""
    return _layers(config.network, config.data, config.seed, tuple(chosen_networks.inputs(config).values()))


@functools.lru_cache(maxsize=4)
def _layers(name: str, data: str | None, seed: int, hashes: tuple[str, ...]) -> tuple[str, ...]:
    import warnings

    import jax
    import jax.numpy as jnp

    import xbar
    from experiments import networks

    network = networks.find(name, jax.random.fold_in(jax.random.key(seed), 0), data)
    seen: dict[str, None] = {}

    def choose(path: str, shape: tuple[int, ...]) -> None:
        seen[path] = None

    with warnings.catch_warnings():
        # nothing is mapped here: warnings about what stays digital belong to real chips
        warnings.simplefilter("ignore")
        x = jnp.asarray(network.measured_on().x_test[:1])
        xbar.analog(network.f, choose).program(network.params, x, key=jax.random.key(0))
    if not seen:
        raise UsageError(f"--network {name}: it has no product of weights and inputs that could be put on arrays.")
    return tuple(seen)


@dataclasses.dataclass(frozen=True)
class Study:
    """A trained network, its data, and the device.

    Args:
        config: a `Setting`. network, model: the function and its trained parameters. device: with what is assumed about it.
        x, y: test inputs and labels. x_cal: inputs that converter ranges are taken from. t: time since programming [s].
    """

    config: Any
    network: Any
    model: Any
    device: Any
    x: Any
    y: Any
    x_cal: Any
    t: float

    @classmethod
    def of(cls, config: Any) -> Study:
        """Loads the data, and trains the network if its weights are not given."""
        import jax
        import jax.numpy as jnp

        from experiments import supervised

        network = chosen_networks.find(config)
        model = supervised.trained(network, config.steps, key=jax.random.fold_in(jax.random.key(config.seed), 1))
        data = network.measured_on()
        x, y = map(jnp.asarray, data.some("test", config.images))
        calibration = jnp.asarray(network.unlabelled(256))
        device = chosen_devices.find(config.device, config.assume)
        return cls(config, network, model, device, x, y, calibration, SECONDS[config.time])

    @property
    def arrays(self) -> tuple[Any, ...]:
        """Parameters, test inputs, labels and calibration inputs: arguments of compiled programs, never constants in
        them."""
        return self.model, self.x, self.y, self.x_cal

    def holding(self, arrays: tuple[Any, ...]) -> Study:
        """The same study with other `arrays`: those that a compiled program was called with."""
        model, x, y, x_cal = arrays
        return dataclasses.replace(self, model=model, x=x, y=y, x_cal=x_cal)

    def keys(self, purpose: int, count: int) -> Any:
        """Keys of `count` chips; other chips for another purpose."""
        import jax

        return jax.random.split(jax.random.fold_in(jax.random.key(self.config.seed), 100 + purpose), count)

    def tile(self, device: Any, *, wires: Any = None, adc_bits: Any = None) -> Any:
        """The macro of the settings around some device."""
        bits = self.adc_bits if adc_bits is None else adc_bits
        return chosen_macros.tile(self.config, device, adc_bits=bits, wires=wires)

    @property
    def adc_bits(self) -> int:
        """Resolution of the output converters."""
        return adc_bits(self.config)

    def chip(self, tile: Any, key: Any, ranges: Any = None, scale: Any = None) -> Any:
        """One chip at the study's time; calibrated just after programming, or with the converter `ranges` given.

        Args:
            tile: a `Tile`, or `(path, shape) -> Tile | None`.
            ranges: of the converters, by layer number. scale: `(path) -> (dac, adc)`, factors of the ranges of a layer.
        """
        import xbar

        network = xbar.analog(self.network.f, tile)
        chip = network.program(self.model, self.x_cal[:1], key=key)
        if ranges is None:
            chip = xbar.calibrate(chip, self.x_cal, method="percentile", percentile=self.config.percentile)
        else:
            if scale is not None:
                paths = {i: chip.plan_layers[i].path for i in ranges}
                ranges = {i: _scaled(r, *scale(paths[i])) for i, r in ranges.items()}
            chip = xbar.compensate(chip.with_ranges(ranges))
        return chip.at(self.t)

    def outputs(self, chip: Any, key: Any) -> Any:
        """Outputs of a chip for the test inputs, with read noise from a key of its own."""
        import jax

        return chip(self.x, key=jax.random.fold_in(key, 1))

    def digital(self) -> float:
        """Accuracy (or what the network reports) without hardware."""
        return float(self.network.metric(self.network.f(self.model, self.x), self.y))


def adc_bits(config: Any) -> int:
    """Resolution of the output converters: as given, or as the macro has it."""
    return chosen_macros.own_adc_bits(config) if config.adc_bits is None else config.adc_bits


def _scaled(ranges: Any, dac: Any, adc: Any) -> Any:
    return dataclasses.replace(ranges, dac=ranges.dac * dac, adc=ranges.adc * adc)


def sentences(config: Any) -> tuple[str, ...]:
    """Source of the device and of the weights, and what must be stated about both."""
    device = chosen_devices.find(config.device, config.assume)
    about = device.provenance
    said = [f"Device {config.device}: {about.name}, {', '.join(about.dois) or 'no publication'}."]
    said += [note for note in about.notes if note.startswith("ASSUMED")]
    if device.unmeasured and about.numbers != "none":
        said.append(
            f"{config.device} has no law for {', '.join(device.unmeasured)}: its cells are ideal in this respect, because "
            "nothing was measured. --assume fills it in from another device."
        )
    beyond = device.extrapolates(SECONDS[config.time], chosen_macros.v_read(config))
    return (*said, *((beyond,) if beyond else ()), *chosen_networks.sentences(config))


def doubts(config: Any) -> tuple[str, ...]:
    """The sentences that weaken a result: parts assumed or never measured, extrapolation, data that were left out."""
    ordinary = (sentences(config)[0], chosen_networks.sentences(config)[0])
    return tuple(said for said in sentences(config) if said not in ordinary)


def conditions(config: Any) -> str:
    """How chips are made, in a sentence."""
    return (
        f"{' '.join(chosen_macros.sentences(config))} {adc_bits(config)}-bit output converters; converter ranges cover "
        f"{config.percentile:g} % of 256 calibration inputs; global drift compensation, one factor per tile; read "
        f"{SPOKEN[config.time]} after programming."
    )
