"""`panels`: the figures of a fit, by the model that was fitted."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from devices.fitting.cycling.cycle_models import CycleTable
from devices.fitting.cycling.endurance_models import Window
from devices.fitting.engine.result import Panel
from devices.fitting.loops.loop_base import AbstractLoop
from devices.fitting.pulses.pulse_map_models import PulseMap
from devices.fitting.pulses.pulse_models import PulseTrain
from devices.fitting.read_noise.spectrum_models import WhiteSpectrum
from devices.fitting.read_noise.spectrum_population import PopulationSpectrum
from devices.fitting.read_noise.telegraph_models import OneTrap
from devices.fitting.reads.read_iv_models import OhmicRead
from devices.fitting.report.cycling_figures import cycle_panels, endurance_panels
from devices.fitting.report.loop_figures import loop_panels
from devices.fitting.report.pulse_figures import pulse_map_panels, pulse_panels
from devices.fitting.report.read_figures import read_iv_panels
from devices.fitting.report.read_noise_figures import population_panels, spectrum_panels, telegraph_panels
from devices.fitting.report.retention_figures import bake_panels, failure_panels, relaxation_panels
from devices.fitting.report.write_error_figures import final_error_panels, write_error_panels
from devices.fitting.retention.bake_models import Bake
from devices.fitting.retention.failure_models import Failures
from devices.fitting.retention.power_law_models import PowerLawRetention
from devices.fitting.retention.relaxation_models import LogTime
from devices.fitting.write_errors.final_error_models import FinalErrors
from devices.fitting.write_errors.write_error_models import WriteErrors


@functools.singledispatch
def panels(candidate: Any, values: Mapping[str, float], data: Any) -> tuple[Panel, ...]:
    """Figures of a fitted candidate: data under model first, then residuals; none for one without known figures.

    Figures of your own candidate: `panels.register(MyCandidate, my_panels)` with a function of the same arguments.
    """
    return ()


panels.register(AbstractLoop, loop_panels)
panels.register(PulseTrain, pulse_panels)
panels.register(PulseMap, pulse_map_panels)
panels.register(OhmicRead, read_iv_panels)
panels.register(WhiteSpectrum, spectrum_panels)
panels.register(PopulationSpectrum, population_panels)
panels.register(OneTrap, telegraph_panels)
panels.register(LogTime, relaxation_panels)
panels.register(PowerLawRetention, relaxation_panels)
panels.register(Bake, bake_panels)
panels.register(Failures, failure_panels)
panels.register(WriteErrors, write_error_panels)
panels.register(FinalErrors, final_error_panels)
panels.register(CycleTable, cycle_panels)
panels.register(Window, endurance_panels)
