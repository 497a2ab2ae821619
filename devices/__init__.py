"""One memristive cell: its laws, and published devices made of them.

`devices.pcm_joshi2020()` and the other presets give a `Device`; compose your own from the laws in `devices.programming`,
`devices.drift`, `devices.noise`, `devices.conduction` and `devices.faults`, or write one (`devices.base` has the interfaces).
"""

from devices import conduction, curves, drift, faults, noise, programming
from devices.base import (
    AbstractConduction,
    AbstractDrift,
    AbstractFaults,
    AbstractProgramming,
    AbstractReadNoise,
    Cells,
    Device,
    Provenance,
)
from devices.presets import ideal, pcm_joshi2020, reram_wan2022

IS_XBAR_DEVICES = True  # what `xbar` looks for, to tell this package from another one called `devices`

__all__ = [
    "AbstractConduction",
    "AbstractDrift",
    "AbstractFaults",
    "AbstractProgramming",
    "AbstractReadNoise",
    "Cells",
    "Device",
    "Provenance",
    "conduction",
    "curves",
    "drift",
    "faults",
    "ideal",
    "noise",
    "pcm_joshi2020",
    "programming",
    "reram_wan2022",
]
