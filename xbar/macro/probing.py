"""A test of mappings and converters written outside this package, on a few weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from xbar.macro.converters import ADC
from xbar.macro.mappings import AbstractMapping

WRONG = 0.2  # share of the largest product by which ideal cells may miss it: mappings with few levels round


def probe(tile: Any) -> None:
    """Tries a mapping and an ADC that are not this package's own, unless their numbers are traced.

    Raises:
        TypeError: if a method does not take its arguments, or `encode` does not return a pair. ValueError: if the result of
            `convert` has another shape than the currents.

    Warns where targets lie outside of the device's range, and where ideal cells do not give the product.
    """
    own = [part for part in (tile.mapping, tile.adc) if type(part).__module__.partition(".")[0] != "xbar"]
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((own, tile.device.g_min, tile.device.g_max))):
        return
    with jax.ensure_compile_time_eval():
        for part in own:
            if isinstance(part, AbstractMapping):
                _mapping(part, tile.device.g_min, tile.device.g_max)
            elif isinstance(part, ADC):
                _adc(part)


def _mapping(mapping: AbstractMapping, g_min: Any, g_max: Any) -> None:
    who = f"Tile: mapping {type(mapping).__name__}"
    w = jnp.linspace(-1.0, 1.0, 12).reshape(3, 4).T
    x = jnp.array([0.5, -1.0, 0.25, 0.75])
    encoded = _called(who, "encode(w, g_min, g_max)", lambda: mapping.encode(w, g_min, g_max))
    if not isinstance(encoded, tuple) or len(encoded) != 2:
        raise TypeError(
            f"{who}: encode returns a {type(encoded).__name__}; it must return targets [S] and what decode needs."
        )
    targets, code = encoded[0], jax.tree.map(jnp.asarray, encoded[1])
    if np.ndim(targets) != 3 or targets.shape[1] != len(w):
        return  # said when it is used, with the shapes that are expected
    off = np.asarray((targets < g_min * (1 - 1e-4)) | (targets > g_max * (1 + 1e-4)))
    if off.any():
        warnings.warn(
            f"{who}: encode asks for {float(targets[off][0]):.3g} S; the device has {float(g_min):.3g} to "
            f"{float(g_max):.3g} S.",
            stacklevel=5,
        )
    currents = jnp.einsum("r,crj->cj", x, targets)[:, None]
    combined = _called(who, "combine(currents, code)", lambda: mapping.combine(currents, code))
    decoded = _called(who, "decode(values, input_sum, code)", lambda: mapping.decode(combined, x.sum(), code))
    wanted = np.asarray(x @ w)
    if np.size(decoded) != wanted.size:
        return
    error = float(np.max(np.abs(np.reshape(decoded, wanted.shape) - wanted)) / np.max(np.abs(wanted)))
    if not error <= WRONG:
        warnings.warn(
            f"{who}: with ideal cells the result misses the product of weights and inputs by {100 * error:.0f} % of "
            "the largest. Does combine or decode subtract all that encode adds to a conductance?",
            stacklevel=5,
        )


def _adc(adc: ADC) -> None:
    who = f"Tile: ADC {type(adc).__name__}"
    current, full = jnp.linspace(-1e-6, 1e-6, 6).reshape(2, 3), jnp.full((2, 1), 1e-6)
    found = _called(who, "convert(current, full_scale)", lambda: adc.convert(current, full))
    if np.shape(found) != current.shape:
        raise ValueError(
            f"{who}: convert gives shape {np.shape(found)} for currents of shape {current.shape}; it must give one "
            "value for each."
        )


def _called(who: str, signature: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except TypeError as error:
        if "positional argument" in str(error):
            raise TypeError(f"{who} must accept the call {signature} ({error}).") from error
        raise
