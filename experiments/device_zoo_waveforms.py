"""Sines that show the loop of each compact model, chosen near the conditions of its publication."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Sine:
    """Amplitude [V] and lowest frequency [Hz] of the loops, time steps between points, and the circuit around the cell."""

    volts: float
    hertz: float
    substeps: int = 8
    circuit: Callable[[Any], Any] = lambda model: model


def _behind(**parts: Any) -> Callable[[Any], Any]:
    from devices.compact import Circuit

    return lambda model: Circuit(model, **parts)


SINES: dict[str, Sine] = {
    "ag_hfo2_selector": Sine(1.0, 1e4, 16, _behind(compliance=1e-4)),
    "chang_wox": Sine(1.5, 0.1),
    "gmss_spice_default": Sine(0.5, 100.0),
    "gmss_xyce": Sine(0.5, 100.0),
    "jart_vcm_v1b": Sine(1.5, 1.0, 4),
    "memdiode_aguirre": Sine(1.3, 0.05),
    "messaris_memtorch": Sine(0.8, 1.0, 16),
    "messaris_tiox": Sine(2.0, 1.0, 16),
    "milano2022_nanowires": Sine(2.0, 0.1, 16),
    "nbo2_pickett2012": Sine(3.0, 1e6, 64, _behind(resistance=1e3)),
    "nbo2_poole_frenkel": Sine(1.5, 1e6, 16, _behind(resistance=1e3)),
    "simmons_pickett2009": Sine(1.0, 1.0, 4),
    "stanford_alon": Sine(3.5, 1e3, 32, _behind(resistance=1e3)),
    "stanford_hfo2_granada": Sine(1.0, 1.0, 64),
    "stanford_hfox_default": Sine(1.8, 1e3, 32, _behind(resistance=1e3)),
    "strukov2008": Sine(1.0, 1.0),
    "team_simmons": Sine(8.0, 0.01, 16),
    "vteam_knowm_wsdc": Sine(0.8, 100.0),
    "vteam_magic": Sine(2.0, 1e6, 32),
    "vteam_memtorch": Sine(1.0, 5e7, 32),
    "yakopcic_jo2010": Sine(2.5, 0.1),
    "yakopcic_miao2011": Sine(1.0, 0.1),
    "yakopcic_oblea2010": Sine(0.45, 100.0),
    "yakopcic_oblea2010_pulsed": Sine(0.45, 100.0),
}
