"""Filling in what was never measured of a device (`Device.unmeasured`) from another source, marked as assumed."""

from __future__ import annotations

import dataclasses

from devices.device import PARTS, Device
from devices.drift import ScaledDrift
from devices.noise import ScaledReadNoise
from devices.programming import ExactProgramming, ScaledProgramming, SpreadProgramming


def assume(device: Device, other: Device) -> Device:
    """The device, with the laws that it lacks taken from another one at the same share of its largest conductance.

    Its own laws, range, conduction and pulse update stay. The provenance says what was assumed, and cites the other device.

    Raises:
        ValueError: if the device lacks nothing, or the other one has none of what it lacks.
    """
    wrapped = {"programming": ScaledProgramming, "drift": ScaledDrift, "read_noise": ScaledReadNoise}
    factor = other.g_max / device.g_max
    given = {}
    for name, (words, _) in PARTS.items():
        if words in device.unmeasured and words not in other.unmeasured:
            given[name] = wrapped[name](getattr(other, name), factor)
    about = other.provenance
    return _with(device, given, f"{about.name}, scaled by the largest conductance", about.dois, about.span, about.times)


def assume_spread(device: Device, share: float) -> Device:
    """The device, with a normal write error whose standard deviation is a share of its range, if it has no such law.

    Args:
        share: standard deviation over `g_max - g_min`, above 0 and at most 1.

    Raises:
        ValueError: for another share, or if the device has write errors of its own.
    """
    if not 0 < share <= 1:
        raise ValueError(
            f"assume_spread: a share of {share:g} of the range; it must be above 0 and at most 1, such as 0.03."
        )
    given = {}
    if type(device.programming) is ExactProgramming:
        given["programming"] = SpreadProgramming(share * (device.g_max - device.g_min), device.g_max)
    return _with(device, given, f"a normal spread of {share:.1%} of the range")


def _with(device: Device, given: dict, source: str, dois=(), span=None, times=None) -> Device:
    about = device.provenance
    lacks = device.unmeasured
    if not given:
        found = f"lacks {', '.join(lacks)}, which {source} does not have either" if lacks else "lacks no law"
        raise ValueError(f"{about.name} {found}: there is nothing to assume.")
    said = f"ASSUMED, not measured: {', '.join(PARTS[name][0] for name in given)} of {source}."
    changed = {"notes": (*about.notes, said), "also": tuple(dict.fromkeys((*about.also, *dois)))}
    if "drift" in given:
        changed |= {"span": about.span or span, "times": about.times or times}
    return dataclasses.replace(device, **given, provenance=dataclasses.replace(about, **changed))
