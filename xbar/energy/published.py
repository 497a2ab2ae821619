"""Measured and published systems, every constant with its provenance, for comparison with a simulated chip."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from xbar.energy.coefficient import check_tag


@dataclasses.dataclass(frozen=True)
class Constant:
    """One published number.

    Args:
        value: in `unit`. tag: provenance, one letter of `xbar.energy.coefficient.TAGS`. source: where it was found.
    """

    value: float
    unit: str
    tag: str
    source: str

    def __post_init__(self):
        check_tag(self.tag)


@dataclasses.dataclass(frozen=True)
class System:
    """Throughput and efficiency of one system at one operating point; one MAC is two operations.

    Args:
        name: with its operating point. kind: "analog", "digital" or "architecture" (on paper). node: [m].
        tops: throughput [10^12 op/s], None if not known. tops_per_watt: at that point. precision: in words.
    """

    name: str
    kind: str
    node: float
    tops: Constant | None
    tops_per_watt: Constant
    precision: str

    @property
    def joules_per_mac(self) -> float:
        """2 / (TOPS/W) [J]."""
        return 2e-12 / self.tops_per_watt.value

    @property
    def watts(self) -> float | None:
        """Power at that point [W]."""
        return None if self.tops is None else self.tops.value / self.tops_per_watt.value

    @property
    def constants(self) -> tuple[Constant, ...]:
        return (self.tops_per_watt,) if self.tops is None else (self.tops, self.tops_per_watt)


_WAN = "Wan et al., Nature 2022, Extended Data Fig. 12, as digitised in CiMLoop"
_LE_GALLO = "Le Gallo et al., Nature Electronics 2023, abstract"
_NEURRAM = {  # (inputs, outputs) bits: TOPS of 48 cores, TOPS/W
    (1, 3): (2.12, 43.08),
    (2, 4): (1.79, 40.33),
    (3, 5): (1.17, 23.09),
    (4, 6): (0.744, 15.95),
    (5, 7): (0.525, 11.03),
    (6, 8): (0.418, 8.26),
    (7, 9): (0.344, 7.75),
    (8, 10): (0.264, 6.44),
}


def measured_systems() -> tuple[System, ...]:
    """Analog and digital chips as published, and architectures on paper."""
    tops = lambda x, tag, source: Constant(x, "TOPS", tag, source)  # noqa: E731
    per_watt = lambda x, tag, source: Constant(x, "TOPS/W", tag, source)  # noqa: E731
    neurram = [
        System(
            f"NeuRRAM {i}/{o} b", "analog", 130e-9, tops(t, "R", _WAN), per_watt(e, "R", _WAN), f"{i} b in, {o} b out"
        )
        for (i, o), (t, e) in _NEURRAM.items()
    ]
    peak = "data sheet, copy at glennklockwood.com: dense INT8 at 700 W"
    return (
        System("HERMES, 1 phase", "analog", 14e-9, tops(63.1, "R", _LE_GALLO), per_watt(9.76, "R", _LE_GALLO), "8 b"),
        System("HERMES, 4 phases", "analog", 14e-9, tops(16.1, "R", _LE_GALLO), per_watt(2.48, "R", _LE_GALLO), "8 b"),
        System(
            "IBM 34-tile", "analog", 14e-9, None, per_watt(12.4, "R", "Ambrogio et al., Nature 2023, abstract"), "8 b"
        ),
        System("Yao 2020", "analog", 130e-9, None, per_watt(11.0, "L", "Yao et al., Nature 2020"), "-"),
        System(
            "Mythic M1076",
            "analog",
            40e-9,
            tops(25.0, "R", "vendor"),
            per_watt(25 / 3.5, "D", "25 TOPS, 3 to 4 W"),
            "8 b",
        ),
        *neurram,
        System("H100 INT8", "digital", 4e-9, tops(1978.9, "R", peak), per_watt(1978.9 / 700, "D", peak), "8 b"),
        System(
            "ISAAC-CE",
            "architecture",
            32e-9,
            tops(41.29, "D", "component table"),
            per_watt(0.627, "D", "component table; 0.364 recalled [L] is unresolved"),
            "16 b",
        ),
        System(
            "PUMA",
            "architecture",
            32e-9,
            tops(52.3, "D", "Ankit et al., ASPLOS 2019"),
            per_watt(0.837, "R", "Ankit et al., ASPLOS 2019"),
            "16 b",
        ),
    )


def truenorth_event() -> Constant:
    """Energy of one synaptic event of TrueNorth [J]: 72 mW / (2^20 neurons x 20 Hz x 128 synapses).

    Breaks when: used at other rates: it is an average with the static power in it.
    """
    return Constant(72e-3 / (2**20 * 20 * 128), "J", "D", "72 mW at 20 Hz and 128 active synapses a neuron, 28 nm")


def loihi_event() -> Constant:
    """Energy of one synaptic operation of Loihi [J], without neurons, routing and static power."""
    return Constant(23.6e-12, "J", "R", "keras-spiking: 23.6 pJ a synaptic operation, 14 nm")


def brain_event() -> tuple[Constant, Constant]:
    """Energy of one synaptic event of a brain [J], lowest and highest: 20 W / (1e14 to 1e15 events/s)."""
    source = "20 W; 1e14 to 1e15 synaptic events a second, recalled [L]"
    return Constant(20e-15, "J", "L", source), Constant(200e-15, "J", "L", source)


def footnotes(systems: Sequence[System]) -> tuple[str, ...]:
    """The footnotes of a figure that shows these systems: their recalled, restated and derived numbers."""
    return tuple(dict.fromkeys(_sentences(systems)))


def _sentences(systems: Sequence[System]) -> Iterable[str]:
    words = {"L": "recalled [L], not read", "3": "restated by a third party [3]", "D": "derived [D]"}
    for system in systems:
        for constant in system.constants:
            if constant.tag in words:
                yield f"{system.name}: {constant.value:.4g} {constant.unit} is {words[constant.tag]}: {constant.source}"
