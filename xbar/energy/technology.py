"""Energy, time and area of each event of a crossbar chip: coefficients with their source,
their spread and their node."""

from __future__ import annotations

import textwrap
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from devices._checks import Checked
from devices._show import short
from xbar.energy.adc import AbstractADCModel, Andrulis
from xbar.energy.coefficient import AT_LEAST_0, POSITIVE, TAGS, Coefficient, FloatNumber, Part
from xbar.energy.scaling import area_scale, energy_scale, nominal_supply, scaling_notes
from xbar.energy.units import concrete, engineering, interpolate
from xbar.macro.wires.geometry import HALF_PITCH, WIRES

_VOLTS = POSITIVE.but(unit="V", likely=100.0, optional=True, advice="Voltages are in volts: 800 mV is 0.8.")
_METRES = POSITIVE.but(unit="m", high=1e-3, advice="Lengths are in metres: 22 nm is 22e-9.")
_SECONDS = POSITIVE.but(unit="s", optional=True, advice="Times are in seconds: 100 ns is 100e-9.")
_HERTZ = POSITIVE.but(unit="Hz", optional=True, advice="Rates are in hertz: 1.2 GS/s is 1.2e9.")
_RATIO = FloatNumber(low=0.0, high=1.0)

_NODES = np.array(sorted(HALF_PITCH), float) * 1e-9
_PITCHES = np.array([HALF_PITCH[k] for k in sorted(HALF_PITCH)]) * 1e-9


def _coefficient(*args: Any, **kwargs: Any) -> Any:
    make = "Write xbar.energy.Coefficient(value, sigma_ln, unit, node, tag, source)."
    return eqx.field(default_factory=lambda: Coefficient(*args, **kwargs), metadata={"mend": make})


_LIB = "via accelergy-library-plug-in"


class Technology(Checked):
    """Prices of events on one chip; every number is a leaf, so energy can be differentiated by any of them.

    Spreads are judgements: about half the log-ratio of published figures that disagree, at least 0.3.
    Change one number with `eqx.tree_at(lambda t: t.dac.value, technology, 1e-13)`, take terms out with `without`.

    Args:
        node: technology node of the converters and the logic [m].
        supply: logic supply [V]; None for the nominal supply of the node.
        feature: half pitch of the array's wires [m]; None for that of the node, as in `xbar.ohm_per_cell`.
        cell: lengths of a cell along word line and bit line, in half pitches (1T1R: 12 x 4).
        v_select: swing of the gate lines of selected rows [V]; None for the supply.
        selects_per_read: how often a driven row is selected in one read: once where sample-and-holds keep all columns,
            once per step of the multiplexers where they do not.
        inputs_on_gates: inputs are put on the gate lines, and the read voltage on lines that do not switch.
        columns_per_adc: columns that share one converter.
        adc_rate: conversions per second of one converter [Hz]; None: just fast enough to convert all its columns in one
            read.
        free_running: converters run at `adc_rate` while their array works, whether their values are needed or not.
        cycle: time of one read with its conversions [s]; None: settling and read, or the conversions, whichever take
            longer. For spiking networks in real time, the time step: leakage goes on for all of it.
        events: circuits wait for events: a row that is not driven makes no input conversion, a tile without a driven row no
            output conversions, and the mesh carries an address (`packet_bits`) for each driven row instead of values.
        readout: what stands at the end of a column. "converters": sample-and-hold, ADC, digital neurons. "integrators": an
            analog integrator for each column and a comparator for each output, both used in every read whatever is driven;
            steps of spiking neurons are then not digital work, and nothing is converted.
        packet_bits: of an address on the mesh.
        clock: of the digital circuits [Hz]. lanes: operations of a digital layer that are done in one clock.
        activation_bits: width of an activation in a buffer.
        buffer_bytes: capacity of an activation buffer [B]. arrays_per_buffer: arrays that share it.
        arrays_per_node: arrays that share one router of the mesh.
        off_chip_share: share of the network's inputs and outputs that cross the chip's edge; 0: the data are on the chip.
        idle_arrays: arrays of the chip beyond those of the network: they leak.
        activity: of word lines, for data-independent prices: mean squared level of an input.
        toggling: share of the switching of registers, buses, memories and logic that follows the set bits of the codes; the
            rest switches like random codes.
        overhead: factor on all areas, for what lies between the blocks (1 to 3).
        adc_model: law of the energy per conversion.
        parts: components that draw their power whatever the data, as published architectures list them.

    Breaks when: the cells need voltages that the node's logic cannot give: level shifters are not priced.
    """

    node: Float[Array, "*_"] = eqx.field(converter=_METRES, default=22e-9)
    supply: Float[Array, "*_"] | None = eqx.field(converter=_VOLTS, default=None)
    feature: Float[Array, "*_"] | None = eqx.field(converter=_METRES.but(optional=True), default=None)
    cell: tuple[float, float] = eqx.field(static=True, default=(12.0, 4.0))
    v_select: Float[Array, "*_"] | None = eqx.field(converter=_VOLTS, default=None)
    selects_per_read: Float[Array, "*_"] = eqx.field(converter=AT_LEAST_0, default=1.0)
    inputs_on_gates: bool = eqx.field(static=True, default=False)
    columns_per_adc: Float[Array, "*_"] = eqx.field(converter=POSITIVE, default=8.0)
    adc_rate: Float[Array, "*_"] | None = eqx.field(converter=_HERTZ, default=None)
    free_running: bool = eqx.field(static=True, default=False)
    cycle: Float[Array, "*_"] | None = eqx.field(converter=_SECONDS, default=None)
    events: bool = eqx.field(static=True, default=False)
    readout: str = eqx.field(static=True, default="converters")
    packet_bits: Float[Array, "*_"] = eqx.field(converter=POSITIVE, default=32.0)
    clock: Float[Array, "*_"] = eqx.field(converter=_HERTZ.but(optional=False), default=1e9)
    lanes: Float[Array, "*_"] = eqx.field(converter=POSITIVE, default=256.0)
    activation_bits: Float[Array, "*_"] = eqx.field(converter=POSITIVE, default=8.0)
    buffer_bytes: Float[Array, "*_"] = eqx.field(converter=POSITIVE, default=8 * 1024.0)
    arrays_per_buffer: Float[Array, "*_"] = eqx.field(converter=POSITIVE, default=8.0)
    arrays_per_node: int = eqx.field(static=True, default=8)
    off_chip_share: Float[Array, "*_"] = eqx.field(converter=_RATIO, default=0.0)
    idle_arrays: Float[Array, "*_"] = eqx.field(converter=AT_LEAST_0, default=0.0)
    activity: Float[Array, "*_"] = eqx.field(converter=_RATIO, default=0.5)
    toggling: Float[Array, "*_"] = eqx.field(converter=_RATIO, default=1.0)
    overhead: Float[Array, "*_"] = eqx.field(converter=POSITIVE, default=1.3)
    adc_model: AbstractADCModel = eqx.field(
        default_factory=Andrulis, metadata={"mend": "Write xbar.energy.Andrulis()."}
    )
    parts: tuple[Part, ...] = ()

    array: Coefficient = _coefficient(
        1.0, 0.0, "x", None, "D", "V^2 G t summed over the cells, or what drivers deliver to wires, from the simulation"
    )
    wire: Coefficient = _coefficient(
        0.2e-15 / 1e-6, 0.3, "F/m", None, "R", "DNN_NeuroSim_V1.4: 0.2 fF/um of line",
        note="lines: C dV^2 / 2 of each word line and edge at read voltage; bit lines are held at virtual ground",
    )  # fmt: skip
    gate: Coefficient = _coefficient(
        2.78e-15 / 128 * 1e5, 0.5, "F/S", None, "M", "a NeuroSim row of 128 cells: 2.78 fF (100 kohm / R_on) at 22 nm",
        note="gate lines: access transistors sized by g_max, selected once for each driven row and read",
    )  # fmt: skip
    dac: Coefficient = _coefficient(
        0.291e-12, 1.0, "J", 40e-9, "R", f"8 b, inside a SAR: Chen, VLSI 2018, {_LIB}",
        note="multi-bit DAC: 0.291 pJ at 8 b, 40 nm, times 2^(bits - 8) (assumed) and scaled like logic",
    )  # fmt: skip
    driver: Coefficient = _coefficient(
        4e-3 / 1024 * 100e-9, 1.2, "J", 32e-9, "D", "ISAAC: 1-bit DACs, 4 mW / 1024, 100 ns drive",
        note="1-bit driver: ISAAC's 0.39 pJ per pulse of any length; NeuroSim's row driver is far below",
    )  # fmt: skip
    pulse_width: Coefficient = _coefficient(
        0.0375e-12, 1.0, "J", 65e-9, "R", f"TIMELY: digital-to-time converter, 8 b, {_LIB}",
        note="pulse-width driver: TIMELY's 0.0375 pJ at 8 b, times 2^(bits - 8) (assumed)",
    )  # fmt: skip
    sample_hold: Coefficient = _coefficient(
        10e-6 / 1024 * 100e-9, 1.5, "J", 32e-9, "D", "ISAAC: 10 uW / 1024 samples, 100 ns; NeuRRAM's integrator: 1.2 pJ"
    )
    integrator: Coefficient = _coefficient(
        1.2e-12, 1.0, "J", 130e-9, "R", "NeuRRAM: 1.2 pJ an integration (and 0.25 pJ a step, left out), via CiMLoop",
        note="integrators: NeuRRAM's 1.2 pJ for each column and read, scaled like logic (an analog circuit scales less)",
    )  # fmt: skip
    comparator: Coefficient = _coefficient(
        0.029e-12, 1.0, "J", 40e-9, "R", f"a 32-bit digital comparator, which stands for an analog one: Aladdin, {_LIB}",
        note="comparators: one decision for each output and read, as a 32-bit digital comparator (assumed)",
    )  # fmt: skip
    adc: Coefficient = _coefficient(
        1.0, 1.2, "x", None, "R", "multiplier on adc_model; spread covers NeuroSim's SAR to 3 x regression"
    )
    shift_add: Coefficient = _coefficient(0.021e-12, 0.7, "J", 32e-9, "R", f"ISAAC 16-bit shift-add, {_LIB}")
    rescale: Coefficient = _coefficient(1.1e-12, 0.7, "J", 45e-9, "3", "fp16 multiplication: Horowitz, ISSCC 2014")
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
    hop: Coefficient = _coefficient(
        0.081e-12, 0.7, "J/bit", 32e-9, "R", f"ISAAC router: 20.74 pJ for 256 bits and a hop, {_LIB}",
        note="network on chip: hops between the middles of layers on a square mesh, in the order of the layers",
    )  # fmt: skip
    link: Coefficient = _coefficient(
        8e-12, 1.0, "J/bit", None, "R", "CACTI: LPDDR4", note="off-chip traffic is priced as LPDDR4, 8 pJ/bit"
    )
    adc_leakage: Coefficient = _coefficient(
        0.2, 0.7, "x", None, "R", "hwcomponents-adc books 20 % of a converter's power as leakage",
        note="leakage: a fifth of the converters' power at full rate, and of memories, as long as the schedule lasts",
    )  # fmt: skip
    memory_leakage: Coefficient = _coefficient(
        0.33e-3 / 2048, 1.5, "W/B", 32e-9, "R", "puma-simulator: 0.33 mW for 2 KB of SRAM (scaled like energy)"
    )
    register: Coefficient = _coefficient(
        16 * 9e-15, 0.7, "J", 40e-9, "R", f"16 register bits of 9 fJ, clocked once a conversion: Aladdin, {_LIB}"
    )
    published: Coefficient = _coefficient(1.0, 0.3, "x", None, "D", "multiplier on the published powers of `parts`")

    cell_area: Coefficient = _coefficient(1.0, 0.5, "x", None, "D", "multiplier on a cell's two lengths")
    adc_area: Coefficient = _coefficient(1.0, 0.8, "x", None, "R", "multiplier on the area of adc_model")
    dac_area: Coefficient = _coefficient(438e-12, 0.8, "m^2", 40e-9, "R", f"8-b DAC: Chen, VLSI 2018, {_LIB}")
    driver_area: Coefficient = _coefficient(0.166e-12, 0.8, "m^2", 32e-9, "R", f"ISAAC 1-bit DAC, {_LIB}")
    shift_add_area: Coefficient = _coefficient(60e-12, 0.7, "m^2", 32e-9, "R", f"ISAAC shift-add, {_LIB}")
    memory_area: Coefficient = _coefficient(
        0.083e-6 / 65536, 0.7, "m^2/B", 32e-9, "R", f"ISAAC eDRAM, 64 KB: 0.083 mm^2, {_LIB}"
    )
    integrator_area: Coefficient = _coefficient(
        1270e-12, 0.7, "m^2", 130e-9, "R", "NeuRRAM's neuron: 1270 um^2, Wan et al., Nature 2022, via CiMLoop"
    )
    router_area: Coefficient = _coefficient(0.15e-6, 0.7, "m^2", 32e-9, "R", f"ISAAC router, {_LIB}")
    lane_area: Coefficient = _coefficient(
        (6350 + 278) * 1e-12, 0.7, "m^2", 40e-9, "R", f"32-bit multiplier and adder: Aladdin, {_LIB}"
    )

    def __check_init__(self):
        if len(self.cell) != 2 or not all(isinstance(x, float | int) and x > 0 for x in self.cell):
            raise ValueError(f"Technology: cell={self.cell!r}; give two lengths in half pitches, such as (12, 4).")
        for part in self.parts:
            if not isinstance(part, Part):
                raise TypeError(f"Technology: parts hold a {type(part).__name__}; each is an xbar.energy.Part(...).")
        if self.readout not in ("converters", "integrators"):
            raise ValueError(f"Technology: readout={self.readout!r}; it must be 'converters' or 'integrators'.")
        if self.free_running and (self.events or self.readout == "integrators"):
            raise ValueError("Technology: free_running converters do not wait for events; leave one of them out.")
        if self.free_running and self.adc_rate is None:
            raise ValueError("Technology: free_running converters need adc_rate=, their conversions per second [Hz].")

    def without(self, *names: str) -> Technology:
        """These prices with the named coefficients at 0, such as those that an architecture's `parts` cover."""
        known = coefficients(self)
        for name in names:
            if name not in known:
                raise ValueError(f"Technology.without: no coefficient {name!r}; choose from {', '.join(known)}.")
        get = lambda t: [getattr(t, name).value for name in names]  # noqa: E731
        return eqx.tree_at(get, self, [jnp.zeros_like(x) for x in get(self)])

    def at_node(self, coefficient: Coefficient) -> jax.Array:
        """Value of a coefficient at this technology's node and supply [unit of the coefficient]."""
        if coefficient.node is None:
            return coefficient.value
        if coefficient.unit.startswith("m^2"):
            return coefficient.value * area_scale(coefficient.node, self.node)
        return coefficient.value * energy_scale(coefficient.node, self.node, self.supply)

    @property
    def half_pitch(self) -> jax.Array:
        """Half pitch of the array's wires [m]."""
        if self.feature is not None:
            return self.feature
        return jnp.exp(interpolate(jnp.log(self.node), np.log(_NODES), np.log(_PITCHES)))

    @property
    def ohm_per_metre(self) -> jax.Array:
        """Resistance of the array's wires [ohm/m] at their half pitch, as in `xbar.ohm_per_cell`; beyond its table, the
        resistivity and the aspect ratio of its ends."""
        width = self.half_pitch * 1e9
        resistivity, aspect = (interpolate(jnp.log(width), np.log(WIRES[:, 0]), WIRES[:, k]) for k in (1, 2))
        return resistivity / (width**2 * aspect) * 1e9  # nohm m / nm^2 = 1e9 ohm/m

    def line_capacitance(self, cells: ArrayLike, bit_line: bool = False) -> jax.Array:
        """Capacitance of one word line, or bit line, across this many cells [F]: cells * length * c_wire."""
        return self.cell[int(bit_line)] * self.half_pitch * cells * self.wire.value

    def select_energy(self, cells: ArrayLike, g_max: ArrayLike) -> jax.Array:
        """Energy [J] to select one row of cells of largest conductance `g_max` [S]: (C_wire + C_gate) V_select^2."""
        volts = self.v_select if self.v_select is not None else self.supply_at_node
        capacitance = self.line_capacitance(cells) + self.gate.value * cells * g_max
        return capacitance * jnp.square(volts)

    @property
    def supply_at_node(self) -> jax.Array:
        """Logic supply [V]."""
        return nominal_supply(self.node) if self.supply is None else self.supply

    def settling(self, rows: int, cols: int, bits: ArrayLike | None, r_row: Any = None, r_col: Any = None) -> jax.Array:
        """Time in which lines settle to half an LSB [s]: ln(2^(b + 1)) (R C / 2 of a word line + of a bit line), Elmore.

        Args:
            r_row, r_col: resistance of a line, one cell long [ohm]; None: from the wires' geometry.
        """
        total = jnp.zeros(())
        for number, (n, ohm) in enumerate(((cols, r_row), (rows, r_col))):
            per_cell = self.ohm_per_metre * self.cell[number] * self.half_pitch if ohm is None else ohm
            total = total + 0.5 * n * per_cell * self.line_capacitance(n, bool(number))
        width = 8.0 if bits is None else bits
        return total * np.log(2.0) * (jnp.asarray(width) + 1.0)

    def input_conversion(self, bits: ArrayLike | None, encoding: str = "amplitude") -> jax.Array:
        """One multi-bit input conversion [J]; NaN for bits = None."""
        price = self.pulse_width if encoding == "pulse_width" else self.dac
        return jnp.asarray(jnp.nan) if bits is None else self.at_node(price) * 2.0 ** (jnp.asarray(bits) - 8.0)

    def rate(self, read_time: ArrayLike) -> jax.Array:
        """Conversions per second [Hz] of one converter: its own, or as many as serve its columns within one read."""
        return self.columns_per_adc / jnp.asarray(read_time) if self.adc_rate is None else self.adc_rate

    def adc_conversion(self, bits: ArrayLike | None, read_time: ArrayLike, idle: bool = False) -> jax.Array:
        """One output conversion [J], `idle` where no row is driven; NaN for bits = None."""
        if bits is None:
            return jnp.asarray(jnp.nan)
        law = self.adc_model.idle_energy if idle else self.adc_model.energy
        return self.adc.value * law(bits, self.rate(read_time), self.node)

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
        return f"Technology at {short(self.node, 'm')}, {law} ADC law; print(technology) lists its coefficients"


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
