"""Spiking networks on crossbars: neurons, coding, layers, plasticity, exchange with other simulators."""

from xbar.spiking.coding import count, delta, direct, first_spike, latency, membrane_mean, rate, regular
from xbar.spiking.conversion import converted, rate_logits
from xbar.spiking.events import EventCounts, count_events
from xbar.spiking.exchange import NIRNetwork, from_nir, to_nir
from xbar.spiking.layers import Spiking, SpikingRun
from xbar.spiking.neurons import LIF, FixedPointLIF, NeuronState
from xbar.spiking.plasticity import PairSTDP, SimplifiedSTDP
from xbar.spiking.surrogate import spike

__all__ = [
    "LIF",
    "EventCounts",
    "FixedPointLIF",
    "NIRNetwork",
    "NeuronState",
    "PairSTDP",
    "SimplifiedSTDP",
    "Spiking",
    "SpikingRun",
    "converted",
    "count",
    "count_events",
    "delta",
    "direct",
    "first_spike",
    "from_nir",
    "latency",
    "membrane_mean",
    "rate",
    "rate_logits",
    "regular",
    "spike",
    "to_nir",
]
