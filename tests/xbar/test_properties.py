"""Properties that hold for any sizes and values."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import devices
import xbar
from xbar.macro.converters import quantise
from xbar.macro.partition import Partition

size = st.integers(1, 40)


@settings(deadline=None, max_examples=6)
@given(groups=st.integers(1, 7), k=size, n=size, rows=size, cols=size, pack=st.sampled_from([False, True, "in_turns"]))
def test_tiles_hold_the_matrix_exactly(groups, k, n, rows, cols, pack):
    """Splitting loses and repeats nothing, tiles never exceed their size, and a product over tiles is the product, packed or
    not."""
    part = Partition.of(groups, k, n, rows, cols, pack)
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(groups, k, n)), rng.normal(size=(groups, 2, k))
    blocks, pieces = np.asarray(part.split(jnp.asarray(w))), np.asarray(part.split_inputs(jnp.asarray(x)))
    assert blocks.shape == (part.blocks, part.row_tiles, part.col_tiles, part.used_rows, part.used_cols)
    assert part.used_rows <= rows and part.used_cols <= cols
    y = np.einsum("simr,sijrc->smjc", pieces, blocks).reshape(part.blocks, 2, -1)
    np.testing.assert_allclose(part.join(jnp.asarray(y)), x @ w, atol=1e-4)
    assert int(part.mask().sum()) == part.packed**2 * k * n and int(part.weights_mask().sum()) == groups * k * n
    assert 0 < part.utilisation <= 1
    assert int(part.rows_in_use().sum()) == groups * k and int(part.columns_in_use().sum()) == groups * n
    assert pack is True or part.packed == 1
    assert pack == "in_turns" or part.shared == 1
    assert part.tiles == Partition.of(groups, k, n, rows, cols, bool(pack)).tiles
    assert part.packed == 1 or (part.row_tiles == part.col_tiles == 1)


@settings(deadline=None, max_examples=40)
@given(value=st.floats(-10, 10), full_scale=st.floats(0.01, 10), bits=st.integers(2, 16))
def test_a_code_is_never_further_than_half_a_step(value, full_scale, bits):
    """Inside the range within half an LSB, outside at the end of it; odd, and a code stays itself."""
    top = 2 ** (bits - 1) - 1
    got = float(quantise(jnp.asarray(value), jnp.asarray(full_scale), bits))
    clipped = min(max(value, -full_scale), full_scale)
    assert abs(got - clipped) <= full_scale / top / 2 + 1e-5 * full_scale
    assert float(quantise(jnp.asarray(-value), jnp.asarray(full_scale), bits)) == -got
    again = float(quantise(jnp.asarray(got), jnp.asarray(full_scale), bits))
    assert abs(again - got) <= 1e-5 * full_scale


@settings(deadline=None, max_examples=15)
@given(
    w=st.lists(st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3), min_size=2, max_size=6),
    g_min=st.floats(0, 2e-5),
    per=st.sampled_from(["column", "tile"]),
)
def test_mapping_is_a_bijection_within_the_device(w, g_min, per):
    """Conductances stay between g_min and g_max, one cell of each pair rests at g_min, and the weights come back."""
    mapping, low, high = xbar.Differential(per=per), jnp.asarray(g_min), jnp.asarray(2.5e-5)
    w = jnp.asarray(w)
    g, code = mapping.encode(w, low, high)
    assert float(g.min()) >= g_min - 1e-11 and float(g.max()) <= 2.5e-5 + 1e-11
    np.testing.assert_allclose(g.min(0), g_min, atol=1e-11)
    np.testing.assert_allclose(mapping.decode(mapping.combine(g, code), jnp.zeros(()), code), w, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31 - 1), t=st.floats(0, 1e9))
def test_drift_only_shrinks_and_never_turns(seed, t):
    """PCM conductances fall monotonically with time and stay non-negative, whatever the cell."""
    device = devices.pcm_joshi2020()
    cells = device.program(jnp.linspace(0, 25e-6, 50), key=jax.random.key(seed))
    now, later = device.conductance(cells, t), device.conductance(cells, 2 * t + 1)
    assert bool(jnp.all(later <= now)) and bool(jnp.all(later >= 0))
