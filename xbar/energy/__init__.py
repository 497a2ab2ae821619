"""Energy: the ledger of an analog network, prices with their sources, and the GPU it is compared with."""

from xbar.energy.adc import (
    AbstractADCModel,
    Andrulis,
    NeuroSimSAR,
    NeuroSimSenseAmplifier,
    SurveyBound,
    soft_min,
    survey_bound,
)
from xbar.energy.adc_designs import DesignPoint, forms_adc, isaac_adc, neurram_adc, newton_adc, timely_adc
from xbar.energy.coefficient import Coefficient, Part
from xbar.energy.event_driven import EventChip, event_chips
from xbar.energy.gpu import GPU, Roofline, a100_sxm, h100_sxm, ridge_batch, roofline, roofline_range
from xbar.energy.ledger import Ledger, price
from xbar.energy.pricing import COMPONENTS
from xbar.energy.published import (
    Constant,
    System,
    brain_event,
    footnotes,
    loihi_event,
    measured_systems,
    truenorth_event,
)
from xbar.energy.scaling import area_scale, energy_scale, nominal_supply
from xbar.energy.schedule import Schedule
from xbar.energy.technology import Technology, coefficients
from xbar.energy.units import engineering
from xbar.energy.usage import LayerCosts, Usage
from xbar.graph.work import Work, count, work_of
from xbar.macro.write_counts import AssumedWrites, Writes

__all__ = [
    "COMPONENTS",
    "GPU",
    "AbstractADCModel",
    "Andrulis",
    "AssumedWrites",
    "Coefficient",
    "Constant",
    "DesignPoint",
    "EventChip",
    "LayerCosts",
    "Ledger",
    "NeuroSimSAR",
    "NeuroSimSenseAmplifier",
    "Part",
    "Roofline",
    "Schedule",
    "SurveyBound",
    "System",
    "Technology",
    "Usage",
    "Work",
    "Writes",
    "a100_sxm",
    "area_scale",
    "brain_event",
    "coefficients",
    "count",
    "energy_scale",
    "engineering",
    "event_chips",
    "footnotes",
    "forms_adc",
    "h100_sxm",
    "isaac_adc",
    "loihi_event",
    "measured_systems",
    "neurram_adc",
    "newton_adc",
    "nominal_supply",
    "price",
    "ridge_batch",
    "roofline",
    "roofline_range",
    "soft_min",
    "survey_bound",
    "timely_adc",
    "truenorth_event",
    "work_of",
]
