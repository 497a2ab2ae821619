"""When do spikes win? The same trained weights read as a frame, and as events over T steps.

A network of dense layers with ReLU is trained digitally. As a frame, its inputs have as many bits as T spikes can encode
(`ceil(log2(T + 1))`); its spiking twin has the same weights and integrate-and-fire neurons. Both are on the same tiles,
read by ADCs or, for events, by integrators and comparators. The energy of events is computed at many spike rates; the
rate at which it equals that of the frame is the crossover.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal

import numpy as np

from experiments import chosen_devices, chosen_networks
from experiments.break_even import crossing, matched_bits
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "Frames or events? The spike rate below which spiking wins"
QUANTILES = (0.1, 0.5, 0.9)
RATES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # spikes per neuron and step
INTEGRATORS = "integrators"
V_READ = 0.2  # V


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; the defaults take a few minutes on two cores."""

    network: str = "mlp"
    """Network: a chain of layers with ReLU (mlp, cnn, ecg-cnn, ds-cnn); it is made to spike with its own weights."""
    data: str | None = None
    """Data set, for networks that support several: digits is included, mnist comes from XBAR_DATA or `xbar data fetch`."""
    devices: tuple[str, ...] = ("pcm", "reram")
    """Memory cells."""
    adc_bits: tuple[int, ...] = (4, 8)
    """Resolutions of the output converters; integrators without converters are always among the readouts."""
    spike_steps: tuple[int, ...] = (4, 16)
    """Time steps T of a spiking inference."""
    frame: Literal["bit_serial", "amplitude"] = "bit_serial"
    """How the frame's inputs are put on word lines: bit by bit, by the same drivers as events, or all at once as voltages."""
    penalties: tuple[float, ...] = (0.0, 0.3, 1.0, 3.0)
    """Penalties on hidden spikes in surrogate-gradient training, for accuracy against energy."""
    chips: int = 5
    """Chips for each setting; paired: chips of the same number have the same keys everywhere."""
    images: int = 300
    """Maximum number of test inputs."""
    rows: int = 64
    """Word lines per tile."""
    cols: int = 64
    """Bit-line pairs per tile."""
    steps: int = 1500
    """Steps of training."""
    seed: int = 0
    """Random seed of the training, the chips and the noise."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    from experiments.networks import chains

    for name, least in (("chips", 2), ("images", 1), ("rows", 1), ("cols", 1), ("steps", 1)):
        if getattr(config, name) < least:
            raise UsageError(f"--{name} {getattr(config, name)}: give at least {least}.")
    for name in ("devices", "adc_bits", "spike_steps", "penalties"):
        values = getattr(config, name)
        if not values or len(set(values)) != len(values):
            raise UsageError(f"--{name.replace('_', '-')}: give one or more different values, not {list(values)}.")
    if min(config.spike_steps) < 1 or max(config.spike_steps) > 1024:
        raise UsageError(f"--spike-steps {' '.join(map(str, config.spike_steps))}: give numbers from 1 to 1024.")
    if not all(2 <= b <= 16 for b in config.adc_bits):
        raise UsageError(f"--adc-bits {' '.join(map(str, config.adc_bits))}: give 2 to 16 bits.")
    if not all(0 <= p < 1e6 for p in config.penalties):
        raise UsageError(f"--penalties {' '.join(map(str, config.penalties))}: give numbers that are not negative.")
    for device in config.devices:
        chosen_devices.find(device)
    network = chosen_networks.find(config)
    network.measured_on()
    if chains.links(network.params) is None:
        raise UsageError(f"--network {config.network}: not a chain of layers with ReLU that is known here; use mlp.")


def inputs(config: Config) -> dict[str, str]:
    """The network's files, as hashes."""
    return chosen_networks.inputs(config)


def readouts(config: Config) -> tuple[str, ...]:
    """The readout circuits at the end of columns."""
    return (*(f"{b}-bit ADC" for b in config.adc_bits), INTEGRATORS)


def layout(config: Config) -> Layout:
    dimensions = {
        "device": Dimension(config.devices, "memory cell"),
        "readout": Dimension(readouts(config), "what stands at the end of a column, for events; the frame has an ADC"),
        "spike_steps": Dimension(config.spike_steps, "time steps of a spiking inference"),
        "rate": Dimension(RATES, "spikes per neuron and step"),
        "quantile": Dimension(QUANTILES, "quantile over the uncertainty of the energy model"),
        "chip": Dimension(range(config.chips), "chip"),
        "penalty": Dimension(config.penalties, "penalty on hidden spikes in training"),
    }
    at = ("device", "readout", "spike_steps")
    variables = {
        "crossover": Variable((*at, "quantile"), "spike rate at which events cost what the frame costs"),
        "frame_energy": Variable((*at, "quantile"), "energy of an inference as a frame", "J"),
        "event_energy": Variable(
            (*at, "quantile"), "energy of an inference as events, with the network's own spikes", "J"
        ),
        "energy_at_rate": Variable(
            (*at, "rate"), "energy of an inference as events at a rate, median coefficients", "J"
        ),
        "frame_accuracy": Variable((*at, "chip"), "share of test inputs classified correctly, as a frame"),
        "event_accuracy": Variable((*at, "chip"), "the same as events"),
        "own_rate": Variable(("spike_steps",), "share of synaptic operations done, of the network's own spikes"),
        "digital_accuracy": Variable((), "accuracy without hardware"),
        "digital_event_accuracy": Variable(("spike_steps",), "accuracy of the spiking twin without hardware"),
        "trained_accuracy": Variable((*at[:2], "penalty", "chip"), "accuracy of the network trained with a penalty"),
        "trained_energy": Variable((*at[:2], "penalty", "quantile"), "its energy of an inference", "J"),
        "trained_share": Variable(("penalty",), "share of synaptic operations done, of that network"),
        "images": Variable((), "test inputs"),
    }
    return Layout(dimensions, variables, ("device",))


@dataclasses.dataclass(frozen=True)
class State:
    """The trained network, its data, and networks trained to spike sparsely."""

    network: Any
    params: Any
    x: Any
    y: Any
    x_cal: Any
    lif: Any
    quiet: list[Any]


def prepare(config: Config) -> State:
    """Trains the network, and spiking networks with penalties."""
    import jax
    import jax.numpy as jnp

    from experiments import supervised
    from experiments.spiking_networks import LIFNetwork

    network = chosen_networks.find(config)
    key = jax.random.key(config.seed)
    params = supervised.trained(network, config.steps, key=jax.random.fold_in(key, 1))
    data = network.measured_on()
    x, y = map(jnp.asarray, data.some("test", config.images))
    calibration = jnp.asarray(network.unlabelled(128))
    quiet, lif = [], None
    if network.teachable:
        size = int(np.prod(data.x_train.shape[1:]))
        lif = LIFNetwork((size, 32 if size <= 64 else 128, data.classes), max(config.spike_steps), gain=0.5)
        train = functools.partial(lif.trained, data.x_train, data.y_train, steps=config.steps // 2, batch=64)
        quiet = [train(key=jax.random.fold_in(key, 2), noise=0.03, penalty=p) for p in config.penalties]
    return State(network, params, x, y, calibration, lif, quiet)


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """Frames and events on one device, over all readouts, T and rates."""
    import equinox as eqx

    study = Study(config, state, chosen_devices.find(point["device"]))
    each = [study.at(steps) for steps in config.spike_steps]
    by_steps = ("own_rate", "digital_event_accuracy")
    found = {name: np.stack([e[name] for e in each], 0 if name in by_steps else 1) for name in each[0]}
    trained = [study.trained(layers) for layers in state.quiet] or [study.untrained()] * len(config.penalties)
    found |= {n: np.stack([t[n] for t in trained], 0 if n == "trained_share" else 1) for n in trained[0]}
    digital = float(state.network.metric(eqx.filter_jit(state.network.f)(state.params, state.x), state.y))
    return {**found, "digital_accuracy": digital, "images": len(state.x)}


class Study:
    """One network on one device, as frames and as events; compiled once for all resolutions of converters."""

    def __init__(self, config: Config, state: State, device: Any):
        import jax

        self.config, self.state, self.device = config, state, device
        self.programs: dict[Any, Any] = {}
        self.keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 3), config.chips)

    @property
    def bits(self) -> list[float | None]:
        """Bits of the ADC of each readout; None: integrators."""
        return [*map(float, self.config.adc_bits), None]

    def tile(self, bits: Any, dac: Any = None) -> Any:
        """The macro; for events, without a `dac`."""
        import xbar

        c = self.config
        dac = dac or xbar.DAC(bits=2, encoding="bit_serial", range=1.0)
        return xbar.Tile(device=self.device, rows=c.rows, cols=c.cols, dac=dac, adc=xbar.ADC(bits=bits), v_read=V_READ)

    def at(self, steps: int) -> dict[str, Any]:
        """Results for one number of time steps: arrays by readout."""
        import jax.numpy as jnp

        from experiments.networks import chains
        from xbar import spiking

        s = self.state
        twin = spiking.converted(chains.links(s.params) or [], s.x_cal, steps)
        code = lambda x: spiking.regular(x, steps).astype(jnp.float32)  # noqa: E731
        accuracy, energy = self._chips(twin.synapses, _ran(twin), code(s.x_cal), code(s.x))
        frame_accuracy, frame = self._frames(steps)
        at_rates = self._driven(twin, steps)
        run, counts = _counted(twin, code(s.x))
        right = float(s.network.metric(spiking.rate_logits(run), s.y))
        rates = [crossing(np.asarray(RATES), e, f) for e, f in zip(at_rates, frame, strict=True)]
        return {
            "crossover": np.stack([_quantiles(r) for r in rates]),
            "frame_energy": np.quantile(frame, QUANTILES, axis=1).T,
            "event_energy": np.quantile(energy, QUANTILES, axis=1).T,
            "energy_at_rate": np.median(at_rates, 2),
            "frame_accuracy": frame_accuracy,
            "event_accuracy": accuracy,
            "own_rate": float(counts.share),
            "digital_event_accuracy": right,
        }

    def _frames(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Accuracy of chips, and samples of the energy, of the frame with as many bits as the spikes can encode. The
        entry for integrators repeats that of the widest ADC."""
        import xbar

        s, dac = self.state, xbar.DAC(bits=max(matched_bits(steps) + 1, 2), encoding=self.config.frame)
        accuracy, energy = self._chips(s.params, s.network.f, s.x_cal, s.x, dac)
        widest = int(np.argmax(self.config.adc_bits))
        accuracy[-1], energy[-1] = accuracy[widest], energy[widest]
        return accuracy, energy

    def _chips(
        self, params: Any, f: Any, x_cal: Any, x: Any, dac: Any = None, name: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Accuracy of each chip `(readouts, chips)`, and samples of the energy of an inference, the mean over chips [J].

        Args:
            dac: of a frame; None for events, whose inputs have time as their first axis. name: of a compiled program that is
                kept, to be used with other parameters of the same `f`.
        """
        read = self.programs.get(name) or self._program(f, dac)
        if name is not None:
            self.programs[name] = read
        bits = [b for b in self.bits if not (dac and b is None)]
        found = [read(params, x_cal, x, self.state.y, self.keys, _traced(b)) for b in bits]
        found += [found[-1]] if dac else []  # replaced by the caller
        energy = [np.asarray(ledgers.samples(), float)[..., 0].mean(0) for _, ledgers in found]
        return np.stack([np.asarray(a) for a, _ in found]), np.stack(energy)

    def _program(self, f: Any, dac: Any) -> Any:
        """`(params, x_cal, x, y, keys, bits) -> accuracy, ledger` of each chip."""
        import equinox as eqx
        import jax

        import xbar

        axis = 0 if dac else 1

        @eqx.filter_jit
        def read(params, x_cal, x, y, keys, bits):
            few = jax.lax.slice_in_dim(x, 0, min(32, x.shape[axis]), axis=axis)
            how: Any = dict(technology=None if dac else technology(bits is None), inferences=few.shape[axis])

            def one(key):
                chip = xbar.analog(f, self.tile(bits, dac)).program(params, x_cal, key=key)
                chip = xbar.calibrate(chip, x_cal, percentile=99.9).at()
                return self.state.network.metric(chip(x, key=key), y), chip.energy(few, **how)

            return jax.lax.map(one, keys)

        return read

    def _driven(self, twin: Any, steps: int) -> np.ndarray:
        """Samples `(readouts, rates, samples)` of the energy of an inference in which every neuron spikes at one rate [J]."""
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        import xbar

        number = 4
        outs = _shapes(twin, self.state.x_cal)
        fed = [self.state.x_cal.shape[1:], *(s[1:] for s in outs[:-1])]
        level = [jax.random.uniform(self.keys[0], (steps, number, *shape)) for shape in fed]
        trains = [jnp.stack([(u < rate).astype(jnp.float32) for rate in RATES]) for u in level]

        def f(synapses, trains):
            start = tuple(n.start((number, *s[1:])) for n, s in zip(twin.neurons, outs, strict=True))

            def step(states, spikes):
                layers = zip(twin.neurons, synapses, states, spikes, strict=True)
                new = tuple(n.step(state, jax.vmap(w)(s), twin.dt)[0] for n, w, state, s in layers)
                return new, tuple(state.v for state in new)

            return jax.lax.scan(step, start, trains)[1]

        @eqx.filter_jit
        def energy(synapses, trains, key, bits):
            first = [t[-1] for t in trains]  # every neuron in every step: the widest range
            chip = xbar.analog(f, self.tile(bits)).program(synapses, first, key=key)
            chip = xbar.calibrate(chip, first)
            chip = chip.at()
            how: Any = dict(technology=technology(bits is None), inferences=number)
            return jax.lax.map(lambda t: chip.energy(t, **how), trains)

        ledgers = [energy(twin.synapses, trains, self.keys[0], _traced(b)) for b in self.bits]
        return np.stack([np.asarray(ledger.samples(), float)[..., 0] for ledger in ledgers])

    def trained(self, layers: Any) -> dict[str, Any]:
        """A network trained with a penalty, on chips."""
        import jax

        s, key = self.state, jax.random.key(self.config.seed)
        spikes, cal = s.lif.encode(s.x, key), s.lif.encode(s.x_cal, key)
        accuracy, energy = self._chips(layers, s.lif, cal, spikes, name="trained")
        return {
            "trained_accuracy": accuracy,
            "trained_energy": np.quantile(energy, QUANTILES, axis=1).T,
            "trained_share": np.asarray(float(jax.jit(s.lif.events)(layers, spikes).share)),
        }

    def untrained(self) -> dict[str, Any]:
        """The placeholder values where there is nothing to train on."""
        n = len(self.bits)
        nothing = np.full((n, self.config.chips), np.nan), np.full((n, len(QUANTILES)), np.nan)
        return {"trained_accuracy": nothing[0], "trained_energy": nothing[1], "trained_share": np.asarray(np.nan)}


def technology(integrators: bool) -> Any:
    """Prices of events."""
    from xbar.energy import Technology

    return Technology(events=True, readout="integrators" if integrators else "converters")


def _traced(bits: float | None) -> Any:
    import jax.numpy as jnp

    return None if bits is None else jnp.asarray(bits)


def _counted(twin: Any, spikes: Any) -> Any:
    """A run and its events, compiled at once."""
    import equinox as eqx

    from xbar import spiking

    def both(twin, spikes):
        run = twin(spikes)
        return run, spiking.count_events(twin, spikes, run)

    return eqx.filter_jit(both)(twin, spikes)


def _ran(twin: Any) -> Any:
    """The spiking twin as a function of its synapses."""
    from xbar import spiking

    neurons, dt = twin.neurons, twin.dt
    return lambda synapses, spikes: spiking.rate_logits(spiking.Spiking(synapses, neurons, dt)(spikes))


def _shapes(twin: Any, x: Any) -> list[tuple[int, ...]]:
    import jax

    found, like = [], jax.ShapeDtypeStruct(x.shape, x.dtype)
    for synapse in twin.synapses:
        like = jax.eval_shape(jax.vmap(synapse), like)
        found.append(like.shape)
    return found


def _quantiles(rates: np.ndarray) -> np.ndarray:
    """Quantiles of rates, some of which may be infinite."""
    return np.quantile(rates, QUANTILES, method="nearest")


def present(config: Config, results: Results) -> Any:
    from experiments import crossover_view

    return crossover_view.present(config, results)
