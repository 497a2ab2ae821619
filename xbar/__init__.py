"""Analog memristor crossbars in JAX.

`xbar.analog(f, tile)` turns any JAX function `f(params, *inputs)` into one whose stationary matrix products run on
memristor crossbars; the same call gives its energy. Devices come from the package `devices` beside this one.
"""

import sys as _sys

import devices as _devices

if not getattr(_devices, "IS_XBAR_DEVICES", False):
    raise ImportError(
        f"xbar needs its own package `devices`, and found another one at {getattr(_devices, '__file__', None)}. "
        "Rename or remove that file, or put it behind xbar's on sys.path."
    )

from xbar import architectures, training
from xbar.architectures.architecture import Architecture
from xbar.calibration import calibrate, compensate
from xbar.chip import Chip
from xbar.energy.baselines import GPUBaseline, gpu_baseline
from xbar.macro import wires
from xbar.macro.converters import ADC, DAC, Periphery
from xbar.macro.mappings import AbstractMapping, BitSliced, Differential, Offset, Redundant
from xbar.macro.sharding import Sharding
from xbar.macro.tile import Tile
from xbar.macro.wires import AbstractWires, IdealWires, ResistiveWires, SeriesWires, ohm_per_cell
from xbar.storage import ChipFileError, export_targets, load, save
from xbar.torch_models import from_torch
from xbar.transform import Analog, analog

_sys.modules[f"{__name__}.wires"] = wires  # so that `from xbar.wires import ResistiveWires` works as `xbar.wires` does

__all__ = [
    "ADC",
    "DAC",
    "AbstractMapping",
    "AbstractWires",
    "Analog",
    "Architecture",
    "BitSliced",
    "Chip",
    "ChipFileError",
    "Differential",
    "GPUBaseline",
    "IdealWires",
    "Offset",
    "Periphery",
    "Redundant",
    "ResistiveWires",
    "SeriesWires",
    "Sharding",
    "Tile",
    "analog",
    "architectures",
    "calibrate",
    "compensate",
    "export_targets",
    "from_torch",
    "gpu_baseline",
    "load",
    "ohm_per_cell",
    "save",
    "training",
    "wires",
]
