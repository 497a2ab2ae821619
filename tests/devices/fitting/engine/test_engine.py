"""The machinery common to all fitters, on two models whose answers are known in closed form."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices import fitting
from devices.fitting import (
    AbstractCandidate,
    AbstractResiduals,
    Parameter,
    Space,
    bootstrap,
    coverage,
    estimation,
    fit_candidate,
    profile,
)
from devices.fitting.engine import checks, uncertainty
from devices.fitting.engine.draws import draw
from devices.fitting.engine.mixing import mixed_ends
from devices.fitting.engine.optimum import Optimum, search_once
from devices.fitting.engine.profiles import _crossings, intervals
from devices.fitting.engine.result import Check, Panel
from devices.fitting.kinds import MODULES
from devices.fitting.report.recommendations import advice
from devices.instruments import Trace, sidecar

ROWS = 120


class Line(AbstractResiduals):
    """`g = a + b v`, in blocks of ten readings."""

    kind: ClassVar[str] = "read-iv"
    name: ClassVar[str] = "line"
    law: ClassVar[str] = "i = a + b v"

    @classmethod
    def of(cls, trace):
        return cls(), {"x": trace["v"].reshape(-1, 10), "y": trace["i"].reshape(-1, 10)}

    def parameters(self):
        return (
            Parameter("a", "A", -np.inf, np.inf, (-1.0, 1.0)),
            Parameter("b", "S", 0.0, np.inf, (0.1, 10.0), log=True),
        )

    def residuals(self, values: Mapping, data: Any) -> Float[Array, "blocks rows"]:
        return values["a"] + values["b"] * data["x"] - data["y"]

    def used(self, data: Any) -> Float[Array, "blocks rows"]:
        return jnp.ones(jnp.shape(data["x"]))

    def simulate(self, values: Mapping, data: Any, *, key: PRNGKeyArray) -> Any:
        noise = jax.random.normal(key, data["x"].shape, jnp.float64)
        return {"x": data["x"], "y": values["a"] + values["b"] * data["x"] + values["sigma"] * noise}

    def laws(self, values, data):
        return {}


class Exponential(Line):
    """`i = b (exp(c v / 1000) - 1)`: at a few volts only the product `b c` can be known."""

    name: ClassVar[str] = "exponential"

    def parameters(self):
        return (
            Parameter("b", "A", 0.0, np.inf, (1.0, 1e4), log=True),
            Parameter("c", "1/V", 0.0, np.inf, (0.1, 10.0), log=True),
        )

    def residuals(self, values: Mapping, data: Any) -> Float[Array, "blocks rows"]:
        return values["b"] * jnp.expm1(values["c"] * data["x"] / 1000) - data["y"]

    def experiments(self, data):
        return (("the same again", data), ("measure to 1000 V", {"x": data["x"] * 500, "y": data["y"]}))


class Doubted(Line):
    """A line whose noise is known not to be that of the model."""

    name: ClassVar[str] = "doubted"

    def checks(self, values, data):
        return (Check("noise", 9.0, 1e-9, "the noise is of another kind"),)


class Walled(Line):
    """`i = a + h(s) v`, h is 0 at s = 0, 3 at 0.01, and has another valley near 0.1, where it does not fall below 0.09."""

    name: ClassVar[str] = "walled"

    def parameters(self):
        return (Parameter("a", "A", -np.inf, np.inf, (-1.0, 1.0)), Parameter("s", "", 0.0, 1.0))

    def guesses(self, data):
        return [{"a": 0.3, "s": 1e-3}]

    def residuals(self, values: Mapping, data: Any) -> Float[Array, "blocks rows"]:
        far = values["s"] / 0.01
        return values["a"] + (3 * far * jnp.exp(1 - far) + values["s"]) * data["x"] - data["y"]


class DoubtedWall(Doubted, Walled):
    """Both."""

    name: ClassVar[str] = "doubted wall"


class Waiting(AbstractCandidate):
    """Exponential waiting times, of mean `tau`."""

    kind: ClassVar[str] = "read-iv"
    name: ClassVar[str] = "waiting"
    law: ClassVar[str] = "p(i) = exp(-i/tau)/tau"

    @classmethod
    def of(cls, trace):
        return cls(), trace["i"].reshape(-1, 10)

    def parameters(self):
        return (Parameter("tau", "A", 0.0, np.inf, (0.01, 100.0), log=True),)

    def nll(self, values: Mapping, data: Any) -> Float[Array, " blocks"]:
        return jnp.sum(jnp.log(values["tau"]) + data / values["tau"], 1)

    def simulate(self, values: Mapping, data: Any, *, key: PRNGKeyArray) -> Any:
        return values["tau"] * jax.random.exponential(key, data.shape, jnp.float64)

    def count(self, data):
        return data.size

    def laws(self, values, data):
        return {}


class Wells(Waiting):
    """A likelihood with two optima, at nearly -1 and 1, a low saddle between them; only the worse is guessed."""

    name: ClassVar[str] = "wells"

    def parameters(self):
        return (Parameter("b", "A", -np.inf, np.inf, (-1.0, 1.0)),)

    def guesses(self, data):
        return [{"b": 1.0}]

    def nll(self, values: Mapping, data: Any) -> Float[Array, " blocks"]:
        b = values["b"]
        return (0.3 * (b**2 - 1) ** 2 + 0.25 * b) / len(data) * jnp.ones(len(data))


class FarWells(Wells):
    """A saddle that no interval crosses, and optima of about the same likelihood."""

    name: ClassVar[str] = "far wells"

    def nll(self, values: Mapping, data: Any) -> Float[Array, " blocks"]:
        b = values["b"]
        return (4 * (b**2 - 1) ** 2 + 0.2 * b) / len(data) * jnp.ones(len(data))


def line_trace(noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    v = np.linspace(0.1, 2, ROWS)
    return Trace("read-iv", {"v": v, "i": 0.3 + 2.0 * v + noise * rng.standard_normal(ROWS)})


def fitted(candidate, trace, **options):
    return fit_candidate(*candidate.of(trace), trace, **options)


def test_least_squares_gives_the_closed_form_of_a_line():
    """Ordinary least squares with its textbook covariance, to rounding; the slope through its logarithm."""
    trace = line_trace()
    found = fitted(Line, trace)
    design = np.stack([np.ones(ROWS), trace["v"]], 1)
    answer, squares, *_ = np.linalg.lstsq(design, trace["i"])
    sigma = np.sqrt(squares[0] / (ROWS - 2))
    errors = sigma * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
    np.testing.assert_allclose([found.estimate["a"], found.estimate["b"]], answer, rtol=1e-7)
    np.testing.assert_allclose([found.stderr["a"], found.stderr["b"]], errors, rtol=1e-4)  # a ridge of 1e-4 is in there
    np.testing.assert_allclose(found.sigma, sigma, rtol=1e-7)
    assert found.converged
    assert found.code == "converged"


def test_likelihood_gives_the_closed_form_of_waiting_times():
    """The estimate is the mean, its error the mean over the root of the count, and the profile -n(ln(r) + 1/r - 1)."""
    x = np.random.default_rng(1).exponential(3.0, ROWS)
    found = fitted(Waiting, Trace("read-iv", {"v": x, "i": x}))
    np.testing.assert_allclose(found.estimate["tau"], x.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.stderr["tau"], x.mean() / np.sqrt(ROWS), rtol=1e-5)
    np.testing.assert_allclose(found.nll, ROWS * (np.log(x.mean()) + 1), rtol=1e-10)
    np.testing.assert_allclose(found.bic - found.aic, np.log(ROWS) - 2, rtol=1e-10)


def test_profile_crosses_where_the_likelihood_falls_by_its_limit():
    """For the mean of exponential times the profile is known: n (r - 1 - ln r) at both ends, r = mean / end, is half the
    square of Student's quantile; found as a root to 2 %."""
    x = np.random.default_rng(2).exponential(3.0, ROWS)
    candidate, data = Waiting.of(Trace("read-iv", {"v": x, "i": x}))
    found = fitted(Waiting, Trace("read-iv", {"v": x, "i": x}))
    space = Space(candidate.parameters())
    [(low, high)] = profile(candidate, space, data, _optimum(candidate, space, data, found), ("tau",))
    for end in (low, high):
        r = x.mean() / end
        np.testing.assert_allclose(ROWS * (r - 1 - np.log(r)), stats.t.ppf(0.95, ROWS - 1) ** 2 / 2, rtol=0.045)


def test_profile_of_a_straight_line_is_the_interval_of_least_squares():
    """Exact for a linear model; twice as wide where blocks say that the variance is four times as large. Its root is found to
    2 %."""
    trace = line_trace()
    (candidate, data), found = Line.of(trace), fitted(Line, trace)
    space = Space(candidate.parameters())
    best = _optimum(candidate, space, data, found)
    a = found.numbers[0]
    once, twice = (profile(candidate, space, data, best, ("a",), k * uncertainty.covariance(best, robust=False))[0]
                   for k in (1, 4))  # fmt: skip
    np.testing.assert_allclose(once - a.value, (a.low - a.value, a.high - a.value), rtol=0.025)
    np.testing.assert_allclose(twice - a.value, 2 * (once - a.value), rtol=0.05)


def test_ends_of_intervals_are_found_on_lines_curves_cliffs_and_plateaus():
    """A straight line looked at nearby, a parabola, a flat with a cliff at its end, and what never rises, which the bound
    ends."""
    functions = (lambda r: r / 2 - 1, lambda r: r**2 / 9 - 1, lambda r: np.where(r < 23, 1e-3 * r - 1, 50 * (r - 23.2)),
                 lambda r: 0 * r - 0.5)  # fmt: skip
    looks = []

    def excess(at, reach):
        looks.extend(at)
        return np.array([functions[k](r) for k, r in zip(at, reach, strict=True)])

    found = _crossings(excess, np.array([1.9, 4.0, 0.5, 1.0]), np.array([40.0, 40.0, 40.0, 16.0]))
    np.testing.assert_allclose(found, (2, 3, 23.2, 16), rtol=0.02)
    assert np.bincount(looks)[:2].max() <= 5


def test_an_end_that_is_no_farther_than_one_already_found_is_not_looked_for():
    """One look beyond the crossing is enough there, none where nothing lies farther; a crossing that is farther is found."""
    crossings, looks = np.array([2.0, 2.0, 2.0]), []

    def excess(at, reach):
        looks.extend(at)
        return reach / crossings[at] - 1

    found = _crossings(excess, np.array([1.0, 1.0, 1.0]), np.full(3, 40.0), already=np.array([3.0, 1.5, 40.0]))
    np.testing.assert_allclose(found, (3, 2, 40), rtol=0.02)
    assert looks.count(0) == 1 and looks.count(2) == 0


def test_a_parameter_at_its_bound_has_an_interval_that_starts_there():
    """A falling line under a law that only rises: from a slope of nought up to where the line leaves the data."""
    rng = np.random.default_rng(5)
    v = np.linspace(-1, 1, ROWS)
    trace = Trace("read-iv", {"v": v, "i": 0.3 - 0.01 * v + 0.1 * rng.standard_normal(ROWS)})
    b = fitted(Line, trace).numbers[1]
    lowest, slope = Line.of(trace)[0].parameters()[1].low, np.polyfit(v, trace["i"], 1)
    error = np.std(trace["i"] - np.polyval(slope, v)) / np.sqrt(np.sum(v**2))
    assert "bound" in b.note or "not determined" in b.note
    assert b.low == pytest.approx(lowest)
    # squares beyond those at a slope of nought: distances are to the best slope, whatever its sign
    assert b.high == pytest.approx(slope[0] + np.sqrt(1.66**2 * error**2 + min(slope[0], 0) ** 2), rel=0.1)


def test_intervals_stand_where_another_parameter_is_far_in_the_flat_at_its_bound():
    """Searches from further inside would end in a worse valley, as if the estimate itself were not within its interval."""
    rng = np.random.default_rng(5)
    v, noise = np.linspace(-1, 1, ROWS), 0.1 * rng.standard_normal(ROWS)
    i = 0.3 + noise - np.polyfit(v, noise, 1)[0] * v
    found = fitted(Walled, Trace("read-iv", {"v": v, "i": i}), starts=1)
    a, s = found.numbers
    assert s.value < 1e-4 and "by profile" in a.note
    half = stats.t.ppf(0.95, ROWS - 2) * i.std() / np.sqrt(ROWS - 2)
    assert (a.low, a.high) == pytest.approx((i.mean() - half, i.mean() + half), abs=0.03 * half)
    # scores by blocks say nothing of a number at its bound, which is no reason to know it better than the likelihood does
    doubted = fitted(DoubtedWall, Trace("read-iv", {"v": v, "i": i}), starts=1).numbers[1]
    assert doubted.high >= s.high > 10 * s.value


def test_a_fit_goes_on_from_a_better_optimum_that_a_profile_finds():
    """One search, from the worse of two optima: the profile of its interval leads to the better one."""
    found = fitted(Wells, line_trace(), starts=1)
    assert found.converged
    assert found.estimate["b"] == pytest.approx(-1.09, abs=0.02)  # 4 * 0.3 (b^3 - b) = -0.25
    assert found.numbers[0].low < found.estimate["b"] < found.numbers[0].high


def test_a_fit_that_knows_of_a_better_optimum_does_not_say_that_it_converged():
    """No searches are left to go on with: the intervals stand, and the code says what profiles came across."""
    module, trace = estimation, line_trace()
    candidate, data = Wells.of(trace)
    space = Space(candidate.parameters())
    worse, *_ = module._search(candidate, space, data, space.starts(candidate.guesses(data), 1))
    found = module._conclude(candidate, space, data, worse, trace, 0.0, restarts=0)
    assert found.estimate["b"] > 0 and float(worse.gain) < 1e-3
    assert not found.converged and "better likelihood elsewhere" in found.code


def test_an_interval_holds_another_optimum_that_the_data_hardly_refuse():
    """Of two optima that differ by 0.4 of log likelihood, below the limit of 1.35: from the outer end of the one to that of
    the other. Of the best alone the interval would end before the saddle."""
    trace = line_trace()
    candidate, data = FarWells.of(trace)
    space, search = Space(candidate.parameters()), estimation._search
    best, other = (search(candidate, space, data, np.array([[b]]))[0] for b in (-1.0, 1.0))
    assert other.nll - best.nll == pytest.approx(0.4, abs=0.01)
    spread = uncertainty.covariance(best, robust=False)
    found = uncertainty.numbers(space, best, spread, ROWS)
    ([alone], _), ([both], lowest) = (
        intervals(candidate, space, data, best, spread, found, stop_early=False, alternative_optima=others)
        for others in ((), (other,))
    )
    assert lowest is None and alone.high < -0.5 and both.low == alone.low
    cost = [float(np.sum(candidate.nll({"b": b}, data)) - best.nll) for b in (both.low, both.high)]
    np.testing.assert_allclose(cost, uncertainty.quantile(space, ROWS) ** 2 / 2, rtol=0.05)
    assert both.high > 1
    [seen] = fitted(FarWells, trace, starts=8).numbers  # searches from several starts come to both
    assert (seen.low, seen.high) == pytest.approx((both.low, both.high), rel=0.01)


def test_ends_that_are_hardly_worse_are_other_optima_and_the_same_end_is_none(monkeypatch):
    trace = line_trace()
    candidate, data = FarWells.of(trace)
    frame = Space(candidate.parameters()).frame()
    found = search_once(candidate, frame, data, np.array([[1.0], [-1.0], [1.3], [-1.2]]), ROWS // 10)
    assert [float(np.sign(end.theta[0])) for end in found] == [-1, 1]
    assert found[1].nll - found[0].nll == pytest.approx(0.4, abs=0.01)
    monkeypatch.setattr("devices.fitting.engine.optimum.NEAR", 0.3)
    [alone] = search_once(candidate, frame, data, np.array([[1.0], [-1.0]]), ROWS // 10)
    assert alone.theta[0] < 0


def test_curvature_is_not_trusted_where_a_search_stopped_on_a_slope():
    """A straight line needs no profile, but where 0.3 of log likelihood could still be gained the curvature may be that of a
    kink."""
    trace = line_trace()
    candidate, data = Line.of(trace)
    space, found = Space(candidate.parameters()), fitted(Line, trace)
    best = _optimum(candidate, space, data, found)
    spread = uncertainty.covariance(best, robust=False)
    plain = uncertainty.numbers(space, best, spread, ROWS)
    for gain, profiled in ((0.0, False), (0.3, True)):
        at = eqx.tree_at(lambda b: b.gain, best, np.asarray(gain))
        numbers, _ = intervals(candidate, space, data, at, spread, plain, stop_early=False)
        assert [n.profiled for n in numbers] == [profiled] * 2


def _optimum(candidate, space, data, found):
    return search_once(candidate, space.frame(), data, found.theta[None], ROWS // 10)[0]


def test_bootstrap_of_blocks_agrees_with_the_laplace_error():
    """400 resamples of 12 independent blocks: the spread of the slope within 30 % (its own error is about 20 %)."""
    trace = line_trace()
    candidate, data = Line.of(trace)
    space, found = Space(candidate.parameters()), fitted(Line, trace)
    drawn = bootstrap(candidate, space, data, _optimum(candidate, space, data, found), draws=400)
    slopes = np.exp(space.frame().offset[1] + space.frame().width[1] * drawn[:, 1])
    np.testing.assert_allclose(slopes.std(), found.stderr["b"], rtol=0.3)


def numbers_of(found, count):
    """Draws of the numbers of a fit, by name."""
    with jax.enable_x64(True):
        values = (
            Space(found.candidate.parameters())
            .frame()
            .values(jnp.asarray(draw(found, count, np.random.default_rng(0))))
        )
        return {name: np.asarray(value) for name, value in values.items()}


def test_draws_follow_a_skew_likelihood():
    """Ten exponential waiting times: their mean is of the inverse gamma distribution, of skewness 1.6."""
    found = fitted(Waiting, Trace("read-iv", {"v": np.ones(10), "i": np.random.default_rng(2).exponential(3.0, 10)}))
    assert found.numbers[0].profiled
    total = found.trace["i"].sum()
    skew = stats.invgamma(10, scale=total).cdf
    assert stats.kstest(numbers_of(found, 2000)["tau"], skew).pvalue > 0.01
    large = dataclasses.replace(found, rows=30_000)  # as if: normal draws, which would take no note of the skewness
    assert stats.kstest(numbers_of(large, 2000)["tau"], skew).pvalue < 0.01


def test_draws_spread_as_the_blocks_do_where_noise_is_not_as_the_model_has_it():
    """Blocks share an offset: the level is known worse than the likelihood says, the slope within blocks is not."""
    rng = np.random.default_rng(4)
    v = np.tile(np.linspace(-1, 1, 10), ROWS // 10)
    i = 0.3 + 0.5 * v + 0.3 * rng.standard_normal(ROWS) + np.repeat(0.5 * rng.standard_normal(ROWS // 10), 10)
    found = fitted(Doubted, Trace("read-iv", {"v": v, "i": i}))
    assert any(n.profiled for n in found.numbers)
    level, slope = np.sqrt(np.diag(found.covariance) / np.diag(found.laplace))
    assert level > 1.5 * slope
    assert np.std(numbers_of(found, 512)["a"]) == pytest.approx(found.stderr["a"], rel=0.15)


def test_draws_of_a_number_at_its_bound_stay_near_it():
    """s is at 0: its draws are those of half a normal distribution, not of both bounds."""
    rng = np.random.default_rng(5)
    v, noise = np.linspace(-1, 1, ROWS), 0.1 * rng.standard_normal(ROWS)
    i = 0.3 + noise - np.polyfit(v, noise, 1)[0] * v
    found = fitted(Walled, Trace("read-iv", {"v": v, "i": i}), starts=1)
    drawn = numbers_of(found, 512)
    error = i.std() / np.sqrt(np.sum(v**2)) / (300 * np.e + 1)
    shares = 0.25, 0.5, 0.9
    np.testing.assert_allclose(np.quantile(drawn["s"], shares), stats.halfnorm.ppf(shares, scale=error), rtol=0.25)
    np.testing.assert_allclose(np.std(drawn["a"]), i.std() / np.sqrt(ROWS), rtol=0.2)


@pytest.mark.few(1)
@pytest.mark.parametrize("candidate, values", [(Line, {"a": 0.3, "b": 2.0, "sigma": 0.1}), (Waiting, {"tau": 3.0})])
def test_intervals_hold_the_truth_as_often_as_they_say(candidate, values):
    """200 simulated sets, 90 % intervals: 84 to 96 % of them (a right one leaves that band 1 time in 150)."""
    built, data = candidate.of(line_trace())
    held, estimates = coverage(built, data, values)
    for name, share in held.items():
        assert 0.84 <= share <= 0.96, (name, share)
        assert len(estimates[name]) == 200


def test_parameters_that_cannot_be_told_apart_are_named_with_what_would_help():
    found = fitted(Exponential, line_trace())
    assert any("b and c cannot be told apart" in flag for flag in found.flags)
    assert "1000 V" in found.advice[0]


def test_held_out_error_prefers_the_right_model():
    trace = line_trace()
    assert fitted(Line, trace).held_out[0] < fitted(Exponential, trace).held_out[0]


@pytest.mark.parametrize(
    "low, high, start, log",
    [
        (0.0, np.inf, None, True),
        (-1.0, np.inf, (0.0, 1.0), False),
        (0.0, 1.0, (0.5, 2.0), False),
        (0.0, 1.0, None, True),
    ],
)
def test_parameters_without_a_range_are_refused(low, high, start, log):
    with pytest.raises(ValueError, match="Parameter p: low="):
        Parameter("p", "", low, high, start, log)


def test_what_fits_ask_of_the_protocol_can_be_given_in_a_sidecar():
    """Every name that a fitter looks up in `Trace.protocol` is one that a sidecar may hold."""
    source = "".join(p.read_text() for p in pathlib.Path(fitting.__file__).parent.rglob("*.py"))
    asked = set(re.findall(r'protocol(?:\.get\(|\[)"(\w+)"', source))
    assert {"bandwidth", "v_read"} <= asked <= set(sidecar.PROTOCOL)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("high", [100.0, np.inf])
def test_coordinates_and_numbers_are_inverse(log, high):
    low = (0.01 if np.isfinite(high) else 0.0) if log else (-100.0 if np.isfinite(high) else -np.inf)
    space = Space((Parameter("p", "", low, high, (1.0, 50.0), log),))
    with jax.enable_x64(True):
        back = float(space.frame().values(jnp.asarray(space.theta({"p": 7.0})))["p"])
    assert back == pytest.approx(7.0, rel=1e-12)


def test_what_is_not_finite_or_not_known_gives_no_advice_and_no_negative_variance():
    """Information that is not a number: no advice (eigenvalues do not exist). A direction without information: the variance
    by blocks is large, and not below 0 by rounding."""
    space = Space(tuple(Parameter(name, "", -1.0, 1.0) for name in "abc"))
    scores = np.random.default_rng(0).standard_normal((20, 3)) * np.array([1e8, 1.0, 1e-8])
    flat = np.diag([1e16, 1.0, 0.0])
    with jax.enable_x64(True):
        zero = jnp.zeros(())
        best = Optimum(jnp.zeros(3), zero + 1, zero, zero, jnp.full((3, 3), jnp.nan), jnp.asarray(scores))
        known = dataclasses.replace(best, information=jnp.asarray(flat))
    assert advice(Line(), space, {}, best) == ()
    spread = uncertainty.covariance(known, robust=True)
    assert (np.diag(spread) >= 0).all() and np.isfinite(spread).all()


def test_correlation_is_told_from_unequal_variances():
    """White residuals a hundred times as large on one side: rejected in 1 % of sets, as equal ones are; memory is seen in
    both."""
    rng, rejected = np.random.default_rng(0), {}
    for name, size in (("equal", np.ones(400)), ("unequal", np.where(np.arange(400) % 200 < 60, 1.0, 0.01))):
        white = rng.standard_normal((300, 401))
        for memory in (0.0, 0.4, 0.9):
            sets = size * (white[:, 1:] + memory * white[:, :-1])
            rejected[name, memory] = np.mean([checks.uncorrelated(r, "residuals").rejected for r in sets])
    assert max(rejected["equal", 0.0], rejected["unequal", 0.0]) < 0.04
    assert rejected["equal", 0.4] > 0.9 and rejected["unequal", 0.9] > 0.8


@pytest.mark.parametrize("kind", MODULES)
def test_every_model_of_a_kind_has_pictures(kind):
    """A model that is not registered would give none."""
    for model in fitting.candidates(kind).values():
        assert fitting.panels.dispatch(model) is not fitting.panels.dispatch(object)


def test_pictures_of_a_model_of_ones_own_can_be_added():
    class Mine(Line):
        pass

    picture = Panel("mine", "x", "y", ())
    fitting.panels.register(Mine, lambda candidate, values, data: (picture,))
    assert fitting.panels(Mine(), {}, {}) == (picture,)
    assert fitting.panels(Line(), {}, {}) == ()


class Valleys(Line):
    """`i = a + b v` with a ripple in the likelihood: each number has a hundred valleys, of which the deepest are at 0."""

    name: ClassVar[str] = "valleys"
    generations: ClassVar[int] = 8
    size: ClassVar[int] = 6

    def parameters(self):
        return tuple(Parameter(f"p{k}", "", -10.0, 10.0) for k in range(self.size))

    def residuals(self, values: Mapping, data: Any) -> Float[Array, "blocks rows"]:
        p = jnp.stack([values[f"p{k}"] for k in range(self.size)])
        rough = jnp.concatenate([p / 3, jnp.sqrt(1 - jnp.cos(2 * jnp.pi * p) + 1e-6)])
        return jnp.tile(rough, 4)[None] + 0 * data["x"][:1, : 8 * self.size]

    def used(self, data: Any) -> Float[Array, "blocks rows"]:
        return jnp.ones((1, 8 * self.size))


def test_searches_from_mixed_ends_find_the_deepest_of_many_valleys():
    """24 searches, then 8 generations of them, end lower than as many searches from new points, of 20^6 valleys."""
    space, data = Space(Valleys().parameters()), {"x": np.zeros((1, 48)), "y": np.zeros((1, 48))}
    best = mixed_ends(Valleys(), space, data, space.starts([], 24, 0), 1)
    alone = search_once(Valleys(), space.frame(), data, space.starts([], 216, 0), 1)
    values = np.abs([space.values(best[0])[f"p{k}"] for k in range(6)])
    single = np.abs([space.values(alone[0].theta)[f"p{k}"] for k in range(6)])
    assert np.sum(values**2) < 0.5 * np.sum(single**2)
