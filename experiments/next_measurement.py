"""Which measurement reduces the uncertainty of a network's accuracy most, from the posterior of a fitted device.

With the accuracy linear in the device parameters, `A = A_0 + s (theta - theta_0)`, the draws of the posterior give its
variance, and what remains of it once the parameters of one part are known.
"""

from __future__ import annotations

import dataclasses

import numpy as np

MEASUREMENTS = {
    "range": "read I-V of cells at both ends of the range",
    "programming": "a write-verify log of more cells",
    "drift": "a retention record of more cells, and longer",
    "read_noise": "a noise record",
    "conduction": "read I-V curves",
    "faults": "a map of faults, or endurance",
}


@dataclasses.dataclass(frozen=True)
class Uncertainty:
    """Standard deviation of the accuracy due to what is not known about the device.

    Args:
        parts: of the device. total: due to all together. alone: due to each part's parameters, the others known.
        left: due to all others, once each part is known.
    """

    parts: tuple[str, ...]
    total: float
    alone: np.ndarray
    left: np.ndarray

    @property
    def best(self) -> str:
        """The part whose knowledge leaves the least uncertainty."""
        return self.parts[int(np.argmin(self.left))]


def linearised(slope: np.ndarray, draws: np.ndarray, parts: tuple[str, ...]) -> Uncertainty:
    """The uncertainty of `slope @ theta`.

    Args:
        slope: dA/dtheta. draws: of theta, [draws, numbers]. parts: the part of each number.
    """
    moved = (draws - draws.mean(0)) * slope
    names = tuple(dict.fromkeys(p for p, v in zip(parts, draws.var(0), strict=True) if v > 0))
    own = np.array([moved[:, [p == name for p in parts]].sum(1) for name in names]).reshape(len(names), len(draws))
    total = own.sum(0)
    deviation = lambda a: a.std(ddof=1, axis=-1)  # noqa: E731
    return Uncertainty(names, float(deviation(total)), deviation(own), deviation(total - own))
