"""Wires with resistance, exactly: a tile's transfer conductances by elimination, and its voltages under given inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from xbar.macro.wires.base import AbstractWires
from xbar.macro.wires.blocks import closed, joined, part
from xbar.macro.wires.conjugate import Lines, Report, bit_voltages
from xbar.macro.wires.ladder import SHORT, line_resistances, share_of_first_end
from xbar.macro.wires.network import Network, kirchhoff_checked
from xbar.macro.wires.noise_map import NoiseMap, exact_variance, noise_of_tile, warn_of_error
from xbar.macro.wires.nonlinear import Circuit, cell_currents, initial_currents
from xbar.macro.wires.sensitivity import Family, Sensitivities
from xbar.macro.wires.wire_checks import check_resistances, checked_cells, ohms

FEW = 16  # inputs: more cost as much as the map, for tiles of 32 to 1024 lines on two cores
MISFIT, MISFIT_SINGLE = 1e-9, 5e-5  # of currents, in float64 and float32, besides ten times the tolerance
CELLS_AT_ONCE = 2**17  # cells: inputs are solved so many at a time that their arrays stay in the processor's cache


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

    The map of all inputs at once (`effective`) comes from joining blocks of cells two by two, see `xbar.macro.wires.blocks`:
    no iteration, and no division by a resistance: 0 ohm and 0 S are allowed. It costs `O(rows cols (rows + cols))`, as much
    as solving about 20 inputs one by one (`solve`).

    Args:
        r_row, r_col: resistance of a word-line and a bit-line segment [ohm]. r_source, r_sense: of drivers and sense
            nodes [ohm].
        drive: ends of a word line that are driven, "left" or "both".
        ground: ends of a bit line that are sensed, "bottom" or "both".
        noise: how read noise of the cells passes through the wires: `"modes"`, at the cost of one product, within 3 %
            of the variance for drops of up to tens of per cent (`Chip.at` and `xbar.calibrate` warn beyond); `"exact"`,
            by solving for each input and output.

    Raises:
        ValueError: for a negative resistance or an end that does not exist.

    Cells of other conduction laws have no such map: they are solved for each input (`solve`), at about a hundred times
    the cost of a product.

    Breaks when: currents change faster than the lines' RC.
    """

    r_row: Float[Array, ""] = eqx.field(converter=partial(ohms, "r_row"))
    r_col: Float[Array, ""] = eqx.field(converter=partial(ohms, "r_col"))
    r_source: Float[Array, ""] = eqx.field(converter=partial(ohms, "r_source"), default=0.0)
    r_sense: Float[Array, ""] = eqx.field(converter=partial(ohms, "r_sense"), default=0.0)
    drive: str = eqx.field(static=True, default="left")
    ground: str = eqx.field(static=True, default="bottom")
    noise: Literal["modes", "exact"] = eqx.field(static=True, default="modes")

    def __check_init__(self):
        check_resistances(r_row=self.r_row, r_col=self.r_col, r_source=self.r_source, r_sense=self.r_sense)
        if self.drive not in ("left", "both") or self.ground not in ("bottom", "both"):
            raise ValueError(
                f"ResistiveWires: drive={self.drive!r} must be 'left' or 'both', ground={self.ground!r} "
                "must be 'bottom' or 'both'."
            )

        if self.noise not in ("modes", "exact"):
            raise ValueError(f"ResistiveWires: noise={self.noise!r}; it must be 'modes' or 'exact'.")

    @property
    def exact_noise(self) -> bool:
        return self.noise == "exact"

    def effective(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        return self.terminals(g)[0]

    def scaled(self, word: Float[Array, ""], bit: Float[Array, ""], access: Float[Array, ""]) -> ResistiveWires:
        resistances = lambda w: (w.r_row, w.r_col, w.r_source, w.r_sense)  # noqa: E731
        old, factors = resistances(self), (word, bit, access, access)
        return eqx.tree_at(resistances, self, tuple(r / s for r, s in zip(old, factors, strict=True)))

    def terminals(self, g: Float[Array, "rows cols"]) -> tuple[Float[Array, "rows cols"], Float[Array, "rows rows"]]:
        rows, cols = g.shape
        g = self._checked(g)
        first = lambda segment, end, n: jnp.full(n, segment, g.dtype).at[0].add(end.astype(g.dtype))  # noqa: E731
        k = joined(g[::-1], first(self.r_row, self.r_source, cols), first(self.r_col, self.r_sense, rows))
        if self.drive == "both":
            k = closed(k, "r", jnp.maximum(self.r_source + self.r_row, SHORT).astype(g.dtype))
        if self.ground == "both":
            k = closed(k, "t", jnp.maximum(self.r_sense + self.r_col, SHORT).astype(g.dtype))
        admittance, transfer = k["ll"][:rows, :rows], -part(k, "l", "b")[:rows, :cols]
        return transfer[::-1], admittance[::-1, ::-1]

    def solve(
        self,
        g: Float[Array, "rows cols"],
        v: Float[Array, "inputs rows"],
        *,
        conduction: Callable[[Any, Any], Any] | None = None,
        start: Solution | None = None,
        tolerance: float | Float[Array, ""] | None = None,
        most: int | None = None,
        throw: bool = True,
    ) -> Solution:
        """Voltages of all nodes, currents and dissipation for input voltages `v` [V] on cells `g` [S].

        Ohmic cells: conjugate gradients, each iteration two sweeps over the lines: `O(rows cols)` per iteration and
        input, and few iterations (5 to 15 where the drop along a line is up to tens of per cent). Others: Newton's
        method around that, tens of iterations in all for each input (see `xbar.macro.wires.nonlinear`). Where the
        currents of the cells rise with their voltages it reaches the one solution from any start. Where they fall (a
        threshold switch) there may be several solutions, and finding one is not guaranteed: the step that Newton's
        method would take is then that of a cell with no slope. Whatever is returned obeys Kirchhoff's laws to rounding;
        `Solution.report` says by how much it misses the cells' law.

        Args:
            conduction: law of the cells, current [A] of state [S] and voltage [V], from `devices`; None: ohmic. A 1T1R
                cell is `WithSeriesResistance`, a selector any law of a steep current.
            start: solution of a similar problem to start from, for cells that are not ohmic.
            tolerance: of the residual (see `Report`); by default 1e-12 in float64 and 1e-6 in float32 for ohmic cells, 1e-11
                and 1e-5 for others. most: iterations at most, by default 500, and 100 steps of Newton's method. throw: raise
                where the tolerance is missed, rather than only saying so in `Solution.report`.

        Raises:
            RuntimeError: if `throw` and the tolerance is missed.

        Breaks when: cells are so steep at the drivers' voltage that slope times wire resistance comes near what rounding
        allows (a sinh of 30 mV at 1 V with no series resistance: 1e10): the misfit then stays, and is reported.
        """
        double = g.dtype == jnp.float64
        if conduction is not None and getattr(conduction, "linear", False):
            g, conduction = conduction(g, jnp.ones_like(g)), None
        if conduction is not None:
            tolerance = (1e-11 if double else 1e-5) if tolerance is None else tolerance
            return self._solve_cells(conduction, g, v, start, tolerance, 100 if most is None else most, throw)
        most = 500 if most is None else most
        tolerance = (1e-12 if double else 1e-6) if tolerance is None else tolerance
        g = self._checked(g) if throw else g
        lines, network, resistance = self._lines(g[::-1]), self._network(g), self._line_resistance(g)

        def one(volts):
            u, report = bit_voltages(lines, volts[::-1], jnp.asarray(tolerance, g.dtype), most)
            w = lines.word_voltages(u, volts[::-1])
            report = kirchhoff_checked(report, *lax.stop_gradient((network, resistance, lines.g, w, u, volts[::-1])))
            return w[::-1], u[::-1], report

        w, u, report = _for_each_input(one, v, g.size)
        u = _converged(u, report, tolerance, most) if throw else u
        return self._solution_of(g[None] * (w - u), v, w, u, report)

    def _solve_cells(self, law, g, v, start, tolerance, most, throw) -> Solution:
        """Cells that are not ohmic, each input on its own."""
        network, resistance = self._network(g), self._line_resistance(g)

        def one(at):
            volts, before = at
            circuit = Circuit(law, g[::-1], volts[::-1], network, self._lines)
            fixed = lax.stop_gradient(circuit)
            guess = (
                initial_currents(fixed, lax.stop_gradient(resistance)) if before is None else law(fixed.g, before[::-1])
            )
            i, report = cell_currents(circuit, guess, jnp.asarray(tolerance, g.dtype), most)
            w, u = network.voltages(i, circuit.v)
            return i[::-1], w[::-1], u[::-1], report

        before = None if start is None else lax.stop_gradient(start.v_word - start.v_bit)
        i, w, u, report = _for_each_input(one, (v, before), g.size)
        i = _converged(i, report, tolerance, most) if throw else i
        return self._solution_of(i, v, w, u, report)

    def _network(self, g) -> Network:
        """The lines with no cells, rows from the bottom up."""
        bare = self._lines(jnp.zeros_like(g))
        return Network(bare.words, bare.bits)

    def _line_resistance(self, g) -> Float[Array, "rows cols"]:
        """Resistance of the lines to each cell [ohm], rows from the bottom up."""
        rows, cols = g.shape
        word = line_resistances(cols, self.r_source, self.r_row, self.drive == "both", g.dtype)
        bit = line_resistances(rows, self.r_sense, self.r_col, self.ground == "both", g.dtype)
        return bit[:, None] + word[None]

    def currents(
        self,
        g: Float[Array, "rows cols"],
        v: Float[Array, "inputs rows"],
        conduction: Callable[[Any, Any], Any] | None = None,
    ) -> tuple[Float[Array, "inputs cols"], Float[Array, ""]]:
        """Bit-line currents [A], and the power [W] of all inputs together: by `solve`, to 1e-4 in float32, where the cells are
        not ohmic, or by `terminals` if that costs less."""
        ohmic = conduction is None or getattr(conduction, "linear", False)
        if ohmic and not self.prefers_direct_solve(len(v)):
            return super().currents(g, v)
        tolerance = None if ohmic or g.dtype == jnp.float64 else 1e-4

        def one(v):
            found = self.solve(g, v[None], conduction=None if ohmic else conduction, tolerance=tolerance)
            return found.i_out[0], jnp.sum(found.i_in[0] * v)

        i, watts = _for_each_input(one, v, g.size)
        return i, jnp.sum(watts)

    def sensitivity(self, g: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        cells = self._sensitivities(g)
        return (cells.drive * cells.sense)[::-1]

    def noise_map(self, g: Float[Array, "rows cols"], var: Float[Array, "rows cols"]) -> NoiseMap:
        """See `xbar.macro.wires.noise_map`: at the cost of solving about ten inputs, to 3 % of the variance summed over
        columns (tiles of 32 to 256 lines, up to 20 uS and 20 ohm a segment, inputs from 0 to 1 V and from -1 to 1 V).

        Warns where the estimated error of concrete cells is above 5 %. For traced ones it is in `NoiseMap.error`.
        """
        across = partial(self._across, self._checked(g))
        adjoint = partial(self._adjoint, g)
        found = noise_of_tile(var, self._sensitivities(g), across, adjoint)
        warn_of_error(found.error)
        return found

    def noise_variance(
        self,
        g: Float[Array, "rows cols"],
        var: Float[Array, "rows cols"],
        v: Float[Array, "inputs rows"],
        conduction: Callable[[Any, Any], Any] | None = None,
        *,
        exact: bool = True,
    ) -> Float[Array, "inputs cols"]:
        """Variance of the current of every column [A^2], around the solution for every input; to first order in the noise.

        Args:
            var: variance of each cell's conductance, or of its state where cells are not ohmic [S^2].
            conduction: law of the cells; None: ohmic.
            exact: by one more solution for every column (of cells that are not ohmic for every column and input). Otherwise by
                `xbar.macro.wires.sensitivity`, at less than the solutions themselves cost.
        """
        if conduction is not None and getattr(conduction, "linear", False):
            g, conduction = conduction(g, jnp.ones_like(g)), None
        if conduction is None:
            squared = partial(self._squared_currents, g, var)
            if exact:
                return exact_variance(_for_each_input(squared, v, g.size), partial(self._adjoint, g))
            cells = self._sensitivities(g)
            return _for_each_input(lambda v: cells.column_variance(squared(v)[::-1]), v, g.size)

        law = conduction

        def of_cells(v):
            """Around the solution for one input, cells are ohmic, with their slopes as conductances."""
            across = self._across(g, v[None], law)[0]
            by_state = jax.jvp(lambda g: law(g, across), (g,), (jnp.ones_like(g),))[1]
            slopes = jnp.maximum(jax.jvp(lambda d: law(g, d), (across,), (jnp.ones_like(g),))[1], 0)
            if exact:
                return exact_variance((var * by_state**2)[None], partial(self._adjoint, slopes))[0]
            return self._sensitivities(slopes).column_variance((var * by_state**2)[::-1])

        return _for_each_input(of_cells, v, g.size)

    def _squared_currents(self, g, var, v) -> Float[Array, "rows cols"]:
        """Squared noise currents beside ohmic cells [A^2] for one input."""
        return var * self._across(g, v[None])[0] ** 2

    def _sensitivities(self, g) -> Sensitivities:
        return Sensitivities.of(g[::-1], *self._families(g))

    def _across(self, g, v, conduction=None) -> Float[Array, "inputs rows cols"]:
        """Voltages across all cells; for ohmic ones as exact as noise requires."""
        tolerance = None if conduction is not None or g.dtype == jnp.float64 else 1e-5
        found = self.solve(g, v, conduction=conduction, tolerance=tolerance, throw=conduction is not None)
        return found.v_word - found.v_bit

    def _adjoint(self, g, v) -> Float[Array, "columns rows cols"]:
        """Voltages that sense nodes at `v` [V] put across all cells, drivers at 0 V: by reciprocity what the current of the
        sense nodes gains from a current beside each cell. They are those of the tile with word and bit lines
        exchanged."""
        across = self._exchanged()._across(_turned(g), v[:, ::-1])
        return jnp.swapaxes(across, 1, 2)[:, ::-1, ::-1]

    def backward_noise_variance(
        self, g: Float[Array, "rows cols"], var: Float[Array, "rows cols"], v: Float[Array, "inputs cols"]
    ) -> Float[Array, "inputs rows"]:
        """See `AbstractWires`; here by one more solution for every word line."""
        return self._exchanged().noise_variance(_turned(g), _turned(var), v[:, ::-1])[:, ::-1]

    def _exchanged(self) -> ResistiveWires:
        """These wires with word and bit lines exchanged, for cells `_turned`."""
        return ResistiveWires(
            self.r_col,
            self.r_row,
            self.r_sense,
            self.r_source,
            drive="both" if self.ground == "both" else "left",
            ground="both" if self.drive == "both" else "bottom",
        )

    def prefers_direct_solve(self, inputs: int) -> bool:
        return inputs <= FEW

    def _lines(self, g) -> Lines:
        """Both families of lines, rows from the bottom up."""
        words, bits = self._families(g)
        return Lines(g, words.ladders(g.T), bits.ladders(g))

    def _families(self, g) -> tuple[Family, Family]:
        """Word lines and bit lines without their cells."""
        rows, cols = g.shape

        def family(n, segment, end, both):
            end = (jnp.maximum(end + segment, SHORT) if both else end + segment).astype(g.dtype)
            return Family(jnp.full(n, segment, g.dtype).at[0].set(end), end if both else None)

        words = family(cols, self.r_row, self.r_source, self.drive == "both")
        return words, family(rows, self.r_col, self.r_sense, self.ground == "both")

    def _checked(self, g):
        return checked_cells(g, self.r_row, self.r_col, self.r_source, self.r_sense)

    def _solution_of(self, i, v, w, u, report) -> Solution:
        """Everything that follows from the voltages."""
        _, rows, cols = i.shape
        left = share_of_first_end(cols, self.r_source, self.r_row, self.drive == "both", i.dtype)
        bottom = share_of_first_end(rows, self.r_sense, self.r_col, self.ground == "both", i.dtype)
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
            report=jax.tree.map(jnp.max, report),
        )


def _turned(g: Float[Array, "rows cols"]) -> Float[Array, "cols rows"]:
    """Cells with word and bit lines exchanged, so that drivers stay on the left and sense nodes at the bottom."""
    return g[::-1, ::-1].T


def _for_each_input(solve, inputs, cells: int):
    """`solve` for every input, one after the other or, where that leaves room in the processor's cache, several at a time."""
    if len(jax.tree.leaves(inputs)[0]) == 1:
        return jax.tree.map(lambda x: x[None], solve(jax.tree.map(lambda x: x[0], inputs)))
    together = CELLS_AT_ONCE // cells
    return lax.map(solve, inputs, batch_size=together) if together > 1 else lax.map(solve, inputs)


def _converged(x, report: Report, tolerance, most):
    """`x`, or an error where the solution is not good enough."""
    x = eqx.error_if(
        x,
        ~jnp.all(report.residual <= tolerance),  # so that one that is not a number counts
        f"ResistiveWires.solve: the residual is above {tolerance:g} after at most {most} iterations. Allow more with most=, "
        "loosen tolerance=, or give throw=False to look at the result and its report.",
    )
    if report.misfit is None:
        return x
    allowed = (MISFIT if x.dtype == jnp.float64 else MISFIT_SINGLE) + 10 * tolerance
    return eqx.error_if(
        x,
        ~jnp.all(report.misfit <= allowed),
        "ResistiveWires.solve: the currents miss Kirchhoff's laws by more than rounding can explain, since wire "
        "resistance times cell conductance is too large for this precision. Use effective(), which has no such limit, "
        "or float64; throw=False returns the result with its report.",
    )
