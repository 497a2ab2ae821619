"""Digits of a weight on cells of their own."""

from __future__ import annotations

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.macro.mappings.base import AbstractMapping, column_scale
from xbar.macro.mappings.differential import Differential

Encoding = Literal["sign_magnitude", "twos_complement", "offset", "flipped"]


class BitSliced(AbstractMapping):
    """A weight of `weight_bits` bits as digits of `cell_bits` bits, each on cells of its own, read and converted
    separately.

    $$ w = s\\,\\frac{q}{2^{B-1} - 1}, \\qquad q = \\sum_k 2^{b k} d_k $$

    Each digit is converted by the ADC; shift-and-add follows.

    Args:
        weight_bits: B, sign included. cell_bits: b, bits of one digit. over: how a digit sits on its cells.
        encoding: `"sign_magnitude"`: digits carry the sign of the weight. `"twos_complement"`: digits of the lower B - 1 bits
            are not negative, and the sign bit is a slice of its own that counts `-2^(B-1)`. `"offset"`: digits of
            `q + 2^(B-1)` (NeuroSim). `"flipped"`: the same, and where the digits of a column sum to more than half of what
            they could, the column stores `2^b - 1 - d` (ISAAC), so that no current exceeds half of the largest possible one.
        per: `"column"` or `"tile"`, what shares one scale `s`.
        scale: `s` instead, the same for all weights: those beyond it are clipped. None: found from the weights.

    Digits that are not negative use the whole range of `over`: `2 d - (2^b - 1)` from its lowest to its highest weight. The
    offset is subtracted again after the converter, with the sum of the inputs.

    In a gradient, rounding to digits counts as the identity, which all digits share by their significance.

    Reference: Shafiee et al. 2016, 10.1109/ISCA.2016.12 (flipped encoding).

    Breaks when: errors of the highest digits exceed a step of the lowest: more slices then add cost, not accuracy.
    """

    weight_bits: int = eqx.field(static=True, default=8)
    cell_bits: int = eqx.field(static=True, default=2)
    over: AbstractMapping = eqx.field(default_factory=Differential)
    encoding: Encoding = eqx.field(static=True, default="sign_magnitude")
    per: Literal["column", "tile"] = eqx.field(static=True, default="column")
    scale: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        for name, least, most in (("weight_bits", 2, 16), ("cell_bits", 1, 8)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"BitSliced: {name}={value!r}; give a whole number from {least} to {most}.")
        if not isinstance(self.over, AbstractMapping):
            raise TypeError(f"BitSliced: over is a {type(self.over).__name__}; give a mapping, such as Differential().")
        if self.over.reads != 1:
            raise ValueError("BitSliced: over= must be a mapping that is read once, not another BitSliced.")
        if self.encoding not in ("sign_magnitude", "twos_complement", "offset", "flipped"):
            raise ValueError(
                f"BitSliced: encoding={self.encoding!r}; it must be 'sign_magnitude', 'twos_complement', 'offset' or "
                "'flipped'."
            )
        if self.scale is not None and not (isinstance(self.scale, int | float) and 0 < self.scale < float("inf")):
            raise ValueError(f"BitSliced: scale={self.scale!r}; give the largest weight, a number above 0, or None.")
        if self.per not in ("column", "tile"):
            raise ValueError(f"BitSliced: per={self.per!r}; it must be 'column' or 'tile'.")

    @property
    def significance(self) -> tuple[int, ...]:
        """What a step of each slice counts, in steps of the weight."""
        bits = self.weight_bits - (self.encoding not in ("offset", "flipped"))
        digits = tuple(2 ** (self.cell_bits * k) for k in range(-(-bits // self.cell_bits)))
        return (*digits, -(2 ** (self.weight_bits - 1))) if self.encoding == "twos_complement" else digits

    @property
    def reads(self) -> int:
        return len(self.significance)

    @property
    def top(self) -> int:
        """The largest digit."""
        return 2**self.cell_bits - 1

    def encode(
        self,
        w: Float[Array, "*tiles rows cols"],
        g_min: Float[Array, ""],
        g_max: Float[Array, ""],
        scale: Float[Array, ""] | float | None = None,
    ) -> tuple[Float[Array, "cells *tiles rows physical_cols"], Any]:
        scale = self.scale if scale is None else scale
        s = column_scale(w, self.per) if scale is None else jnp.asarray(scale, w.dtype)
        most = 2 ** (self.weight_bits - 1) - 1
        x = w / s
        q = jnp.round(jax.lax.stop_gradient(x) * most)
        if scale is not None:
            q = jnp.clip(q, -most - (self.encoding in ("offset", "twos_complement")), most)
        digits = self._digits(q)
        digits = digits + self._slopes(x, most)
        code = {"step": s / most}
        if self.encoding == "flipped":
            rows = w.shape[-2]
            flip = jnp.sum(jax.lax.stop_gradient(digits), -2, keepdims=True) > self.top * rows / 2
            code["flipped"] = flip
            digits = jnp.where(flip, self.top - digits, digits)
        if self.encoding != "sign_magnitude":
            digits = 2 * digits - self.top
        digit = lambda d: self.over.encode(d, g_min, g_max, scale=float(self.top))  # noqa: E731  # pyright: ignore[reportCallIssue]
        targets, code["over"] = jax.vmap(digit)(digits)
        return targets.reshape(-1, *targets.shape[2:]), code

    def _digits(self, q: Float[Array, "*any"]) -> Float[Array, "slices *any"]:
        """The digits of whole numbers, lowest first."""
        digit = lambda u, k: jnp.floor(u / 2.0 ** (self.cell_bits * k)) % 2**self.cell_bits  # noqa: E731
        if self.encoding == "sign_magnitude":
            return jnp.stack([jnp.sign(q) * digit(jnp.abs(q), k) for k in range(self.reads)])
        if self.encoding in ("offset", "flipped"):
            return jnp.stack([digit(q + 2 ** (self.weight_bits - 1), k) for k in range(self.reads)])
        negative = (q < 0).astype(q.dtype)
        lower = q + negative * 2 ** (self.weight_bits - 1)
        return jnp.stack([*(digit(lower, k) for k in range(self.reads - 1)), negative])

    def _slopes(self, x: Float[Array, "*any"], most: int) -> Float[Array, "slices *any"]:
        """Zeros whose derivatives, by their significance, add up to that of `most x`."""
        sharing = [s > 0 for s in self.significance]
        share = most / sum(s for s in self.significance if s > 0)
        zero = share * (x - jax.lax.stop_gradient(x))
        return jnp.stack([zero if shares else jnp.zeros_like(zero) for shares in sharing])

    def _sliced(self, x: Float[Array, "cells *any"]) -> Float[Array, "slices over_cells *any"]:
        return x.reshape(self.reads, -1, *x.shape[1:])

    def combine(self, currents: Float[Array, "cells *any"], code: Any) -> Float[Array, "slices *any_less"]:
        return jax.vmap(self.over.combine)(self._sliced(currents), code["over"])[:, 0]

    def combine_variance(self, variance: Float[Array, "cells *any"], code: Any) -> Float[Array, "slices *any_less"]:
        return jax.vmap(self.over.combine_variance)(self._sliced(variance), code["over"])[:, 0]

    def decode(
        self, values: Float[Array, "slices *any"], input_sum: Float[Array, "..."], code: Any
    ) -> Float[Array, "..."]:
        decoded = jax.vmap(self.over.decode, (0, None, 0))(values[:, None], input_sum, code["over"])
        if self.encoding != "sign_magnitude":
            decoded = (decoded + self.top * input_sum[None]) / 2
        if self.encoding == "flipped":
            decoded = jnp.where(code["flipped"], self.top * input_sum[None] - decoded, decoded)
        total = jnp.tensordot(jnp.asarray(self.significance, decoded.dtype), decoded, axes=1)
        if self.encoding in ("offset", "flipped"):
            total = total - 2 ** (self.weight_bits - 1) * input_sum
        return total * code["step"].astype(total.dtype)

    def full_scale(self, g_min: Float[Array, ""], g_max: Float[Array, ""]) -> Float[Array, ""]:
        return self.over.full_scale(g_min, g_max)
