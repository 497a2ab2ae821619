"""The GPU beside the arrays, from the same trace, against hand counts."""

import jax
import jax.numpy as jnp
import pytest

import xbar


def mlp(p, x):
    return jax.nn.relu(x @ p[0]) @ p[1]


PARAMS = [jnp.ones((784, 256)), jnp.ones((256, 10))]


def test_counts_and_known_energies():
    """203,264 MACs: 0.144 uJ at INT8 peak rates, and the weights from HBM at 3.9 pJ/bit are 6.3 uJ."""
    ideal = dict(compute_utilisation=1.0, memory_utilisation=1.0, memory_energy=3.9e-12)
    gpu = xbar.gpu_baseline(mlp, PARAMS, jnp.ones((1, 784)), **ideal)
    assert gpu.ops == 2 * 203_264 + 256 and gpu.weight_bytes == 203_264 and gpu.kernels == 2
    assert float(gpu.one.memory) == pytest.approx(203_264 * 31.2e-12, rel=0.01)
    per_op = (700 - 70 - 104.5) / 1978.9e12  # J: what idling and the memory leave of 700 W at peak
    assert float(gpu.one.arithmetic) == pytest.approx(gpu.ops * per_op, rel=0.01)
    assert float(gpu.ridge.batch) == pytest.approx(295, abs=2)  # 591 op/byte over 2 op/weight


def test_batch_of_the_example_does_not_matter():
    one, many = (xbar.gpu_baseline(mlp, PARAMS, jnp.ones((n, 784)), inferences=n) for n in (1, 32))
    assert one.ops == many.ops and float(one.one.energy) == pytest.approx(float(many.one.energy))


def test_unknown_precision():
    with pytest.raises(ValueError, match="precision='int4'"):
        xbar.gpu_baseline(mlp, PARAMS, jnp.ones((1, 784)), precision="int4")
