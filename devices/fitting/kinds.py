"""The models for each kind of measurement."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from devices.fitting.engine.candidate import AbstractCandidate

MODULES = {
    "loop": "loops.loop_models",
    "pulses": "pulses.pulse_models",
    "pulse-map": "pulses.pulse_map_models",
    "programming": "write_errors.write_error_models",
    "retention": "retention.retention_models",
    "noise": "read_noise.noise_models",
    "read-iv": "reads.read_iv_models",
    "endurance": "cycling.endurance_models",
    "cycles": "cycling.cycle_models",
}


def listed(names: Iterable[str]) -> str:
    """Names of models, listed for a message (some contain commas)."""
    return "\n".join(["", *(f"  {name!r}" for name in names)])


def candidates(kind: str) -> dict[str, type[AbstractCandidate]]:
    """The models for a kind of measurement by name, in the order in which they are tried. `CANDIDATES` of its module."""
    module = importlib.import_module(f"devices.fitting.{MODULES[kind]}")
    return {one.name: one for one in module.CANDIDATES}
