"""A probe of laws written outside this package: what they give for a few cells, before an array hides it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from devices.base import AbstractConduction, AbstractDrift, AbstractReadNoise

SHAPE = (2, 3)  # of the probed cells
TIMES = (1.0, 1e5)  # s
VOLTS = 0.1
BANDWIDTH = 1e6  # Hz


def probe(device: Any) -> None:
    """Tries the laws of a device that are not this package's own on a few cells between `g_min` and `g_max`.

    A law is not tried if its numbers are traced, or arrays (cells that differ), or if it cannot be computed outside of jit.

    Raises:
        TypeError: if a law does not take the arguments of its kind. ValueError: if its result has another shape.

    Warns of conductances below 0 S, currents that flow against their voltage, variances below 0, and of NaN.
    """
    laws = {kind: getattr(device, kind) for kind in _RUNS}
    own = [k for k, law in laws.items() if isinstance(law, _KINDS[k]) and _is_own(law) and _is_plain(law)]
    with jax.ensure_compile_time_eval():
        for kind in own:
            g = jnp.linspace(device.g_min, device.g_max, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
            _RUNS[kind](laws[kind], f"Device: {kind} {type(laws[kind]).__name__}", g, jax.random.key(0))


def _is_own(law: Any) -> bool:
    return type(law).__module__.partition(".")[0] != "devices"


def _is_plain(law: Any) -> bool:
    return not any(isinstance(leaf, Tracer) or np.ndim(leaf) for leaf in jax.tree.leaves(law) if hasattr(leaf, "dtype"))


def _drift(law: Any, who: str, g: Array, key: Array) -> None:
    z = law.latents(g, key=key)
    for t in TIMES:
        found = _given(who, "(g, z, t)", g, lambda t=t: law(g, z, jnp.asarray(t, g.dtype)))
        if _warned(who, found, g, f"S after {t:g} s; a conductance is finite and not below 0 S"):
            return


def _read_noise(law: Any, who: str, g: Array, key: Array) -> None:
    z, t, bandwidth = law.latents(g, key=key), jnp.asarray(TIMES[0], g.dtype), jnp.asarray(BANDWIDTH, g.dtype)
    found = _given(who, "(g, z, t, bandwidth)", g, lambda: law(g, z, t, bandwidth))
    _warned(who, found, g, "S^2 for the variance of a read; it is finite and not below 0")


def _conduction(law: Any, who: str, g: Array, key: Array) -> None:
    for v in (VOLTS, -VOLTS):
        found = _given(who, "(g, v)", g, lambda v=v: law(g, jnp.full_like(g, v)))
        along = None if found is None else found * np.sign(v)
        if _warned(who, along, g, f"A in the direction of {v:g} V; a current is finite and flows with its voltage"):
            return


def _given(who: str, arguments: str, g: Float[Array, "a b"], call: Callable[[], Any]) -> np.ndarray | None:
    """What a law gives; None if it cannot be tried."""
    try:
        found = call()
    except TypeError as error:
        if "positional argument" in str(error):
            raise TypeError(f"{who}: its __call__ takes {arguments} after self ({error}).") from error
        return None
    except Exception:  # the use of the law itself will say what is wrong
        return None
    if np.shape(found) != g.shape:
        raise ValueError(
            f"{who} gives shape {np.shape(found)} for cells of shape {g.shape}. A law is elementwise: one value for each cell."
        )
    return np.asarray(found)


def _warned(who: str, found: np.ndarray | None, g: Array, what: str) -> bool:
    bad = np.zeros(0, bool) if found is None else ~(np.isfinite(found) & (found >= 0))
    if found is not None and bad.any():
        warnings.warn(f"{who}: a cell of {float(g[bad][0]):.3g} S gives {found[bad][0]:.3g} {what}.", stacklevel=6)
    return bool(bad.any())


_KINDS = {"drift": AbstractDrift, "read_noise": AbstractReadNoise, "conduction": AbstractConduction}
_RUNS = {"drift": _drift, "read_noise": _read_noise, "conduction": _conduction}
