"""The interfaces of one memristive cell: one law of each kind, and the cells that they act upon.

A law describes one cell. It is written elementwise, so the same code serves one cell, a tile or a wafer; shapes
are up to the caller. Anything that makes one cell different from its neighbour is a *latent*: a unit random
variable drawn once when the cell is programmed and turned into physics at use (`nu = nu_mean + nu_std * z`), so that
a chip stays one chip over time and gradients with respect to `nu_mean` and `nu_std` exist.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, PRNGKeyArray

from devices._checks import Law
from devices._numerics import safe_sqrt
from devices.random import unit_normals


class AbstractProgramming(Law):
    """How far the conductance lands from its target."""

    @abc.abstractmethod
    def __call__(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        """Conductance just after programming [S] for a target [S]."""


class AbstractDrift(Law):
    """How a programmed conductance changes over time."""

    timeless: ClassVar[bool] = False  # True: nothing depends on the time, so that cells need no clock

    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        """What this law remembers of each cell; unit normals unless a law needs something else.

        Published statistics are mostly conditioned on the *target*; a law that needs it keeps it here.
        """
        return unit_normals(key, target)

    @abc.abstractmethod
    def __call__(self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Conductance [S] at `t` [s] after programming, from the one just after programming and the cell's latents.

        `t` is one number for all cells, or one for each where pulses have reached some of them later than others.
        """

    def rewritten(self, z: Any, g: Float[Array, "*cells"]) -> Any:
        """The latents after a pulse that leaves the cell at `g` [S]: the same cell, its memory of its state renewed."""
        return z


class AbstractReadNoise(Law):
    """The fluctuation of a conductance from one read to the next."""

    silent: ClassVar[bool] = False  # True: the variance is always 0, so that nothing has to be drawn
    timeless: ClassVar[bool] = False  # True: nothing depends on the time, so that cells need no clock

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        """What this law remembers of each cell, from its conductance just after programming [S]; nothing unless a law
        needs it."""
        return None

    def rewritten(self, z: Any, g: Float[Array, "*cells"]) -> Any:
        """The latents after a pulse that leaves the cell at `g` [S]."""
        return z

    @abc.abstractmethod
    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, "*#cells"], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        """Variance [S^2] of a read with noise bandwidth [Hz], `t` [s] after programming, at conductance `g` [S]."""

    def trace(
        self,
        g: Float[Array, "*cells"],
        z: Any,
        t: Float[Array, "*#cells"],
        rate: Float[Array, ""],
        *,
        points: int,
        key: PRNGKeyArray,
    ) -> Float[Array, "points *cells"]:
        """Fluctuation [S] around `g` in `points` consecutive reads at `rate` [Hz], the first `t` [s] after programming.

        Here reads are independent, each with the variance for a bandwidth of `rate / 2`; laws whose noise has memory
        override this.
        """
        variance = self(g, z, t, rate / 2)
        return safe_sqrt(variance)[None] * unit_normals(key, jnp.broadcast_to(g, (points, *g.shape)))


class AbstractConduction(Law):
    """The current through a cell at a read voltage."""

    separable: ClassVar[bool] = (
        False  # True: `i = g h(v)`, so that an array is a matrix product with `h` of the voltages
    )

    @property
    def linear(self) -> bool:
        """Whether `i = g v`, so that an array of cells is a matrix product; False unless a law says otherwise."""
        return False

    @abc.abstractmethod
    def __call__(self, g: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Current [A] through a cell of conductance `g` [S] at voltage `v` [V]."""


class AbstractFaults(Law):
    """Cells that do not respond as they should."""

    def worn(self, z: Any, n: Num[Array, "*#cells"]) -> Any:
        """The latents after each cell has been written `n` more times, for laws that count."""
        return z

    @abc.abstractmethod
    def latents(self, target: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        """The random numbers that decide each cell's faults, drawn once."""

    @abc.abstractmethod
    def __call__(self, g: Float[Array, "*cells"], z: Any) -> Float[Array, "*cells"]:
        """Conductance [S] with the faults in place."""


class AbstractPulseUpdate(Law):
    """What a train of identical programming pulses does to a cell."""

    def rewritten(self, z: Any, g: Float[Array, "*cells"]) -> Any:
        """The latents after the cell has been programmed to `g` [S] again: the same cell, with a new last write."""
        return z

    @abc.abstractmethod
    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Any:
        """The individual response of each cell, and what it carries from one pulse to the next."""

    @abc.abstractmethod
    def __call__(
        self,
        g: Float[Array, "*cells"],
        z: Any,
        n: Num[Array, "*#cells"],
        *,
        key: PRNGKeyArray | None,
        most: int,
    ) -> tuple[Float[Array, "*cells"], Any]:
        """Conductance [S] and latents after `n` pulses, up if positive and down if negative, none of them more than
        `most`."""


class AsProgrammed(eqx.Module):
    """A placeholder where a law remembers the conductance just after programming, which `Cells.g` holds already."""


class Cells(eqx.Module):
    """Programmed cells: their physical state.

    Args:
        g: conductance just after programming [S].
        drift, read_noise, faults, update: the latents of each law, drawn at programming and never again.
        age: time [s] since each cell's own last write, at the moment when the cells were returned; None: 0 s for
            all (or a device that time does not change). It is a sum: increments below 1e-7 of it are lost in float32.
    """

    g: Float[Array, "*cells"]
    drift: Any
    read_noise: Any
    faults: Any
    update: Any = None
    age: Float[Array, "*#cells"] | None = None

    def compact(self) -> Cells:
        """The same cells, without copies of `g`: where a law remembers this very array, `AsProgrammed` stands for it."""
        return self._latents(lambda x: AsProgrammed() if x is self.g else x)

    def whole(self) -> Cells:
        """The same cells, with `g` wherever `AsProgrammed` stands: as laws need them."""
        return self._latents(lambda x: self.g if isinstance(x, AsProgrammed) else x)

    def _latents(self, change: Callable[[Any], Any]) -> Cells:
        latents = (self.drift, self.read_noise, self.faults, self.update)
        changed = jax.tree.map(change, latents, is_leaf=lambda x: isinstance(x, AsProgrammed))
        return Cells(self.g, *changed, age=self.age)
