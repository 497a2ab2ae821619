"""Analog memristor crossbars in JAX.

`xbar.analog(f, tile)` turns any JAX function `f(params, *inputs)` into one whose stationary matrix products run on
memristor crossbars; the same call gives its energy. Devices come from the package `devices` beside this one.
"""

import devices as _devices

if not getattr(_devices, "IS_XBAR_DEVICES", False):
    raise ImportError(
        f"xbar needs its own package `devices`, and found another one at {getattr(_devices, '__file__', None)}. "
        "Rename or remove that file, or put it behind xbar's on sys.path."
    )

from xbar import training
from xbar.analog import Analog, Chip, analog
from xbar.baseline import GPUBaseline, gpu_baseline
from xbar.calibrate import calibrate, compensate
from xbar.converters import ADC, DAC
from xbar.mapping import AbstractMapping, Differential
from xbar.tile import Tile
from xbar.wires import AbstractWires, IdealWires, ResistiveWires, ohm_per_cell

__all__ = [
    "ADC",
    "DAC",
    "AbstractMapping",
    "AbstractWires",
    "Analog",
    "Chip",
    "Differential",
    "GPUBaseline",
    "IdealWires",
    "ResistiveWires",
    "Tile",
    "analog",
    "calibrate",
    "compensate",
    "gpu_baseline",
    "ohm_per_cell",
    "training",
]
