"""Interconnect resistance: what the wires of a tile make of its conductances."""

from xbar.macro.wires.base import AbstractWires, IdealWires
from xbar.macro.wires.resistive import ResistiveWires
from xbar.macro.wires.technology import ohm_per_cell

__all__ = ["AbstractWires", "IdealWires", "ResistiveWires", "ohm_per_cell"]
