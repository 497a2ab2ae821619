"""Headers of columns: from `Voltage (V)`, `I [uA]`, `time_s`, `R/kohm` or `Strom in mA` to a column and its factor to SI."""

from __future__ import annotations

import dataclasses
import functools
import re

from devices.instruments.column_words import NAMES, UNIT_NAMES, WORDS, narrow, plain, words

PREFIX = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "K": 1e3,
          "M": 1e6, "G": 1e9}  # fmt: skip
BASE = {
    "V": "V", "volt": "V", "volts": "V", "A": "A", "amp": "A", "amps": "A", "ampere": "A", "amperes": "A",
    "s": "s", "sec": "s", "second": "s", "seconds": "s", "S": "S", "siemens": "S", "mho": "S",
    "ohm": "ohm", "Ohm": "ohm", "OHM": "ohm", "ohms": "ohm", "Ohms": "ohm", "Ω": "ohm", "\u2126": "ohm",
    "K": "K", "Hz": "Hz",
}  # fmt: skip
FIXED = {
    "min": ("s", 60.0),
    "h": ("s", 3600.0),
    "d": ("s", 86400.0),
    "1": ("1", 1.0),
    "": ("", 1.0),
    "a.u.": ("1", 1.0),
}
CELSIUS = {"C", "°C", "degC", "ºC", "℃", "celsius", "Celsius"}

COUNTS = ("pulse", "direction", "polarity", "cycle", "device", "place", "level", "write", "accepted")  # without a unit
EXPECTED = {"v": "V", "i": "A", "t": "s", "g": "S", "r": "ohm", "temperature": "K", "target": "S", "width": "s",
            "amplitude": "V"}  # fmt: skip


PATTERNS = (  # of a name and its unit: in brackets, after a slash, after `in`, after a blank or `_`
    r"(.*?)\s*[\(\[\{]([^\(\[\{]*)[\)\]\}]", r"(.*?)\s*/\s*(\S+)", r"(.+?)\s+(?:in|en|em)\s+(\S+)", r"(.+?)[\s_,]+(\S+)",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit: value in SI = factor * (value + offset), and its dimension (`V`, `A`, `s`, `S`, `ohm`, `K`, `1`)."""

    dimension: str
    factor: float = 1.0
    offset: float = 0.0


@dataclasses.dataclass(frozen=True)
class Header:
    """One column's header: which column it is (None if unknown) and its unit (None if not written).

    Args:
        sure: whether the column is known by its whole name, and not only by a word of it and its unit.
    """

    text: str
    column: str | None
    unit: Unit | None
    sure: bool = True


def unit(text: str) -> Unit | None:
    """A unit from its text with SI prefix; None if it is not a unit that measurements of devices have."""
    text = text.strip()
    text = UNIT_NAMES.get(text.casefold().rstrip("."), text)
    if text in CELSIUS:
        return Unit("K", 1.0, 273.15)
    if text in FIXED:
        return Unit(*FIXED[text])
    for length in (0, 1):
        if text[length:] in BASE and text[:length] in PREFIX:
            return Unit(BASE[text[length:]], PREFIX[text[:length]])
    return None


@functools.lru_cache(4096)
def header(text: str) -> Header:
    """Column and unit of a header such as `Voltage (V)`, `time_s`, `R/kohm`, `Strom in mA`, `电压（V）` or `Cycle`."""
    text = narrow(text).strip().strip('"').strip()
    if magnitude(text):
        return dataclasses.replace(
            header(re.sub(r"^abs[\s_]*|\|", "", text, flags=re.IGNORECASE)), text=text, sure=False
        )
    for pattern in PATTERNS:
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
    """The column that a word of a header and its unit suggest: `Elapsed Time (s)`, `HRS (kOhm)`, `Icell (uA)`; none if
    it is a gate's current."""
    those = words(name)
    if those and found.dimension in ("A", "V"):  # Icell, Vmem
        those.append(those[0][0])
    for pattern, column in WORDS.get(found.dimension, ()):
        if any(re.fullmatch(pattern, word) for word in those):
            return column
    return None


def _column(name: str) -> str | None:
    found = plain(name)
    return NAMES.get(found) or NAMES.get(found.rstrip("0123456789"))  # V1, I1: of source-measure unit 1


def dimension(column: str) -> str:
    """Dimension that a column has: `V`, `A`, `s`, `S`, `ohm`, `K`, or nothing for numbers without unit."""
    if column in COUNTS:
        return ""
    return EXPECTED.get(column) or EXPECTED[column[0]]


def si(column: str) -> Unit:
    """The unit in which a column is measured."""
    return Unit("V" if column in ("v_shunt", "v_drive") else dimension(column) if column != "-" else "1")


def unit_name(unit: Unit) -> str:
    """A text that `unit` reads as a unit."""
    for symbol in ("V", "A", "S", "ohm", "s", "K", "Hz"):
        factors = {factor: prefix for prefix, factor in PREFIX.items() if prefix.isascii() and prefix != "K"}
        if unit.dimension == symbol and unit.factor in factors and unit.offset == 0:
            return factors[unit.factor] + symbol
    fixed = {(dimension, factor): name for name, (dimension, factor) in FIXED.items() if name not in ("", "a.u.")}
    return "C" if unit.offset else fixed.get((unit.dimension, unit.factor), "1")
