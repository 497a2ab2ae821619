"""Interconnect resistance: what the wires of a tile make of its conductances."""

from xbar.wires.base import AbstractWires, IdealWires
from xbar.wires.geometry import ohm_per_cell
from xbar.wires.noise import NoiseMap
from xbar.wires.resistive import ResistiveWires

__all__ = ["AbstractWires", "IdealWires", "NoiseMap", "ResistiveWires", "ohm_per_cell"]
