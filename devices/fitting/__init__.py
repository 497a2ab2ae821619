"""From measurements to devices: `fit(trace)` finds the law, its numbers and their errors.

One package for each kind of measurement (`loops`, `pulses`, `reads`, `read_noise`, `retention`, `write_errors`, `cycling`),
with its data and its models, which are listed as `CANDIDATES` (see `AbstractCandidate`, `kinds.py`). `engine` has the search,
the errors and the tests, `report` the figures and the advice: common to all.
"""

from devices.fitting.assembly import assemble, posterior
from devices.fitting.engine.candidate import AbstractCandidate, AbstractResiduals
from devices.fitting.engine.parameters import Parameter, Space
from devices.fitting.engine.profiles import profile
from devices.fitting.engine.result import Check, Fit, Number, Panel, Series
from devices.fitting.engine.uncertainty import bootstrap
from devices.fitting.estimation import coverage, fit, fit_candidate
from devices.fitting.kinds import candidates
from devices.fitting.report.figures import panels

__all__ = [
    "AbstractCandidate",
    "AbstractResiduals",
    "Check",
    "Fit",
    "Number",
    "Panel",
    "Parameter",
    "Series",
    "Space",
    "assemble",
    "bootstrap",
    "candidates",
    "coverage",
    "fit",
    "fit_candidate",
    "panels",
    "posterior",
    "profile",
]
