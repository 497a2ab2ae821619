"""Chips that were built and measured: NeuRRAM, HERMES, IBM's 34 tiles."""

from __future__ import annotations

import devices
from xbar.architectures.architecture import Architecture
from xbar.architectures.common import assumed_cell, check_choice, published_only
from xbar.energy.coefficient import Coefficient, Part
from xbar.energy.schedule import Schedule
from xbar.energy.technology import Technology
from xbar.macro.converters import ADC, DAC
from xbar.macro.mappings import Differential
from xbar.macro.tile import Tile

_NEURRAM_OPS = 2 * 128 * 256  # of one MVM: 256 rows are 128 pairs
_NEURRAM_PLANE = {"word lines": 7.73e-15, "neurons": 10.06e-15, "input pulses": 3.87e-15}  # [J/op], (5, 3) bits


def neurram(in_bits: int = 3, out_bits: int = 5, input_pulses: str = "simulated") -> Architecture:
    """NeuRRAM: 48 cores of 256 x 256 RRAM cells, pairs of rows, ternary bit planes, 130 nm.

    Energy is counted per ternary plane, of which there are max(1, in_bits - 1), with the constants measured for 3-bit
    inputs and 5-bit outputs. Other points are reproduced to within 15 %.

    Args:
        in_bits, out_bits: bits of inputs and outputs, 1 to 8 and 3 to 10.
        input_pulses: "published" for the measured energy of input pulses, "simulated" for the heat of the cells with pulses
            as long as that energy implies.

    Reference: Wan et al., Nature 608 (2022) 504, 10.1038/s41586-022-04992-8; breakdown of Extended Data Fig. 12 as digitised
    in CiMLoop.
    """
    check_choice("neurram: input_pulses", input_pulses, ("published", "simulated"))
    ops, rows, cols, volts, supply = _NEURRAM_OPS, 128, 256, 0.5, 1.3
    g_min, g_max = 1e-6, 4e-6
    watts = 2 * rows * cols * volts**2 * (g_min + g_max) / 2
    pulse = _NEURRAM_PLANE["input pulses"] * ops / watts
    fig = "Wan 2022, Extended Data Fig. 12, 3-bit inputs, as digitised in CiMLoop"
    per_row = {name: joules * ops / rows for name, joules in _NEURRAM_PLANE.items()}
    gate = Coefficient(
        per_row["word lines"] / (2 * cols * supply**2 * g_max), 0.3, "F/S", None, "R", f"{fig}: 7.73 fJ/op a plane"
    )
    neuron = Coefficient(_NEURRAM_PLANE["neurons"] * ops / cols, 0.3, "J", None, "R", f"{fig}: 10.06 fJ/op a plane")
    driver = Coefficient(per_row["input pulses"], 0.3, "J", None, "R", f"{fig}: 3.87 fJ/op a plane")
    kept = ("gate", "sample_hold", "driver") if input_pulses == "published" else ("gate", "sample_hold")
    prices = Technology(
        node=130e-9,
        v_select=supply,
        columns_per_adc=1.0,
        adc_rate=1e6,
        cycle=1.55e-6,
        arrays_per_node=1,
        activity=1.0,
        overhead=1.0,
        gate=gate,
        sample_hold=neuron,
        driver=driver,
    )
    prices = published_only(prices, *kept).without("adc", *(("array",) if input_pulses == "published" else ()))
    tile = Tile(
        device=assumed_cell(g_min, g_max, "NeuRRAM cell", "0.25 to 1 Mohm, as CiMLoop has it"),
        rows=rows,
        cols=cols,
        mapping=Differential(),
        dac=DAC(max(in_bits, 2), "bit_serial"),
        adc=ADC(out_bits),
        v_read=volts,
        read_time=pulse,
    )
    said = (
        "per-plane energies of gate lines, neurons and input pulses: measured at 3-bit inputs, 5-bit outputs [R]",
        "they are for planes in which all rows are driven; a row at 0 costs neither its gate line nor its pulse",
        f"input pulses: 256 x 256 cells of 0.25 to 1 Mohm at 0.5 V draw {watts * 1e3:.3g} mW; the published energy implies "
        f"pulses of {pulse * 1e9:.2g} ns [D]",
        "1.55 us a plane from the published throughput of 48 cores [D]; areas are missing except for the neurons",
    )
    return Architecture("NeuRRAM", tile, prices, Schedule(), said)


def hermes(phases: int = 1) -> Architecture:
    """HERMES: 64 cores of 256 x 256 weights of four PCM cells, 8-bit pulse widths, converters at 300 ps an LSB, 14 nm.

    Args:
        phases: 1 reads all signs at once, 4 one after the other.

    Reference: Le Gallo et al., Nature Electronics 6 (2023) 680, 10.1038/s41928-023-01010-1: 63.1 TOPS and 9.76 TOPS/W in one
    phase, 16.1 and 2.48 in four.
    """
    check_choice("hermes: phases", phases, (1, 4))
    cycle = 2 * 64 * 256 * 256 / (63.1e12 if phases == 1 else 16.1e12)
    watts = 63.1e12 / 9.76e12  # of the whole chip in one phase
    cells, duty, v = _pcm_cells(2 * 64 * 256 * 256)
    area = 2 * 256 * 256 / 133e-9 / 1.59e12 * 1e-6
    parts = (
        Part(
            "all but the cells, a core", "adc", (watts - cells) / 64, area, 1.0, "macro", "D", "63.1 TOPS / 9.76 TOPS/W"
        ),
    )
    prices = Technology(
        node=14e-9,
        columns_per_adc=1.0,
        cycle=cycle,
        arrays_per_node=1,
        activity=duty,
        overhead=1.0,
        parts=parts,
    )
    prices = published_only(prices).without("adc", "adc_area")
    tile = Tile(
        device=devices.pcm_hermes2023(),
        rows=256,
        cols=256,
        dac=DAC(8, "pulse_width"),
        adc=ADC(8),
        v_read=v,
        read_time=cycle / phases,
    )
    said = (
        "63.1 and 16.1 TOPS, 9.76 and 2.48 TOPS/W [R]: the chip draws 6.5 W in both [D]",
        "cells are simulated; all other power of a core is one row: 6.5 W / 64 minus that of cells in the middle of "
        "their range, at 0.2 V for a twentieth of the time (as four phases draw no less, cells cannot take much) [D]. "
        "How it splits between converters and logic is missing",
        "four phases are predicted from the power in one; the area of a core is that of 1.59 TOPS/mm^2 [R], which is for "
        "a core alone",
    )
    return Architecture("HERMES", tile, prices, Schedule("pipelined"), said)


def ibm_34tile() -> Architecture:
    """IBM's 34 tiles of 512 x 512 weights (512 x 2048 PCM cells) with 8-bit pulse durations, 14 nm.

    Reference: Ambrogio et al., Nature 620 (2023) 768, 10.1038/s41586-023-06337-5: up to 12.4 TOPS/W.
    """
    read = 255e-9
    watts = 2 * 512 * 512 / read / 12.4e12
    cells, duty, v = _pcm_cells(2 * 512 * 512)
    parts = (
        Part("all but the cells", "adc", watts - cells, 0.0, 1.0, "macro", "D", "12.4 TOPS/W at one read in 255 ns"),
    )
    prices = Technology(
        node=14e-9, columns_per_adc=1.0, cycle=read, arrays_per_node=1, activity=duty, overhead=1.0, parts=parts
    )
    tile = Tile(
        device=devices.pcm_hermes2023(),
        rows=512,
        cols=512,
        dac=DAC(8, "pulse_width"),
        adc=ADC(8),
        v_read=v,
        read_time=read,
    )
    said = (
        "up to 12.4 TOPS/W, 34 tiles, 35 million cells, 8-bit durations [R]",
        "one read in 255 ns, a nanosecond a step, is assumed; powers follow from it, the energy does not [D]",
        "cells as in HERMES; the split of all other power, areas and the throughput are missing",
    )
    prices = published_only(prices).without("adc", "adc_area")
    return Architecture("IBM 34-tile", tile, prices, Schedule("pipelined"), said)


def _pcm_cells(number: int) -> tuple[float, float, float]:
    """Power of this many cells of HERMES in the middle of their range [W], the share of a read for which inputs last,
    and the read voltage [V]; the last two are assumed."""
    duty, volts = 0.05, 0.2
    return number * volts**2 * 10.35e-6 * duty, duty, volts
