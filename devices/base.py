"""The interfaces of one memristive cell, and `Device`: a composition of one law of each kind.

A law speaks of one cell. It is written elementwise, so the same code serves one cell, a tile or a wafer; shapes
are the caller's business. Anything that makes one cell different from its neighbour is a *latent*: a unit random
variable drawn once when the cell is programmed and turned into physics at use (`nu = nu_mean + nu_std * z`), so that
a chip stays one chip over time and gradients with respect to `nu_mean` and `nu_std` exist.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from devices._numerics import unit_normals


class AbstractProgramming(eqx.Module):
    """How far the conductance lands from the one that was asked for."""

    @abc.abstractmethod
    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        """Conductance just after programming [S] for a target [S]."""


class AbstractDrift(eqx.Module):
    """What becomes of a programmed conductance as time passes."""

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        """What this law remembers of each cell; unit normals unless a law needs something else.

        Published statistics are mostly conditioned on the *target*; a law that needs it keeps it here.
        """
        return unit_normals(key, target)

    @abc.abstractmethod
    def __call__(self, g: Float[Array, "*cells"], z: Any, t: Float[Array, ""]) -> Float[Array, "*cells"]:
        """Conductance [S] at `t` [s] after programming, from the one just after programming and the cell's latents."""


class AbstractReadNoise(eqx.Module):
    """The fluctuation of a conductance from one read to the next."""

    silent: ClassVar[bool] = False  # True: the variance is always 0, so that nothing need be drawn

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        """What this law remembers of each cell, from its conductance just after programming [S]; nothing unless a law
        needs it."""
        return None

    @abc.abstractmethod
    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, ""], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        """Variance [S^2] of a read with noise bandwidth [Hz], `t` [s] after programming, at conductance `g` [S]."""


class AbstractConduction(eqx.Module):
    """The current through a cell at a read voltage."""

    linear: eqx.AbstractClassVar[bool]  # True: i = g v, so an array of cells is a matrix product

    @abc.abstractmethod
    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Current [A] through a cell of conductance `g` [S] at voltage `v` [V]."""


class AbstractFaults(eqx.Module):
    """Cells that do not do what they are told."""

    @abc.abstractmethod
    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        """What decides each cell's fate, drawn once."""

    @abc.abstractmethod
    def __call__(self, g: Float[Array, "*cells"], z: Any) -> Float[Array, "*cells"]:
        """Conductance [S] with the faults in place."""


class Provenance(eqx.Module):
    """Where a device's numbers come from and how far they reach."""

    name: str
    technology: str = ""
    doi: str = ""
    measured: str = ""  # what was measured, on how much, in words
    times: tuple[float, ...] | None = None  # the only times [s] that have data; None: any t >= 0
    notes: tuple[str, ...] = ()


class Cells(eqx.Module):
    """Programmed cells: what is physically there.

    Args:
        g: conductance just after programming [S].
        drift, read_noise, faults: the latents of each law, drawn at programming and never again.
    """

    g: Float[Array, "*cells"]
    drift: Any
    read_noise: Any
    faults: Any


class Device(eqx.Module):
    """One kind of memristive cell: its conductance range and one law of each kind.

    $$ g(t) = F\\bigl(D(P(g_{target}), z, t)\\bigr), \\qquad i = C(g(t), v) + \\text{read noise} $$

    Args:
        g_min, g_max: lowest and highest conductance that is programmed [S].
        programming: write error P. drift: drift, relaxation and retention D. read_noise: variance of a read.
        conduction: read current C. faults: stuck cells F.
        provenance: source and reach of the numbers.

    Raises:
        ValueError: unless `0 <= g_min < g_max`.

    Breaks when: the laws' own data end; see `provenance` and each law.
    """

    g_min: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    g_max: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    programming: AbstractProgramming
    drift: AbstractDrift
    read_noise: AbstractReadNoise
    conduction: AbstractConduction
    faults: AbstractFaults
    provenance: Provenance = eqx.field(static=True)

    def __check_init__(self):
        if isinstance(self.g_min, Tracer) or isinstance(self.g_max, Tracer):
            return
        if not isinstance(self.g_min, jax.Array) or self.g_min.ndim or self.g_max.ndim:
            return  # a device under vmap or tree_map: leaves are whatever the transformation made of them
        if not 0 <= float(self.g_min) < float(self.g_max):
            raise ValueError(
                f"Device needs 0 <= g_min < g_max in siemens, got g_min={float(self.g_min):g} S, "
                f"g_max={float(self.g_max):g} S. Give both in siemens (25 uS is 25e-6)."
            )

    def program(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Cells:
        """Programs cells to `target` [S]: draws the write error and everything that makes each cell itself.

        Raises:
            ValueError: if a concrete target is not finite or lies outside `[g_min, g_max]`.
        """
        target = jnp.asarray(target)
        self._check_target(target)
        write, drift, noise, faults = jax.random.split(key, 4)
        g = self.programming(target, key=write)
        return Cells(
            g=g,
            drift=self.drift.latents(target, key=drift),
            read_noise=self.read_noise.latents(g, key=noise),
            faults=self.faults.latents(target, key=faults),
        )

    def conductance(self, cells: Cells, t: Float[Array, ""] | float) -> Float[Array, "*cells"]:
        """Conductance [S] of the cells `t` [s] after programming: same cells, same time, same answer.

        Raises:
            ValueError: if a concrete `t` is negative or one for which the device has no data. A traced `t` of that
                kind gives NaN.
        """
        self.check_time(t)
        t = jnp.asarray(t, cells.g.dtype)
        g = self.faults(self.drift(cells.g, cells.drift, t), cells.faults)
        return jnp.where(self.time_is_valid(t), g, jnp.nan)

    def read_variance(
        self, cells: Cells, t: Float[Array, ""] | float, bandwidth: Float[Array, ""] | float
    ) -> Float[Array, "*cells"]:
        """Variance [S^2] of one read with noise bandwidth [Hz] (1/(2 integration time)), `t` [s] after programming."""
        t = jnp.asarray(t, cells.g.dtype)
        g = self.conductance(cells, t)
        return self.read_noise(g, cells.read_noise, t, jnp.asarray(bandwidth, cells.g.dtype))

    @property
    def has_read_noise(self) -> bool:
        """Whether reads differ from each other, so that a read needs a key."""
        return not self.read_noise.silent

    @property
    def first_time(self) -> float:
        """The earliest time after programming [s] that the device's data describe."""
        return 0.0 if self.provenance.times is None else self.provenance.times[0]

    def time_is_valid(self, t: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether the device's data reach `t` [s]."""
        if self.provenance.times is None:
            return t >= 0
        return jnp.any(jnp.isclose(t, jnp.asarray(self.provenance.times, t.dtype), rtol=1e-5))

    def check_time(self, t: Float[Array, ""] | float) -> None:
        """Raises ValueError if a concrete `t` [s] is one that the device's data do not reach."""
        if isinstance(t, Tracer):
            return
        seconds = np.asarray(t, float)
        if not np.all(np.isfinite(seconds)) or np.any(seconds < 0):
            raise ValueError(f"t={t} s: time since programming must be a finite number of seconds >= 0.")
        times = self.provenance.times
        if times is not None and not all(np.isclose(s, times, rtol=1e-5).any() for s in seconds.ravel()):
            raise ValueError(
                f"t={t} s: {self.provenance.name} was measured at {', '.join(f'{x:g}' for x in times)} s only, and "
                "nothing is known in between or beyond. Use one of these times, or a device with a drift law."
            )

    def _check_target(self, target) -> None:
        if isinstance(target, Tracer) or isinstance(self.g_max, Tracer) or not target.size:
            return
        low, high, slack = float(self.g_min), float(self.g_max), 1e-5 * float(self.g_max)
        worst = np.asarray(target, float)
        bad = ~np.isfinite(worst) | (worst < low - slack) | (worst > high + slack)
        if bad.any():
            raise ValueError(
                f"Device.program: target holds {worst[bad].ravel()[0]:g} S ({int(bad.sum())} of {bad.size} cells), "
                f"outside this device's range {low:g} .. {high:g} S. Scale or clip the targets first."
            )
