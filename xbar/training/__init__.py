"""Training on the arrays themselves: pulses on rows and columns instead of computed weights."""

from xbar.training.pulse_trains import PulseTrains

__all__ = ["PulseTrains"]
