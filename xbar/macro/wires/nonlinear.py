"""Given inputs on a tile of cells of any conduction law: Newton's method around the linear solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from devices._numerics import solve_increasing
from xbar.macro.wires.conjugate import Lines, Report, conjugate_gradients, solve_bit_lines
from xbar.macro.wires.network import Network

INNER_TOLERANCE = 1e-3  # tolerance of the linear solution within a step
TRIALS = 40  # lengths of a step tried at most
SLOPE_LEFT = 0.5  # a step is long enough where the slope of the content along it has fallen to this share
CLOSE_MISFIT = 1e-3  # misfit below which it falls with every step
STALLED_STEPS = 4  # steps near the solution without a smaller misfit, after which rounding is what is left


class Circuit(eqx.Module):
    """Everything that decides the currents of one tile's cells under one input.

    Args:
        law: current [A] of a cell of state `g` at a voltage. g: states [S]. v: inputs [V]. network: the wires.
        lines: the wires with given ohmic cells, factored.
    """

    law: Callable[[Any, Any], Any]
    g: Float[Array, "rows cols"]
    v: Float[Array, " rows"]
    network: Network
    lines: Callable[[Any], Lines]

    def misfit(self, i: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """What the cells would let through at the voltages that currents `i` leave them, less `i` [A]."""
        return self.law(self.g, self.network.across(i, self.v)) - i

    def slopes(self, d: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
        """Derivative of every cell's current with respect to its voltage [S]."""
        return jax.jvp(lambda d: self.law(self.g, d), (d,), (jnp.ones_like(d),))[1]


def _cell_response(lines: Lines, c, solve) -> Float[Array, "rows cols"]:
    """`(1 + S Z)^-1 c`: currents of ohmic cells S with current sources c beside them, all drivers at 0 V."""
    sunk = lines.word_response(-c)
    u = solve(c + lines.g * sunk)
    return c + lines.g * (sunk + lines.word_voltages(u, None) - u)


@eqx.filter_custom_jvp
def cell_currents(circuit: Circuit, start, tolerance, most) -> tuple[Float[Array, "rows cols"], Report]:
    """Currents [A] of all cells.

    Newton's method for `law(g, e - Z i) = i`. These equations say that the content of the network is minimal: half the
    heat of its wires and the integrals of the cells' currents over their voltages. The content is convex where currents
    rise with voltages, and every step is taken as far along Newton's direction as the content falls: from any start the
    steps lead to the one solution.

    Differentiable to any order: derivatives are those of the solution, one more linear solution each.

    Args:
        start: currents to start from [A]. tolerance: of the misfit, relative to the currents. most: steps at most.
    """
    norm = lambda x: jnp.sqrt(jnp.sum(x**2))  # noqa: E731

    def residual(i, rho):
        size = norm(i)
        return jnp.where(jnp.isfinite(norm(rho)), norm(rho) / jnp.where(size > 0, size, 1), jnp.inf)

    def going(at):
        _, _, _, _, best, k, since = at
        return (best > tolerance) & (k < most) & (since < STALLED_STEPS)

    def step(at):
        i, d, rho, kept, best, k, since = at
        slope = jnp.maximum(circuit.slopes(d), 0)
        lines = circuit.lines(jnp.where(jnp.isfinite(slope), slope, 0))
        inexact = lambda b: conjugate_gradients(lines, b, jnp.asarray(INNER_TOLERANCE, b.dtype), 50)[0]  # noqa: E731
        move = _cell_response(lines, rho, inexact)
        change = circuit.network.across(move, None)
        i = i + move * _step_length(circuit, i, d, move, change, jnp.abs(jnp.sum(change * rho)))
        d = circuit.network.across(i, circuit.v)
        rho = circuit.law(circuit.g, d) - i
        found = residual(i, rho)
        better = found < best
        kept = jnp.where(better, i, kept)
        since = jnp.where((found < 0.9 * best) | (best > CLOSE_MISFIT), 0, since + 1)
        return i, d, rho, kept, jnp.minimum(found, best), k + 1, since

    d = circuit.network.across(start, circuit.v)
    rho = circuit.law(circuit.g, d) - start
    first = (start, d, rho, start, residual(start, rho), jnp.asarray(0), jnp.asarray(0))
    _, _, _, i, found, k, _ = lax.while_loop(going, step, first)
    return i, Report(k, found)


@cell_currents.def_jvp
def _cell_currents_jvp(primals, tangents):
    circuit, start, tolerance, most = primals
    i, report = cell_currents(circuit, start, tolerance, most)
    _, pushed = eqx.filter_jvp(lambda c: c.misfit(i), (circuit,), (tangents[0],))
    lines = circuit.lines(circuit.slopes(circuit.network.across(i, circuit.v)))
    exact = lambda b: solve_bit_lines(lines, b, jnp.asarray(_exact_tolerance(b), b.dtype), 500)[0]  # noqa: E731
    return (i, report), (_cell_response(lines, pushed, exact), jax.tree.map(lambda _: None, report))


def _exact_tolerance(b) -> float:
    return 1e-12 if b.dtype == jnp.float64 else 1e-6


def initial_currents(circuit: Circuit, resistance: Float[Array, "rows cols"]) -> Float[Array, "rows cols"]:
    """Currents to start from [A]: those of every cell as if it were alone on its lines, reduced by one factor to where the
    content along them is minimal.

    Args:
        resistance: of the lines from driver to cell and from cell to sense node [ohm].
    """
    nothing = jnp.zeros_like(circuit.g)
    e = circuit.network.across(nothing, circuit.v)
    excess = lambda d: d + resistance * circuit.law(circuit.g, d) - e  # noqa: E731
    d = solve_increasing(excess, jnp.minimum(e, 0), jnp.maximum(e, 0))
    move = circuit.law(circuit.g, d)
    change = circuit.network.across(move, None)
    return move * _step_length(circuit, nothing, e, move, change, jnp.abs(jnp.sum(change * move)))


def _step_length(circuit: Circuit, i, d, move, change, steep):
    """How far to go from currents `i` along `move`, to where the content's slope is small against `steep`; by bisection."""

    def slope(length):
        return jnp.sum(change * (circuit.law(circuit.g, d + length * change) - i - length * move))

    def going(at):
        _, _, _, k, done = at
        return ~done & (k < TRIALS)

    def trial(at):
        low, high, length, k, _ = at
        here = slope(length)
        # not a number: the law has overflowed
        beyond, short = ~(here <= SLOPE_LEFT * steep), here < -SLOPE_LEFT * steep
        low, high = jnp.where(short, length, low), jnp.where(beyond, length, high)
        middle = jnp.where(jnp.isfinite(high), (low + high) / 2, 2 * length)
        return low, high, jnp.where(beyond | short, middle, length), k + 1, ~(beyond | short)

    one = jnp.ones((), d.dtype)
    _, _, length, _, _ = lax.while_loop(going, trial, (0 * one, jnp.inf * one, one, jnp.asarray(0), jnp.asarray(False)))
    return length
