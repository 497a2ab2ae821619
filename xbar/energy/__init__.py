"""Energy: the ledger of an analog network, prices with their sources, and the GPU it is compared with."""

from xbar.energy.adc import AbstractADCModel, Andrulis, NeuroSimSAR, soft_ceil, soft_min, survey_bound
from xbar.energy.gpu import GPU, Roofline, a100_sxm, h100_sxm, ridge_batch, roofline, roofline_range
from xbar.energy.ledger import COMPONENTS, Ledger, price
from xbar.energy.scaling import energy_scale, nominal_supply
from xbar.energy.technology import Coefficient, Technology, coefficients
from xbar.energy.units import engineering
from xbar.energy.usage import LayerCosts, Usage
from xbar.graph.work import Work, count, work_of

__all__ = [
    "COMPONENTS",
    "GPU",
    "AbstractADCModel",
    "Andrulis",
    "Coefficient",
    "LayerCosts",
    "Ledger",
    "NeuroSimSAR",
    "Roofline",
    "Technology",
    "Usage",
    "Work",
    "a100_sxm",
    "coefficients",
    "count",
    "energy_scale",
    "engineering",
    "h100_sxm",
    "nominal_supply",
    "price",
    "ridge_batch",
    "roofline",
    "roofline_range",
    "soft_ceil",
    "soft_min",
    "survey_bound",
    "work_of",
]
