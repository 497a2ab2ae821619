"""Percentiles by counting, or by a partial sort, are those by sorting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar.order_statistics import percentile_of_magnitudes


def examples():
    rng = np.random.default_rng(0)
    smooth = np.abs(rng.standard_normal((3, 40, 5, 7))).astype(np.float32)
    tied = np.round(smooth, 1)
    holed = np.where(rng.random(smooth.shape) < 0.3, np.nan, smooth)
    holed[0] = np.nan
    tiny = (smooth * 1e-36).astype(np.float32)
    wide = np.exp(15 * rng.standard_normal(smooth.shape)).astype(np.float32)
    return dict(
        smooth=smooth,
        tied=tied,
        zeros=np.zeros_like(smooth),
        holed=holed,
        tiny=tiny,
        wide=wide,
        few=smooth[:, :1, :1, :2],
    )


@pytest.mark.few(3)
@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize("name", examples())
def test_as_numpy_finds_them(name):
    """Ranks between which one interpolates, ties, zeros, numbers left out, tiny and large ones; under jit and vmap."""
    x = examples()[name]
    for share in (50.0, 99.0, 99.9, 37.3, 100.0):
        expected = np.nanpercentile(x.astype(np.float64), share, axis=(1, 3))
        found = jax.jit(percentile_of_magnitudes, static_argnums=(1, 2))(jnp.asarray(x, jnp.float32), share, (1, 3))
        np.testing.assert_allclose(found, expected, rtol=1e-4 if name == "wide" else 2e-6)  # a rank is a float32, too
        mapped = jax.vmap(lambda a, share=share: percentile_of_magnitudes(a, share, (0, 2)))(
            jnp.asarray(x, jnp.float32)
        )
        np.testing.assert_allclose(mapped, found, rtol=3e-7)  # compiled as one or one by one: rounded differently


def test_infinities_are_the_largest():
    x = jnp.array([1.0, jnp.inf, 2.0, 3.0])
    assert (
        float(percentile_of_magnitudes(x, 100.0, (0,))) == jnp.inf
        and float(percentile_of_magnitudes(x, 50.0, (0,))) == 2.5
    )
