"""Mappings: weights to the conductances of cells, one a file."""

from xbar.macro.mappings.base import AbstractMapping
from xbar.macro.mappings.bit_sliced import BitSliced
from xbar.macro.mappings.differential import Differential
from xbar.macro.mappings.offset import Offset
from xbar.macro.mappings.redundant import Redundant

__all__ = ["AbstractMapping", "BitSliced", "Differential", "Offset", "Redundant"]
