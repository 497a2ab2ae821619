"""Interconnect resistance: what the wires of a tile make of its conductances."""

from xbar.wires.base import AbstractWires, IdealWires

__all__ = ["AbstractWires", "IdealWires"]
