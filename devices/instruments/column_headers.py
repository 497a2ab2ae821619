"""Headers of columns: from `Voltage (V)`, `I [uA]`, `time_s` or `R/kohm` to a column's name and its factor to SI units."""

from __future__ import annotations

import dataclasses
import re

PREFIX = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "K": 1e3,
          "M": 1e6, "G": 1e9}  # fmt: skip
BASE = {
    "V": "V", "volt": "V", "volts": "V", "Volt": "V", "A": "A", "amp": "A", "amps": "A", "Amp": "A", "ampere": "A",
    "amperes": "A",
    "s": "s", "sec": "s", "second": "s", "seconds": "s", "S": "S", "siemens": "S", "mho": "S",
    "ohm": "ohm", "Ohm": "ohm", "OHM": "ohm", "ohms": "ohm", "Ohms": "ohm", "Ω": "ohm", "\u2126": "ohm",
    "K": "K", "Hz": "Hz",
}  # fmt: skip
FIXED = {
    **dict.fromkeys(("min", "minute", "minutes"), ("s", 60.0)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("s", 3600.0)),
    **dict.fromkeys(("d", "day", "days"), ("s", 86400.0)),
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
    "direction": "direction", "cycle": "cycle", "cyclenumber": "cycle", "cycleno": "cycle",
    "cycleindex": "cycle", "repetition": "cycle", "repeat": "cycle", "sweep": "cycle", "sweepnumber": "cycle",
    "scan": "cycle", "scannumber": "cycle",
    "loop": "cycle", "loopnumber": "cycle", "run": "cycle", "runnumber": "cycle", "iteration": "cycle",
    "device": "device", "cell": "device",
    "address": "device", "addr": "device", "deviceid": "device", "amplitude": "amplitude", "pulseamplitude": "amplitude",
    "width": "width", "pulsewidth": "width", "level": "level", "write": "write", "accepted": "accepted",
}  # fmt: skip
# words of a header that is none of these -> column, where the header's unit says the same
WORDS = {
    "s": (("time|elapsed|timestamp", "t"),),
    "V": (("voltage|volt|volts|bias|potential|v", "v"),),
    "A": (("current|i", "i"),),
    "S": (
        ("ltp|potentiation", "g_up"),
        ("ltd|depression", "g_down"),
        ("lrs|on", "g_on"),
        ("hrs|off", "g_off"),
        ("conductance|g", "g"),
    ),
    "ohm": (
        ("ltp|potentiation", "r_up"),
        ("ltd|depression", "r_down"),
        ("lrs|on", "r_on"),
        ("hrs|off", "r_off"),
        ("resistance|r", "r"),
    ),
    "K": (("t|temp|temperature", "temperature"),),
}
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
    """One column's header: which column it is (None if nobody knows) and its unit (None if not written).

    Args:
        sure: whether the column is known by its whole name, and not only by a word of it and its unit.
    """

    text: str
    column: str | None
    unit: Unit | None
    sure: bool = True


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
    if magnitude(text):
        return dataclasses.replace(
            header(re.sub(r"^abs[\s_]*|\|", "", text, flags=re.IGNORECASE)), text=text, sure=False
        )
    for pattern in (r"(.*?)\s*[\(\[\{]([^\(\[\{]*)[\)\]\}]", r"(.*?)\s*/\s*(\S+)", r"(.+?)[\s_,]+(\S+)"):
        match = re.fullmatch(pattern, text)
        if match and (found := unit(match[2])) is not None:
            column = _column(match[1])
            if column and found.dimension in ("", "1", dimension(column)):
                return Header(text, column, found)
            if guess := _by_words(match[1], found):
                return Header(text, guess, found, sure=False)
            if column or "(" in pattern:
                return Header(text, column if column and dimension(column) else None, found)
    return Header(text, _column(text), None)


def magnitude(text: str) -> bool:
    """Whether a header is of an absolute value: `|I| (A)`, `abs(I)`."""
    return bool(re.match(r"\|.*\||abs", text.strip(), re.IGNORECASE))


def _by_words(name: str, found: Unit) -> str | None:
    """The column of which a word of a header and its unit speak: `Elapsed Time (s)`, `HRS (kOhm)`, `Icell (uA)`."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    if words and found.dimension in ("A", "V"):  # Icell, Vmem
        words.append(words[0][0])
    for pattern, column in WORDS.get(found.dimension, ()):
        if any(re.fullmatch(pattern, word) for word in words):
            return column
    return None


def _column(name: str) -> str | None:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return NAMES.get(plain) or NAMES.get(plain.rstrip("0123456789"))  # V1, I1: of source-measure unit 1


def dimension(column: str) -> str:
    """Dimension that a column has: `V`, `A`, `s`, `S`, `ohm`, `K`, or nothing for numbers without unit."""
    if column in ("pulse", "direction", "cycle", "device", "level", "write", "accepted"):
        return ""
    return EXPECTED.get(column) or EXPECTED[column[0]]
