"""Narrow lines in a spectrum of reads: the mains, or what sampling makes of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

FALSE_ALARM = 1e-4  # probability that a record without lines is said to have one
BESIDE = 25  # ordinates on either side, whose median is the level above which a line stands
SKIRT = 2  # ordinates beside a line that the taper fills
EDGE = 4.0  # times the level down to which a line that wanders belongs to it
MAINS = (50.0, 60.0)  # [Hz]
HARMONICS = 5
WANDER = 2e-3  # of the frequency of the mains and of the clock of the reads together
MOST = 12  # lines: more than this are not lines


class Line(NamedTuple):
    """A line.

    Args:
        f: [Hz], as seen. rms: relative to the mean. mains, harmonic: which multiple of which mains fits; 0 for none.
    """

    f: float
    rms: float
    mains: float = 0.0
    harmonic: float = 0.0


def find(
    power: Float[np.ndarray, "ordinates cells"], rate: float, reads: int
) -> tuple[Bool[np.ndarray, " ordinates"], tuple[Line, ...]]:
    """Which ordinates of a periodogram [1/Hz] (from 0 Hz on) belong to lines, and the lines, the strongest first.

    An ordinate of noise is exponential about the level around it, so the largest of N exceeds x times that with
    probability N exp(-x). What is seen in any cell is a line of all.
    """
    level = np.maximum(ndimage.median_filter(power, (2 * BESIDE + 1, 1), mode="reflect") / np.log(2), 1e-300)
    ratio = power / level
    ratio[: 2 * BESIDE] = 0  # where a power law is too steep for a level
    limit = np.log(power.size / FALSE_ALARM)
    tops = np.max(ratio, 1)
    inside, lines = np.zeros(len(power), bool), []
    for top in np.argsort(-tops):
        if tops[top] < limit or len(lines) == MOST:
            break
        if inside[top]:
            continue
        first, last = _reach(tops, int(top))
        inside[first : last + 1] = True
        excess = np.sum(np.maximum(power - level, 0)[first : last + 1], 0).max() * rate / reads
        lines.append(_named(float(top * rate / reads), float(np.sqrt(excess)), rate, rate / reads))
    if len(lines) == MOST:
        return np.zeros(len(power), bool), ()
    return inside, tuple(lines)


def without(
    x: Float[np.ndarray, "reads cells"], rate: float, found: tuple[Line, ...]
) -> Float[np.ndarray, "reads cells"]:
    """Reads less a sine at each line (least squares), whose side lobes would reach beyond what is masked."""
    window = np.hanning(len(x))
    for line in found:
        f = _top(x * window[:, None], rate, line.f)
        angle = 2 * np.pi * f / rate * np.arange(len(x))
        sines = np.stack([np.cos(angle), np.sin(angle)], 1)
        x = x - sines @ np.linalg.lstsq(sines, x, rcond=None)[0]
    return x


def _top(x: np.ndarray, rate: float, f: float) -> float:
    """The frequency near f [Hz] at which the transform is largest."""
    time, width = np.arange(len(x)) / rate, rate / len(x)
    for _ in range(3):
        near = f + width * np.linspace(-1, 1, 9)
        power = [np.sum(np.abs(np.exp(-2j * np.pi * one * time) @ x) ** 2) for one in near]
        f, width = float(near[int(np.argmax(power))]), width / 4
    return f


def _reach(tops: np.ndarray, top: int) -> tuple[int, int]:
    """First and last ordinate of a line around its top."""
    first = last = top
    while first > 0 and tops[first - 1] > EDGE:
        first -= 1
    while last < len(tops) - 1 and tops[last + 1] > EDGE:
        last += 1
    return max(first - SKIRT, 0), min(last + SKIRT, len(tops) - 1)


def _named(f: float, rms: float, rate: float, step: float) -> Line:
    """The line with the lowest multiple of the mains that reads at this rate show at its frequency."""
    for harmonic in range(1, HARMONICS + 1):
        for mains in MAINS:
            true = mains * harmonic
            if abs(alias(true, rate) - f) < WANDER * true + 1.5 * step:
                return Line(f, rms, mains, harmonic)
    return Line(f, rms)


def alias(f: float, rate: float) -> float:
    """The frequency at which instantaneous reads, `rate` of them per second, show f [Hz]."""
    return abs(f - rate * round(f / rate))


def sentence(line: Line) -> str:
    """What a reader needs to know about a line."""
    shown = f"a line at {line.f:.4g} Hz (rms {line.rms:.2g} of the mean)"
    if not line.mains:
        return f"{shown} is masked in the spectrum: it is not a harmonic of the mains, nor an alias of one."
    times = "" if line.harmonic == 1 else f" times {line.harmonic:g}"
    aliased = abs(line.mains * line.harmonic - line.f) > 0.05 * line.mains
    as_seen = ", aliased by the rate of the reads" if aliased else ""
    return f"{shown} is masked in the spectrum: the mains, {line.mains:g} Hz{times}{as_seen}."
