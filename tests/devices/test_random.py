"""The generator of draws: a battery of statistical tests, which independent generators pass and poor ones do not.

Seeds are fixed. Every p-value must be above 1e-4: a perfect generator would fail one of the 60 or so for one seed in 170.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from devices import random

N = 2**20
LOWEST = 1e-4


def two_sided(z):
    return 2 * stats.norm.sf(abs(z))


def poisson(count, mean):
    return min(1, 2 * min(stats.poisson.cdf(count, mean), stats.poisson.sf(count - 1, mean)))


def uniform_cells(index, cells):
    return stats.chisquare(np.bincount(index, minlength=cells)).pvalue


def rank_of_bits(words):
    """Ranks over two elements of matrices whose 32 rows are words."""
    rows = words[: words.size // 32 * 32].reshape(-1, 32).astype(np.uint64)
    rank = np.zeros(len(rows), int)
    for bit in range(32):
        has = (rows >> np.uint64(bit)) & np.uint64(1)
        pivot = np.argmax(has, 1)
        found = has.any(1)
        rank += found
        row = np.where(found, rows[np.arange(len(rows)), pivot], 0)
        rows ^= np.where(has.astype(bool), row[:, None], np.uint64(0))
    return rank


def battery(words):
    """p-values of tests of 2^20 consecutive 32-bit words."""
    p = {}
    for k in range(4):
        p[f"byte {k}"] = uniform_cells((words >> np.uint32(8 * k)) & 255, 256)
    for lag in (1, 2, 16, 256, 1024):
        for name, shift in (("high", 27), ("low", 0)):
            a, b = ((w >> np.uint32(shift)) & 31 for w in (words[:-lag:2], words[lag::2]))
            p[f"pairs of {name} bits at distance {lag}"] = uniform_cells(a * 32 + b, 1024)
    p["words that repeat"] = poisson(N - len(np.unique(words)), N**2 / 2**33)
    days = np.sort(words[: 2**16].reshape(-1, 2**10) >> np.uint32(7), 1)  # 2^10 birthdays in 2^25 days: lambda = 8
    gaps = np.sort(np.diff(days, axis=1), 1)
    p["birthday spacings"] = poisson(int(np.sum(gaps[:, 1:] == gaps[:, :-1])), 64 * 2**30 / 2**27)
    ranks = np.bincount(np.minimum(32 - rank_of_bits(words), 2), minlength=3)
    shares = np.array([0.2887880951, 0.5775761902, 0.1336357147])  # of full, one less, fewer
    p["rank of bit matrices"] = stats.chisquare(ranks, shares * ranks.sum()).pvalue
    runs = np.diff(np.flatnonzero(np.diff((words >> np.uint32(31)).astype(int))))
    lengths = np.bincount(np.minimum(runs, 12), minlength=13)[1:]
    p["runs of the highest bit"] = stats.chisquare(
        lengths, runs.size * np.array([*0.5 ** np.arange(1, 12), 0.5**11])
    ).pvalue
    ones = np.bitwise_count(words)
    lag = np.corrcoef(ones[:-1], ones[1:])[0, 1] * N**0.5
    p["number of ones"], p["ones of neighbours"] = two_sided((ones.mean() - 16) / (8 / N) ** 0.5), two_sided(lag)
    order = np.argsort(words.reshape(-1, 4), 1)
    p["order of four"] = uniform_cells(np.unique(order @ [64, 16, 4, 1], return_inverse=True)[1], 24)
    u = (words + 0.5) / 2**32
    p["Kolmogorov-Smirnov"] = stats.kstest(u, "uniform").pvalue
    power = np.abs(np.fft.rfft(u - 0.5)[1:-1]) ** 2 * 12 / N
    p["spectrum"] = stats.kstest(power, "expon").pvalue
    return p


def failures(words):
    return {name: p for name, p in battery(words).items() if not p > LOWEST}


def words_of(key):
    return np.asarray(random.bits(key, (N,)))


@pytest.mark.few(1)
@pytest.mark.parametrize("seed", [0, 2**31])
def test_words_of_one_key(seed):
    assert not failures(words_of(jax.random.key(seed)))


@pytest.mark.slow
def test_words_across_keys():
    """One word or a few from each of many keys: seeds that follow each other, and children of one key."""
    few = lambda keys: np.asarray(jax.vmap(lambda k: random.bits(k, (4,)))(keys)).ravel()  # noqa: E731
    assert not failures(few(jax.vmap(jax.random.key)(jnp.arange(N // 4))))
    assert not failures(few(jax.random.split(jax.random.key(5), N // 4)))
    folded = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(6), i))(jnp.arange(N // 4))
    assert not failures(few(folded))


@pytest.mark.slow
def test_streams_of_two_keys_side_by_side():
    a, b = (words_of(jax.random.key(seed)) for seed in (0, 1))
    assert not failures(np.stack([a, b], 1).ravel()[:N])
    assert not failures(a ^ b)
    assert not failures(a - b)


@pytest.mark.slow
def test_the_battery_knows_good_from_bad():
    assert not failures(np.random.Generator(np.random.Philox(7)).integers(0, 2**32, N, dtype=np.uint32))
    state, linear = 1, np.empty(N, np.uint32)
    for i in range(N):
        state = (1664525 * state + 1013904223) % 2**32
        linear[i] = state
    assert {"pairs of low bits at distance 16", "words that repeat"} <= failures(linear).keys()
    for i in range(N):  # Marsaglia's xorshift, linear over two elements
        state ^= (state << 13) % 2**32
        state ^= state >> 17
        state ^= (state << 5) % 2**32
        linear[i] = state
    assert "rank of bit matrices" in failures(linear)
    permutation = np.asarray(random._mix(jnp.arange(N, dtype=jnp.uint32)))
    assert failures(permutation).keys() == {"words that repeat"}


def test_every_bit_decides_every_bit():
    """Flipping a bit of the counter or the key flips each bit of the word in half of the cases."""
    rng = np.random.default_rng(0)
    x, k0, k1 = (jnp.asarray(rng.integers(0, 2**32, 2**14, dtype=np.uint32)) for _ in range(3))

    def word(x, k0, k1):
        y = random._mix(x ^ k0)
        return random._mix(y ^ k1) + y

    before = word(x, k0, k1)
    for which in range(3):
        for bit in range(32):
            flipped = [v ^ jnp.uint32(1 << bit) if i == which else v for i, v in enumerate((x, k0, k1))]
            changed = np.asarray(before ^ word(*flipped))
            share = np.mean((changed[:, None] >> np.arange(32, dtype=np.uint32)) & 1, 0)
            assert np.all(np.abs(share - 0.5) < 5.5 * 0.5 / 2**7), (which, bit)  # 3072 shares: 1 in 9000 by chance


@pytest.mark.slow
def test_normals():
    z = np.asarray(random.unit_normals(jax.random.key(3), jnp.zeros(4 * N)), float)
    n = z.size
    assert stats.kstest(z, "norm").pvalue > LOWEST
    moments = [z.mean(), (z**2).mean() - 1, (z**3).mean(), (z**4).mean() - 3]
    for moment, variance in zip(moments, (1, 2, 15, 96), strict=True):
        assert two_sided(moment / (variance / n) ** 0.5) > LOWEST
    for edge in (2, 3, 4):
        for count in (np.sum(z > edge), np.sum(z < -edge)):
            mean = n * stats.norm.sf(edge)
            assert two_sided((count - mean) / mean**0.5) > LOWEST
    for lag in (1, 2, 64):
        assert two_sided(np.corrcoef(z[:-lag], z[lag:])[0, 1] * n**0.5) > LOWEST
        assert two_sided(np.corrcoef(z[:-lag] ** 2, z[lag:] ** 2)[0, 1] * n**0.5) > LOWEST


def test_the_most_extreme_words_are_finite_normals(monkeypatch):
    words = jnp.asarray([0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1], jnp.uint32)
    monkeypatch.setattr(random, "bits", lambda key, shape: words)
    z = np.asarray(random.unit_normals(jax.random.key(0), jnp.zeros(6)))
    assert z[0] == 0 and np.all(np.isfinite(z)) and z[2] == -z[3] and 5.3 < z[2] < 5.5
    u = np.asarray(random.unit_uniforms(jax.random.key(0), jnp.zeros(6)))
    assert np.all((u >= 0) & (u < 1))


def test_the_normals_are_the_inverse_of_the_normal_distribution(monkeypatch):
    """Against SciPy's, over all of the range: a relative 1e-4 everywhere."""
    words = jnp.asarray(np.linspace(2**9, 2**32 - 1, 2**18).astype(np.uint32))
    monkeypatch.setattr(random, "bits", lambda key, shape: words)
    z = np.asarray(random.unit_normals(jax.random.key(0), jnp.zeros(words.shape)), float)
    u = np.clip(np.asarray(words).view(np.int32).astype(np.float32) * 2.0**-31, -1 + 2.0**-24, 1 - 2.0**-24)
    exact = stats.norm.ppf((1 + u.astype(float)) / 2)
    np.testing.assert_allclose(z, exact, rtol=1e-4, atol=1e-9)


def test_a_draw_depends_on_key_and_place_only():
    key = jax.random.key(9)
    long = random.unit_normals(key, jnp.zeros(100))
    np.testing.assert_array_equal(long[:30], random.unit_normals(key, jnp.zeros(30)))
    np.testing.assert_array_equal(long.reshape(4, 25), random.unit_normals(key, jnp.zeros((4, 25))))
    keys = jax.random.split(key, 3)
    together = jax.vmap(lambda k: random.bits(k, (8,)))(keys)
    np.testing.assert_array_equal(together, jnp.stack([random.bits(k, (8,)) for k in keys]))
    with jax.enable_x64(True):
        wide = random.unit_normals(key, jnp.zeros(100, jnp.float64))
        assert wide.dtype == jnp.float64
    np.testing.assert_array_equal(wide.astype(np.float32), long)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_any_kind_of_key(impl):
    z = random.unit_normals(jax.random.key(1, impl=impl), jnp.zeros(1000))
    assert abs(float(z.mean())) < 0.15 and abs(float(z.std()) - 1) < 0.1


def test_a_part_of_a_draw_is_that_part():
    whole = random.unit_normals(jax.random.key(3), jnp.zeros((4, 50)))
    for k in range(4):
        places = jnp.arange(50 * k, 50 * (k + 1), dtype=jnp.uint32)[None]
        part = random.unit_normals_at(jax.random.key(3), jnp.zeros((1, 50)), places)
        np.testing.assert_array_equal(part[0], whole[k])
