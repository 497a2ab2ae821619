"""Training for the arrays, and on them: noise of many cells for the price of outputs; pulses instead of computed weights."""

from xbar.training.hardware_aware import moment_matched
from xbar.training.pulse_trains import PulseTrains

__all__ = ["PulseTrains", "moment_matched"]
