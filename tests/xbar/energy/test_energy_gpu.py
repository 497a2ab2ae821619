"""The roofline of a GPU against arithmetic on its data sheet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar.energy import a100_sxm, h100_sxm, ridge_batch, roofline, roofline_range
from xbar.energy.gpu import HBM_ENERGY

MACS = 203_264  # 784-256-10
FULL = {"compute_utilisation": 1.0, "memory_utilisation": 1.0}
IDEAL = FULL | {"memory_energy": HBM_ENERGY, "launch_time": 0.0}


def test_peak_energy_per_mac():
    """Fails if e_op is not calibrated to 700 W at peak: 0.707 pJ per INT8 MAC, 0.14 uJ for the network."""
    gpu = h100_sxm()
    seconds = 2 * MACS / gpu.peak["int8"]
    at_peak = roofline(2 * MACS, 0, gpu.bandwidth * seconds, 0, gpu=gpu, **IDEAL)  # memory at full rate too
    assert float(at_peak.energy) / MACS == pytest.approx(0.707e-12, rel=2e-3)
    assert float(at_peak.energy) == pytest.approx(0.14e-6, rel=0.03)
    assert float(at_peak.energy / at_peak.time) == pytest.approx(700.0, rel=1e-4)
    fp16 = roofline(2, 0, gpu.bandwidth * 2 / gpu.peak["fp16"], 0, gpu=gpu, precision="fp16", **IDEAL)
    assert float(fp16.energy) == pytest.approx(2 * 0.708e-12, rel=2e-3)


def test_weight_stream_at_batch_one():
    """Fails if bits and bytes are confused: 6.3 uJ in the memory device, 31 and 209 pJ/MAC."""
    gpu = h100_sxm()
    stream = roofline(2 * MACS, MACS, 0, 2, gpu=gpu, **IDEAL)
    assert bool(stream.memory_bound)
    assert float(stream.memory) == pytest.approx(6.3e-6, rel=0.01)
    assert float(stream.memory) / MACS == pytest.approx(31.2e-12, rel=1e-3)
    assert float(gpu.tdp * stream.time) / MACS == pytest.approx(209e-12, rel=1e-3)


def test_ridge_batch():
    """Fails if the ridge is not where weights and arithmetic meet: 591 op/B at INT8, 295 FLOP/B at FP16."""
    gpu = h100_sxm()
    assert float(ridge_batch(2 * MACS, MACS, gpu=gpu, **FULL)) == np.ceil(590.7 / 2)
    assert float(ridge_batch(2 * MACS, 2 * MACS, gpu=gpu, precision="fp16", **FULL)) == np.ceil(295.3)
    batch = ridge_batch(2 * MACS, MACS, gpu=gpu)
    below = roofline(2 * MACS, MACS, 0, 2, gpu=gpu, batch=batch - 1)
    assert bool(below.memory_bound)
    assert not bool(roofline(2 * MACS, MACS, 0, 2, gpu=gpu, batch=batch).memory_bound)
    assert float(ridge_batch(1e9, 1.0, gpu=gpu)) == 1.0


def test_launches_are_apart():
    """Fails if launch overhead leaks into the figures without it: 2 kernels of 5 us at 70 W are 700 uJ."""
    one = roofline(2 * MACS, MACS, 0, 2, gpu=h100_sxm())
    assert float(one.launch) == pytest.approx(700e-6, rel=1e-5)
    assert float(one.launch_time) == pytest.approx(10e-6)
    assert float(one.energy - one.energy_without_launch) == pytest.approx(700e-6, rel=1e-3)
    assert float(one.idle) == pytest.approx(70.0 * float(one.time), rel=1e-5)


def test_batching_and_range():
    """Fails if a larger batch costs more per inference, or low, middle, high are out of order."""
    energies = [float(roofline(2 * MACS, MACS, 1040, 2, gpu=h100_sxm(), batch=b).energy) for b in (1, 8, 64, 512)]
    assert energies == sorted(energies, reverse=True)
    for batch in (1, 512):
        low, middle, high = roofline_range(2 * MACS, MACS, 1040, 2, gpu=h100_sxm(), batch=batch)
        assert float(low.energy) < float(middle.energy) < float(high.energy)


def test_a100_and_errors():
    """Fails if A100's 1.28 pJ/MAC at board power moved, or a precision it lacks is not refused by name."""
    gpu = a100_sxm()
    assert float(2 * gpu.tdp / gpu.peak["int8"]) == pytest.approx(1.28e-12, rel=0.01)
    assert any("[L]" in note for note in gpu.notes)
    with pytest.raises(ValueError, match=r"fp8.*A100 SXM has fp16, int8"):
        roofline(1, 1, 1, 1, gpu=gpu, precision="fp8")


def test_traced_and_printed():
    """Fails under jit, vmap or grad: d memory / d weight_bytes = 8 e_mem."""
    gpu = h100_sxm()
    slope = jax.jit(jax.grad(lambda b: roofline(2 * MACS, b, 0, 2, gpu=gpu, memory_energy=1e-11).memory))(1e5)
    assert float(slope) == pytest.approx(8e-11, rel=1e-5)
    batches = jax.vmap(lambda b: roofline(2 * MACS, MACS, 0, 2, gpu=gpu, batch=b))(jnp.array([1.0, 256.0]))
    assert batches.energy.shape == (2,)
    assert "2 rooflines" in str(batches)
    assert "memory bound" in str(roofline(2 * MACS, MACS, 0, 2, gpu=gpu))
