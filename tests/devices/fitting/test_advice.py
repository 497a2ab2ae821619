"""What a fit advises and remarks: only what a measurement adds, nothing about nuisances, no errors without one."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices.fitting.engine import checks, uncertainty
from devices.fitting.engine.candidate import CONTINUED, AbstractResiduals
from devices.fitting.engine.optimum import Optimum
from devices.fitting.engine.parameters import Parameter, Space
from devices.fitting.engine.result import Fit, Number
from devices.fitting.estimation import foretelling
from devices.fitting.report.recommendations import advice, inseparable


class Line(AbstractResiduals):
    """`i = a + b v`, a being the instrument's; proposals that only repeat, that go on, and that reach further."""

    kind: ClassVar[str] = "read-iv"
    name: ClassVar[str] = "line"
    law: ClassVar[str] = "i = a + b v"
    nuisances: ClassVar[tuple[str, ...]] = ("a",)
    proposals: ClassVar[str] = ""

    @classmethod
    def of(cls, trace):
        raise NotImplementedError

    def parameters(self):
        return tuple(Parameter(n, "", -np.inf, np.inf, (-1.0, 1.0)) for n in "ab")

    def residuals(self, values: Mapping, data: Any):
        return values["a"] + values["b"] * data["x"] - data["y"]

    def used(self, data: Any):
        return jnp.ones(jnp.shape(data["x"]))

    def simulate(self, values: Mapping, data: Any, *, key):
        return data

    def laws(self, values, data):
        return {}

    def experiments(self, data):
        wider = {"x": 3 * data["x"], "y": data["y"]}
        longer = {k: np.concatenate([v, v]) for k, v in data.items()}
        far = {k: np.concatenate([data[k], v]) for k, v in wider.items()}
        return (
            ("the same again", data),
            ("as long again", longer, CONTINUED),
            ("nothing more", data, CONTINUED),
            ("three times as far as well", wider),
            ("go on to three times as far", far, CONTINUED),
            ("at 0 V only", {"x": 0 * data["x"], "y": data["y"]}),
        )


def at(candidate, data, sigma=1.0):
    """An optimum with the information of these data."""
    with jax.enable_x64(True):
        slopes = np.stack([np.ones(data["x"].size), data["x"].ravel()], 1)
        information = jnp.asarray(slopes.T @ slopes / sigma**2)
        zero = jnp.zeros(())
        return Optimum(jnp.zeros(2), zero + sigma, zero, zero, information, jnp.zeros((1, 2)))


def test_advice_counts_what_a_measurement_adds():
    """10 readings of a slope: three times as far shrinks its error 3.2 times (1 + 9 of the information), as long again 1.4
    times; the same again is worth that to any number and no advice, nor is what adds nothing."""
    data = {"x": np.linspace(-1, 1, 10)[None], "y": np.zeros((1, 10))}
    found = advice(Line(), Space(Line().parameters()), data, at(Line(), data))
    assert len(found) == 2
    assert all("three times as far" in s and "the error of b would shrink by a factor of 3.2" in s for s in found)


def test_advice_is_not_about_nuisances():
    """The offset is what is known worst, by far: only the slope is spoken of."""
    data = {"x": np.linspace(-1, 1, 10)[None] + 3, "y": np.zeros((1, 10))}
    found = advice(Line(), Space(Line().parameters()), data, at(Line(), data))
    assert found and all("the error of b would" in s for s in found)


def test_the_worst_of_what_cannot_be_told_apart_is_one_sentence():
    """Five numbers of which only the sum is known: ten pairs, one sentence with all names."""
    space = Space(tuple(Parameter(n, "", -np.inf, np.inf, (-1.0, 1.0)) for n in "abcde"))
    with jax.enable_x64(True):
        zero, ones = jnp.zeros(()), np.ones((5, 5))
        information = 1e4 * (5 * np.eye(5) - ones) + 1e-2 * ones  # differences known, the sum not: all pairs +1
        best = Optimum(jnp.zeros(5), zero, zero, zero, jnp.asarray(information), jnp.zeros((1, 5)))
    [said] = inseparable(space, best)
    assert "cannot be told apart" in said and "likewise for 9 more pairs" in said
    assert all(name in said for name in "abcde")
    assert inseparable(space, dataclasses.replace(best, information=jnp.eye(5))) == ()


def test_a_flat_likelihood_has_no_error_however_little_its_blocks_scatter():
    """Blocks of data that all say nothing about b scatter by nothing: their error, 0, is none."""
    space = Space((Parameter("a", "", 0.0, 1.0), Parameter("b", "", 0.0, 1.0), Parameter("c", "", 0.0, 1.0)))
    with jax.enable_x64(True):
        zero = jnp.zeros(())
        information = jnp.diag(jnp.asarray([100.0, 0.0, 100.0]))
        scores = np.random.default_rng(0).standard_normal((50, 3)) * np.array([1.0, 0.0, 1.0])
        best = Optimum(jnp.asarray([0.0, 0.0, -9.0]), zero, zero, zero, information, jnp.asarray(scores))
    spread = uncertainty.covariance(best, robust=True)
    a, b, c = uncertainty.numbers(space, best, spread, 1000)
    assert float(a.error) == pytest.approx(a.stderr, rel=0.05)
    assert b.error == "unknown" and b.low < 1e-6 and b.high > 1 - 1e-6
    assert c.error == "at bound" and "lower bound" in c.note


def test_numbers_print_errors_only_where_there_are_any():
    from devices.fitting.engine.result import _shown

    known = Number("v0", "V", 0.4, 0.01, 0.38, 0.42)
    assert "±" in _shown(known)
    for note in ("at its lower bound; interval by profile", "not determined by these data"):
        said = _shown(dataclasses.replace(known, stderr=4.6e-7, note=note))
        assert "±" not in said and "4.6e-07" not in said and note in said


def ranked(model, held_out, nll):
    """A fit of which `foretelling` looks at these."""
    nothing: dict = dict.fromkeys(f.name for f in dataclasses.fields(Fit))
    empty = {"numbers": (), "checks": (), "flags": (), "advice": (), "panels": (), "measures": {}, "others": ()}
    arrays = dict.fromkeys(("theta", "covariance", "laplace", "correlation"), np.zeros(0))
    plain = {"kind": "read-iv", "law": "", "code": "", "sigma": np.nan, "converged": True, "rows": 100, "seconds": 0.0}
    return Fit(**{**nothing, **empty, **arrays, **plain, "model": model, "held_out": held_out, "nll": nll})


def test_a_winner_that_predicts_badly_is_remarked():
    good, poor = ranked("good", (-2.0, 0.1), -205.0), ranked("poor", (-0.5, 0.7), -230.0)
    wild = ranked("wild", (1e7, 1e7), -230.0)
    assert foretelling((good, poor)) == ()
    [said] = foretelling((poor, good))
    assert "poor is the best by BIC" in said and "worse than that of good" in said
    [said] = foretelling((wild,))
    assert "a few blocks dominate" in said
    assert foretelling((ranked("one block", (np.nan, np.nan), -200.0),)) == ()


def test_a_scatter_far_too_small_is_no_verdict():
    """Reads that are means of others have no variance of their own: chi-squared of 0 accepts nothing."""
    none, right = checks.scatter(1e-4, 20.0, "means"), checks.scatter(19.0, 20.0, "means")
    assert np.isnan(none.p) and not none.rejected and "no test" in none.sentence
    assert 0.4 < right.p < 0.7
    assert checks.scatter(60.0, 20.0, "means").rejected
