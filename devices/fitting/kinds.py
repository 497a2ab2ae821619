"""Which models there are for which kind of measurement."""

from __future__ import annotations

import importlib

from devices.fitting.candidate import AbstractCandidate

MODULES = {
    "loop": "loops",
    "pulses": "pulses",
    "pulse-map": "pulse_map",
    "programming": "write_errors",
    "retention": "retention",
    "noise": "spectra",
    "read-iv": "read_iv",
    "endurance": "endurance",
    "cycles": "cycles",
}


def candidates(kind: str) -> dict[str, type[AbstractCandidate]]:
    """The models for a kind of measurement by name, in the order in which they are tried. `CANDIDATES` of its module."""
    module = importlib.import_module(f"devices.fitting.{MODULES[kind]}")
    return {one.name: one for one in module.CANDIDATES}
