"""One memristive cell: its laws, and published devices made of them.

`devices.pcm_joshi2020()` and the other presets give a `Device`; `devices.names()` lists them and
`devices.describe(name)` says where their numbers come from. Compose your own from the laws in `devices.programming`,
`write_verify`, `drift`, `noise`, `conduction`, `steps`, `updates` and `faults`, or write one (`devices.base` has the
interfaces). `devices.compact` has state-equation models.
"""

from devices import (
    amplification,
    catalogue,
    compact,
    conduction,
    curves,
    drift,
    faults,
    noise,
    presets,
    programming,
    steps,
    updates,
    write_verify,
)
from devices.amplification import Factors, amplify
from devices.assumptions import assume, assume_spread
from devices.base import (
    AbstractConduction,
    AbstractDrift,
    AbstractFaults,
    AbstractProgramming,
    AbstractPulseUpdate,
    AbstractReadNoise,
    Cells,
)
from devices.catalogue import Provenance, bibtex, describe, description, find, names, published
from devices.device import Device
from devices.disturb import Disturb
from devices.many_pulses import ManyAtOnce, at_once
from devices.moment_matching import moment_matched
from devices.physical_numbers import device_numbers
from devices.presets import *  # noqa: F403
from devices.presets import __all__ as _presets
from devices.references import Reference

IS_XBAR_DEVICES = True  # what `xbar` looks for, to tell this package from another one called `devices`

__all__ = [
    "AbstractConduction",
    "AbstractDrift",
    "AbstractFaults",
    "AbstractProgramming",
    "AbstractPulseUpdate",
    "AbstractReadNoise",
    "Cells",
    "Device",
    "Disturb",
    "Factors",
    "ManyAtOnce",
    "Provenance",
    "Reference",
    "amplification",
    "amplify",
    "assume",
    "assume_spread",
    "at_once",
    "bibtex",
    "catalogue",
    "compact",
    "conduction",
    "curves",
    "describe",
    "description",
    "device_numbers",
    "drift",
    "faults",
    "find",
    "moment_matched",
    "names",
    "noise",
    "presets",
    "programming",
    "published",
    "steps",
    "updates",
    "write_verify",
    *_presets,
]
