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
    """

    name: str = eqx.field(static=True)
    adc_bits: ArrayLike | None
    dac_bits: ArrayLike | None
    rows: int = eqx.field(static=True)
    cols: int = eqx.field(static=True)
    read_time: ArrayLike
    v_read: ArrayLike


class Usage(eqx.Module):
    """Events of one layer over the inferences of one run; every field is a scalar and may be traced.

    Args:
        array_joules: sum of V^2 G t over all cells, both of each pair [J].
        dac_conversions: multi-bit input conversions, one per driven row and read (amplitude encoding).
        driver_pulses: one-bit row pulses, one per driven row and bit plane (bit-serial encoding).
        adc_conversions: output conversions, one per column pair of a tile and bit plane.
        accumulations: digital additions of partial sums between tiles, and shift-adds between bit planes.
        multiplications: digital multiplications by weight scales.
        macs: multiply-accumulates of the product that the layer stands for.
        buffer_accesses: activations read from and written to the layer's buffers [elements].
    """

    array_joules: Float[Array, "*_"] = eqx.field(converter=as_float)
    dac_conversions: Float[Array, "*_"] = eqx.field(converter=as_float)
    driver_pulses: Float[Array, "*_"] = eqx.field(converter=as_float)
    adc_conversions: Float[Array, "*_"] = eqx.field(converter=as_float)
    accumulations: Float[Array, "*_"] = eqx.field(converter=as_float)
    multiplications: Float[Array, "*_"] = eqx.field(converter=as_float)
    macs: Float[Array, "*_"] = eqx.field(converter=as_float)
    buffer_accesses: Float[Array, "*_"] = eqx.field(converter=as_float, default=0.0)
