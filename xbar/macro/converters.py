"""Data converters: the DAC that drives word lines and the ADC that reads bit lines.

Both are mid-tread and signed: `b` bits give the `2^b - 1` codes `-(2^(b-1) - 1) .. 2^(b-1) - 1`, so that 0 is a code. They
round half to even and clip at full scale. In a gradient, rounding counts as the identity and clipping as itself
(straight-through estimator).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from devices._checks import Checked, Whole, positive
from xbar.macro.tile_summary import converter_text, preformatted

Encoding = Literal["amplitude", "bit_serial", "pulse_width"]
Negative = Literal["bipolar", "two_phase", "offset"]
Bits = Float[Array, ""] | int
_BITS = Whole(
    2,
    16,
    optional=True,
    advice="A signed converter has 2 to 16 whole bits (2 bits: -1, 0, +1). Use bits=None for an ideal converter that neither "
    "rounds nor clips.",
)
_ACTIVATIONS = positive.but(
    optional=True,
    advice="It is the full scale in the units of the activations; None leaves it to each vector, or to xbar.calibrate.",
)
_AMPERES = positive.but(
    unit="A",
    likely=1.0,
    optional=True,
    advice="Currents are in amperes: 10 uA is 10e-6; None leaves it to xbar.calibrate.",
)
_NOISE = positive.but(optional=True, advice="Leave it out, or write None, for a converter without noise.")


def top_code(bits: Bits) -> Bits:
    """The largest code of a signed mid-tread converter with this many bits."""
    return 2 ** (bits - 1) - 1


def clip_to_unit(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Clips to [-1, 1] with slope 1 inside, the ends included (`jnp.clip` halves the slope on the end itself)."""
    return jnp.where(x > 1, 1, jnp.where(x < -1, -1, x)).astype(x.dtype)


def quantise(x: Float[Array, "*any"], full_scale: Float[Array, "*#any"], bits: Bits | None) -> Float[Array, "*any"]:
    """The value that a converter reports for `x`, in the units of `x`.

    $$ q(x) = \\frac{F}{L}\\,\\mathrm{round}(L\\,\\mathrm{clip}(x/F, -1, 1)), \\qquad L = 2^{b-1} - 1 $$

    Args:
        x: analog value. full_scale: `F`, in the units of `x`. bits: `b`; None neither rounds nor clips.

    Breaks when: `full_scale` is 0.
    """
    if bits is None:
        return x
    unit = clip_to_unit(x / full_scale)
    codes = jnp.round(jax.lax.stop_gradient(unit) * top_code(bits))
    return full_scale * (unit + jax.lax.stop_gradient((codes / top_code(bits)).astype(unit.dtype) - unit))


class DAC(Checked):
    """Input converter of one word line.

    Args:
        bits: resolution, 2 to 16; None for neither quantisation nor clipping.
        encoding: `"amplitude"` applies one voltage per vector; `"bit_serial"` applies `bits - 1` ternary planes (-v, 0,
            +v) of the sign-magnitude code one after the other, each converted and shift-added digitally.
            `"pulse_width"` applies the full voltage for a share of the read: the same charges as amplitudes for ohmic
            cells, but a different energy (behind wires, lines that overlap in time are taken as if each had its mean
            power).
        range: full scale in the units of the network's activations; None scales every vector to its own largest
            magnitude until `xbar.calibrate` sets a range.
        noise: rms noise of the applied voltage [V], or None.
        negative: how negative inputs are applied. `"bipolar"`: as negative voltages. `"two_phase"`: positive inputs in one
            read, magnitudes of negative ones in another; their results are subtracted digitally. `"offset"`:
            `(x / F + 1) / 2` is applied, and the product with `1/2` is subtracted digitally, at its value for cells on
            target.

    Raises:
        ValueError, TypeError: for a number of bits, an encoding, a range or a noise that is not allowed.
    """

    bits: int | None = eqx.field(static=True, converter=_BITS, default=8)
    encoding: Encoding = eqx.field(static=True, default="amplitude")
    range: Float[Array, ""] | None = eqx.field(converter=_ACTIVATIONS, default=None)
    noise: Float[Array, ""] | None = eqx.field(converter=_NOISE.but(unit="V", likely=10.0), default=None)
    negative: Negative = eqx.field(static=True, default="bipolar")

    def __check_init__(self):
        if isinstance(self.encoding, str) and self.encoding == "bit_serial" and self.bits is None:
            raise ValueError("DAC: bit-serial encoding sends bits one by one, so it needs bits=, for example bits=8.")

    def __repr__(self) -> str:
        return converter_text(self)

    def _repr_html_(self) -> str:
        return preformatted(self)

    @property
    def planes(self) -> int:
        """How many times the array is read for one input vector."""
        return len(self.plane_weights())

    def drive(
        self, x: Float[Array, "*rest"], full_scale: Float[Array, "*#rest"], only: Int[Array, ""] | None = None
    ) -> Float[Array, "planes *rest"]:
        """The levels in [-1, 1] put on the word lines, a plane for each read of the array.

        `sum_k weights[k] * planes[k]` is the quantised `x / full_scale` (for offset inputs, half of it and a half), where
        `weights` is `plane_weights`.

        Args:
            only: number of the one plane that is wanted; None for all.
        """
        if only is not None and self.negative == "two_phase":
            phases = self.planes // 2
            plane = dataclasses.replace(self, negative="bipolar").drive(x, full_scale, only % phases)
            return jnp.where(only < phases, jnp.maximum(plane, 0), jnp.maximum(-plane, 0))
        if self.encoding != "bit_serial" or self.bits is None:
            planes = quantise(x / full_scale, jnp.ones((), x.dtype), self.bits)[None]
            if self.negative == "offset":
                return (planes + 1) / 2
        else:
            planes = self._bit_planes(clip_to_unit(x / full_scale), only)
        if self.negative == "two_phase":
            return jnp.concatenate([jnp.maximum(planes, 0), jnp.maximum(-planes, 0)])
        return planes

    def power_levels(self, volts: Float[Array, "*any"], v_read: Float[Array, ""]) -> Float[Array, "*any"]:
        """The voltages [V] whose squares are the mean squares of what is applied: themselves, or with pulse widths the full
        voltage for a share of the time."""
        if self.encoding != "pulse_width":
            return volts
        magnitude = jnp.abs(volts)
        safe = jnp.where(magnitude > 0, magnitude, 1.0)
        return jnp.where(magnitude > 0, jnp.sign(volts) * jnp.sqrt(safe * v_read), 0.0)

    def _bit_planes(
        self, unit: Float[Array, "*rest"], only: Int[Array, ""] | None = None
    ) -> Float[Array, "planes *rest"]:
        """Ternary planes of the sign-magnitude code, or binary ones of the offset code; the sum's slope is that of `unit`."""
        assert self.bits is not None  # as constructed
        top = top_code(self.bits)
        codes = jnp.round(jax.lax.stop_gradient(unit) * top).astype(jnp.int32)
        offset = self.negative == "offset"
        codes = codes + top if offset else codes
        shifts = jnp.arange(self.bits if offset else self.bits - 1) if only is None else only.astype(jnp.int32)
        shifts = shifts.reshape(-1, *(1,) * unit.ndim)
        digits = (jnp.abs(codes)[None] >> shifts & 1) * jnp.sign(codes)[None]
        slope = (unit / 2 / sum(self.plane_weights()) if offset else unit)[None]  # each plane carries the whole slope
        return slope + jax.lax.stop_gradient(digits.astype(unit.dtype) - slope)

    def plane_weights(self) -> tuple[float, ...]:
        """The significance of each plane."""
        if self.encoding != "bit_serial" or self.bits is None:
            weights = (1.0,)
        elif self.negative == "offset":
            weights = tuple(2**k / (2 * top_code(self.bits)) for k in range(self.bits))
        else:
            weights = tuple(2**k / top_code(self.bits) for k in range(self.bits - 1))
        return (*weights, *(-w for w in weights)) if self.negative == "two_phase" else weights


class ADC(Checked):
    """Output converter of one column of weights, after its currents are combined.

    Args:
        bits: resolution, 2 to 16; None for neither quantisation nor clipping. A leaf, not static: a sweep over
            resolutions compiles once.
        range: full-scale current [A]; None takes `sqrt(rows) (g_max - g_min) v_read`, several times the spread of a
            random product, until `xbar.calibrate` sets one for each tile.
        noise: rms noise of the current at the converter's input [A], or None.

    Raises:
        ValueError, TypeError: for a number of bits, a range or a noise that is not allowed.
    """

    bits: Bits | None = eqx.field(converter=dataclasses.replace(_BITS, leaf=True), default=8)
    range: Float[Array, ""] | None = eqx.field(converter=_AMPERES, default=None)
    noise: Float[Array, ""] | None = eqx.field(converter=_NOISE.but(unit="A", likely=1.0), default=None)

    def __repr__(self) -> str:
        return converter_text(self)

    def _repr_html_(self) -> str:
        return preformatted(self)

    def convert(self, current: Float[Array, "*rest"], full_scale: Float[Array, "*#rest"]) -> Float[Array, "*rest"]:
        """The reported current [A]."""
        return quantise(current, full_scale, self.bits)


class Periphery(Checked):
    """The converters of a backward read, which drives bit lines and senses word lines.

    Args:
        dac: of each column of weights, whose voltage the mapping puts on its bit lines (on those of a pair with either
            sign); its range is in the units of the errors, in the column of the largest weights. adc: of the word lines.
    """

    dac: DAC = eqx.field(default_factory=DAC, metadata={"mend": "Write xbar.DAC(bits=8)."})
    adc: ADC = eqx.field(default_factory=ADC, metadata={"mend": "Write xbar.ADC(bits=8)."})

    def __check_init__(self):
        if isinstance(self.dac, DAC) and self.dac.negative == "offset":
            raise ValueError("Periphery: a backward read needs 'bipolar' or 'two_phase' inputs, not 'offset'.")

    @property
    def noisy(self) -> bool:
        """Whether a converter draws noise."""
        return self.dac.noise is not None or self.adc.noise is not None
