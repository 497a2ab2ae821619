"""From the weights of a normalised parameter set to siemens."""

from __future__ import annotations

import dataclasses

RANGE_NOTE = (
    "The published set is in normalised weights; the range in siemens is a choice of xbar's and does not change any ratio. "
    "Set g_min and g_max to your own."
)


@dataclasses.dataclass(frozen=True)
class Scale:
    """Affine map of weights `w_min .. w_max` on conductances `g_min .. g_max` [S]."""

    g_min: float
    g_max: float
    w_min: float
    w_max: float

    @property
    def unit(self) -> float:
        """Conductance of a weight difference of 1 [S]."""
        return (self.g_max - self.g_min) / (self.w_max - self.w_min)

    @property
    def zero(self) -> float:
        """Conductance of a weight of 0 [S]."""
        return self.g_min - self.w_min * self.unit
