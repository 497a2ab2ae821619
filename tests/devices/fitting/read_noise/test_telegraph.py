"""Telegraph noise: hidden Markov models against simulated traps and against their rivals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from devices.fitting import coverage, fit_candidate
from devices.fitting.read_noise.spectrum_models import LorentzianSpectrum
from devices.fitting.read_noise.telegraph_models import OneTrap, ThreeLevels, TwoTraps
from devices.instruments import FileError, Trace

TRUTH = {
    "level": -0.03,
    "slope": 0.01,
    "s": 0.02,
    "d1": 0.05,
    "tau_c1": 40.0,
    "tau_e1": 15.0,
    "d2": 0.11,
    "tau_c2": 200.0,
    "tau_e2": 300.0,
    "tau_12": 60.0,
    "tau_21": 30.0,
    "tau_23": 80.0,
    "tau_32": 50.0,
    "tau_13": 150.0,
}


def protocol(reads, rate=1000.0):
    return Trace(
        "noise", {"g": 5e-5 * (1 + 0.01 * np.random.default_rng(0).standard_normal(reads))}, protocol={"rate": rate}
    )


def drawn(candidate, reads, truth=TRUTH, seed=0):
    """A series of reads simulated by the model."""
    model, data = candidate.of(protocol(reads))
    with jax.enable_x64(True):
        new = model.simulate(
            {p.name: jnp.asarray(truth[p.name]) for p in model.parameters()}, data, key=jax.random.key(seed)
        )
        x = np.asarray(new["x"])[data["used"] > 0]
    return Trace("noise", {"g": 5e-5 * (1 + x)}, protocol={"rate": 1000.0})


def fitted(candidate, trace):
    return fit_candidate(*candidate.of(trace), trace)


def test_likelihood_is_that_of_the_forward_algorithm():
    """Blocks, their chain, padding: the sum is the plain recursion's over the reads, to rounding."""
    trace = drawn(TwoTraps, 290)
    model, data = TwoTraps.of(trace)
    with jax.enable_x64(True):
        values = {p.name: jnp.asarray(TRUTH[p.name]) for p in model.parameters()}
        nll = np.asarray(model.nll(values, data))
        levels, moves, alpha = (np.asarray(x) for x in model.chain(values))
    total = 0.0
    ramp = data["ramp"][data["used"] > 0]
    np.testing.assert_allclose(ramp, np.arange(290) / 290 - 0.5, atol=1e-12)
    for x in data["x"][data["used"] > 0] - TRUTH["slope"] * ramp:
        alpha = (alpha @ moves) * stats.norm.pdf(x, levels, TRUTH["s"])
        total -= np.log(alpha.sum())
        alpha = alpha / alpha.sum()
    assert nll.sum() == pytest.approx(total, rel=1e-10)
    assert len(nll) > 10


@pytest.mark.slow
def test_one_trap_is_found_and_beats_its_spectrum():
    """A quarter of a thousand switches: all numbers within 3.5 errors, no rejection, and a likelihood that a normal
    process of the same spectrum does not reach, though its check of the spectrum passes."""
    trace = drawn(OneTrap, 4000)
    trap, normal = fitted(OneTrap, trace), fitted(LorentzianSpectrum, trace)
    assert not trap.rejected, trap.checks
    for name in ("s", "d1", "tau_c1", "tau_e1"):
        assert trap.estimate[name] == pytest.approx(TRUTH[name], abs=3.5 * trap.stderr[name])
    assert trap.bic < normal.bic - 200
    assert trap.measures["tau_c1 [s]"] == pytest.approx(trap.estimate["tau_c1"] / 1000)
    with jax.enable_x64(True):
        parts = [f.candidate.laws({n: jnp.asarray(v) for n, v in f.estimate.items()}, f.data) for f in (trap, normal)]
        noises = [p["read_noise"] for p in parts]
        g = jnp.full(200, 5e-5)
        variance = []
        for noise in noises:
            z = noise.latents(g, key=jax.random.key(0))
            variance.append(float(jnp.mean(noise(g, z, jnp.asarray(1.0), jnp.asarray(500.0)))))
    # a read in the law averages over half a period of the rate, so traps of ten reads lose a few per cent
    np.testing.assert_allclose(variance, np.var(trace["g"]), rtol=0.12)


@pytest.mark.slow
def test_levels_in_coloured_noise_are_rejected():
    """An autoregression without levels: the trap fits, but what is left remembers, and the Lorentzian is the better
    model."""
    rng = np.random.default_rng(2)
    x = np.zeros(4000)
    for n in range(1, 4000):
        x[n] = 0.97 * x[n - 1] + 0.005 * rng.standard_normal()
    trace = Trace("noise", {"g": 5e-5 * (1 + x)}, protocol={"rate": 1000.0})
    trap, normal = fitted(OneTrap, trace), fitted(LorentzianSpectrum, trace)
    assert trap.rejected
    assert not normal.rejected, normal.checks
    assert normal.bic < trap.bic


@pytest.mark.slow
@pytest.mark.parametrize("candidate, reads", [(OneTrap, 2000), (TwoTraps, 8000), (ThreeLevels, 8000)])
def test_intervals_hold_the_truth(candidate, reads):
    """200 sets, 90 % intervals: 84 to 96 % of them."""
    model, data = candidate.of(protocol(reads))
    held, _ = coverage(model, data, {p.name: TRUTH[p.name] for p in model.parameters()}, starts=1)
    assert all(0.84 <= share <= 0.96 for share in held.values()), held


@pytest.mark.slow
def test_number_of_traps_follows_from_bic():
    two = drawn(TwoTraps, 8000)
    assert fitted(TwoTraps, two).bic < fitted(OneTrap, two).bic - 50


@pytest.mark.slow
def test_three_levels_are_told_from_two_traps_and_from_one():
    """Right model: no rejection, numbers within 3.5 errors, smaller BIC than one and than two traps (four levels)."""
    trace = drawn(ThreeLevels, 8000)
    right, one, two = (fitted(m, trace) for m in (ThreeLevels, OneTrap, TwoTraps))
    assert right.converged and not right.rejected, right.checks
    size = 5e-5 / trace["g"].mean()  # conductances are taken relative to the mean of the series
    for name, unit in (
        ("s", size),
        ("d1", size),
        ("d2", size),
        *((f"tau_{w}", 1) for w in ("12", "21", "23", "32", "13")),
    ):
        assert right.estimate[name] == pytest.approx(TRUTH[name] * unit, abs=3.5 * right.stderr[name])
    assert right.bic < min(one.bic, two.bic) - 20


def test_law_of_three_levels_has_their_variance_and_memory():
    """Variance and covariance a read apart of the chain, against those of the two Lorentzians of the law."""
    model, data = ThreeLevels.of(protocol(300))
    with jax.enable_x64(True):
        values = {n: jnp.asarray(TRUTH[n]) for n in (p.name for p in model.parameters())}
        levels, moves, shares = (np.asarray(v) for v in model.chain(values))
        _, *traps = model.laws(values, data)["read_noise"].parts
        step = np.array([float(t.amplitude.value) for t in traps])
        dwell = np.array([float(t.shortest) for t in traps])
    np.testing.assert_allclose(moves.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(shares @ moves, shares, rtol=1e-12)
    np.testing.assert_allclose(shares[:, None] * moves, (shares[:, None] * moves).T, rtol=1e-12)
    away = levels - shares @ levels
    np.testing.assert_allclose((step / 2) @ (step / 2), shares @ away**2, rtol=1e-10)
    lag = np.exp(-2 / (dwell * 1000.0))
    np.testing.assert_allclose((step / 2) ** 2 @ lag, (shares * away) @ moves @ away, rtol=1e-10)


def test_levels_are_those_of_one_cell():
    reads = protocol(300)
    two = Trace("noise", {"g": np.tile(reads["g"], 2), "device": np.repeat([0.0, 1.0], 300)}, protocol={"rate": 1000.0})
    with pytest.raises(FileError, match="2 cells; levels are those of one cell"):
        OneTrap.of(two)
