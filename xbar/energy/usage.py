"""What one analog layer does: fixed facts of its tiles, and event counts that a simulation fills in."""

from __future__ import annotations

import equinox as eqx
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from xbar.energy.units import as_float


class LayerCosts(eqx.Module):
    """Facts of one layer's tiles that set the price of an event.

    Args:
        name: layer name for tables.
        adc_bits: converter width; None for an unquantised converter, whose energy is undefined.
        dac_bits: width of a multi-bit input converter; None likewise.
        rows: word lines of one tile.
        cols: bit lines that one word line crosses, so both of each differential pair.
        read_time: time one read (one bit plane) is held [s].
        v_read: full-scale read voltage [V].
        encoding: of the inputs: "amplitude", "bit_serial" or "pulse_width".
        planes: reads of an array for one input vector: bit planes and phases, of all groups that share a tile in turns.
        outputs: values that the converters of one tile give in one read; None: `cols / 2`.
        tiles: physical arrays of the layer, of all groups and steps. row_tiles: those whose outputs are summed.
        col_tiles: those that get the same inputs.
        g_max: largest conductance of a cell [S], which sets the size of an access transistor.
        r_row, r_col: resistance of a line, one cell long [ohm]; None: from the technology.
    """

    name: str = eqx.field(static=True)
    adc_bits: ArrayLike | None
    dac_bits: ArrayLike | None
    rows: int = eqx.field(static=True)
    cols: int = eqx.field(static=True)
    read_time: ArrayLike
    v_read: ArrayLike
    encoding: str = eqx.field(static=True, default="amplitude")
    planes: int = eqx.field(static=True, default=1)
    outputs: int | None = eqx.field(static=True, default=None)
    tiles: int = eqx.field(static=True, default=1)
    row_tiles: int = eqx.field(static=True, default=1)
    col_tiles: int = eqx.field(static=True, default=1)
    g_max: ArrayLike = 10e-6
    r_row: ArrayLike | None = None
    r_col: ArrayLike | None = None

    @property
    def converted(self) -> int:
        """Values that the converters of one tile give in one read."""
        return max(self.cols // 2, 1) if self.outputs is None else self.outputs


class Usage(eqx.Module):
    """Events of one layer over the inferences of one run; every field is a scalar and may be traced.

    Args:
        array_joules: sum of V^2 G t over all cells, both of each pair, or what the drivers deliver to wires and cells [J].
        dac_conversions: multi-bit input conversions, one per row and read (amplitude, pulse width).
        driver_pulses: one-bit row pulses, one per driven row and bit plane (bit-serial encoding).
        adc_conversions: output conversions, one per column pair of a tile and bit plane.
        accumulations: digital additions of partial sums between tiles, and shift-adds between bit planes.
        multiplications: digital multiplications by weight scales.
        macs: multiply-accumulates of the product that the layer stands for.
        inputs, outputs: activations that go in and come out [elements].
        active_inputs, active_outputs: the same, each weighted by the set bits of its code relative to a random code
            (half of the magnitude's bits): what registers, buses and memories toggle. None: as for random codes.
        idle_conversions: those of `adc_conversions` whose tile has no driven row.
        vectors: input vectors that each array was read with.
        line_swing: sum over word lines and edges of dV^2 / 2, between consecutive planes and back to 0 [V^2].
        driven_rows: word lines selected, one per driven row, tile and plane.
        word_joules, bit_joules, access_joules: the shares of `array_joules` that heat word lines, bit lines, and what is in
            series with them (drivers, sense nodes, access devices) [J].
    """

    array_joules: Float[Array, "*_"] = eqx.field(converter=as_float)
    dac_conversions: Float[Array, "*_"] = eqx.field(converter=as_float)
    driver_pulses: Float[Array, "*_"] = eqx.field(converter=as_float)
    adc_conversions: Float[Array, "*_"] = eqx.field(converter=as_float)
    accumulations: Float[Array, "*_"] = eqx.field(converter=as_float)
    multiplications: Float[Array, "*_"] = eqx.field(converter=as_float)
    macs: Float[Array, "*_"] = eqx.field(converter=as_float)
    inputs: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)
    outputs: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)
    active_inputs: Float[Array, "*_"] | None = eqx.field(
        converter=lambda x: x if x is None else as_float(x), default=None
    )
    active_outputs: Float[Array, "*_"] | None = eqx.field(
        converter=lambda x: x if x is None else as_float(x), default=None
    )
    idle_conversions: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)
    vectors: Float[Array, "*_"] = eqx.field(converter=as_float, default=1.0)
    line_swing: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)
    driven_rows: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)
    word_joules: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)
    bit_joules: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)
    access_joules: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)
