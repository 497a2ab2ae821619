"""Published results and how they are reproduced here: one file per case, listed as `CASES`."""

from experiments.published import (
    chip_trained_cnn,
    hardware_aware_resnet,
    neurosim_devices,
    pcm_drift,
    programming_errors,
    pulsed_training,
    wire_drop,
)
from experiments.published.case import Case, Claim

CASES: dict[str, Case] = {
    "E1": programming_errors.CASE,
    "E2": pcm_drift.CASE,
    "E3": hardware_aware_resnet.CASE,
    "E4": neurosim_devices.CASE,
    "E5": pulsed_training.CASE,
    "E6": chip_trained_cnn.CASE,
    "E7": wire_drop.CASE,
}

__all__ = ["CASES", "Case", "Claim"]
