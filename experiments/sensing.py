"""Networks that sense: a frame network (ANN) and a spiking one (SNN) for the same task, on devices over time, with the
energy per decision and that of the front end. `wearable-ecg`, `keyword` and `sense` are built on this."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from experiments import chosen_devices, datasets
from experiments.crossbar_study import SECONDS
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Variable
from experiments.sensing_networks import TASKS, Trained, trained

KINDS = ("ANN", "SNN")
QUANTILES = (0.1, 0.5, 0.9)
INTEGRATORS = "integrators"
PARTS = ("amplifier or microphone", "ADC", "features")
ESTIMATES = ("lowest", "likely", "highest")
CLASSES = 12  # at most
V_READ = 0.2  # V


@dataclasses.dataclass(frozen=True)
class Setting:
    """Settings that these experiments share."""

    devices: tuple[str, ...] = ("pcm", "reram")
    """Memory cells: pcm (Joshi 2020), reram (Wan 2022), any device that `xbar cite` lists, or a device file (*.toml)."""
    adc_bits: tuple[int, ...] = (6, 8)
    """Resolutions of the output converters; spiking networks are also read by integrators and comparators."""
    times: tuple[Literal["1s", "1h", "1d", "1mo", "1y"], ...] = ("1s", "1d", "1mo")
    """Times after programming; each device is evaluated only at those that its data support."""
    chips: int = 5
    """Chips for each setting; chips of the same number have the same keys everywhere."""
    images: int = 1500
    """Maximum number of test inputs, evenly from the test set (a fifth for DS-CNN, a sixteenth for its spiking twin)."""
    rows: int = 128
    """Word lines per tile."""
    cols: int = 128
    """Bit-line pairs per tile."""
    steps: int = 1500
    """Steps of training."""
    noise: float = 0.05
    """Noise on weights in training, as a share of the largest: it makes networks tolerate imperfect cells."""
    seed: int = 0
    """Random seed of the training, the chips and the noise."""


def check(config: Any) -> None:
    """Raises UsageError if a setting is invalid."""
    for name, least in (("chips", 2), ("images", 1), ("rows", 1), ("cols", 1), ("steps", 1)):
        if getattr(config, name) < least:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least {least}.")
    for name in ("devices", "adc_bits", "times"):
        values = getattr(config, name)
        if not values or len(set(values)) != len(values):
            raise UsageError(f"--{name.replace('_', '-')}: give one or more different values, not {list(values)}.")
    if not all(2 <= b <= 16 for b in config.adc_bits):
        raise UsageError(f"--adc-bits {' '.join(map(str, config.adc_bits))}: give 2 to 16 bits.")
    if not 0 <= config.noise < 1:
        raise UsageError(f"--noise {config.noise}: give a share from 0 to below 1.")
    for device in config.devices:
        if not known_times(config, chosen_devices.find(device)):
            raise UsageError(f"--times {' '.join(config.times)}: {device} has no data at any of these times; add 1s.")


FILES = {  # of a task or a data set: folder, file, other folders that may hold it
    "ecg": ("mitbih-beats", "mitbih_beats.npz", ()),
    "spoken-new-speaker": ("fsdd", "fsdd.npz", ()),
    "spoken": ("fsdd", "fsdd.npz", ()),
    "keywords": ("mlperf-tiny", "kws_inputs.npz", ("mlperf-tiny-inputs",)),
    "mnist": ("mnist", "train-images-idx3-ubyte.gz", ()),
    "fashion-mnist": ("fashion-mnist", "train-images-idx3-ubyte.gz", ()),
}


def needs(name: str) -> None:
    """Looks for the files of a task or data set, without reading them.

    Raises:
        UsageError: if they are missing; the message says what belongs where.
    """
    if name in FILES:
        folder, file, also = FILES[name]
        datasets.folder(folder, file, also=also)


def known_times(config: Any, device: Any) -> list[int]:
    """Indices of the times that a device's data support."""
    found = []
    for i, time in enumerate(config.times):
        try:
            device.check_time(SECONDS[time])
        except ValueError:
            continue
        found.append(i)
    return found


def readouts(config: Any) -> tuple[str, ...]:
    """The readout circuits at the end of columns."""
    return (*(f"{b}-bit ADC" for b in config.adc_bits), INTEGRATORS)


def layout(config: Any, tasks: tuple[str, ...]) -> Layout:
    """Axes and variables of a run over these tasks."""
    dimensions = {
        "task": Dimension(tasks, "what is decided"),
        "kind": Dimension(KINDS, "kind of network"),
        "device": Dimension(config.devices, "memory cell"),
        "readout": Dimension(readouts(config), "what stands at the end of a column"),
        "time": Dimension(tuple(SECONDS[t] for t in config.times), "time since programming", "s"),
        "chip": Dimension(range(config.chips), "chip"),
        "class": Dimension(range(CLASSES), "class, in the order of the task"),
        "quantile": Dimension(QUANTILES, "quantile over the uncertainty of the energy model"),
        "part": Dimension(PARTS, "part of the front end"),
        "estimate": Dimension(ESTIMATES, "estimate of its energy"),
    }
    of = ("task", "kind", "device", "readout")
    variables = {
        "accuracy": Variable((*of, "time", "chip"), "share of test inputs classified correctly"),
        "recall": Variable((*of, "time", "chip", "class"), "share of each class that is found; NaN: no such class"),
        "energy": Variable((*of, "quantile"), "energy of a decision of the network, while it works", "J"),
        "seconds": Variable(of, "time of a decision of the network", "s"),
        "leakage": Variable(of, "power that leaks while the network's circuits are on", "W"),
        "operations": Variable(("task", "kind"), "multiply-accumulates (synaptic operations) of a decision"),
        "digital_accuracy": Variable(("task", "kind"), "accuracy without hardware"),
        "digital_recall": Variable(("task", "kind", "class"), "recall of each class without hardware"),
        "front_end": Variable(("task", "part", "estimate"), "energy of a decision in front of the network", "J"),
        "period": Variable(("task",), "time from one decision to the next", "s"),
        "test_inputs": Variable(("task", "kind"), "test inputs"),
    }
    return Layout(dimensions, variables, ("task", "kind", "device"))


# -- computing -------------------------------------------------------------------------------------------------------------


def compute(config: Any, point: dict[str, Any]) -> dict[str, Any]:
    """One kind of network for one task on one device: accuracy over time, energy per decision, the front end."""
    made = trained(config, point["task"], point["kind"])
    device = chosen_devices.find(point["device"])
    found = measured(config, made, device, point["kind"] == "SNN", len(TASKS[point["task"]].classes))
    front = TASKS[point["task"]].front()
    return {
        **found,
        **digital(made, len(TASKS[point["task"]].classes)),
        "operations": made.macs,
        "front_end": np.array([part.joules for part in front.parts]),
        "period": front.period,
        "test_inputs": len(made.y),
    }


def digital(made: Trained, classes: int) -> dict[str, Any]:
    """Accuracy and recall without hardware."""
    import equinox as eqx

    right = np.asarray(eqx.filter_jit(made.f)(made.params, made.x).argmax(-1) == made.y)
    return {"digital_accuracy": right.mean(), "digital_recall": recalls(right, np.asarray(made.y), classes)}


def recalls(right: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Share of each class that is found; NaN beyond the existing classes.

    Args:
        right: whether each input is classified correctly, along the last axis.
    """
    found = np.full((*right.shape[:-1], CLASSES), np.nan)
    for c in range(classes):
        if (y == c).any():
            found[..., c] = right[..., y == c].mean(-1)
    return found


def measured(config: Any, made: Trained, device: Any, spikes: bool, classes: int) -> dict[str, Any]:
    """Chips of one network on one device, by readout."""
    known, names = known_times(config, device), readouts(config)
    shape = (len(names), len(config.times), config.chips)
    right = np.full((*shape, len(made.y)), np.nan)
    energy, seconds, leakage = (
        np.full((len(names), 3), np.nan),
        np.full(len(names), np.nan),
        np.full(len(names), np.nan),
    )
    reader = Reader(config, made, device, spikes)
    for i, name in enumerate(names):
        if (name == INTEGRATORS) != spikes and (made.deep or not spikes):
            continue  # frames need converters; DS-CNN's twin is slow to simulate, and only read by integrators
        bits = None if name == INTEGRATORS else float(config.adc_bits[i])
        right[i, known], energy[i], seconds[i], leakage[i] = reader(bits, [SECONDS[config.times[j]] for j in known])
    y = np.asarray(made.y)
    accuracy = np.where(np.isnan(right).any(-1), np.nan, right.mean(-1))
    recall = np.where(np.isnan(accuracy)[..., None], np.nan, recalls(right, y, classes))
    return {"accuracy": accuracy, "recall": recall, "energy": energy, "seconds": seconds, "leakage": leakage}


class Reader:
    """Programs and reads chips of one network; compiled once for all chips and resolutions of converters.

    Programming, ageing, outputs and energies are separate programs: as one they would take twice as long to compile.
    """

    def __init__(self, config: Any, made: Trained, device: Any, spikes: bool):
        import equinox as eqx

        self.config, self.made, self.device, self.spikes = config, made, device, spikes
        self._programmed, self._taken = eqx.filter_jit(self.chip), eqx.filter_jit(self.at)
        self._right, self._priced = eqx.filter_jit(_right), eqx.filter_jit(self.prices)

    def __call__(self, bits: float | None, times: list[float]) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Which inputs are classified correctly `(times, chips, inputs)`; means over chips of energy quantiles [J], time [s],
        leakage [W]."""
        import jax
        import jax.numpy as jnp

        m, right, prices = self.made, [], []
        traced = None if bits is None else jnp.asarray(bits)
        for key in jax.random.split(jax.random.fold_in(jax.random.key(self.config.seed), 3), self.config.chips):
            chip = self._programmed(m.params, m.x_cal, key, traced)
            taken = [self._taken(chip, m.params, m.x_cal, jnp.asarray(t)) for t in times]
            right.append([np.asarray(self._right(now, m.x, m.y, key), float) for now in taken])
            prices.append(self._priced(taken[0], m.x, bits is None))
        joules, seconds, leakage = (np.mean([np.asarray(p[i]) for p in prices], 0) for i in range(3))
        return np.swapaxes(np.array(right), 0, 1), joules, float(seconds), float(leakage)

    def prices(self, chip: Any, x: Any, integrators: bool) -> tuple[Any, Any, Any]:
        """Quantiles of the energy of a decision [J], its time [s] and the leakage power meanwhile [W]."""
        import jax

        from xbar.energy import COMPONENTS, Technology

        m = self.made
        few = jax.lax.slice_in_dim(x, 0, min(8 if m.deep else 32, x.shape[m.axis]), axis=m.axis)
        technology = Technology(events=self.spikes, readout="integrators" if integrators else "converters")
        ledger = chip.energy(few, technology=technology, inferences=few.shape[m.axis])
        leaks = ledger.by_component[COMPONENTS.index("leakage")] / ledger.latency
        return ledger.quantiles(QUANTILES), ledger.latency, leaks

    def chip(self, params: Any, x_cal: Any, key: Any, bits: Any) -> Any:
        """One chip, calibrated just after programming, with drift compensation of each column."""
        import xbar

        c, m = self.config, self.made
        direct = m.deep or not self.spikes
        dac = xbar.DAC(bits=8) if direct else xbar.DAC(bits=2, encoding="bit_serial", range=1.0)
        tile = xbar.Tile(device=self.device, rows=c.rows, cols=c.cols, dac=dac, adc=xbar.ADC(bits=bits), v_read=V_READ)
        chip = xbar.analog(m.f, tile).program(params, x_cal, key=key)
        share = 99.99 if m.deep else 99.9
        return xbar.calibrate(chip, x_cal, method="percentile", percentile=share, compensate_drift="column")

    def at(self, chip: Any, params: Any, x_cal: Any, t: Any) -> Any:
        """The chip at a time; for a deep network, with each channel's statistics restored (AdaBS), without labels."""
        import xbar

        now = chip.at(t)
        if self.made.deep and not self.spikes:
            now = xbar.training.match_statistics(now, params, x_cal)
        return now


def _right(chip: Any, x: Any, y: Any, key: Any) -> Any:
    """Which inputs a chip classifies correctly."""
    return chip(x, key=key).argmax(-1) == y
