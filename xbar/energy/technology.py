"""What each event of a crossbar chip costs: coefficients with their source, their spread and their node."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from devices._checks import Checked, Number
from devices._show import short
from xbar.energy.adc import AbstractADCModel, Andrulis
from xbar.energy.scaling import energy_scale, scaling_notes
from xbar.energy.units import as_float, concrete, engineering

TAGS = {
    "R": "read in the source named",
    "M": "measured: a program was run",
    "D": "derived by arithmetic from tagged numbers",
    "L": "recalled from the literature, not read",
    "3": "read as restated by a third party",
}


@dataclasses.dataclass(frozen=True)
class _Number(Number):
    """A checked number of the model's own precision, whatever it is multiplied by."""

    def __call__(self, value: Any) -> Any:
        found = super().__call__(value)
        return as_float(found) if isinstance(found, jax.Array) else found


_POSITIVE = _Number(low=0.0, above=True)
_AT_LEAST_0 = _Number(low=0.0)
_VOLTS = _POSITIVE.but(unit="V", likely=100.0, optional=True, advice="Voltages are in volts: 800 mV is 0.8.")
_METRES = _POSITIVE.but(unit="m", high=1e-3, advice="Lengths are in metres: 22 nm is 22e-9.")


class Coefficient(Checked):
    """One energy of the model: a median, a log-normal spread and where it comes from.

    Args:
        value: median at `node` [unit].
        sigma_ln: standard deviation of ln(value): 1.28 sigma_ln to P10 and to P90.
        unit: unit of `value`.
        node: technology node of the value [m]; None where it does not scale.
        tag: provenance, one letter of `TAGS`.
        source: where the value stands.
        note: assumption to print wherever the coefficient is in play.
    """

    value: Float[Array, "*_"] = eqx.field(converter=_AT_LEAST_0)
    sigma_ln: Float[Array, "*_"] = eqx.field(converter=_AT_LEAST_0)
    unit: str = eqx.field(static=True)
    node: int | float | None = eqx.field(static=True)
    tag: str = eqx.field(static=True)
    source: str = eqx.field(static=True)
    note: str = eqx.field(static=True, default="")

    def __check_init__(self):
        if self.tag not in TAGS:
            raise ValueError(f"tag = {self.tag!r}: a provenance tag is one of {', '.join(TAGS)}")


def _coefficient(*args: Any, **kwargs: Any) -> Any:
    make = "Write xbar.energy.Coefficient(value, sigma_ln, unit, node, tag, source)."
    return eqx.field(default_factory=lambda: Coefficient(*args, **kwargs), metadata={"mend": make})


class Technology(Checked):
    """Prices of events on one chip; every number is a leaf, so energy can be differentiated by any of them.

    Spreads are judgements: about half the log-ratio of published figures that disagree, at least 0.3.
    Change one number with `eqx.tree_at(lambda t: t.dac.value, technology, 1e-13)`.

    Args:
        node: technology node of the converters and the logic [m].
        supply: logic supply [V]; None for the nominal supply of the node.
        columns_per_adc: bit-line pairs that share one converter; all are converted within one read.
        activation_bits: width of an activation in a buffer.
        buffer_bytes: capacity of an activation buffer [B].
        pitch_in_nodes: cell pitch along the word line, in units of the node (1T1R: 12).
        adc_model: law of the energy per conversion.

    Breaks when: the cells need voltages that the node's logic cannot give: level shifters are not priced.
    """

    node: Float[Array, "*_"] = eqx.field(converter=_METRES, default=22e-9)
    supply: Float[Array, "*_"] | None = eqx.field(converter=_VOLTS, default=None)
    columns_per_adc: Float[Array, "*_"] = eqx.field(converter=_POSITIVE, default=8.0)
    activation_bits: Float[Array, "*_"] = eqx.field(converter=_POSITIVE, default=8.0)
    buffer_bytes: Float[Array, "*_"] = eqx.field(converter=_POSITIVE, default=8 * 1024.0)
    pitch_in_nodes: Float[Array, "*_"] = eqx.field(converter=_POSITIVE, default=12.0)
    adc_model: AbstractADCModel = eqx.field(
        default_factory=Andrulis, metadata={"mend": "Write xbar.energy.Andrulis()."}
    )

    array: Coefficient = _coefficient(
        1.0, 0.0, "x", None, "D", "V^2 G t summed over the cells, from the simulation itself"
    )
    wire: Coefficient = _coefficient(
        0.2e-15 / 1e-6, 0.3, "F/m", None, "R", "DNN_NeuroSim_V1.4: 0.2 fF/um of line",
        note="word lines: C V^2 of the wire at full read voltage per driven row; access gates left out",
    )  # fmt: skip
    dac: Coefficient = _coefficient(
        0.291e-12, 1.0, "J", 40e-9, "R", "8 b, inside a SAR: Chen, VLSI 2018, via accelergy-library-plug-in",
        note="multi-bit DAC: 0.291 pJ at 8 b, 40 nm, times 2^(bits - 8) (assumed) and scaled like logic",
    )  # fmt: skip
    driver: Coefficient = _coefficient(
        4e-3 / 1024 * 100e-9, 1.2, "J", 32e-9, "D", "ISAAC: 1-bit DACs, 4 mW / 1024, 100 ns drive",
        note="1-bit driver: ISAAC's 0.39 pJ per pulse of any length; NeuroSim's row driver is far below",
    )  # fmt: skip
    adc: Coefficient = _coefficient(
        1.0, 1.2, "x", None, "R", "multiplier on adc_model; spread covers NeuroSim's SAR to 3 x regression"
    )
    shift_add: Coefficient = _coefficient(
        0.021e-12, 0.7, "J", 32e-9, "R", "ISAAC 16-bit shift-add, via accelergy-library-plug-in"
    )
    fp16_add: Coefficient = _coefficient(0.4e-12, 0.7, "J", 45e-9, "3", "Horowitz, ISSCC 2014")
    fp16_multiply: Coefficient = _coefficient(1.1e-12, 0.7, "J", 45e-9, "3", "Horowitz, ISSCC 2014")
    transcendental: Coefficient = _coefficient(
        6.0e-12, 1.0, "J", 45e-9, "D", "four fp16 multiply-adds (Horner polynomial)",
        note="a transcendental function is priced as four fp16 multiply-adds (assumed)",
    )  # fmt: skip
    memory: Coefficient = _coefficient(
        0.156e-12, 0.8, "J/bit", 45e-9, "D", "Horowitz, ISSCC 2014: 8 KB point; other sizes recalled [L]",
        note="SRAM: 0.156 pJ/bit (C / 8 KB)^0.475 at 45 nm; its 32 KB and 1 MB points are recalled [L]",
    )  # fmt: skip

    def at_node(self, coefficient: Coefficient) -> jax.Array:
        """Value of a coefficient at this technology's node and supply [unit of the coefficient]."""
        if coefficient.node is None:
            return coefficient.value
        return coefficient.value * energy_scale(coefficient.node, self.node, self.supply)

    def line_charge(self, cols: ArrayLike, v_read: ArrayLike) -> jax.Array:
        """Charging one word line of `cols` cells [J]: cols * pitch * c_wire * v_read^2."""
        length = self.pitch_in_nodes * self.node * cols
        return length * self.wire.value * jnp.square(v_read)

    def dac_conversion(self, bits: ArrayLike | None) -> jax.Array:
        """One multi-bit input conversion [J]; NaN for bits = None."""
        return jnp.asarray(jnp.nan) if bits is None else self.at_node(self.dac) * 2.0 ** (jnp.asarray(bits) - 8.0)

    def adc_rate(self, read_time: ArrayLike) -> jax.Array:
        """Conversions per second [Hz] of one converter that serves its columns within one read."""
        return self.columns_per_adc / read_time

    def adc_conversion(self, bits: ArrayLike | None, read_time: ArrayLike) -> jax.Array:
        """One output conversion [J]; NaN for bits = None."""
        if bits is None:
            return jnp.asarray(jnp.nan)
        return self.adc.value * self.adc_model.energy(bits, self.adc_rate(read_time), self.node)

    def operation(self) -> jax.Array:
        """One fp16 operation of unknown kind [J]: the mean of addition and multiplication."""
        return 0.5 * (self.at_node(self.fp16_add) + self.at_node(self.fp16_multiply))

    def memory_bit(self) -> jax.Array:
        """One bit read from or written to an activation buffer [J]."""
        return self.at_node(self.memory) * (self.buffer_bytes / 8192.0) ** 0.475

    def notes(self) -> tuple[str, ...]:
        """What a reader must know about the scaling law at this node."""
        return scaling_notes(self.node, self.supply)

    def table(self) -> str:
        """All coefficients with node, spread, provenance and source, at most 100 columns wide."""
        return "\n".join(_table_lines(self))

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        law = type(self.adc_model).__name__
        return f"Technology at {short(self.node, 'm')}, {law} ADC law; print(technology) has its coefficients"


def coefficients(technology: Technology) -> dict[str, Coefficient]:
    """The named coefficients of a technology, in the order of its fields."""
    values = ((name, getattr(technology, name)) for name in technology.__dataclass_fields__)
    return {name: value for name, value in values if isinstance(value, Coefficient)}


def _show(value: ArrayLike, unit: str) -> str:
    number = concrete(value)
    if number is None:
        return "(array)"
    return f"{number:.4g}" if unit in ("1", "x") else engineering(number, unit)


def _table_lines(technology: Technology):
    supply = "nominal" if technology.supply is None else _show(technology.supply, "V")
    law = type(technology.adc_model).__name__
    yield f"node {_show(technology.node, 'm')}, supply {supply}, {law} ADC law"
    yield f"{'coefficient':<15}{'median':>12}{'node':>7}{'at node':>12}{'sigma_ln':>9}  tag  source"
    for name, c in coefficients(technology).items():
        node = "-" if c.node is None else f"{c.node * 1e9:.0f} nm"
        head = f"{name:<15}{_show(c.value, c.unit):>12}{node:>7}{_show(technology.at_node(c), c.unit):>12}"
        head += f"{_show(c.sigma_ln, '1'):>9}  {c.tag:<3}  "
        first, *rest = textwrap.wrap(c.source, 100 - len(head)) or [""]
        yield head + first
        yield from (" " * len(head) + line for line in rest)
    tags = "tags: " + "; ".join(f"{tag} {meaning}" for tag, meaning in TAGS.items())
    yield from textwrap.wrap(tags, 100, subsequent_indent="      ")
