"""From measurements to devices: `fit(trace)` finds the law, its numbers and their errors.

One module a kind of measurement, each a list of `CANDIDATES` (see `AbstractCandidate`); the search, the errors, the
tests and the advice are common to all.
"""

from devices.fitting.assemble import assemble, posterior
from devices.fitting.candidate import AbstractCandidate, AbstractResiduals
from devices.fitting.fit import coverage, fit, fit_candidate
from devices.fitting.kinds import candidates
from devices.fitting.parameters import Parameter, Space
from devices.fitting.profiles import profile
from devices.fitting.result import Check, Fit, Number, Panel, Series
from devices.fitting.uncertainty import bootstrap

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
    "posterior",
    "profile",
]
