"""Compact models: memristors as one state, one rate and one read-out, driven by any waveform.

A model subclasses `AbstractMemristor`; `Circuit` puts a resistor and a source with a current limit around it;
`simulate` drives it; `pulse_response` makes a synapse of it. Published parameter sets are functions, listed by
`devices.names()`.
"""

from devices.compact.base import AbstractMemristor
from devices.compact.circuit import Circuit
from devices.compact.data_driven import DataDriven, messaris_memtorch, messaris_tiox
from devices.compact.diffusive_silver import DiffusiveSilver, ag_hfo2_selector
from devices.compact.filament import Filament, bundle
from devices.compact.jart import JartVCM, jart_vcm_v1b, jart_vcm_v1b_variable
from devices.compact.linear_ion_drift import LinearIonDrift, strukov2008
from devices.compact.memdiode import Memdiode, memdiode_aguirre
from devices.compact.metastable_switch import (
    MetastableSwitch,
    StochasticMetastableSwitch,
    gmss_spice_default,
    gmss_xyce,
)
from devices.compact.niobium_dioxide import MottSwitch, PooleFrenkelSwitch, nbo2_pickett2012, nbo2_poole_frenkel
from devices.compact.rate_balance import RateBalance, milano2022_nanowires
from devices.compact.simmons import SimmonsTunnelBarrier, simmons_pickett2009
from devices.compact.simulation import Simulation, Waveform, simulate, sine, triangle
from devices.compact.stanford import (
    NoisyStanfordPKU,
    StanfordPKU,
    stanford_alon,
    stanford_hfo2_granada,
    stanford_hfox_default,
)
from devices.compact.synapse import Pulse, disturbance, pulse_response
from devices.compact.team import TEAM, VTEAM, team_simmons, vteam_knowm_wsdc, vteam_magic, vteam_memtorch
from devices.compact.tungsten_oxide import TungstenOxide, chang_wox
from devices.compact.yakopcic import (
    Yakopcic,
    yakopcic_jo2010,
    yakopcic_miao2011,
    yakopcic_oblea2010,
    yakopcic_oblea2010_pulsed,
)

__all__ = [
    "TEAM",
    "VTEAM",
    "AbstractMemristor",
    "Circuit",
    "DataDriven",
    "DiffusiveSilver",
    "Filament",
    "JartVCM",
    "LinearIonDrift",
    "Memdiode",
    "MetastableSwitch",
    "MottSwitch",
    "NoisyStanfordPKU",
    "PooleFrenkelSwitch",
    "Pulse",
    "RateBalance",
    "SimmonsTunnelBarrier",
    "Simulation",
    "StanfordPKU",
    "StochasticMetastableSwitch",
    "TungstenOxide",
    "Waveform",
    "Yakopcic",
    "ag_hfo2_selector",
    "bundle",
    "chang_wox",
    "disturbance",
    "gmss_spice_default",
    "gmss_xyce",
    "jart_vcm_v1b",
    "jart_vcm_v1b_variable",
    "memdiode_aguirre",
    "messaris_memtorch",
    "messaris_tiox",
    "milano2022_nanowires",
    "nbo2_pickett2012",
    "nbo2_poole_frenkel",
    "pulse_response",
    "simmons_pickett2009",
    "simulate",
    "sine",
    "stanford_alon",
    "stanford_hfo2_granada",
    "stanford_hfox_default",
    "strukov2008",
    "team_simmons",
    "triangle",
    "vteam_knowm_wsdc",
    "vteam_magic",
    "vteam_memtorch",
    "yakopcic_jo2010",
    "yakopcic_miao2011",
    "yakopcic_oblea2010",
    "yakopcic_oblea2010_pulsed",
]
