"""The energy of training a large model, restated: homes, GPUs, brains, and the same operations on other hardware.

A calculator: every assumption is a flag, and nothing is simulated. A claimed energy gives GPU hours, these give operations,
and these give the energy on each platform at its published energy per multiply-accumulate.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments.framework.errors import UsageError
from experiments.framework.store import Dimension, Layout, Results, Variable

TITLE = "The energy of training a large model, on other hardware"
BOUNDS = ("low", "high")
BRAIN_WATTS = 20.0


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings; everything is computed within a second."""

    energy_mwh: float = 41_000.0
    """Energy that the training is claimed to have taken [MWh]; of GPT-4, as often claimed. There is no official figure."""
    gpu_watts: float = 700.0
    """Power of one GPU [W]: an H100 SXM at its limit."""
    gpu_tflops: float = 989.4
    """Peak of one GPU [10^12 operations per second]: FP16, dense."""
    utilisation: float = 0.35
    """Share of the peak that training reaches."""
    overhead: float = 1.18
    """Energy of the data centre divided by that of the computers (PUE)."""
    home_mwh: float = 10.25
    """Electricity of a home in a year [MWh]."""
    seed: int = 0
    """Has no effect: nothing is random here."""


def check(config: Config) -> None:
    """Raises UsageError if a setting is invalid."""
    for field in dataclasses.fields(config)[:-1]:
        value = getattr(config, field.name)
        if not 0 < value < float("inf"):
            raise UsageError(f"--{field.name.replace('_', '-')} {value}: give a number above 0.")
    if config.utilisation > 1:
        raise UsageError(f"--utilisation {config.utilisation}: give a share of at most 1.")
    if config.overhead < 1:
        raise UsageError(
            f"--overhead {config.overhead}: give at least 1, as the computers are part of the data centre."
        )


def platforms() -> dict[str, tuple[float, float, str, str]]:
    """By name: lowest and highest energy of a multiply-accumulate or synaptic event [J], what it is, and its source."""
    from xbar import energy

    of = {s.name: s for s in energy.measured_systems()}
    loihi = energy.loihi_event()
    low, high = energy.brain_event()
    hermes = (of["HERMES, 1 phase"].joules_per_mac, of["HERMES, 4 phases"].joules_per_mac)
    neurram = (of["NeuRRAM 1/3 b"].joules_per_mac, of["NeuRRAM 8/10 b"].joules_per_mac)
    ibm, isaac = of["IBM 34-tile"].joules_per_mac, of["ISAAC-CE"].joules_per_mac
    event = energy.truenorth_event().value
    return {
        "HERMES (PCM, 14 nm)": (*hermes, "8-bit MAC, one to four phases", of["HERMES, 1 phase"].tops_per_watt.source),
        "IBM 34-tile (PCM, 14 nm)": (ibm, ibm, "MAC at its best", of["IBM 34-tile"].tops_per_watt.source),
        "NeuRRAM (ReRAM, 130 nm)": (*neurram, "MAC, 1 to 8 bits in", of["NeuRRAM 8/10 b"].tops_per_watt.source),
        "ISAAC (on paper, 32 nm)": (isaac, isaac, "16-bit MAC", of["ISAAC-CE"].tops_per_watt.source),
        "Loihi (14 nm)": (loihi.value, loihi.value, "synaptic event, without neurons and static power", loihi.source),
        "TrueNorth (28 nm)": (event, event, "synaptic event, static power in it", energy.truenorth_event().source),
        "brain": (low.value, high.value, "synaptic event", low.source),
    }


def layout(config: Config) -> Layout:
    dimensions = {"platform": Dimension(tuple(platforms()), "platform"), "bound": Dimension(BOUNDS, "of a band")}
    variables = {
        "energy": Variable(("platform", "bound"), "energy of as many multiply-accumulates or events", "J"),
        "operations": Variable((), "operations of the training"),
        "gpu_hours": Variable((), "hours of one GPU", "h"),
        "gpu_energy": Variable((), "energy of the GPUs alone", "J"),
    }
    return Layout(dimensions, variables, ("platform",))


def compute(config: Config, state: None, point: dict[str, Any]) -> dict[str, Any]:
    """The energy on one platform."""
    gpu_energy = config.energy_mwh * 3.6e9 / config.overhead
    seconds = gpu_energy / config.gpu_watts
    operations = seconds * config.gpu_tflops * 1e12 * config.utilisation
    low, high, *_ = platforms()[point["platform"]]
    return {
        "energy": [operations / 2 * low, operations / 2 * high],
        "operations": operations,
        "gpu_hours": seconds / 3600,
        "gpu_energy": gpu_energy,
    }


def present(config: Config, results: Results) -> Any:
    from experiments import training_energy_view

    return training_energy_view.present(config, results)
