"""The units of what chips hold, where its class says."""

from __future__ import annotations

import dataclasses

_UNITS = {
    "Cells.g": "S",
    "Cells.age": "s",
    "Tile.v_read": "V",
    "Tile.read_time": "s",
    "DAC.noise": "V",
    "ADC.noise": "A",
    "ADC.range": "A",
    "Ranges.adc": "A",
    "ProgrammedArray.reference": "S",
    "ProgrammedArray.residual": "S",
    "ProgrammedArray.frozen": "S",
    "Settled.conductance": "S",
    "Settled.net": "S",
    "Settled.readout": "S",
    "Settled.admittance": "S",
    "Settled.variance": "S^2",
    "ResistiveWires.r_row": "ohm",
    "ResistiveWires.r_col": "ohm",
    "ResistiveWires.r_source": "ohm",
    "ResistiveWires.r_sense": "ohm",
}


def unit_of(kind: type, field: dataclasses.Field) -> str:
    """The unit of a field; empty where it has none or it is not known. The constructors of devices and laws know theirs."""
    return _UNITS.get(f"{kind.__name__}.{field.name}", "") or getattr(field.metadata.get("converter"), "unit", "")
