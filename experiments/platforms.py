"""Which hardware does it for less? One network on every platform: GPUs, published analog chips, architectures, brains.

Analog architectures are simulated: the network is programmed on their tiles, and the energy is that of their reads. GPUs are
rooflines of the same trace. Chips known only by their efficiency: that efficiency times the multiply-accumulates.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments import chosen_devices, chosen_macros, chosen_networks
from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "One network on every platform: energy and time of an inference"
CHOSEN = "macro of the settings (simulated)"
QUANTILES = ("P10", "median", "P90")
KINDS = {
    "simulated": "simulated here: tiles, converters, schedule and digital work of the architecture",
    "roofline": "roofline of the same operations",
    "measured": "published efficiency of the chip, times the multiply-accumulates",
    "events": "events of the spiking twin (the same weights), at the prices of the chip, static power and time included",
}


@dataclasses.dataclass(frozen=True)
class Config(chosen_macros.Setting):
    """Settings; the defaults take a few minutes on two cores."""

    network: str = "mlp"
    """Network; see `xbar run accuracy-energy --help`."""
    data: str | None = None
    """Data set, for networks that support several."""
    device: str = "pcm"
    """Memory cell of the macro of the settings; named architectures keep their own."""
    inputs: int = 16
    """Test inputs whose energy is averaged."""
    spike_steps: int = 16
    """Time steps of the spiking twin whose events are priced on event-driven chips."""
    steps: int = 300
    """Steps of digital training, for networks without given weights: the energy depends on activations."""
    seed: int = 0
    """Random seed of the weights and the chips."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    chosen_macros.check(config)
    chosen_macros.check_fits(config, chosen_devices.find(config.device))
    for name in ("inputs", "steps", "spike_steps"):
        if getattr(config, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: give at least 1.")
    chosen_networks.find(config).measured_on()


def inputs(config: Config) -> dict[str, str]:
    """The network's files, as hashes."""
    return chosen_networks.inputs(config)


def how_each_is_known() -> dict[str, str]:
    """Every platform by name, and how its energy is known."""
    from xbar import architectures, energy

    simulated = {CHOSEN: "simulated"} | {f"{name} (simulated)": "simulated" for name in architectures.ARCHITECTURES}
    gpus = {f"{gpu} {use}": "roofline" for gpu in ("H100", "A100") for use in ("batch 1", "ridge batch")}
    chips = {s.name: "measured" for s in energy.measured_systems() if s.kind == "analog" and "NeuRRAM" not in s.name}
    chips |= dict.fromkeys(("NeuRRAM 1/3 b", "NeuRRAM 8/10 b"), "measured")
    return simulated | gpus | chips | {chip.name: "events" for chip in energy.event_chips()}


def layout(config: Config) -> Layout:
    dimensions = {
        "platform": Dimension(tuple(how_each_is_known()), "platform"),
        "quantile": Dimension(QUANTILES, "of the uncertainty; for published figures their range"),
    }
    variables = {
        "energy": Variable(("platform", "quantile"), "energy of an inference", "J"),
        "seconds": Variable(
            ("platform",), "time of an inference (in a batch: its share of the batch's); NaN: not known", "s"
        ),
        "macs": Variable((), "multiply-accumulates of an inference"),
        "synaptic": Variable(
            (), "synaptic operations of an inference of the spiking twin; NaN: it cannot be made to spike"
        ),
        "twin_agrees": Variable((), "share of inputs whose class is the same for the twin"),
    }
    return Layout(dimensions, variables, ("platform",))


@dataclasses.dataclass(frozen=True)
class State:
    """The trained network, its inputs, its multiply-accumulates; events of its twin, or None where there is none, and the
    share of inputs for which both give the same class."""

    network: Any
    params: Any
    x: Any
    macs: float
    events: Any = None
    agrees: float = float("nan")


def prepare(config: Config) -> State:
    """Trains the network if its weights are not given."""
    import jax
    import jax.numpy as jnp

    import xbar
    from experiments import supervised

    network = chosen_networks.find(config)
    params = supervised.trained(network, config.steps, key=jax.random.key(config.seed))
    x = jnp.asarray(network.measured_on().some("test", config.inputs)[0])
    macs = xbar.gpu_baseline(network.f, params, x[:1]).ops / 2
    return State(network, params, x, macs, *_twin(config, network, params, x))


def _twin(config: Config, network: Any, params: Any, x: Any) -> tuple[Any, float]:
    """Events of the network as integrate-and-fire neurons with its own weights, and how often both agree; None for
    networks that are not a chain of layers with ReLU."""
    import equinox as eqx
    import jax.numpy as jnp

    from experiments.networks import chains
    from xbar import spiking

    links = chains.links(params)
    if links is None:
        return None, float("nan")
    data = network.measured_on()
    given = jnp.asarray((data.x_train if network.teachable else data.x_test)[:128])
    twin = spiking.converted(links, given, config.spike_steps)
    in_range = float(jnp.min(x)) >= 0 and float(jnp.max(x)) <= 1
    code = spiking.regular if in_range else spiking.direct  # signed inputs enter the first layer as they are
    spikes = code(x, config.spike_steps).astype(jnp.float32)

    @eqx.filter_jit
    def counted(twin, spikes, params, x):
        run = twin(spikes)
        same = spiking.rate_logits(run).argmax(-1) == network.f(params, x).argmax(-1)
        return spiking.count_events(twin, spikes, run), jnp.mean(same)

    events, same = counted(twin, spikes, params, x)
    return events, float(same)


def compute(config: Config, state: State, point: dict[str, Any]) -> dict[str, Any]:
    """Energy and time on one platform."""
    import numpy as np

    name = point["platform"]
    how = how_each_is_known()[name]
    energy, seconds = {"simulated": _simulated, "roofline": _roofline, "measured": _measured, "events": _events}[how](
        name, config, state
    )
    synaptic = float("nan") if state.events is None else float(state.events.synaptic)
    found = {"energy": np.asarray(energy, float), "seconds": seconds, "macs": state.macs}
    return {**found, "synaptic": synaptic, "twin_agrees": state.agrees}


def _simulated(name: str, config: Config, state: State) -> tuple[Any, float]:
    import jax
    import jax.numpy as jnp

    import xbar

    if name == CHOSEN:
        device = chosen_devices.find(config.device)
        tile = chosen_macros.tile(config, device)
        prices: dict[str, Any] = chosen_macros.prices(config, device)
    else:
        arch = xbar.architectures.ARCHITECTURES[name.removesuffix(" (simulated)")]()
        tile, prices = arch.tile, {"technology": arch}
    keys = jax.random.split(jax.random.key(config.seed), 2)
    chip = xbar.analog(state.network.f, tile).program(state.params, state.x[:1], key=keys[0])
    chip = xbar.calibrate(chip, state.x, key=keys[1])
    ledger = chip.energy(state.x, inferences=len(state.x), **prices)
    return jnp.ravel(ledger.quantiles((0.1, 0.5, 0.9))), float(jnp.mean(ledger.latency))


def _roofline(name: str, config: Config, state: State) -> tuple[Any, float]:
    import xbar
    from xbar import energy

    gpu = energy.h100_sxm() if name.startswith("H100") else energy.a100_sxm()
    found = xbar.gpu_baseline(state.network.f, state.params, state.x[:1], gpu=gpu)
    at = found.one if name.endswith("batch 1") else found.ridge
    free, full = float(at.energy_without_launch), float(at.energy)
    return [free, full, full], float(at.time + at.launch_time)


def _measured(name: str, config: Config, state: State) -> tuple[Any, float]:
    import math

    from xbar import energy

    system = next(s for s in energy.measured_systems() if s.name == name)
    return [system.joules_per_mac * state.macs] * 3, math.nan


def _events(name: str, config: Config, state: State) -> tuple[Any, float]:
    """Lowest, geometric mean and highest; the longest time."""
    import math

    from xbar import energy

    if state.events is None:
        return [math.nan] * 3, math.nan
    chip, e = next(c for c in energy.event_chips() if c.name == name), state.events
    sent = float(sum(e.spikes[1:]))
    events = dict(synaptic=float(e.synaptic), updates=float(e.updates), spikes=sent, hops=float(e.hops))
    low, high = chip.joules(**events, steps=e.steps)
    return [low, math.sqrt(low * high), high], math.nan if name == "brain" else chip.seconds(e.steps)[1]


def present(config: Config, results: Results) -> Any:
    from experiments import platforms_view

    return platforms_view.present(config, results)
