"""The state of one weight matrix: its programmed cells, what the periphery knows about them, and what a read shows.

Layout of everything that has a value per cell: `[cell, block, row tile, row, column tile, column]`, so that the product over
all tiles of a layer is one batched contraction. The axis of cells belongs to the mapping; a block is one of the matrices
that `Partition` cuts into tiles.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


class Ranges(eqx.Module):
    """Calibrated full scales of a layer's converters.

    Args:
        dac: full scale of the inputs of each row of tiles, in the units of the activations.
        adc: full-scale current of each tile, for all of its reads [A].
    """

    dac: Float[Array, "*stack blocks row_tiles"]
    adc: Float[Array, "*stack blocks row_tiles col_tiles"]


class Settled(eqx.Module):
    """The cells of one weight matrix at one time, as every read at that time sees them.

    Args:
        conductance: as the drivers and sense nodes see it [S], wires included where the cells are ohmic.
        net: what the mapping combines them to before the converter [S].
        variance: of the read noise [S^2], by squares of voltages: of each read's net conductance, or of all cells where
            lines are shared; or None.
        modes: of the read noise [S^2], by products of modes of the input (`xbar.macro.wires.noise_map`), where wires couple
            rows.
        noise_error: estimated relative error of that variance, the largest of all tiles; or None where it is exact.
        readout: sum over each column of a tile of the magnitude of every net conductance [S]: what reading unit vectors one by
            one gives.
        admittance: currents of all drivers per volt of each, over all columns [S], where wires couple them; or None.
    """

    conductance: Float[Array, "*stack cells blocks row_tiles rows col_tiles lines"]
    net: Float[Array, "*stack reads blocks row_tiles rows col_tiles cols"]
    variance: Float[Array, "*stack reads_or_cells blocks row_tiles rows col_tiles lines"] | None
    modes: Float[Array, "*stack reads_or_cells blocks row_tiles features col_tiles lines"] | None
    noise_error: Float[Array, "*stack"] | None
    readout: Float[Array, "*stack blocks row_tiles col_tiles cols"]
    admittance: Float[Array, "*stack blocks row_tiles rows rows"] | None


class Correction(eqx.Module):
    """A digital correction of a layer's products, after the converters.

    $$ y' = s \\odot y + o + x A B $$

    Args:
        gain, offset: `s` and `o` of each output, in the units of the product; None for 1 and 0.
        a, b: `A` and `B`, a low-rank matrix beside the array; None for none.
    """

    gain: Float[Array, "*stack groups 1 n"] | None = None
    offset: Float[Array, "*stack groups 1 n"] | None = None
    a: Float[Array, "*stack groups k rank"] | None = None
    b: Float[Array, "*stack groups rank n"] | None = None

    def __call__(
        self, y: Float[Array, "groups vectors n"], x: Float[Array, "groups vectors k"]
    ) -> Float[Array, "groups vectors n"]:
        """The corrected products `y` of inputs `x`."""
        if self.gain is not None:
            y = y * self.gain.astype(y.dtype)
        if self.offset is not None:
            y = y + self.offset.astype(y.dtype)
        if self.a is None or self.b is None:
            return y
        beside = lambda p, q: jnp.einsum("gvk,gkn->gvn", p, q.astype(p.dtype), precision=lax.Precision.HIGHEST)  # noqa: E731
        return y + beside(beside(x, self.a), self.b).astype(y.dtype)

    def over(self, old: Correction | None) -> Correction:
        """This correction; what it does not give is taken from `old`."""
        names = [field.name for field in dataclasses.fields(self)]
        return (
            self if old is None else Correction(*(getattr(old if getattr(self, n) is None else self, n) for n in names))
        )


class ProgrammedArray(eqx.Module):
    """The cells of one weight matrix, and what the periphery knows about them.

    Args:
        cells: programmed cells, in this module's layout; None where nothing is kept of them but `settled`.
        code: what the mapping needs to read them, in this layout with one row.
        ranges: converter ranges, or None before calibration.
        reference: conductance read-out at calibration [S] of each tile (a last axis of 1) or of each of its columns, for drift
            compensation, or None.
        settled: what reads at one time need, worked out once for all of them; or None, for each call to do so.
        residual: zeros with the derivative of ideal cells with respect to the weights [S], for straight-through
            gradients; or None.
        ones: the product with a vector of ones for each row of tiles, as for cells on target, where inputs are offset
            to be positive; or None.
        frozen: deviation of the net conductance [S] that all reads of a call share, or None.
        correction: a digital correction of the products, or None.
    """

    cells: Any  # Cells | None
    code: Any
    ranges: Ranges | None = None
    reference: Float[Array, "*stack blocks row_tiles col_tiles one_or_cols"] | None = None
    settled: Settled | None = None
    residual: Float[Array, "*stack reads blocks row_tiles rows col_tiles cols"] | None = None
    ones: Float[Array, "*stack blocks row_tiles 1 col_tiles cols"] | None = None
    frozen: Float[Array, "*stack reads blocks row_tiles rows col_tiles cols"] | None = None
    correction: Correction | None = None


class Signals(eqx.Module):
    """The signals of a read, given once for all who watch (calibration, energy, training).

    Args:
        inputs: activations on each row of tiles, before the DAC.
        volts: applied voltages [V]. current: combined currents before the ADC [A]. codes: what the ADC reports [A].
        full_scale: of the ADC [A], against `current`.
        conductance: all cells [S], in the layout of `ProgrammedArray`.
        watts: power that the drivers deliver to all vectors together [W], where a solution of the wires gives it; or
            None.
        outputs: converted values that are in use, in all of this read: an ADC conversion each.
        products: weights times activations, as the macro reports them, before a `Correction`.
        cells: the cells themselves at this time [S], without their wires, where wires are a map of them; or None.
    """

    inputs: Float[Array, "blocks row_tiles vectors rows"]
    volts: Float[Array, "planes blocks row_tiles vectors rows"]
    current: Float[Array, "planes reads blocks row_tiles vectors col_tiles cols"]
    codes: Float[Array, "planes reads blocks row_tiles vectors col_tiles cols"]
    full_scale: Float[Array, "..."]
    conductance: Float[Array, "cells blocks row_tiles rows col_tiles lines"]
    watts: Float[Array, ""] | None = None
    outputs: int = eqx.field(static=True, default=0)
    products: Float[Array, "groups vectors n"] | None = None
    cells: Float[Array, "cells blocks row_tiles rows col_tiles lines"] | None = None

    @property
    def driven(self) -> Bool[Array, "planes blocks row_tiles vectors rows"]:
        """The word lines that carry a voltage."""
        return self.volts != 0

    @property
    def saturated(self) -> Bool[Array, "planes reads blocks row_tiles vectors col_tiles cols"]:
        """The outputs that the ADC clips."""
        return jnp.abs(self.current) > self.full_scale
