"""The units of what chips hold, where its class says."""

from __future__ import annotations

_UNITS = {
    "Cells.g": "S",
    "Cells.age": "s",
    "Device.g_min": "S",
    "Device.g_max": "S",
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
_CONDUCTANCES = ("g_min", "g_max", "g_low", "g_high", "g_stuck")  # of any law of `devices`


def unit_of(kind: type, field: str) -> str:
    """The unit of a field; empty where it has none or it is not known."""
    own = _UNITS.get(f"{kind.__name__}.{field}", "")
    return own or ("S" if field in _CONDUCTANCES and kind.__module__.startswith("devices.") else "")
