"""From fits to a device: the laws that each measurement determines, put together, with the range of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from devices.catalogue import Provenance
from devices.device import Device
from devices.fitting.engine.draws import draw
from devices.fitting.engine.parameters import Space
from devices.fitting.engine.result import Fit
from devices.instruments.trace import FileError

# whose conductance range and laws hold where several measurements determine the same: that of the earlier one
PRECEDENCE = ("programming", "pulses", "retention", "noise", "read-iv", "endurance", "loop", "cycles", "pulse-map")

ENDS = ("g_min", "g_max")


def assemble(fits: Sequence[Fit], name: str = "fitted") -> Device:
    """One device from fits to measurements of different kinds.

    Where two of them determine the same law, that of the kind that comes first in `PRECEDENCE` is used; `g_min` and
    `g_max` of a trace's protocol take precedence over fitted ones.

    Raises:
        FileError: if no measurement determines the conductance range in siemens, or no fit was given.
    """
    ordered = _ordered(fits)
    about = provenance(ordered, name)
    with jax.enable_x64(True):
        laws = _merged([_laws(fit, jnp.asarray(fit.theta), jnp.asarray(fit.sigma)) for fit in ordered], ordered, about)
        return _single(Device(**laws, provenance=about))


def posterior(fits: Sequence[Fit], name: str = "fitted", *, count: int = 64, seed: int = 0) -> Device:
    """`count` devices drawn from the posterior of the measurements, each by `draws.draw`: every array has a leading axis.

    Raises:
        FileError: as for `assemble`.
    """
    ordered = _ordered(fits)
    about = provenance(ordered, name)
    rng = np.random.default_rng(seed)
    thetas = tuple(draw(f, count, rng) for f in ordered)
    with jax.enable_x64(True):

        def one(drawn):
            laws = [_laws(fit, theta, jnp.asarray(fit.sigma)) for fit, theta in zip(ordered, drawn, strict=True)]
            return Device(**_merged(laws, ordered, about), provenance=about)

        return _single(jax.vmap(one)(tuple(jnp.asarray(t) for t in thetas)))


def provenance(fits: Sequence[Fit], name: str) -> Provenance:
    """Where the numbers come from, and how far the data reach in time, voltage and temperature."""
    traces = [fit.trace for fit in fits]
    measured = "; ".join(f"{f.kind} of {_count(f.trace)} ({f.trace.title}): {f.model}, {f.law}" for f in fits)
    times = [t["t"][t["t"] > 0] for t in traces if "t" in t and t.kind in ("programming", "retention")]
    volts = [np.max(np.abs(t["v"])) for t in traces if t.kind == "read-iv"]
    volts += [abs(float(t.protocol["v_read"])) for t in traces if "v_read" in t.protocol]
    kelvin = [t["temperature"] for t in traces if "temperature" in t]
    return Provenance(
        name=name,
        measured=measured,
        numbers="fitted",
        span=(float(min(map(np.min, times))), float(max(map(np.max, times))))
        if times and all(map(len, times))
        else None,
        volts=float(max(volts)) if volts else None,
        temperature=float(np.median(np.concatenate(kelvin))) if kelvin else None,
        notes=tuple(dict.fromkeys(flag for fit in fits for flag in fit.flags)),
    )


def _count(trace: Any) -> str:
    devices = len(np.unique(trace["device"]))
    return f"{devices} cell{'s' if devices > 1 else ''}, {len(trace)} readings"


def _ordered(fits: Sequence[Fit]) -> list[Fit]:
    if not fits:
        raise FileError("no fit was given to make a device from.")
    return sorted(fits, key=lambda f: PRECEDENCE.index(f.kind))


def _laws(fit: Fit, theta: Any, sigma: Any) -> dict[str, Any]:
    values = Space(fit.candidate.parameters()).frame().values(theta)
    try:
        return fit.candidate.laws({**values, "sigma": sigma} if np.isfinite(fit.sigma) else values, fit.data)
    except ValueError as error:  # a constructor met what is not a number
        if np.all(np.isfinite(fit.theta)):
            raise
        raise FileError(
            f"{fit.kind} of the device is not a number: the fit does not determine it ({error}). Look at the page of "
            "the fit, leave out what is not a reading of the device, or choose a simpler model."
        ) from error


def _merged(parts: Sequence[dict[str, Any]], fits: Sequence[Fit], about: Provenance) -> dict[str, Any]:
    laws: dict[str, Any] = {}
    for part in parts:
        laws = {**part, **laws}
    for fit in reversed(fits):
        laws |= {name: jnp.asarray(float(fit.trace.protocol[name])) for name in ENDS if name in fit.trace.protocol}
    missing = [name for name in ENDS if name not in laws]
    if not missing and not isinstance(laws["g_max"] - laws["g_min"], Tracer) and laws["g_min"] >= laws["g_max"]:
        missing = list(ENDS)  # a single conductance was measured
    if missing:
        raise FileError(
            f"no measurement determines {' and '.join(missing)} of the device, in siemens ({about.measured}). Add a "
            "measurement of known conductances, such as programming logs or pulse trains in siemens, or give the range in a "
            "sidecar file:\n\n[protocol]\ng_min = 1e-6   # [S]\ng_max = 1e-4\n"
        )
    return laws


def _single(device: Device) -> Device:
    """In float32, as devices are used.

    Raises:
        FileError: if something in it is not a number.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(device):
        if jnp.issubdtype(leaf.dtype, jnp.floating) and np.isnan(np.asarray(leaf)).any():
            where = jax.tree_util.keystr(path, simple=True, separator=".")
            raise FileError(
                f"{where} of the device is not a number: the fit does not determine it. Look at the page of the fit, "
                "leave out what is not a reading of the device, or choose a simpler model."
            )
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x, device)
