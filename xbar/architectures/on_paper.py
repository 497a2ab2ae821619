"""Architectures that were designed and estimated: ISAAC, PUMA, and what NeuroSim simulates by default."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from xbar.architectures.architecture import Architecture
from xbar.architectures.common import assumed_cell, check_choice, published_only
from xbar.energy.adc import AbstractADCModel, NeuroSimSAR, NeuroSimSenseAmplifier
from xbar.energy.adc_designs import isaac_adc
from xbar.energy.coefficient import Coefficient, Part
from xbar.energy.schedule import Schedule
from xbar.energy.technology import Technology
from xbar.macro.converters import ADC, DAC
from xbar.macro.mappings import BitSliced, Offset
from xbar.macro.tile import Tile
from xbar.macro.wires import SeriesWires

_SHAFIEE = "Shafiee et al., ISCA 2016, 10.1109/ISCA.2016.12"
_LIB = "accelergy-library-plug-in, puma-simulator"
LEVELS = ("macro", "tile", "chip")
# name, component, milliwatts, mm^2, arrays that share it, level, provenance. Eight arrays are an IMA, twelve IMAs a tile.
_IMA, _TILE, _CHIP = 8.0, 96.0, 168 * 96.0
_ISAAC_PARTS = (
    ("DAC 8 x 128 x 1 b", "dac", 0.0, 0.00017, _IMA, "macro", "R"),  # its power is that of driven rows
    ("arrays 8 x 128 x 128", "array", 0.0, 0.0002, _IMA, "macro", "R"),  # its power is that of the simulated cells
    ("sample and hold", "sample_hold", 0.01, 0.00004, _IMA, "macro", "R"),
    ("shift-add x 4", "accumulate", 0.2, 0.00024, _IMA, "macro", "R"),
    ("input register 2 KB", "memory", 1.24, 0.0021, _IMA, "macro", "R"),
    ("output register 256 B", "memory", 0.23, 0.00077, _IMA, "macro", "L"),
    ("eDRAM 64 KB", "memory", 20.7, 0.083, _TILE, "tile", "R"),
    ("bus", "network", 7.0, 0.090, _TILE, "tile", "R"),
    ("router, a quarter", "network", 42 / 4, 0.151 / 4, _TILE, "tile", "R"),
    ("sigmoid x 2", "digital", 0.52, 0.0006, _TILE, "tile", "L"),
    ("shift-add", "accumulate", 0.05, 0.00006, _TILE, "tile", "R"),
    ("max-pool", "digital", 0.4, 0.00024, _TILE, "tile", "L"),
    ("output register 3 KB", "memory", 1.68, 0.0032, _TILE, "tile", "L"),
    ("HyperTransport", "off_chip", 10_400.0, 22.88, _CHIP, "chip", "R"),
)
_ISAAC_ARRAY = 2.4e-3 / 8  # [W] of one array with all rows driven


def isaac(scope: str = "chip") -> Architecture:
    """ISAAC-CE: 128 x 128 arrays of 2-bit cells, 16-bit operands, one 8-bit ADC at 1.2 GS/s an array, 32 nm.

    Args:
        scope: "macro" prices an in-situ multiply-accumulate unit (IMA) of 8 arrays alone, "tile" adds what 12 of them
            share, "chip" what 168 tiles share.

    Reference: Shafiee et al. 2016, 10.1109/ISCA.2016.12; component table as the Accelergy library and the PUMA simulator
    restate it. Powers and areas sum to 65.8 W and 85.4 mm^2 as published, 627 GOPS/W; the 364 GOPS/W recalled as
    published remain unresolved.
    """
    check_choice("isaac: scope", scope, LEVELS)
    wanted = LEVELS[: LEVELS.index(scope) + 1]
    parts = tuple(
        Part(name, component, 1e-3 * milliwatts, 1e-6 * square, arrays, level, tag, _LIB if tag == "R" else _SHAFIEE)
        for name, component, milliwatts, square, arrays, level, tag in _ISAAC_PARTS
        if level in wanted
    )
    prices = Technology(
        node=32e-9,
        adc_model=isaac_adc(),
        adc_rate=1.2e9,
        columns_per_adc=128.0,
        free_running=True,
        cycle=100e-9,
        clock=1.2e9,
        arrays_per_node=96,
        activity=1.0,
        overhead=1.0,
        parts=parts,
    )
    v_read = 0.2
    middle = _ISAAC_ARRAY / (128 * 128 * v_read**2)
    tile = Tile(
        device=assumed_cell(
            2 * middle / 16, 2 * middle * 15 / 16, "ISAAC cell", "range inferred from the array's power"
        ),
        rows=128,
        cols=16,
        mapping=BitSliced(16, 2, Offset("digital"), "flipped"),
        dac=DAC(16, "bit_serial", negative="offset"),
        adc=ADC(8),
        v_read=v_read,
        read_time=100e-9,
    )
    said = (
        f"component powers and areas: {_LIB} [R], the rest {_SHAFIEE} [L]",
        f"cells: mean conductance {middle * 1e6:.3g} uS, so that an array with all rows driven draws its published 0.3 mW at "
        "0.2 V [D]; range 15 : 1 as CiMLoop has it. Other inputs draw less",
        "1-bit DACs cost their published power only where they drive; converters run at 1.2 GS/s all the time",
        "100 ns a bit plane; 128 conversions at 1.2 GS/s would take 107 ns [D]",
        "627 GOPS/W from the table; 364 GOPS/W recalled as published [L]: unresolved",
    )
    return Architecture("ISAAC-CE", tile, published_only(prices, "driver"), Schedule("pipelined"), said)


def puma() -> Architecture:
    """PUMA: 128 x 128 arrays of 2-bit cells, 16-bit operands, programmable cores, 32 nm.

    Reference: Ankit et al., ASPLOS 2019, 10.1145/3297858.3304049: 52.3 TOPS and 577 GOPS/mm^2 (abstract), 62.5 W recalled.
    """
    arrays = 138 * 8 * 2 * 8.0  # 138 tiles of 8 cores of 2 matrix units of 8 arrays [L]
    macs = arrays * 128 * 16
    cycle = 2 * macs / 52.3e12 / 16
    rest = 62.5 - arrays * _ISAAC_ARRAY
    area = 52.3e12 / 577e9 * 1e-6
    parts = (
        Part(
            "all but the cells", "digital", rest, area, arrays, "chip", "L", "62.5 W less the cells of ISAAC's arrays"
        ),
    )
    tile = eqx.tree_at(lambda t: t.read_time, isaac().tile, jnp.asarray(cycle))
    prices = Technology(
        node=32e-9,
        adc_model=isaac_adc(),
        adc_rate=128 / cycle,
        columns_per_adc=128.0,
        cycle=cycle,
        arrays_per_node=16,
        activity=1.0,
        overhead=1.0,
        parts=parts,
    )
    said = (
        "52.3 TOPS, 577 GOPS/mm^2 [R]; 62.5 W and 138 x 8 x 2 matrix units recalled [L]",
        f"time of a bit plane inferred from them: {cycle * 1e9:.3g} ns [D]",
        "cells as in ISAAC; all other power is one row: its split over components is missing",
    )
    prices = published_only(prices).without("adc", "adc_area")
    return Architecture("PUMA", tile, prices, Schedule("pipelined"), said)


def neurosim_default(
    cell_bits: int = 1,
    r_on: float = 100e3,
    on_off: float = 17.0,
    adc_bits: int = 8,
    input_bits: int = 8,
    converter: str = "sar",
) -> Architecture:
    """DNN+NeuroSim V1.4 as shipped, with RRAM: 128 x 128 1T1R arrays, 8-bit weights in unsigned digits, 22 nm.

    The column's energy is NeuroSim's own law, P = 0.0723 W (0.55 V / 0.5 V) / R_col for (adc_bits + 1) ns, with every cell in
    series with its wires and a quarter of R_on, and SAR converters. Weights lie on the grid of 1/128 in [-1, 127/128], inputs
    are whole numbers below 2^input_bits (set `DAC(range=)` otherwise).

    Args:
        cell_bits: bits of a cell, 1, 2, 4 or 8. r_on: lowest resistance [ohm]. on_off: ratio to the highest.
        adc_bits: of the converters. input_bits: bit planes, one after the other.
        converter: "sar", or "multilevel" for NeuroSim's sense amplifiers, whose energy is known at 5 bits only.

    Reference: DNN_NeuroSim V1.4 (numbers and formulas, no code). Energies are as printed there, without its factor 1.22.
    """
    check_choice("neurosim_default: cell_bits", cell_bits, (1, 2, 4, 8))
    check_choice("neurosim_default: converter", converter, ("sar", "multilevel"))
    slices, volts, access = 8 // cell_bits, 0.55, 0.25 * r_on
    law = NeuroSimSAR() if converter == "sar" else NeuroSimSenseAmplifier()
    conversion = float(law.time(adc_bits, 1e9))
    tile = Tile(
        device=assumed_cell(1 / (r_on * on_off), 1 / r_on, "NeuroSim RRAM", "linear levels, no noise"),
        rows=128,
        cols=128 // slices,
        mapping=BitSliced(8, cell_bits, Offset("digital", series=access), "offset", scale=127 / 128),
        dac=DAC(input_bits + 1, "bit_serial", range=2.0**input_bits - 1),
        adc=ADC(adc_bits),
        wires=SeriesWires(1.563, 4.689, access, lines=slices),
        v_read=volts,
        read_time=conversion,
        fill_rows=True,
    )
    said = (
        "column power, SAR, wire and gate capacitances: DNN_NeuroSim_V1.4 [R]; the row's two capacitances from a run [M]",
        f"sense amplifiers, adders, row drivers, all else and areas: from {_RUN} [D]; good for that size of array",
        "energies as NeuroSim prints them: without its factor 1.22, and without leakage",
        "rows are driven again for each of the 8 steps of the multiplexers",
    )
    prices = _neurosim_prices(law, adc_bits, r_on, volts, conversion)
    return Architecture("NeuroSim V1.4 default", tile, prices, Schedule("pipelined"), said)


_RUN = "runs of a 784-256-10 network, 1 bit a cell"


def _neurosim_prices(law: AbstractADCModel, adc_bits: int, r_on: float, volts: float, conversion: float) -> Technology:
    """Prices of NeuroSim's circuits at 22 nm; R_on sizes access transistors and row drivers."""
    sizing = 100e3 / r_on
    power = 0.072341 * 0.55 / 0.5 * 0.9982 / volts**2  # the exponent of NeuroSim's power of R_col is 1.0002
    square = (12.15e-6 if isinstance(law, NeuroSimSAR) else 8.04e-6) + 0.0702e-6 * (sizing - 1)
    prices = Technology(
        node=22e-9,
        feature=22e-9,
        v_select=0.85,
        selects_per_read=8.0,
        inputs_on_gates=True,
        columns_per_adc=8.0,
        adc_rate=1 / conversion,
        adc_model=law,
        toggling=0.0,
        activity=0.25,
        overhead=1.0,
        array=Coefficient(
            power, 0.3, "x", None, "R", "DNN_NeuroSim_V1.4: column power, fitted there to circuits at 0.5 V"
        ),
        driver=Coefficient(
            8e-15 * (2.75 + 2.83 * sizing),
            0.5,
            "J",
            None,
            "D",
            f"{_RUN}, dense against sparse, 100 and 6 kohm: 'other'",
        ),
        shift_add=Coefficient(
            (7.72 + 1.797 * adc_bits) * 1e-15, 0.3, "J", None, "D", f"{_RUN}: 'accumulation', 5 and 8 b"
        ),
        register=Coefficient(
            (22.1 + 1.57 * adc_bits) * 1e-15,
            0.5,
            "J",
            None,
            "D",
            f"{_RUN}: 'other' (buffers, buses, decoders), 5 and 8 b",
        ),
        parts=(Part("array with all its circuits", "array", 0.0, square / 114, 1.0, "macro", "D", f"{_RUN}: mm^2"),),
    )
    return published_only(prices, "wire", "gate", "driver", "shift_add", "register").without("adc_area")
