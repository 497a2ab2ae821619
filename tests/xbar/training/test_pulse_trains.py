"""Coincidences of pulse trains against aihwkit 1.2.0, and against the outer product they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import devices
from xbar.training import PulseTrains

CASES = {
    "default_UM_UBLM_lr0.01": dict(),
    "default_UM_UBLM_lr0.2_saturates": dict(),
    "fixedBL31_noUM_lr0.01": dict(manage_slots=False),
    "fixedBL10_UM_lr0.01": dict(manage_slots=False, slots=10),
    "mean_count_lr0.01": dict(mean_count=True),
    "stochastic_2pass_lr0.01": dict(),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("name", CASES)
def test_against_aihwkit(aihwkit, name):
    """Mean and spread of every weight's change over 40,000 updates.

    The oracle has 2,000 updates, so that its means have standard errors of sigma / sqrt(2000) and its spreads, from
    their kurtosis k, of sqrt((k - 1) / 8000), large where pulses are rare. Each must agree within 2 % of sigma and
    3.5 of these; averaged over the weights, within 2 % (means) and 3 % (spreads). Where both are deterministic, exactly.
    """
    data = aihwkit["stochastic_update"]
    case, x, d = data["cases"][name], jnp.asarray(data["x"]), jnp.asarray(data["d"])
    trains = PulseTrains(case["dw_min"], **CASES[name])
    keys = jax.random.split(jax.random.key(0), 40_000)
    n = jax.jit(jax.vmap(lambda k: trains(x, d, case["lr"], key=k)))(keys)
    change = np.asarray(n, float).transpose(0, 2, 1) * case["dw_min"]
    mean, sigma = np.asarray(case["mean"]), np.asarray(case["std"])
    still = sigma == 0
    np.testing.assert_allclose(change.mean(0)[still], mean[still], atol=1e-6)
    assert np.all(change.std(0)[still] < 1e-9)
    if not still.all():
        off = (change.mean(0) - mean)[~still] / sigma[~still]
        wide = change.std(0)[~still] / sigma[~still] - 1
        kurtosis = scipy.stats.kurtosis(change, fisher=False)[~still]
        assert np.all(np.abs(off) < 0.02 + 3.5 / np.sqrt(2000)) and abs(off.mean()) < 0.02
        assert np.all(np.abs(wide) < 0.02 + 3.5 * np.sqrt((kurtosis - 1) / 8000)) and abs(wide.mean()) < 0.03


def test_mean_is_the_outer_product():
    """Without saturation E[n step] = -rate x d; 1 % of the largest entry over 20,000 updates."""
    x, d = jax.random.normal(jax.random.key(1), (7,)), jax.random.normal(jax.random.key(2), (5,))
    for manage in (True, False):
        trains = PulseTrains(1e-3, manage_slots=manage)
        keys = jax.random.split(jax.random.key(0), 20_000)
        mean = 1e-3 * jax.vmap(lambda k: trains(x, d, 0.003, key=k))(keys).mean(0)  # noqa: B023
        np.testing.assert_allclose(
            mean, -0.003 * x[:, None] * d, atol=0.01 * 0.003 * float(jnp.abs(x).max() * jnp.abs(d).max())
        )


def test_an_array_learns_from_them():
    """Regression on one array of lithium ECRAM cells by pulses alone: the error falls to a third."""
    device = devices.ecram_lithium_tang2018()
    unit = float(device.g_max - device.g_min) / 2
    zero = float(device.g_min) + 0.8276 * unit
    x = jax.random.normal(jax.random.key(0), (400, 6))
    wanted = x @ (0.3 * jax.random.normal(jax.random.key(1), (6, 3)))
    trains = PulseTrains(0.002)

    def learn(cells, at):
        row, target, key = at
        draw, pulse = jax.random.split(key)
        n = trains(row, row @ ((cells.g - zero) / unit) - target, 0.05, key=draw)
        return device.pulse(cells, n, key=pulse, most=trains.slots), None

    error = lambda cells: float(jnp.sqrt(jnp.mean((x @ ((cells.g - zero) / unit) - wanted) ** 2)))  # noqa: E731
    cells = device.program(jnp.full((6, 3), zero), key=jax.random.key(2))
    after, _ = jax.lax.scan(learn, cells, (x, wanted, jax.random.split(jax.random.key(3), 400)))
    assert error(after) < error(cells) / 3


def test_what_cannot_be():
    with pytest.raises(ValueError, match="slots is 0"):
        PulseTrains(1e-3, slots=0)
    with pytest.raises(ValueError, match="need key"):
        PulseTrains(1e-3)(jnp.ones(2), jnp.ones(2), 0.1)
    assert not np.any(PulseTrains(1e-3, mean_count=True)(jnp.zeros(2), jnp.ones(2), 0.1))


@pytest.mark.few(3)
@pytest.mark.parametrize("manage", [True, False])
@pytest.mark.parametrize("mean_count", [True, False])
@pytest.mark.parametrize("size", [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_nothing_comes_of_zeros(manage, mean_count, size):
    """No pulses, and finite derivatives: ReLU gives rows of zeros."""
    trains = PulseTrains(1e-3, manage_slots=manage, mean_count=mean_count)
    x, d = (jnp.full(n, s) for n, s in zip((3, 2), size, strict=True))
    assert not np.any(trains(x, d, 0.01, key=jax.random.key(0)))
    total = lambda x, d: sum(jnp.sum(p) for p in trains.probabilities(x, d, 0.01))  # noqa: E731
    for slope in jax.grad(total, (0, 1))(x, d):
        assert np.all(np.isfinite(slope))


def test_a_rate_of_zero_gives_no_pulses():
    for manage in (True, False):
        n = PulseTrains(1e-3, manage_slots=manage)(jnp.ones(3), jnp.ones(2), 0.0, key=jax.random.key(0))
        assert not np.any(n)


@pytest.mark.parametrize("vectors", [100, 200, 5000])  # pulses of both signs in one number, in one a slot, and in two
def test_pulses_of_many_vectors_are_the_sum_of_those_of_each_half(vectors):
    """Whole numbers, exactly, by sign, whatever the number of vectors."""
    x, d = (jax.random.normal(jax.random.key(i), (vectors, n)) for i, n in enumerate((6, 3)))
    trains = PulseTrains(step=0.05, mean_count=True)
    whole = trains.summed(x, d, 0.2)
    halves = [trains.summed(x[cut], d[cut], 0.2) for cut in (slice(vectors // 2), slice(vectors // 2, None))]
    for found, first, second in zip(*map(jax.tree.leaves, (whole, *halves)), strict=True):
        np.testing.assert_array_equal(found, first + second)
    assert float(whole.down.max()) > 100
