"""One input on a tile with resistive wires: conjugate gradients on the bit lines, with the word lines eliminated."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from xbar.macro.wires.ladder import Ladders


class Report(eqx.Module):
    """How a solution was reached.

    Args:
        iterations: of conjugate gradients for ohmic cells, of Newton's method for others. residual: for ohmic cells the
            currents that do not add up at the nodes, in the norm of the preconditioner, relative to the currents that the
            inputs inject; for others the misfit of the cells' law to the currents in the wires, relative to these. The
            largest of all inputs.
        misfit: of the currents of ohmic cells to Kirchhoff's laws, recomputed, relative to these; it includes what
            rounding of node voltages has cost. None for other cells, whose residual already is that.
    """

    iterations: Int[Array, ""]
    residual: Float[Array, ""]
    misfit: Float[Array, ""] | None = None


def _transposed_copy(x):
    """`x.T` as a copy of its own: fused with arithmetic, it would be read with long strides through memory."""
    return lax.optimization_barrier(lax.optimization_barrier(x).T)


class Lines(eqx.Module):
    """Both families of lines of one tile, factored.

    With word lines eliminated the bit-line voltages obey `(M - N) u = b`: M are the bit lines with all cells to ground
    (one ladder per line), `N u` the currents that come back through the word lines, b those that the inputs drive.

    Args:
        g: cells [S], rows counted from the bottom up, as the bit lines run. words, bits: the ladders.
    """

    g: Float[Array, "rows cols"]
    words: Ladders
    bits: Ladders

    def word_voltages(
        self, u: Float[Array, "rows cols"] | None, v: Float[Array, " rows"] | None
    ) -> Float[Array, "rows cols"]:
        """Word-line voltages [V] for bit-line voltages `u` and drivers at `v` [V]; None is 0 V everywhere."""
        return _transposed_copy(self.words.voltages(None if u is None else _transposed_copy(self.g * u), v))

    def word_response(self, currents):
        """Word-line voltages [V] for currents [A] injected into the word lines, drivers and bit lines at 0 V."""
        return _transposed_copy(self.words.voltages(_transposed_copy(currents)))

    def through_word_lines(self, u):
        """`N u`: currents [A] into the bit lines through word lines whose drivers are at 0 V."""
        return self.g * self.word_voltages(u, None)

    def bit_response(self, currents):
        """`M^-1 j`: bit-line voltages [V] for injected currents [A], all word lines held at 0 V."""
        return self.bits.voltages(currents)


def bit_voltages(
    lines: Lines, v: Float[Array, " rows"], tolerance: Float[Array, ""], most: int
) -> tuple[Float[Array, "rows cols"], Report]:
    """Bit-line voltages [V] for input voltages `v` [V].

    Differentiable to any order: derivatives are those of the solution, one more solution each, and nothing of the
    iterations is kept.
    """
    return solve_bit_lines(lines, lines.g * lines.word_voltages(None, v), tolerance, most)


def solve_bit_lines(
    lines: Lines, b: Float[Array, "rows cols"], tolerance: Float[Array, ""], most: int
) -> tuple[Float[Array, "rows cols"], Report]:
    """Bit-line voltages [V] for currents `b` [A] into the bit lines, word lines eliminated: `(M - N)^-1 b`."""

    def solve(_, y):
        moved, report = conjugate_gradients(lines, lines.through_word_lines(y), tolerance, most)
        return y + moved, report

    def solve_transposed(_, y):
        moved, report = conjugate_gradients(lines, y, tolerance, most)
        return y + lines.through_word_lines(moved), report

    return lax.custom_linear_solve(
        lambda u: u - lines.bit_response(lines.through_word_lines(u)),
        lines.bit_response(b),
        solve,
        solve_transposed,
        has_aux=True,
    )


def conjugate_gradients(lines: Lines, b, tolerance, most):
    """`(M - N)^-1 b` by conjugate gradients preconditioned with M.

    `M p` follows the directions by recurrence, so that M itself, infinite for wires of 0 ohm, is never applied.
    """

    def iterated(in_place: bool):
        return lambda lines, b, tolerance: _iterated(lines, b, tolerance, most, in_place)

    one_at_a_time = jax.custom_batching.custom_vmap(iterated(True))

    @one_at_a_time.def_vmap
    def _together(size, batched, *given):
        axes = jax.tree.map(lambda mapped: 0 if mapped else None, tuple(batched))
        found = jax.vmap(iterated(False), axes)(*given)
        return found, jax.tree.map(lambda _: True, found)

    return one_at_a_time(jax.tree.map(lax.stop_gradient, lines), b, tolerance)


def _iterated(lines: Lines, b, tolerance, most: int, in_place: bool):
    """`conjugate_gradients`; in place, sweeps write over their last results. JAX would make a gather of every row for a batch.

    What is transposed next is carried from one iteration to the next, since XLA would read a product
    that it transposes slowly.
    """
    dot = lambda x, y: jnp.sum(x * y)  # noqa: E731
    ground = jnp.zeros_like(b[0]), jnp.zeros_like(b[:, 0])
    z, behind = lines.bits.swept(b, ground[0], ground[0])
    size = dot(b, z)
    scale = jnp.where(size > 0, size, 1)

    def going(at):
        rz, k = at[-2:]
        return (rz / scale > tolerance**2) & (k < most)

    def step(at):
        x, r, p, mp, driven, memory, rz, k = at
        j = _transposed_copy(driven)
        w, word = lines.words.swept(j, ground[1], ground[1], (memory[1], j) if in_place else (None, None))
        sp = mp - lines.g * _transposed_copy(w)
        down = dot(p, sp)
        alpha = rz / jnp.where(down > 0, down, 1)
        x, r = x + alpha * p, r - alpha * sp
        z, bit = lines.bits.swept(r, ground[0], ground[0], (memory[2], memory[0]) if in_place else (None, None))
        new = jnp.maximum(dot(r, z), 0)
        beta = new / jnp.where(rz > 0, rz, 1)
        p = z + beta * p
        return x, r, p, r + beta * mp, lines.g * p, (z, word, bit) if in_place else (), new, k + 1

    memory = (z, jnp.zeros_like(b.T), behind) if in_place else ()
    start = jnp.zeros_like(b), b, z, b, lines.g * z, memory, size, jnp.asarray(0)
    x, *_, rz, k = lax.while_loop(going, step, start)
    return x, Report(k, jnp.sqrt(rz / scale))
