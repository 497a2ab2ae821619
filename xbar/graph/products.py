"""Matrix products in a jaxpr, seen as one thing: stacks of input vectors times stacks of matrices.

A crossbar knows `[groups, vectors, k] x [groups, k, n]`. A `Product` says how one `dot_general` or
`conv_general_dilated` is laid out as that, whichever of its operands is stationary.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

AT_ONCE = 2**21  # values of patches that are made at once: 8 MB in float32


@dataclasses.dataclass(frozen=True)
class DotProduct:
    """A `dot_general` with one stationary operand.

    Args:
        stationary: 0 if the left operand is the matrix, 1 if the right one is.
        w_shape, x_shape: shapes of the stationary and the streaming operand.
        w_contract, w_batch, x_contract, x_batch: their contracting and batch dimensions.
    """

    stationary: int
    w_shape: tuple[int, ...]
    x_shape: tuple[int, ...]
    w_contract: tuple[int, ...]
    w_batch: tuple[int, ...]
    x_contract: tuple[int, ...]
    x_batch: tuple[int, ...]

    kind = "dot"
    turns = 1

    @property
    def layout(self) -> tuple:
        """What, with the weight itself, decides how the cells are filled."""
        return (self.kind, self.w_contract, self.w_batch)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(groups, k, n)."""
        return (
            math.prod(self.w_shape[d] for d in self.w_batch),
            math.prod(self.w_shape[d] for d in self.w_contract),
            math.prod(self.w_shape[d] for d in _free(self.w_shape, self.w_contract, self.w_batch)),
        )

    def matrix(self, w: Float[Array, "*shape"]) -> Float[Array, "groups k n"]:
        """The stationary operand as matrices."""
        order = (*self.w_batch, *self.w_contract, *_free(self.w_shape, self.w_contract, self.w_batch))
        return w.transpose(order).reshape(self.sizes)

    def vectors(self, x: Float[Array, "*shape"]) -> Float[Array, "groups vectors k"]:
        """The streaming operand as input vectors."""
        order = (*self.x_batch, *_free(self.x_shape, self.x_contract, self.x_batch), *self.x_contract)
        groups, k, _ = self.sizes
        return x.transpose(order).reshape(groups, -1, k)

    def result(self, y: Float[Array, "groups vectors n"]) -> Float[Array, "*shape"]:
        """Output vectors as the result of the original operation."""
        batch = [self.w_shape[d] for d in self.w_batch]
        x_free = [self.x_shape[d] for d in _free(self.x_shape, self.x_contract, self.x_batch)]
        w_free = [self.w_shape[d] for d in _free(self.w_shape, self.w_contract, self.w_batch)]
        y = y.reshape(*batch, *x_free, *w_free)
        if self.stationary == 1:
            return y
        b, x, w = len(batch), len(x_free), len(w_free)
        return y.transpose(*range(b), *range(b + x, b + x + w), *range(b, b + x))


def dot_product(params: dict, stationary: int, shapes: tuple[tuple[int, ...], ...]) -> DotProduct:
    """The layout of a `dot_general` equation whose operand number `stationary` is the matrix."""
    contract, batch = params["dimension_numbers"]
    w, x = stationary, 1 - stationary
    return DotProduct(
        stationary,
        tuple(shapes[w]),
        tuple(shapes[x]),
        tuple(contract[w]),
        tuple(batch[w]),
        tuple(contract[x]),
        tuple(batch[x]),
    )


def _free(shape: tuple[int, ...], contract: tuple[int, ...], batch: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(d for d in range(len(shape)) if d not in contract and d not in batch)


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A `conv_general_dilated` with a stationary kernel, as the product of its patches with a matrix (im2col).

    Each kernel tap and input channel is a word line, each output channel a bit-line pair; a patch is an input vector.
    Channel groups are separate matrices. Fields are those of `jax.lax.conv_general_dilated`.
    """

    w_shape: tuple[int, ...]
    x_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]
    feature_group_count: int

    kind = "conv"
    stationary = 1

    @property
    def layout(self) -> tuple:
        """What, with the weight itself, decides how the cells are filled."""
        return (self.kind, self.rhs_spec, self.feature_group_count)

    @property
    def taps(self) -> tuple[int, ...]:
        """Kernel size along each spatial dimension."""
        return tuple(self.w_shape[d] for d in self.rhs_spec[2:])

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(groups, k, n)."""
        groups = self.feature_group_count
        return (
            groups,
            math.prod(self.taps) * self.w_shape[self.rhs_spec[1]],
            self.w_shape[self.rhs_spec[0]] // groups,
        )

    def matrix(self, w: Float[Array, "*shape"]) -> Float[Array, "groups k n"]:
        """The kernel as matrices: rows are taps then input channels, columns are output channels."""
        groups, k, n = self.sizes
        out_channels, in_channels, *spatial = self.rhs_spec
        w = w.transpose(*spatial, in_channels, out_channels).reshape(k, groups, n)
        return w.transpose(1, 0, 2)

    def vectors(self, x: Float[Array, "*shape"]) -> Float[Array, "groups vectors k"]:
        """The input as patches: one shifted, strided view of it for each tap."""
        return self._patches(self._padded(x), self._out)

    @property
    def turns(self) -> int:
        """The number of turns in which patches are made, so that those of one turn hold about `AT_ONCE` values."""
        images, rows = self._turn
        return 1 if not self._out else self.x_shape[self.lhs_spec[0]] // images * (self._out[0] // rows)

    def vectors_of(self, x: Float[Array, "*shape"]) -> Callable[[Int[Array, ""]], Float[Array, "groups part k"]]:
        """The vectors of a turn by its number; those of all turns, one after the other, are `vectors(x)`."""
        x, (images, rows) = self._padded(x), self._turn
        turns, stride = self._out[0] // rows, self.window_strides[0]  # of one group of images
        span = (rows - 1) * stride + (self.taps[0] - 1) * self.rhs_dilation[0] + 1

        def part(turn: Int[Array, ""]) -> Array:
            start = (turn // turns * images, turn % turns * rows * stride, *[0] * (x.ndim - 2))
            return self._patches(lax.dynamic_slice(x, start, (images, span, *x.shape[2:])), (rows, *self._out[1:]))

        return part

    @property
    def _out(self) -> tuple[int, ...]:
        return tuple(self.out_shape[d] for d in self.out_spec[2:])

    @property
    def _turn(self) -> tuple[int, int]:
        """Images, and rows of their outputs, of one turn."""
        images, rows = self.x_shape[self.lhs_spec[0]], self._out[0] if self._out else 1
        row = self.sizes[0] * self.sizes[1] * math.prod(self._out[1:])
        if images * rows * row <= 2 * AT_ONCE:
            return images, rows
        if rows * row <= AT_ONCE:
            return _divisor(images, AT_ONCE // (rows * row)), rows
        return 1, _divisor(rows, AT_ONCE // row)

    def _padded(self, x: Array) -> Array:
        """[batch, *space, channel]"""
        batch, channels, *spatial = self.lhs_spec
        x = x.transpose(batch, *spatial, channels)
        edges = [(low, high, step - 1) for (low, high), step in zip(self.padding, self.lhs_dilation, strict=True)]
        return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *edges, (0, 0, 0)])

    def _patches(self, x: Array, out: tuple[int, ...]) -> Array:
        groups, k, _ = self.sizes
        views = [self._view(x, tap, out) for tap in _grid(self.taps)]
        patches = jnp.stack(views, axis=-2)  # [batch, *out, tap, channel]
        vectors = math.prod(patches.shape[:-2])
        patches = patches.reshape(vectors, len(views), groups, -1)
        return patches.transpose(2, 0, 1, 3).reshape(groups, vectors, k)

    def _view(self, x: Array, tap: tuple[int, ...], out: tuple[int, ...]) -> Array:
        start = [t * d for t, d in zip(tap, self.rhs_dilation, strict=True)]
        stop = [s + (o - 1) * stride + 1 for s, o, stride in zip(start, out, self.window_strides, strict=True)]
        return lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *self.window_strides, 1))

    def result(self, y: Float[Array, "groups vectors n"]) -> Float[Array, "*shape"]:
        """Output vectors as feature maps in the original layout."""
        batch = self.x_shape[self.lhs_spec[0]]
        y = y.transpose(1, 0, 2).reshape(batch, *self._out, -1)
        axes = (0, y.ndim - 1, *range(1, y.ndim - 1))  # batch, channel, spatial...
        order = [0] * y.ndim
        for axis, where in zip(axes, self.out_spec, strict=True):
            order[where] = axis
        return y.transpose(order)


def convolution(params: dict, shapes: tuple[tuple[int, ...], ...], out_shape: tuple[int, ...]) -> Convolution:
    """The layout of a `conv_general_dilated` equation."""
    numbers = params["dimension_numbers"]
    return Convolution(
        w_shape=tuple(shapes[1]),
        x_shape=tuple(shapes[0]),
        out_shape=tuple(out_shape),
        window_strides=tuple(params["window_strides"]),
        padding=tuple((int(low), int(high)) for low, high in params["padding"]),
        lhs_dilation=tuple(params["lhs_dilation"]),
        rhs_dilation=tuple(params["rhs_dilation"]),
        lhs_spec=tuple(numbers.lhs_spec),
        rhs_spec=tuple(numbers.rhs_spec),
        out_spec=tuple(numbers.out_spec),
        feature_group_count=params["feature_group_count"],
    )


def _divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is at most `most`, and 1 at least."""
    return next((d for d in range(min(number, most), 0, -1) if number % d == 0), 1)


def _grid(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    points: list[tuple[int, ...]] = [()]
    for size in sizes:
        points = [(*p, i) for p in points for i in range(size)]
    return points


Product = DotProduct | Convolution
