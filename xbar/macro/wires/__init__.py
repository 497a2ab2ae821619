"""Interconnect resistance: how the wires of a tile change its conductances."""

from xbar.macro.wires.base import AbstractWires, IdealWires
from xbar.macro.wires.geometry import ohm_per_cell
from xbar.macro.wires.noise_map import NoiseMap
from xbar.macro.wires.resistive import ResistiveWires
from xbar.macro.wires.series import SeriesWires

__all__ = ["AbstractWires", "IdealWires", "NoiseMap", "ResistiveWires", "SeriesWires", "ohm_per_cell"]
