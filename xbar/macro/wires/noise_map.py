"""Read noise behind wires: the variance of a column's current as a form of the input voltages.

A change of one cell moves the current of column j by `a^j_ik d_ik dg_ik`, with `d` the voltage across the cell, linear in the
inputs, and `a^j` that which one volt at sense node j would put across it. So

$$ \\mathrm{var}_j(v) = \\sum_{ik} \\mathrm{var}_{ik} (a^j_{ik})^2 d_{ik}(v)^2 = v^T Q_j v $$

The diagonal of Q weights squares of voltages; the rest comes from bit lines lifted by all inputs together. A lift is a
sum over many rows and smooth along a line: the rest acts on the `MODES` lowest Legendre modes of the input.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float

from xbar.macro.wires.sensitivity import Sensitivities

MODES = 4  # lowest modes of the inputs: 3 leave twice the error where half of the rows are driven
LEAST = 0.1  # of the part by squares: a variance that the modes would take below this, or below 0, ends there
CHECKED = 4  # columns, over all of the tile, for which the form is compared with exact sensitivities
ACCEPTED = 0.05  # error above which a warning is given; the check itself scatters by up to 2 %


class NoiseMap(eqx.Module):
    """From input voltages to the noise that the cells of one tile add; a sum of maps, leaf by leaf, is the map of
    independent noises, such as those of both arrays of differential pairs.

    Args:
        squares: variance of each column [S^2] by the squares of the voltages. modes: by products of two of the input's
            modes (`features`), or None where wires do not couple rows.
        error: of the sum of the variances over columns, the larger of two inputs (0 to 1 V and -1 to 1 V): an estimate
            from a few columns that are solved exactly; or None where nothing is approximated.
    """

    squares: Float[Array, "*stack rows cols"]
    modes: Float[Array, "*stack features cols"] | None = None
    error: Float[Array, "*stack"] | None = None

    def variance(self, v: Float[Array, "*inputs rows"]) -> Float[Array, "*inputs cols"]:
        """Variance of the current of every column [A^2] for inputs `v` [V]."""
        by_squares = _product(v**2, self.squares)
        if self.modes is None:
            return by_squares
        return total(by_squares, _product(features(v), self.modes))


def total(by_squares: Float[Array, "*any"], by_modes: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """The variance from its two parts, never below `LEAST` of the first."""
    return jnp.maximum(by_squares + by_modes, LEAST * by_squares)


def features(v: Float[Array, "*inputs rows"]) -> Float[Array, "*inputs features"]:
    """Products of every two of the lowest modes of inputs [V^2]."""
    basis, (one, two) = modes(v.shape[-1])
    y = _product(v, jnp.asarray(basis, v.dtype))
    return y[..., one] * y[..., two]


def modes(rows: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Orthonormal polynomials over the rows, `[rows modes]`, and the pairs of them that make features."""
    count = min(rows, MODES)
    powers = np.linspace(-1, 1, rows)[:, None] ** np.arange(count)
    return np.linalg.qr(powers)[0], np.triu_indices(count)


def noise_of_tile(
    var: Float[Array, "rows cols"],
    cells: Sensitivities,
    solve: Callable[[Array], Array],
    solve_adjoint: Callable[[Array], Array],
) -> NoiseMap:
    """The map of one tile of ohmic cells.

    Args:
        var: variance of each cell [S^2]. cells: sensitivities, rows from the bottom up.
        solve: voltages across all cells, `[inputs rows cols]`, for inputs. solve_adjoint: for voltages of the sense nodes.
    """
    rows = len(var)
    own = var * (cells.sense**2)[::-1]
    square = cells.drive**2
    others = cells.beside(var[::-1] * square)[::-1]
    square = square[::-1]
    squares = own * square + others + cells.below(own[::-1])[::-1]
    per_volt = own + others / jnp.where(square > 0, square, 1)  # of the square of the voltage across a column's cell

    basis, (one, two) = modes(rows)
    across = solve(jnp.asarray(basis.T, var.dtype))
    pairs = jnp.asarray(basis[:, one] * basis[:, two], var.dtype)
    twice = jnp.asarray(np.where(one == two, 1, 2), var.dtype)[:, None]
    whole = jnp.sum(per_volt[None] * across[one] * across[two], 1)
    found = NoiseMap(squares, twice * (whole - _product(pairs.T, squares)))
    return NoiseMap(found.squares, found.modes, _error(lax.stop_gradient((found, var)), solve, solve_adjoint))


def _error(given: tuple[NoiseMap, Array], solve, solve_adjoint) -> Float[Array, ""]:
    """Relative error of the variance summed over a few columns, the larger one of two inputs: of one sign, and of both."""
    found, var = given
    rows, cols = var.shape
    fraction = np.arange(1, rows + 1) * 0.6180339887498949 % 1  # even and unordered: multiples of the golden ratio
    v = jnp.asarray(np.stack([fraction, 2 * fraction - 1]), var.dtype)
    checked = np.unique(np.linspace(cols - 1, 0, min(cols, CHECKED)).astype(int))
    across, adjoint = solve(v), solve_adjoint(jnp.asarray(np.eye(cols)[checked], var.dtype))
    exact = jnp.einsum("brc,jrc,rc->b", across**2, adjoint**2, var)
    ours = jnp.sum(found.variance(v)[:, checked], 1)
    return lax.stop_gradient(jnp.max(jnp.where(exact > 0, jnp.abs(ours / jnp.where(exact > 0, exact, 1) - 1), 0)))


def warn_of_error(error: Float[Array, "*stack"] | None) -> None:
    """Warns where an estimated error is known and above `ACCEPTED`."""
    if error is None or isinstance(error, Tracer) or not np.any(np.greater(error, ACCEPTED)):
        return
    warnings.warn(
        f"ResistiveWires: the variance of read noise is off by about {float(np.max(error)):.0%}, because the wires "
        "drop too much of the voltage for an approximation by single lines. Use noise_variance, which is exact, or "
        "smaller tiles.",
        stacklevel=3,
    )


def exact_variance(
    currents: Float[Array, "inputs rows cols"], solve_adjoint: Callable[[Array], Array]
) -> Float[Array, "inputs cols"]:
    """Variance of every column's current [A^2], one column after the other.

    Args:
        currents: squared noise currents beside the cells [A^2].
    """
    flat = currents.reshape(len(currents), -1)

    def column(sense):
        return _product(flat, solve_adjoint(sense[None]).reshape(-1) ** 2)

    return lax.map(column, jnp.eye(currents.shape[-1], dtype=currents.dtype)).T


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
