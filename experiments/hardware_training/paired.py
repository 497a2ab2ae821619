"""Means over chips and test inputs, with the two errors separated."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Summary:
    """Summary of values by chip and by test input.

    $$ x_{ci} = m + a_c + b_i + e_{ci}, \\qquad
       \\mathrm{var}(\\bar x) = \\frac{s_a^2}{C} + \\frac{s_b^2}{N} + \\frac{s_e^2}{C N} $$

    Args:
        mean: `m`. spread: standard deviation over chips `s_a`, without what a finite test set adds to it. over_chips,
            over_inputs: standard errors of the mean due to the choice of chips and of inputs; a larger test set would reduce
            the latter.
    """

    mean: float
    spread: float
    over_chips: float
    over_inputs: float

    @property
    def error(self) -> float:
        """Standard error of the mean, from both."""
        return float(np.hypot(self.over_chips, self.over_inputs))


def summary(values: np.ndarray) -> Summary:
    """Mean and errors of `values[chip, input]`; for a difference of two such arrays, those of the paired difference.

    Breaks when: chips of different folds share nothing: the number of chips is then chips times folds, and the error over
    chips is overstated.
    """
    chips, count = values.shape
    mean, by_chip, by_input = values.mean(), values.mean(1), values.mean(0)
    rest = values - by_chip[:, None] - by_input[None] + mean
    residual = np.sum(rest**2) / max((chips - 1) * (count - 1), 1)
    of_chips = max(np.var(by_chip, ddof=1) - residual / count, 0.0)
    of_inputs = max(np.var(by_input, ddof=1) - residual / chips, 0.0)
    return Summary(
        float(mean),
        float(np.sqrt(of_chips)),
        float(np.sqrt(of_chips / chips)),
        float(np.sqrt(of_inputs / count + residual / (chips * count))),
    )
