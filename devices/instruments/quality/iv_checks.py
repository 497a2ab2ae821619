"""Checks of currents and voltages: compliance, floor and offset, swapped columns, polarity, resistances in series."""

from __future__ import annotations

import numpy as np

from devices.instruments.trace import FileError, Flag, Trace

PLATEAU = 1e-3  # a plateau's currents agree to this share; compliance circuits hold better than that
LARGEST_G = 10.0  # no device of a crossbar conducts more [S]


def _usable(trace: Trace) -> np.ndarray:
    return trace.good & np.isfinite(trace["v"]) & np.isfinite(trace["i"])


def swapped(trace: Trace) -> list[Flag]:
    """Refuse volts in the current's column and amperes in the voltage's.

    Raises:
        FileError: if most rows have |I| above 10 A per volt.
    """
    if "v" not in trace or "i" not in trace:
        return []
    rows = np.isfinite(trace["v"]) & np.isfinite(trace["i"]) & (trace["v"] != 0)
    g = np.abs(trace["i"][rows] / trace["v"][rows])
    if len(g) and np.median(g) > LARGEST_G:
        v, i = (float(np.abs(trace[name][rows]).max()) for name in "vi")
        raise FileError(
            f"{trace.name}: |I| / |V| is {np.median(g):.3g} S in most rows (V up to {v:.3g} V, I up to {i:.3g} A), which no "
            "device has: the columns of voltage and current are swapped, or a unit is wrong (uA read as A). Correct it."
        )
    return []


def compliance(trace: Trace) -> list[Flag]:
    """Rows in which the instrument held the current: at the compliance of its settings, or at a plateau; excluded."""
    if trace.kind != "loop":
        return []
    v, i, good = trace["v"], trace["i"], _usable(trace)
    flags = []
    for sign in (1, -1):
        side = good & (sign * i > 0)
        if not side.any():
            continue
        top = float(np.abs(i[side]).max())
        known = trace.protocol.get("compliance")
        level, source = (known, "the settings") if known and abs(top / known - 1) < 0.02 else (top, "the plateau")
        rows = np.flatnonzero(side & (np.abs(i) >= (1 - PLATEAU) * level))
        voltages = len(np.unique(np.round(v[rows], 6)))
        if source == "the plateau" and not (
            len(rows) >= 6 and voltages >= 4 and np.ptp(np.abs(v[rows])) > 0.02 * np.ptp(v[good])
        ):
            continue
        reason = (
            f"{len(rows)} rows have |I| = {level:.4g} A (known from {source}) while V goes through {voltages} values from "
            f"{v[rows].min():.3g} to {v[rows].max():.3g} V: the instrument held the current, not the device."
        )
        flags.append(Flag("compliance", reason, rows, True))
    return flags


def floor(trace: Trace) -> list[Flag]:
    """Current at zero voltage: the offset of the instrument, and the noise below which currents are meaningless."""
    if "v" not in trace or "i" not in trace:
        return []
    good = _usable(trace)
    if not good.any():
        return []
    rows = np.flatnonzero(good & (np.abs(trace["v"]) <= 1e-3 * np.abs(trace["v"][good]).max()))
    if len(rows) < 2:
        return []
    offset = float(np.median(trace["i"][rows]))
    spread = 1.4826 * float(np.median(np.abs(trace["i"][rows] - offset)))
    found = f"At V = 0 ({len(rows)} rows) I is {offset:.3g} A (median), spread {spread:.2g} A"
    reason = f"{found}: smaller currents are meaningless."
    return [Flag("current floor", reason, rows)]


def voltage_offset(trace: Trace) -> list[Flag]:
    """Loops whose current goes through zero away from V = 0."""
    if trace.kind != "loop":
        return []
    good = np.flatnonzero(_usable(trace) & (trace["i"] != 0))
    v, i = trace["v"][good], trace["i"][good]
    if len(good) < 2:
        return []
    same = trace["device"][good][1:] == trace["device"][good][:-1]
    cross = np.flatnonzero(same & (i[1:] * i[:-1] < 0) & (np.abs(np.diff(v)) < 0.1 * np.ptp(v)))
    if len(cross) == 0:
        return []
    zero = v[cross] - i[cross] * np.diff(v)[cross] / np.diff(i)[cross]
    middle, step = float(np.median(zero)), float(np.median(np.abs(np.diff(v))))
    if abs(middle) < max(0.02 * np.abs(v).max(), 1.5 * step):
        return []
    reason = f"I changes sign at V = {middle:.3g} V (median of {len(cross)} crossings), not 0: offset or stored charge."
    return [Flag("voltage offset", reason, good[cross])]


def resistances(trace: Trace) -> list[Flag]:
    """Upper limit of a resistance in series, and lower limit of a shunt in parallel."""
    if trace.kind != "loop" or "series_resistance" in trace.protocol:
        return []
    good = _usable(trace) & (np.abs(trace["v"]) > 0.1 * np.nanmax(np.abs(trace["v"])))
    r = np.abs(trace["v"][good] / np.where(trace["i"][good] == 0, np.nan, trace["i"][good]))
    if not np.isfinite(r).any():
        return []
    low, high = np.nanquantile(r, [0.005, 0.995])
    reason = (
        f"|V / I| goes from {low:.3g} to {high:.3g} ohm: a resistance in series is at most "
        f"{low:.3g}, a shunt at least {high:.3g}."
    )
    return [Flag("series and shunt", reason)]


def polarity(trace: Trace) -> list[Flag]:
    """Cycles in which V and I have opposite signs, or in which the loop turns the other way than in most."""
    if trace.kind != "loop":
        return []
    good = _usable(trace)
    cycle = trace["cycle"] if "cycle" in trace else np.zeros(len(trace))
    key = np.unique(np.stack([trace["device"], cycle]), axis=1, return_inverse=True)[1].ravel()
    power = np.bincount(key[good], trace["v"][good] * trace["i"][good], key.max() + 1)
    flags = []
    if (power < 0).any():
        rows = np.flatnonzero(np.isin(key, np.flatnonzero(power < 0)))
        reason = (
            f"In {(power < 0).sum()} of {len(power)} loops the device would deliver "
            "energy: V or I has the wrong sign there."
        )
        flags.append(Flag("wrong sign", reason, rows))
    rows = np.flatnonzero(good)
    same = (key[rows][1:] == key[rows][:-1]) & (np.diff(rows) == 1)
    step = (np.diff(trace["v"][rows]) * (trace["i"][rows][1:] + trace["i"][rows][:-1]) / 2)[same]
    loops, positive = key[rows][1:][same], trace["v"][rows][1:][same] > 0
    for name, half in (("positive", positive), ("negative", ~positive)):
        area = np.bincount(loops[half], step[half], key.max() + 1)
        large = np.abs(area) > 0.05 * np.median(np.abs(area))
        turn = np.sign(np.sum(np.sign(area[large])))
        other = large & (np.sign(area) == -turn)
        if turn and other.any():
            rows = np.flatnonzero(np.isin(key, np.flatnonzero(other)))
            reason = (
                f"{other.sum()} of {len(area)} loops turn the other way round from most at "
                f"{name} V; was the device reversed?"
            )
            flags.append(Flag("polarity changes", reason, rows))
    return flags


CHECKS = (swapped, compliance, floor, voltage_offset, resistances, polarity)
