"""Pairs of reads before and after a bake: one that contradicts a harder bake is named and left out."""

import numpy as np
import pytest

from devices.fitting.retention import bake_pairs
from devices.fitting.retention.bake_models import OneBarrier
from devices.fitting.retention.failure_models import Failures
from devices.instruments import FileError, Trace

CELLS = 200


def bakes(celsius=(85.0, 110.0, 130.0), overwritten=(85.0,), scatter=0.1, seed=0):
    """Cells of their own at each temperature, baked for an hour; where overwritten, other conductances are read after it."""
    rng = np.random.default_rng(seed)
    parts = []
    for k, degrees in enumerate(celsius):
        g0 = np.exp(rng.uniform(np.log(2e-6), np.log(1e-4), CELLS))
        g = np.exp(rng.uniform(np.log(2e-6), np.log(1e-4), CELLS)) if degrees in overwritten else g0
        g = g * np.exp(scatter * rng.standard_normal(CELLS))
        device = k * 1000.0 + np.arange(CELLS)
        parts.append([device, np.full(CELLS, 3600.0), np.full(CELLS, degrees + 273.15), g, g0])
    columns = dict(zip(("device", "t", "temperature", "g", "g0"), np.concatenate(parts, 1), strict=True))
    return Trace("retention", columns)


@pytest.mark.parametrize("model", [OneBarrier, Failures])
def test_an_overwritten_pair_is_named_and_left_out(model):
    trace = bakes(scatter=0.6)
    candidate, data = model.of(trace)
    said = " ".join(candidate.notes(data))
    assert "the pair at 85 C, 3.6e+03 s was left out" in said
    assert said.count("left out") == 1 and "110 C" in said and "130 C" in said
    assert candidate.blocks == 2 * CELLS


def test_correlations_are_judged_pair_by_pair_with_their_intervals():
    """Noise of 0.1 in ln g against a spread of 1.1: 0.99 in order; overwritten: none, within the interval 9 times in 10."""
    cold, *others = bake_pairs.pairs(bakes())
    assert cold.low < cold.correlation < cold.high < 0.5
    assert cold.overwritten and not any(p.overwritten for p in others)
    assert all(p.low > 0.97 for p in others)
    held = [bake_pairs.pairs(bakes(seed=k))[0] for k in range(100)]
    assert 0.8 < np.mean([p.low < 0 < p.high for p in held]) < 0.98


def test_a_hotter_bake_that_erases_is_no_contradiction():
    """Cells that lost everything in the hottest bake, or in all of them, are what retention is about."""
    for erased in ((130.0,), (85.0, 110.0, 130.0), (110.0, 130.0)):
        trace = bakes(overwritten=erased)
        assert not any(p.overwritten for p in bake_pairs.pairs(trace))
        assert bake_pairs.kept(trace, bake_pairs.pairs(trace)).all()


def test_one_temperature_that_is_left_is_too_few():
    with pytest.raises(FileError, match=r"one temperature left.*85 C.*left out"):
        OneBarrier.of(bakes((85.0, 110.0)))
