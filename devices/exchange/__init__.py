"""Export to other programs: a device's pulse law for aihwkit and NeuroSim, a compact model as Verilog-A or SPICE."""

from devices.exchange.aihwkit import to_aihwkit
from devices.exchange.neurosim import to_neurosim
from devices.exchange.spice import to_spice
from devices.exchange.verilog_a import to_verilog_a

__all__ = ["to_aihwkit", "to_neurosim", "to_spice", "to_verilog_a"]
