"""Headers of columns: from `Voltage (V)`, `I [uA]`, `time_s` or `R/kohm` to a column's name and its factor to SI units."""

from __future__ import annotations

import dataclasses
import re

PREFIX = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "K": 1e3,
          "M": 1e6, "G": 1e9}  # fmt: skip
BASE = {
    "V": "V", "volt": "V", "volts": "V", "Volt": "V", "A": "A", "amp": "A", "amps": "A", "Amp": "A", "ampere": "A",
    "s": "s", "sec": "s", "second": "s", "seconds": "s", "S": "S", "siemens": "S", "mho": "S",
    "ohm": "ohm", "Ohm": "ohm", "OHM": "ohm", "ohms": "ohm", "Ohms": "ohm", "Ω": "ohm", "\u2126": "ohm",
    "K": "K", "Hz": "Hz",
}  # fmt: skip
FIXED = {
    "min": ("s", 60.0),
    "h": ("s", 3600.0),
    "hour": ("s", 3600.0),
    "1": ("1", 1.0),
    "": ("", 1.0),
    "a.u.": ("1", 1.0),
}
CELSIUS = {"C", "°C", "degC", "ºC", "℃", "celsius", "Celsius"}

# what a header may be called (lower case, without signs) -> column
NAMES = {
    "v": "v", "voltage": "v", "vdevice": "v", "vd": "v", "bias": "v", "appliedvoltage": "v", "vdrive": "v_drive",
    "drivevoltage": "v_drive", "vgate": "v_gate", "vg": "v_gate", "gatevoltage": "v_gate", "vwl": "v_gate",
    "i": "i", "current": "i", "id": "i", "t": "t", "time": "t", "timestamp": "t",
    "g": "g", "conductance": "g", "r": "r", "resistance": "r", "gbefore": "g_before", "gafter": "g_after",
    "rbefore": "r_before", "rafter": "r_after", "gon": "g_on", "goff": "g_off", "ron": "r_on", "roff": "r_off",
    "rlrs": "r_on", "rhrs": "r_off", "glrs": "g_on", "ghrs": "g_off", "ion": "i_on", "ioff": "i_off",
    "ilrs": "i_on", "ihrs": "i_off", "vset": "v_set", "vreset": "v_reset",
    "g0": "g0", "r0": "r0", "ginitial": "g0", "target": "target", "gtarget": "target", "glow": "g_low", "ghigh": "g_high",
    "temperature": "temperature", "temp": "temperature", "pulse": "pulse", "pulsenumber": "pulse", "pulseno": "pulse",
    "direction": "direction", "cycle": "cycle", "cyclenumber": "cycle", "device": "device", "cell": "device",
    "address": "device", "addr": "device", "deviceid": "device", "amplitude": "amplitude", "pulseamplitude": "amplitude",
    "width": "width", "pulsewidth": "width", "level": "level", "write": "write", "accepted": "accepted",
}  # fmt: skip
EXPECTED = {"v": "V", "i": "A", "t": "s", "g": "S", "r": "ohm", "temperature": "K", "target": "S", "width": "s",
            "amplitude": "V"}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit: value in SI = factor * (value + offset), and its dimension (`V`, `A`, `s`, `S`, `ohm`, `K`, `1`)."""

    dimension: str
    factor: float = 1.0
    offset: float = 0.0


@dataclasses.dataclass(frozen=True)
class Header:
    """One column's header: which column it is (None if nobody knows) and its unit (None if not written)."""

    text: str
    column: str | None
    unit: Unit | None


def unit(text: str) -> Unit | None:
    """A unit from its text with SI prefix; None if it is no unit that measurements of devices have."""
    text = text.strip()
    if text in CELSIUS:
        return Unit("K", 1.0, 273.15)
    if text in FIXED:
        return Unit(*FIXED[text])
    for length in (0, 1):
        if text[length:] in BASE and text[:length] in PREFIX:
            return Unit(BASE[text[length:]], PREFIX[text[:length]])
    return None


def header(text: str) -> Header:
    """Column and unit of a header such as `Voltage (V)`, `I [uA]`, `time_s`, `R/kohm`, `G (µS)` or `Cycle`."""
    text = text.strip().strip('"').strip()
    for pattern in (r"(.*?)\s*[\(\[\{](.*)[\)\]\}]", r"(.*?)\s*/\s*(\S+)", r"(.+?)[\s_,]+(\S+)"):
        match = re.fullmatch(pattern, text)
        if match and (found := unit(match[2])) is not None and (column := _column(match[1])):
            return Header(text, column, found)
    return Header(text, _column(text), None)


def _column(name: str) -> str | None:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return NAMES.get(plain) or NAMES.get(plain.rstrip("0123456789"))  # V1, I1: of source-measure unit 1


def dimension(column: str) -> str:
    """Dimension that a column has: `V`, `A`, `s`, `S`, `ohm`, `K`, or nothing for numbers without unit."""
    if column in ("pulse", "direction", "cycle", "device", "level", "write", "accepted"):
        return ""
    return EXPECTED.get(column) or EXPECTED[column[0]]
