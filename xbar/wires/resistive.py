"""Wires with resistance, exactly: the transfer conductances of a tile by elimination, row after row."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float

from xbar.wires.base import AbstractWires
from xbar.wires.conjugate import Lines, Report, bit_voltages
from xbar.wires.ladder import SHORT, Ladders


class Solution(eqx.Module):
    """Voltages and currents of one tile under given inputs.

    Args:
        i_out: current leaving each bit line, both ends together [A]. i_bottom: the share that leaves at the bottom [A].
        i_in: current from each driver [A]. v_word, v_bit: voltage of every word-line and bit-line node [V].
        cells, word_lines, bit_lines, terminals: dissipated power [W]; their sum is what the drivers deliver.
        report: how the solution was reached.
    """

    i_out: Float[Array, "inputs cols"]
    i_bottom: Float[Array, "inputs cols"]
    i_in: Float[Array, "inputs rows"]
    v_word: Float[Array, "inputs rows cols"]
    v_bit: Float[Array, "inputs rows cols"]
    cells: Float[Array, " inputs"]
    word_lines: Float[Array, " inputs"]
    bit_lines: Float[Array, " inputs"]
    terminals: Float[Array, " inputs"]
    report: Report


class ResistiveWires(AbstractWires):
    """Word and bit lines with resistance between neighbouring cells, and at their ends; exact for ohmic cells.

    Word line i is driven at its left end through `r_source + r_row`, one segment standing between the source and the
    first cell; "both" adds the same source at the right end. Bit line j is at ground at its bottom end through
    `r_sense + r_col`; "both" adds the same at the top, and the two currents are summed.

    The lines of a row are a ladder: with `M` its resistance matrix, cells of conductances `G` draw `i = (I + G
    M)^{-1} G (v - u)` at bit-line voltages u. Going down the bit lines, the admittance `P` and the short-circuit
    currents `T` of everything above a segment of resistance r become `(I + r P)^{-1} P` and `(I + r P)^{-1} T`. No
    iteration, and no division by a resistance: 0 ohm and 0 S are allowed. Cost `O(rows cols^3 + rows^2 cols^2)`.

    Args:
        r_row, r_col: resistance of a word-line and a bit-line segment [ohm]. r_source, r_sense: of drivers and sense
            nodes [ohm].
        drive: ends of a word line that are driven, "left" or "both".
        ground: ends of a bit line that are sensed, "bottom" or "both".

    Raises:
        ValueError: for a negative resistance or an end that does not exist.

    Breaks when: cells are not ohmic (`Tile` refuses them); currents change faster than the lines' RC. Gradients are
    those of the elimination: right, but with `O(rows cols (rows + cols))` numbers kept. The ledger's array energy takes
    each driver's current as what its own voltage transfers, exact for equal inputs; `solve` has the exact power.
    """

    r_row: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    r_col: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    r_source: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=0.0)
    r_sense: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=0.0)
    drive: str = eqx.field(static=True, default="left")
    ground: str = eqx.field(static=True, default="bottom")

    def __check_init__(self):
        for name in ("r_row", "r_col", "r_source", "r_sense"):
            value = getattr(self, name)
            if isinstance(value, jax.Array) and not isinstance(value, Tracer) and not bool(jnp.all(value >= 0)):
                raise ValueError(f"ResistiveWires: {name}={value} ohm; give 0 or more.")
        if self.drive not in ("left", "both") or self.ground not in ("bottom", "both"):
            raise ValueError(
                f"ResistiveWires: drive={self.drive!r} is 'left' or 'both', ground={self.ground!r} is 'bottom' or 'both'."
            )

    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        rows = g.shape[0]
        columns = jnp.zeros((g.shape[1], rows), g.dtype)

        def down(above, at):
            k, cells, r = at
            admittance, source = self._row(cells)
            above = above.join(admittance, lax.dynamic_update_slice(above.current, source[:, None], (0, k)))
            return above.through(r), None

        start = _Above.nothing(g, columns, self._end(g.dtype) if self.ground == "both" else None)
        steps = (jnp.arange(rows), g, self._segments(rows, g.dtype))
        end, _ = lax.scan(jax.checkpoint(down), start, steps)
        return (end.current if end.lost is None else end.current + end.lost).T

    def solve(
        self,
        g: Float[Array, "rows cols"],
        v: Float[Array, "inputs rows"],
        *,
        tolerance: float | None = None,
        most: int = 500,
        throw: bool = True,
    ) -> Solution:
        """Voltages of all nodes, currents and dissipation for input voltages `v` [V] on cells `g` [S].

        Conjugate gradients, each iteration two sweeps over the lines: `O(rows cols)` an iteration and an input, and few
        iterations (5 to 15 where the drop along a line is up to tens of per cent).

        Args:
            tolerance: of the residual (see `Report`); by default 1e-12 in float64 and 1e-6 in float32. most:
            iterations at most. throw: raise where the tolerance is missed, rather than only saying so in `Solution.report`.

        Raises:
            RuntimeError: if `throw` and the tolerance is missed.
        """
        tolerance = (1e-12 if g.dtype == jnp.float64 else 1e-6) if tolerance is None else tolerance
        lines = self._lines(g[::-1])
        volts = v.T[::-1]
        u, report = bit_voltages(lines, volts, jnp.asarray(tolerance, g.dtype), most)
        w = lines.word_voltages(u, volts)
        if throw:
            u = eqx.error_if(
                u,
                report.residual > tolerance,
                f"ResistiveWires.solve: the residual is above {tolerance:g} after {most} iterations. Allow more with "
                "most=, ask for "
                "less with tolerance=, or throw=False to look at the result.",
            )
        tidy = lambda x: jnp.moveaxis(x[::-1], 2, 0)  # noqa: E731
        return self._account(g, v, tidy(w), tidy(u), report)

    def _lines(self, g) -> Lines:
        """Both families of lines, rows from the bottom up."""

        def ladders(load, segment, end, both):
            end = (jnp.maximum(end + segment, SHORT) if both else end + segment).astype(g.dtype)
            resistances = jnp.full(load.shape[0], segment, g.dtype).at[0].set(end)
            return Ladders.of(load, resistances, end if both else None)

        words = ladders(g.T, self.r_row, self.r_source, self.drive == "both")
        return Lines(g, words, ladders(g, self.r_col, self.r_sense, self.ground == "both"))

    def _account(self, g, v, w, u, report) -> Solution:
        """Everything that follows from the voltages."""
        rows, cols = g.shape
        left = _share(cols, self.r_source, self.r_row, self.drive == "both", g.dtype)
        bottom = _share(rows, self.r_sense, self.r_col, self.ground == "both", g.dtype)
        i = g * (w - u)
        i_in, i_out = jnp.sum(i, 2), jnp.sum(i, 1)
        i_left, i_bottom = i @ left, jnp.einsum("bij,i->bj", i, bottom[::-1])
        source = self.r_source * (i_left**2 + (i_in - i_left) ** 2).sum(1)
        sense = self.r_sense * (i_bottom**2 + (i_out - i_bottom) ** 2).sum(1)
        return Solution(
            i_out=i_out,
            i_bottom=i_bottom,
            i_in=i_in,
            v_word=w,
            v_bit=u,
            cells=jnp.sum(i * (w - u), (1, 2)),
            word_lines=jnp.sum(i * (v[..., None] - w), (1, 2)) - source,
            bit_lines=jnp.sum(i * u, (1, 2)) - sense,
            terminals=source + sense,
            report=report,
        )

    def _row(self, cells):
        """Admittance matrix [S] of a row seen from the bit lines, and its currents [A] per volt of the driver."""
        word = _ladder(cells.shape[0], self.r_source, self.r_row, self.drive == "both", cells.dtype)
        admittance = jnp.linalg.solve(
            jnp.eye(cells.shape[0], dtype=cells.dtype) + cells[:, None] * word, jnp.diag(cells)
        )
        return admittance, jnp.sum(admittance, 1)

    def _segments(self, rows, dtype):
        """Resistance below each row [ohm]: a segment, and the end below the last."""
        last = jnp.arange(rows) == rows - 1
        return jnp.where(last, self.r_sense + self.r_col, self.r_col).astype(dtype)

    def _end(self, dtype):
        return (self.r_sense + self.r_col).astype(dtype)


def _ladder(n, end, segment, both, dtype):
    """Resistance matrix [ohm] of a line of `n` nodes towards its driven ends."""
    first = (end + segment * (jnp.arange(n) + 1)).astype(dtype)
    smaller = jnp.minimum(first[:, None], first)
    if not both:
        return smaller
    second = first[::-1]
    total = first[0] + second[0]
    return smaller * jnp.minimum(second[:, None], second) / jnp.where(total > 0, total, 1)


def _share(n, end, segment, both, dtype):
    """The share of each node's current that takes the first end of its line."""
    if not both:
        return jnp.ones(n, dtype)
    second = (end + segment * (n - jnp.arange(n))).astype(dtype)
    total = end + end + segment * (n + 1)
    return jnp.where(total > 0, second / jnp.where(total > 0, total, 1), 0.5)


class _Above(eqx.Module):
    """What a cut through all bit lines sees above it.

    Args:
        admittance: `P` [S]. current: short-circuit currents [A], a column for each input. top: what leaves at the
            upper ends per volt at the cut [S], lost: and per input with the cut at ground [A]; None if they are open.
    """

    admittance: Array
    current: Array
    top: Array | None
    lost: Array | None

    @classmethod
    def nothing(cls, g, current, end) -> _Above:
        if end is None:
            return cls(jnp.zeros((g.shape[1],) * 2, g.dtype), current, None, None)
        # an end of 0 ohm is taken as 1e-9 ohm: it has no admittance to write down
        top = jnp.eye(g.shape[1], dtype=g.dtype) / jnp.maximum(end, 1e-9)
        return cls(top, current, top, current)

    def join(self, admittance, current) -> _Above:
        return _Above(self.admittance + admittance, current, self.top, self.lost)

    def share(self, r):
        """`(I + r P)^{-1} r P`: what a segment of resistance `r` takes off. Small, so that `x - share x` rounds less than a
        product with `(I + r P)^{-1}`, close to 1, would."""
        drop = r * self.admittance
        return jnp.linalg.solve(jnp.eye(drop.shape[0], dtype=drop.dtype) + drop, drop)

    def through(self, r) -> _Above:
        """The same seen from below a segment of resistance `r` [ohm]."""
        share = self.share(r)
        current = self.current - share @ self.current
        admittance = self.admittance - share @ self.admittance
        if self.top is None or self.lost is None:
            return _Above(admittance, current, None, None)
        return _Above(admittance, current, self.top - self.top @ share, self.lost + r * self.top @ current)
