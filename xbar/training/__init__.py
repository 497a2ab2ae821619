"""Training for the arrays, and on them.

Small pieces for your own training loop (plain JAX, Equinox, Flax; Optax transformations where they act on updates):
noise and faults on weights, clipping, losses, gradients, adapters; what restores a programmed chip without training;
pulses instead of computed weights. Each says where it comes from and when it breaks.
"""

from xbar.training import insitu
from xbar.training.array_weights import ArrayWeights, weights_of
from xbar.training.committees import committee
from xbar.training.converter_ranges import learn_ranges
from xbar.training.distillation import distillation_loss
from xbar.training.fault_remapping import line_order, program_around_faults
from xbar.training.hardware_aware import moment_matched
from xbar.training.low_rank import low_rank_adapters, share_of_weights
from xbar.training.output_statistics import match_statistics
from xbar.training.pulse_trains import PulseTrains
from xbar.training.selective_write_verify import curvature, most_sensitive, program_selectively
from xbar.training.sharpness import sharpness_aware
from xbar.training.weight_clipping import clip_weights, keep_clipped, remap_channels
from xbar.training.weight_perturbation import NoisePool, draw_time, drop_weights, log_uniform_times, weight_noise

__all__ = [
    "ArrayWeights",
    "NoisePool",
    "PulseTrains",
    "clip_weights",
    "committee",
    "curvature",
    "distillation_loss",
    "draw_time",
    "drop_weights",
    "insitu",
    "keep_clipped",
    "learn_ranges",
    "line_order",
    "log_uniform_times",
    "low_rank_adapters",
    "match_statistics",
    "moment_matched",
    "most_sensitive",
    "program_around_faults",
    "program_selectively",
    "remap_channels",
    "share_of_weights",
    "sharpness_aware",
    "weight_noise",
    "weights_of",
]
