"""Spreads of means: what a single value has, and the interval of a mean."""

import numpy as np
import pytest

from experiments.framework import error_bars


def test_a_single_value_has_no_spread():
    """Not one of 0: nothing is known of it, and figures draw no bar."""
    assert error_bars.with_deviation(np.array([75.04])) == "75.0 ± none"
    assert np.isnan(error_bars.deviation([1.0]))
    assert error_bars.with_deviation([1.0, 2.0], 2, "+-") == "1.50 +- 0.71"
    assert error_bars.with_deviation([2.0, 2.0]) == "2.0 ± 0.0"


def test_intervals_of_few_values_are_wide():
    assert error_bars.students_t(np.array([1, 2, 1e6])) == pytest.approx([12.706, 4.303, 1.960], abs=1e-3)
