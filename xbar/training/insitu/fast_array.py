"""The second array of an algorithm: how gradients gather on it, how they are scaled, and what is kept of it."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from devices._checks import Checked, Whole, positive, siemens
from devices.random import unit_normals
from xbar.macro.converters import ADC
from xbar.macro.state import ProgrammedArray
from xbar.training.insitu.algorithm import Lines, Scheme, send, wanted
from xbar.training.insitu.site import Pairing, Site
from xbar.training.insitu.spent import Spent
from xbar.training.insitu.zero_shift import shifted
from xbar.training.pulse_trains import PulseTrains

UPDATES = Whole(1, advice="It counts updates.")
_ROWS = Whole(1, advice="It counts word lines.")
KEPT = 0.99  # of the running means of the largest signals, an update: `auto_momentum` of aihwkit 1.2.0 (MIT licence)


class Fast(eqx.Module):
    """What is kept besides the network's array.

    Args:
        array: the fast one. memory: digital sums [S], or None. row: next to be transferred. number: of updates so far.
        sign: chopper of each word line, 1 or -1. seen: running mean of what was read of each weight since its chopper last
            turned [S]; reference: that mean when it turned [S]. age: reads since then, of each word line.
        peaks: running means of the largest input and error, which the scale of the pulses is found from.
    """

    array: ProgrammedArray
    memory: Any  # ByWeight | None
    row: Int[Array, ""]
    number: Int[Array, ""]
    sign: Float[Array, "blocks row_tiles rows"]
    seen: Any = None  # ByWeight | None
    reference: Any = None  # ByWeight | None
    age: Any = None  # Int[Array, "blocks row_tiles rows"] | None
    peaks: Any = None  # Float[Array, " 2"] | None


class FastArray(Checked):
    """The fast array of an algorithm.

    $$ \\mathrm{rate}_A = \\begin{cases} \\mathrm{rate} \\cdot \\mathrm{fast} & \\text{if given} \\\\
       \\mathrm{largest} \\cdot s / (\\mu_x \\mu_d) & \\text{else} \\end{cases} $$

    with `mu` the running means of the largest input and error of an update: the largest product then makes `largest` pulses of
    the step `s`, whatever the network, its loss and the device. The array forgets by its own asymmetry within about `w
    / (s n)` updates, w its range and n the pulses of a cell in an update: if steps are fine, make `largest` as large as
    the trains allow.

    Args:
        scheme: of its pulses. fast: its learning rate, in units of the network's; None: found as above, and the network's
            rate is the pace of transfers instead: its array moves by `rate transfer A` per update. largest: see above.
        shift: pulses up and down in turn by which its symmetry point is sought before training, so that references can be
            written to it (`insitu.zero_shift`); 0: references stay in the middle of the range.
        reference_error: standard deviation of the references from where they should be [S].
        every: updates from one transfer to the next. reads: word lines that are transferred then, one after the other.
        adc: of these reads, with the range of one weight for a full scale if it has none of its own.
    """

    scheme: Scheme = eqx.field(default_factory=PulseTrains)
    fast: Float[Array, ""] | None = eqx.field(converter=positive.but(optional=True), default=None)
    largest: Float[Array, ""] = eqx.field(converter=positive, default=10.0)
    shift: int = eqx.field(static=True, converter=Whole(0, 1_000_000, advice="2000 is thorough."), default=0)
    reference_error: Float[Array, ""] = eqx.field(converter=siemens, default=0.0)
    every: int = eqx.field(static=True, converter=UPDATES, default=1)
    reads: int = eqx.field(static=True, converter=_ROWS, default=1)
    adc: ADC = eqx.field(default_factory=lambda: ADC(bits=None))
    pairing: Pairing = eqx.field(static=True, default="reference")

    def start(self, site: Site, array: ProgrammedArray, key: PRNGKeyArray) -> ProgrammedArray:
        """The fast array with nothing on it."""
        if array.cells.g.shape[0] != 2 or site.tile.mapping.extra_cols:
            raise ValueError(
                "algorithms with a fast array need weights of a cell and a reference of its own, so that the symmetry point "
                "can stand for zero: xbar.Offset(reference='cell')."
            )
        blank, shift, error = jax.random.split(key, 3)
        found = site.blank(blank)
        if self.shift:
            found = shifted(site, found, self.shift, shift)
        own = jnp.stack([jnp.zeros(found.cells.g.shape[1:]), unit_normals(error, found.cells.g[1])])
        g = jnp.maximum(found.cells.g + self.reference_error * own, 0)
        return eqx.tree_at(lambda a: a.cells.g, found, g)

    def gather(
        self, site: Site, array: ProgrammedArray, peaks: Any, lines: Lines, rate: Any, t: Array, key: PRNGKeyArray
    ) -> tuple[ProgrammedArray, Any, Spent]:
        """The gradient's pulses, and the running means of the largest signals."""
        draw, pulse = jax.random.split(key)
        step = site.step(array, self.pairing)
        own, peaks = self._rate(lines, peaks, rate, step)
        what = wanted(self.scheme, site, array, lines, own, step, draw)
        array, spent = send(site, array, what, self.pairing, t, pulse)
        return array, peaks, spent

    def _rate(self, lines: Lines, peaks: Any, rate: Any, step: Array) -> tuple[Any, Any]:
        if self.fast is not None:
            return rate * self.fast, peaks
        now = jnp.stack([jnp.max(jnp.abs(lines.x)), jnp.max(jnp.abs(lines.d))])
        mean = jnp.where(peaks > 0, KEPT * peaks + (1 - KEPT) * now, now)
        peaks = jnp.where(now > 0, mean, peaks)  # an update without signals tells nothing
        return self.largest * step / jnp.where(peaks > 0, peaks, 1).prod(), peaks

    def pace(self, site: Site, transfer: Any, rate: Any) -> Any:
        """The factor on what is read of a row, each time that it is transferred."""
        if self.fast is not None:
            return transfer
        return transfer * rate * self.every * site.part.used_rows / min(self.reads, site.part.used_rows)

    def rows(self, site: Site, first: Array) -> Int[Array, " reads"]:
        """The word lines of the next transfer."""
        return (first + jnp.arange(min(self.reads, site.part.used_rows))) % site.part.used_rows


def begun(fast: FastArray, site: Site, array: ProgrammedArray, key: PRNGKeyArray, memory: bool) -> Fast:
    """What is kept before the first update."""
    part = site.part
    zeros = jnp.zeros((*array.cells.g.shape[1:-1], part.used_cols))
    none = jnp.zeros((), jnp.int32)
    sign = jnp.ones((part.blocks, part.row_tiles, part.used_rows))
    peaks = None if fast.fast is not None else jnp.zeros(2)
    return Fast(fast.start(site, array, key), zeros if memory else None, none, none, sign, peaks=peaks)
