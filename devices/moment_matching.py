"""A moment-matched device: the mean over cells of what is read, and their spread."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.polynomial import chebyshev

from devices._numerics import nearest
from devices.base import AbstractDrift, AbstractReadNoise
from devices.device import Device

DEGREES = (3, 5, 8, 12, 16)  # of the curves: the lowest that is good enough
GOOD = 0.04  # rms over targets: of the spread over cells, for the mean; of the variance, for the variance


class Chebyshev(eqx.Module):
    """Curves of the normalised conductance, one for each of several times.

    $$ c_t(x) = \\sum_k a_{tk}\\, T_k\\Bigl(\\frac{2 x - l - 1}{1 - l}\\Bigr), \\qquad x = g / g_{max} $$

    Args:
        coefficients: `a`. times: [s]. lowest: `l`, the lowest x.
    """

    coefficients: Float[Array, "times degrees"]
    times: Float[Array, " times"]
    lowest: Float[Array, ""]

    def __call__(self, x: Float[Array, "*cells"], t: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        a = self.coefficients[nearest(t, self.times)].astype(x.dtype)
        s = (2 * x - (self.lowest + 1)) / (1 - self.lowest)
        ahead = last = jnp.zeros_like(x)
        for k in reversed(range(1, a.shape[-1])):  # Clenshaw's recursion
            ahead, last = 2 * s * ahead - last + a[..., k], ahead
        return s * ahead - last + a[..., 0]


class MeanDrift(AbstractDrift):
    """`g(t)`: the mean over cells programmed to one target; see `moment_matched`."""

    mean: Chebyshev
    g_max: Float[Array, ""]

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        return None

    def __call__(self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.g_max * jnp.maximum(self.mean(g / self.g_max, t), 0)


class PopulationNoise(AbstractReadNoise):
    """The variance over cells and reads together, for one target; see `moment_matched`."""

    variance: Chebyshev
    g_max: Float[Array, ""]

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return programmed

    def __call__(
        self,
        g: Float[Array, "*cells"],
        z: Float[Array, "*cells"],
        t: Float[Array, "*#cells"],
        bandwidth: Float[Array, ""],
    ) -> Float[Array, "*cells"]:
        return self.g_max**2 * jnp.maximum(self.variance(z / self.g_max, t), 0)


def moment_matched(
    device: Device,
    times: Sequence[float] | float | None = None,
    bandwidth: Float[Array, ""] | float = 5e6,
    *,
    key: PRNGKeyArray,
    cells: int = 8192,
    targets: int = 64,
) -> Device:
    """A device whose every read draws fresh cells, with the same mean and variance.

    $$ g(t; g_T) = \\langle g \\rangle_{cells}, \\qquad
       v(t; g_T) = \\mathrm{var}_{cells}(g) + \\langle v_{read} \\rangle_{cells} $$

    Write error, spread of drift, faults and read noise become one noise, drawn when a product is read: once per output
    instead of once per cell. Each input vector sees its own cells, which averages over devices faster than one set
    of cells for a whole batch does: this suits hardware-aware training, and costs one more product, whatever the
    device.

    Args:
        times: the times after programming that will be asked for [s]. The first time that the data describe is always
            among those that the new device knows: drift compensation refers to it.
        bandwidth: of the reads [Hz], by default that of 100 ns; the bandwidth of a later read has no effect.
        key: decides the cells that are sampled.
        cells, targets: cells sampled for each of so many targets from `g_min` to `g_max`; curves are fitted to them.

    Returns:
        A device without spread: programmed exactly, with a deterministic drift and all variance in its read noise.
        It knows these times only.

    Raises:
        ValueError: for times that the device does not know, or fewer than 20 targets or 2 cells.
        TypeError: inside `jit`, `grad` or `vmap`: the curves' degrees depend on the numbers.

    Warns if no curve fits the moments, as for a device with only a few levels.

    Reference: outputs drawn instead of weights: Kingma et al. 2015, arXiv:1506.02557 (local reparametrisation).

    Breaks when: it matters that one set of cells serves all inputs (calibration of one chip, in-situ training), the sum
    over rows is too short to be normal (few rows, heavy tails), or gradients with respect to numbers of the device are
    wanted: its moments are sampled before any differentiation.
    """
    asked = () if times is None else np.atleast_1d(np.asarray(times, float)).tolist()
    if targets < 20 or cells < 2 or (times is not None and not asked):
        raise ValueError(
            f"moment_matched: targets={targets}, cells={cells}, {len(asked)} times; they must be at least 20, 2 and 1."
        )
    known = tuple(dict.fromkeys((float(device.first_time), *asked)))
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(device)):
        raise TypeError(
            "moment_matched: the device is traced. Match the moments outside of jit, grad and vmap, and pass the device in."
        )
    for t in known:
        device.check_time(t)
    about = device.provenance
    s = np.cos(np.pi * (np.arange(targets) + 0.5) / targets)  # Chebyshev's points, dense at both ends
    high = float(device.g_max)
    at = jnp.asarray((s + 1) / 2, device.g_max.dtype)
    moments = _moments(device, jnp.asarray(known), jnp.asarray(bandwidth), key, cells, at)
    mean, variance = (np.asarray(m, float) for m in moments)
    spread = np.sqrt(np.maximum(variance, 1e-8 * high**2))  # cells without spread: 1e-4 of the range is good enough
    fits = (_fit(s, mean / high, spread / high), _fit(s, variance / high**2, spread**2 / high**2))
    worst = max(miss for _, miss in fits)
    if worst > 4 * GOOD:
        warnings.warn(
            f"moment_matched: the curves for {about.name} miss the moments of its cells by up to {worst:.2g} of their "
            "spread. Look at a few chips before you rely on it.",
            stacklevel=2,
        )
    dtype = device.g_max.dtype
    curves = [Chebyshev(jnp.asarray(a, dtype), jnp.asarray(known, dtype), device.g_min / device.g_max) for a, _ in fits]
    return Device(
        g_min=device.g_min,
        g_max=device.g_max,
        drift=MeanDrift(curves[0], device.g_max),
        read_noise=PopulationNoise(curves[1], device.g_max),
        conduction=device.conduction,
        provenance=dataclasses.replace(about, name=f"moment-matched {about.name}", times=known),
    )


@eqx.filter_jit
def _moments(
    device: Device,
    times: Float[Array, " times"],
    bandwidth: Float[Array, ""],
    key: PRNGKeyArray,
    cells: int,
    share: Float[Array, " targets"],
):
    """Mean and variance of the conductance at each time, for targets at a share of the range."""
    target = device.g_min + (device.g_max - device.g_min) * share
    sampled = device.program(jnp.broadcast_to(target[:, None], (*share.shape, cells)), key=key)

    def at(t):
        g = device.conductance(sampled, t)
        return jnp.mean(g, 1), jnp.var(g, 1) + jnp.mean(device.read_variance(sampled, t, bandwidth), 1)

    return jax.lax.map(at, times.astype(sampled.g.dtype))


def _fit(s: np.ndarray, values: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients of the lowest degree that is good enough, and its rms error, in units of `scale`, at the worst time.

    The lowest target counts as much as all others: in a differential pair, one cell rests there.
    """
    count = np.where(s == s.min(), s.size - 1, 1)
    for degree in DEGREES:
        basis = chebyshev.chebvander(s, degree)
        rows = zip(values, count**0.5 / scale, strict=True)
        found = np.stack([np.linalg.lstsq(basis * w[:, None], y * w, rcond=None)[0] for y, w in rows])
        miss = float(np.sqrt(np.average(((found @ basis.T - values) / scale) ** 2, 1, count)).max())
        if miss < GOOD:
            break
    return found, miss  # pyright: ignore[reportPossiblyUnboundVariable]
