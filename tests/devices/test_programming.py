"""Write errors: shapes of distributions, levels, and the write-verify loop against what it says of itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from devices import curves, programming, steps, updates, write_verify
from devices.fitting.retention.tails import TwoNormals

US = 1e-6
N = 200_000


def errors(law, target=10 * US, n=N, seed=0):
    cells = jnp.full(n, target)
    return np.asarray(law(cells, key=jax.random.key(seed)) - cells, float) / US


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("error", "distribution"),
    [
        (programming.Normal(), scipy.stats.norm()),
        (programming.Uniform(), scipy.stats.uniform(-1, 2)),
        (programming.StudentT(3.0), scipy.stats.t(3)),
        (programming.StudentT(1.0), scipy.stats.t(1)),
        (programming.NormalMixture(0.25, 4.0), TwoNormals(0.25, 4.0)),
    ],
)
def test_shape_of_the_error(error, distribution):
    """Kolmogorov-Smirnov over 200,000 cells; the seed is fixed, a wrong distribution has p < 1e-10."""
    drawn = np.asarray(error(jnp.zeros(N), key=jax.random.key(0)), float)
    assert scipy.stats.kstest(drawn, distribution.cdf).pvalue > 1e-3
    law = programming.SpreadProgramming(0.5 * US, 25 * US, error)
    assert np.quantile(errors(law), 0.9) == pytest.approx(0.5 * distribution.ppf(0.9), rel=0.02)


@pytest.mark.slow
def test_degrees_of_freedom_have_a_gradient():
    """d E|xi| / d dof of Student's t between 3 and 3.2 degrees of freedom, against the same draws: pathwise, in float32."""
    mean = lambda dof: jnp.mean(jnp.abs(programming.StudentT(dof)(jnp.zeros(N), key=jax.random.key(0))))  # noqa: E731
    slope = jax.jit(jax.grad(mean))(3.1)
    assert float(slope) == pytest.approx(float(mean(3.2) - mean(3.0)) / 0.2, rel=0.1) and slope < 0


@pytest.mark.parametrize(
    ("curve", "sigma"),
    [
        (curves.Proportional(1 * US), lambda x: x),
        (curves.InverselyProportional(0.1 * US, 5 * US), lambda x: min(0.1 / x, 5)),
        (curves.Saturating(1 * US, 0.3), lambda x: 1 - np.exp(-x / 0.3)),
        (
            curves.Table([0.0, 0.5, 1.0], [0.2 * US, 0.6 * US, 0.4 * US]),
            lambda x: np.interp(x, [0, 0.5, 1], [0.2, 0.6, 0.4]),
        ),
        (curves.Split(0.5, curves.Constant(0.2 * US), curves.Proportional(1 * US)), lambda x: 0.2 if x < 0.5 else x),
    ],
)
def test_spread_follows_the_curve(curve, sigma):
    law = programming.SpreadProgramming(curve, 25 * US)
    for x in (0.2, 0.5, 0.9):
        assert float(law.scale(jnp.asarray(25 * US * x))) == pytest.approx(sigma(x) * US, rel=1e-5)
        assert errors(law, 25 * US * x).std() == pytest.approx(sigma(x), rel=0.01)


def test_levels():
    """Eight levels: every target lands on the nearest, with a slope of 1 straight through."""
    levels = jnp.linspace(0, 21 * US, 8)
    law = programming.QuantisedProgramming(levels)
    target = jnp.linspace(0, 21 * US, 1001)
    g = law(target, key=jax.random.key(0))
    assert np.unique(np.round(np.asarray(g) / US, 3)).size == 8
    assert float(jnp.max(jnp.abs(g - target))) <= 1.5 * US * (1 + 1e-5)
    slope = jax.grad(lambda t: law(t, key=jax.random.key(0)).sum())(target)
    np.testing.assert_allclose(slope, 1.0)


def loop(**changes):
    step = changes.pop("step", 0.4 * US)
    update = updates.PulseUpdate(
        steps.SoftBounds(step, step, 12.5 * US, 0.0, 25 * US), pulses=updates.CycleNoise(relative=0.3)
    )
    settings = {
        "window": 0.3 * US,
        "most": 120,
        "v_up": 1.5,
        "v_down": 1.2,
        "v_read": 0.2,
        "width": 1e-7,
        "t_read": 1e-6,
    }
    return write_verify.WriteVerify(update, **{**settings, **changes})


def test_write_verify_ends_in_the_window():
    """Without verify noise every accepted cell is in the window, and with steps below it nearly all are accepted."""
    law = loop()
    target = jnp.linspace(2, 22, 2000) * US
    done = jax.jit(lambda k: law.write(target, key=k))(jax.random.key(0))
    inside = np.abs(np.asarray(done.g - target)) <= 0.3 * US * (1 + 1e-5)
    np.testing.assert_array_equal(inside, done.accepted)
    assert done.accepted.mean() > 0.99
    # a cell is read once more than it is pulsed, or as often plus the last look
    np.testing.assert_array_equal(done.reads, done.pulses_up + done.pulses_down + 1)
    # energy between the bounds that the largest and the smallest conductance on the way set, start at 0 S
    pulses = (
        np.asarray(done.pulses_up * 1.5**2 + done.pulses_down * 1.2**2) * 1e-7 + np.asarray(done.reads) * 0.04 * 1e-6
    )
    most = pulses * np.asarray(jnp.maximum(done.g, target) + 1.0 * US)
    assert np.all((done.energy > 0) & (done.energy < most))


def test_write_verify_energy_by_hand():
    """One cell from 0 S with steps of exactly 1 uS to 3 uS: reads at 0, 1, 2, 3 uS and pulses at 0, 1, 2 uS."""
    update = updates.PulseUpdate(steps.ConstantStep(1 * US, 1 * US, 0.0, 25 * US))
    law = write_verify.WriteVerify(
        update, window=0.5 * US, most=10, v_up=2.0, v_down=3.0, v_read=0.5, width=1e-7, t_read=1e-6
    )
    done = law.write(jnp.asarray([3 * US]), key=jax.random.key(0))
    want = (0 + 1 + 2) * US * 4 * 1e-7 + (0 + 1 + 2 + 3) * US * 0.25 * 1e-6
    assert float(done.energy[0]) == pytest.approx(want, rel=1e-5)
    assert (float(done.pulses_up[0]), float(done.pulses_down[0]), float(done.reads[0])) == (3, 0, 4)


@pytest.mark.slow
def test_verify_noise_lets_cells_out_of_the_window():
    """A noisy verification accepts cells that are outside: the final error is wider than the window."""
    target = jnp.full(20_000, 12 * US)
    quiet, noisy = (loop(verify_noise=s).write(target, key=jax.random.key(0)) for s in (0.0, 0.3 * US))
    outside = lambda w: float(jnp.mean(w.accepted & (jnp.abs(w.g - target) > 0.3 * US * (1 + 1e-5))))  # noqa: E731
    assert outside(quiet) == 0.0 and outside(noisy) > 0.1


def test_too_coarse_pulses_are_given_up():
    law = loop(step=3 * US, most=20, window=0.05 * US)
    done = law.write(jnp.full(2000, 12 * US), key=jax.random.key(0))
    given_up = ~done.accepted
    assert 0.1 < float(given_up.mean()) < 1.0
    assert float(jnp.min(jnp.where(given_up, done.pulses_up + done.pulses_down, 20))) == 20


@pytest.mark.slow
def test_summary_has_the_statistics_of_the_loop():
    """Quantiles of the summary against a fresh run of the loop at a target between the summarised ones."""
    law = loop(verify_noise=0.1 * US)
    summary = write_verify.summarise(law, jnp.asarray([8.0, 12.0, 16.0]) * US, key=jax.random.key(0), draws=20_000)
    ours, real = errors(summary, 10 * US, 50_000, 1), errors(law, 10 * US, 50_000, 2)
    p = [0.02, 0.1, 0.5, 0.9, 0.98]
    np.testing.assert_allclose(np.quantile(ours, p), np.quantile(real, p), atol=0.02)
    assert ours.std() == pytest.approx(real.std(), rel=0.03)
