"""The front end of a sensing network: transducer, amplifier, converter, features; energy per decision of each part."""

from __future__ import annotations

import dataclasses
from typing import Any

COIN_CELL = 0.225 * 3600 * 3.0  # J: 225 mAh at 3 V (CR2032; the voltage falls with its charge, and pulses cost more)
DAY = 86_400.0  # s


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a front end.

    Args:
        name: for tables. joules: per decision, lowest, likely and highest [J]. source: of its numbers, in words.
    """

    name: str
    joules: tuple[float, float, float]
    source: str


@dataclasses.dataclass(frozen=True)
class FrontEnd:
    """Everything between the world and the network's inputs.

    Args:
        what: in a few words. parts: with their energy. period: time from one decision to the next [s].
    """

    what: str
    parts: tuple[Part, ...]
    period: float

    @property
    def joules(self) -> tuple[float, float, float]:
        """Energy per decision, lowest, likely and highest [J]."""
        low, likely, high = (sum(part.joules[i] for part in self.parts) for i in range(3))
        return low, likely, high


def electrodes(period: float) -> FrontEnd:
    """One lead of an ECG: amplifier always on, 360 samples per second of 12 bits, a filter, peaks and their distances.

    Args:
        period: mean time between two beats [s].
    """
    from xbar.energy import Constant

    amplifier = Constant(50e-6 * 1.8, "W", "D", "50 uA of an ECG front end (Analog Devices, Analog Dialogue), at 1.8 V")
    samples = 360.0 * period
    operations = samples * (2 * 63 + 50) + 400  # a filter of 63 taps, about 50 to find peaks; distances and usual beat
    return FrontEnd(
        "electrodes, amplifier, ADC, filter and peaks",
        (
            Part("amplifier", _spread(amplifier.value * period, 2.0), f"{amplifier.source} [{amplifier.tag}]"),
            _adc(samples, 360.0),
            Part("features", _digital(operations, 0, 2 * operations), f"{operations:,.0f} operations, counted [D]"),
        ),
        period,
    )


def microphone(rate: float = 16_000.0, period: float = 1.0) -> FrontEnd:
    """A second of sound: microphone always on, 16,000 samples of 12 bits, 49 frames of ten MFCCs."""
    from xbar.energy import Constant

    microphone = Constant(20e-6 * 1.8, "W", "L", "20 uA at 1.8 V, a microphone in its low-power mode, recalled")
    lowest = Constant(
        6e-6 * 1.8, "W", "D", "6 uA of a piezoelectric microphone that only listens (newelectronics.co.uk)"
    )
    frames, points, bands = 49, 512, 40
    transform = 2.5 * points * 9  # a real transform: half of 5 N log2(N) of a complex one
    each = 480 + transform + 3 * 257 + 2 * 2 * 257 + 2 * bands * 10  # window, magnitudes, mel bands, cosines
    operations, logarithms = frames * each, frames * (bands + 257)
    return FrontEnd(
        "microphone, ADC and MFCCs",
        (
            Part(
                "microphone",
                (lowest.value * period, microphone.value * period, 120e-6 * 1.8 * period),
                f"{microphone.source} [{microphone.tag}]; {lowest.source} [{lowest.tag}]; .. 120 uA, recalled [L]",
            ),
            _adc(rate * period, rate),
            Part(
                "features",
                _digital(operations, logarithms, 2 * operations),
                f"{operations:,.0f} operations and {logarithms:,.0f} logarithms and roots, counted from the transform [D]",
            ),
        ),
        period,
    )


def _adc(samples: float, rate: float) -> Part:
    """12-bit conversions by the median law of the ledger, at 65 nm."""
    from xbar.energy import Technology

    tech = Technology(node=65e-9)
    each = float(tech.adc_model.energy(12.0, max(rate, 1e4), tech.node))
    return Part(
        "ADC", _spread(samples * each, 3.3), f"{samples:,.0f} conversions of 12 bits, {1e12 * each:.0f} pJ each [R]"
    )


def _digital(operations: float, hard: float, accesses: float) -> tuple[float, float, float]:
    """fp16 operations, hard ones that take several steps, and 16-bit memory accesses, as the ledger prices them at 22 nm."""
    from xbar.energy import Technology

    tech: Any = Technology()
    work = operations * tech.operation() + hard * tech.at_node(tech.transcendental)
    return _spread(float(work + accesses * 16 * tech.memory_bit()), 3.0)


def _spread(likely: float, factor: float) -> tuple[float, float, float]:
    return likely / factor, likely, likely * factor


def decisions_per_day(joules: float, years: float = 1.0) -> float:
    """Decisions per day that a coin cell of 225 mAh can power, for this many years."""
    return COIN_CELL / (365 * years) / joules


def days(joules: float, period: float) -> float:
    """Days that the coin cell lasts, with one decision every `period` [s]."""
    return COIN_CELL / joules * period / DAY
