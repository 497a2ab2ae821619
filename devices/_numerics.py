"""Small numerical tools that every law needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


def optional_array(value: Any) -> Array | None:
    """An array, or None where there is none: a converter of fields."""
    return None if value is None else jnp.asarray(value)


def at_least_float32(dtype: Any) -> Any:
    """The floating-point type to work in: that of the data, or float32 where theirs is narrower or not floating point."""
    return jnp.float64 if dtype == jnp.float64 else jnp.float32


def safe_sqrt(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """`sqrt(max(x, 0))` whose derivative is 0, not infinite, where `x <= 0`."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def polynomial(coefficients: Float[Array, "*#any powers"], x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """`sum_k coefficients[k] x^k`, ascending powers, in the dtype of `x`; coefficients for all, or for each x."""
    total = jnp.zeros_like(x)
    for power in reversed(range(coefficients.shape[-1])):
        total = total * x + coefficients[..., power].astype(x.dtype)
    return total


def nearest(t: Float[Array, "*any"], times: Float[Array, " times"]) -> Int[Array, "*any"]:
    """Which of `times` each `t` is nearest to."""
    return jnp.argmin(jnp.abs(lax.stop_gradient(t)[..., None] - times.astype(t.dtype)), -1)


def phi1(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """`(exp(x) - 1) / x`, smooth through 0; the argument is clipped at 60, where a step is lost anyway."""
    x = jnp.minimum(x, 60.0)
    small = jnp.abs(x) < 1e-4
    return jnp.where(small, 1 + x / 2 + x**2 / 6, jnp.expm1(x) / jnp.where(small, 1.0, x))


def log_gamma_half(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """`ln Gamma(x + 1/2) - ln Gamma(x)` for positive x, to 1e-11, with derivatives as cheap as the function itself.

    By `Gamma(x + 1) = x Gamma(x)` eight times, and from there by the difference of two of Stirling's series (DLMF 5.11.1).
    """
    ratio = jnp.ones_like(x)
    for k in range(8):
        ratio = ratio * ((x + k) / (x + k + 0.5))
    y = x + 8
    series = -1 / 8 + (1 / 192 + (-1 / 640 + 17 / 14336 / y**2) / y**2) / y**2
    return jnp.log(ratio) + jnp.log(y) / 2 + series / y


def solve_increasing(
    f: Callable[[Float[Array, "*cells"]], Float[Array, "*cells"]],
    low: Float[Array, "*cells"],
    high: Float[Array, "*cells"],
    *,
    steps: int = 40,
    start: Float[Array, "*cells"] | None = None,
) -> Float[Array, "*cells"]:
    """The root, cell by cell, of an elementwise function that increases from `low` to `high`.

    `start`: a guess within the bracket, by default its middle.

    Newton's method kept inside a shrinking bracket: a step that would leave it, or that does not halve the last one, is a
    bisection. Where `f` has no sign change the nearer end is returned, with a derivative of 0. The iterations are not
    differentiated: two Newton steps from the root, whose values change nothing, carry its derivatives up to the third.
    """

    def newton_step(x):
        value, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
        return value, slope, jnp.where(slope > 0, value / jnp.where(slope > 0, slope, 1), 0)

    def body(_, at):
        low, high, x, last = at
        value, slope, step = newton_step(x)
        low, high = jnp.where(value < 0, x, low), jnp.where(value < 0, high, x)
        newton, move = x - step, jnp.abs(step)
        # a Newton step must stay inside and be less than half the last one, unless it is down to rounding
        inside = (newton >= low) & (newton <= high) & (move < last / 2)
        good = (slope > 0) & (inside | (move <= 4 * jnp.finfo(x.dtype).eps * jnp.abs(x)))
        following = jnp.where(value == 0, x, jnp.where(good, newton, (low + high) / 2))
        return low, high, following, jnp.where(good, move, high - low)

    low, high = lax.stop_gradient((low, high))
    guess = (low + high) / 2 if start is None else jnp.clip(lax.stop_gradient(start), low, high)
    first = (low, high, guess, high - low)
    root = lax.stop_gradient(lax.fori_loop(0, steps, lambda k, at: lax.stop_gradient(body(k, at)), first)[2])

    def polish(_, root):
        _, _, step = newton_step(root)
        return root - jnp.where(jnp.abs(step) <= 1e-3 * (high - low), step, 0)

    return lax.fori_loop(0, 2, polish, root)  # a loop: compilers see one step, however often it is differentiated


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def trajectory(
    step: Callable[..., Any], coupled: bool, given: Any, x: Float[Array, "*cells parts"], inputs: Any
) -> tuple[Float[Array, "*cells parts"], Float[Array, "n *cells parts"], Any]:
    """The last state, the states before each step, and the outputs of `x_{n+1}, y_n = step(given, x_n, inputs_n)`.

    Values are a scan. Derivatives are not a scan of the step's derivatives: those are found at all n at once,

    $$ \\dot x_{n+1} = A_n \\dot x_n + b_n, \\qquad A_n = \\partial_x s_n, \\quad
       b_n = \\partial_g s_n\\,\\dot g + \\partial_u s_n\\,\\dot u_n $$

    and only this recursion goes from step to step, so that derivatives to a dozen parameters cost a few times the value.

    Args:
        step: a module-level function, because compiled programs are looked up by it. Cells do not depend on each
            other. coupled: whether the parts of a cell do, or share an output. given: parameters `g`, floating
            point. inputs: `u`, arrays whose leading axis is n. Outputs have the shape of cells.
    """

    def one(x, at):
        new, out = step(given, x, at)
        return new, (x, out)

    end, (before, out) = lax.scan(one, x, inputs)
    return end, before, out


@trajectory.defjvp
def _trajectory_jvp(step, coupled, primals, tangents):
    (given, _, inputs), (d_given, d_x, d_inputs) = primals, tangents
    found = _, before, _ = trajectory(step, coupled, *primals)
    steps = jax.vmap(step, in_axes=(None, 0, 0))
    _, (pushed, seen) = jax.jvp(lambda g, u: steps(g, before, u), (given, inputs), (d_given, d_inputs))
    size = before.shape[-1]
    ways = jnp.eye(size, dtype=before.dtype) if coupled else jnp.ones((1, size), before.dtype)
    along = lambda way: jax.jvp(lambda x: steps(given, x, inputs), (before,), (way + jnp.zeros_like(before),))[1]  # noqa: E731
    slopes, seeing = jax.vmap(along, out_axes=-1)(ways)  # (n, *cells, parts, ways), (n, *cells, ways)

    def one(d_x, at):
        slope, push = at
        moved = jnp.einsum("...pw,...w->...p", slope, d_x) if coupled else slope[..., 0] * d_x
        return moved + push, d_x

    d_end, d_before = lax.scan(one, d_x, (slopes, pushed))
    d_out = jax.tree.map(lambda slope, push: jnp.sum(slope * d_before, -1) + push, seeing, seen)
    return found, (d_end, d_before, d_out)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def rowwise(f: Callable[..., Any], u: Float[Array, "rows k"], data: Any) -> Float[Array, " rows"]:
    """`f(u_r, data_r)` of every row r, with a Hessian whose cost does not depend on how `u` was computed.

    With respect to many more than k parameters the Hessian would cost as many gradients as there are parameters. Here
    the small Hessians of the rows are found once, and only their products with the rows' derivatives involve
    parameters.

    Args:
        f: a module-level function of one row. data: a tree of arrays of rows, not differentiated.
    """
    return jax.vmap(f)(u, data)


@rowwise.defjvp
def _rowwise_jvp(f, primals, tangents):
    (u, data), (d_u, _) = primals, tangents
    return jax.vmap(f)(u, data), jnp.sum(_row_gradients(f, u, data) * d_u, -1)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _row_gradients(f, u, data):
    return jax.vmap(jax.grad(f))(u, data)


@_row_gradients.defjvp
def _row_gradients_jvp(f, primals, tangents):
    (u, data), (d_u, _) = primals, tangents
    return _row_gradients(f, u, data), jnp.sum(jax.vmap(jax.hessian(f))(u, data) * d_u[:, None], -1)


def between_nodes(
    nodes: Float[Array, " nodes"],
    g: Float[Array, "*cells"],
    low: Float[Array, "*#cells"],
    high: Float[Array, "*#cells"],
) -> Float[Array, "*cells"]:
    """A table with equidistant nodes from `low` to `high`, linear in between and constant beyond."""
    last = nodes.shape[0] - 1
    at = jnp.clip((g - low) / (high - low), 0, 1) * last
    left = jnp.clip(jnp.floor(at).astype(int), 0, last - 1)
    return nodes[left] + (at - left) * (nodes[left + 1] - nodes[left])
