"""Neurons against closed forms, and against one neuron on eleven platforms (the NIR study)."""

import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar import spiking

DATA = pathlib.Path(os.environ.get("XBAR_DATA", "nowhere")) / "oracles" / "nir"
needs_traces = pytest.mark.skipif(not DATA.is_dir(), reason="the traces of the NIR study are not below XBAR_DATA")


def run(neuron, x, dt):
    """Membranes and spikes of one neuron for an input over time."""

    def step(state, x):
        state, fired = neuron.step(state, x, dt)
        return state, (state.v, fired)

    return jax.jit(lambda x: jax.lax.scan(step, neuron.start(()), x)[1])(jnp.asarray(x, jnp.float32))


PLATFORMS = {
    "exact": ("exponential", 0, "subtract"),
    "nengo": ("exponential", 0, "subtract"),
    "norse": ("euler", 0, "to_reset"),
    "sinabs": ("impulse", 0, "subtract"),
    "rockpool": ("impulse", 0, "subtract"),
    "snntorch": ("euler", 0, "subtract"),
    "spyx": ("euler", 1, "subtract"),
    "lava_cpu_float": ("euler", 1, "to_reset"),
    "spinnaker2": ("euler", 0, "to_reset"),
}


@needs_traces
@pytest.mark.parametrize("platform", PLATFORMS)
def test_spikes_of_each_platform_under_its_own_discretisation(platform):
    """To the step. Scales of membranes differ between platforms; most agree to rounding once scaled."""
    method, late, reset = PLATFORMS[platform]
    _, v, fired = np.loadtxt(DATA / f"lif_{platform}.csv", delimiter=",").T
    given = np.loadtxt(DATA / "lif_exact.csv", delimiter=",")[:, 0]
    neuron = spiking.LIF(tau=2.5e-3, threshold=0.1, method=method, late=late, reset=reset)
    ours, spikes = run(neuron, given, 1e-4)
    np.testing.assert_array_equal(np.flatnonzero(spikes), np.flatnonzero(fired))
    if platform in ("norse", "sinabs", "rockpool", "spyx", "spinnaker2"):
        np.testing.assert_allclose(ours * (v.max() / ours.max()), v, atol=1e-5 * v.max())


@needs_traces
@pytest.mark.parametrize("platform", ["lava_cpu_fixed", "lava_loihi_fixed"])
def test_loihi_in_fixed_point(platform):
    _, v, fired = np.loadtxt(DATA / f"lif_{platform}.csv", delimiter=",").T
    given = np.loadtxt(DATA / "lif_exact.csv", delimiter=",")[:, 0]
    neuron = spiking.FixedPointLIF(decay=163, threshold=1600)

    def step(state, x):
        state, spikes = neuron.step(state, x)
        return state, (state, spikes)

    ours, spikes = jax.lax.scan(step, neuron.start(()), jnp.asarray(given * 640, jnp.int32))[1]
    np.testing.assert_array_equal(np.flatnonzero(spikes), np.flatnonzero(fired))
    before = (
        np.arange(len(v) - 1) < np.flatnonzero(fired)[0] - 1
    )  # the platform writes down one step later, after the reset
    np.testing.assert_array_equal(np.asarray(ours)[:-1][before], v[1:][before])


@pytest.mark.parametrize("decay", [0, 1, 163, 4096])
def test_fixed_point_decays_exactly_up_to_32_bits(decay):
    """As whole numbers without a limit, towards zero."""
    v = np.random.default_rng(0).integers(-(2**31) + 1, 2**31, 1000)
    v[:4] = 2**19, -(2**19), 2**31 - 1, -(2**31) + 1
    neuron = spiking.FixedPointLIF(decay=decay, threshold=2**31 - 1)
    ours, _ = neuron.step(jnp.asarray(v, jnp.int32), jnp.int32(0))
    exact = [np.sign(x) * (abs(int(x)) * (4096 - decay) // 4096) for x in v]
    np.testing.assert_array_equal(ours, exact)


@pytest.mark.parametrize("current, refractory", [(1.5, None), (3.0, 2e-3), (10.0, 5e-3)])
def test_rate_against_current(current, refractory):
    """Constant input: 1 / (t_ref + tau ln(r i / (r i - threshold))), to the step."""
    tau, dt, steps = 20e-3, 1e-5, 100_000
    neuron = spiking.LIF(tau=tau, refractory=refractory, reset="to_reset")
    _, spikes = run(neuron, np.full(steps, current), dt)
    period = (refractory or 0.0) + tau * np.log(current / (current - 1))
    at = np.flatnonzero(spikes)
    assert np.diff(at).mean() * dt == pytest.approx(period, abs=2 * dt)


@pytest.mark.parametrize("late", [0, 1])
def test_neurons_at_rest_do_not_spike(late):
    """A charge of three thresholds: three spikes, with five steps of rest and one of integration from one to the next;
    at rest their slopes are 0 too."""
    neuron = spiking.LIF(tau=jnp.inf, refractory=5e-3, late=late)
    x = jnp.zeros(20).at[0].set(3.0)
    np.testing.assert_array_equal(np.flatnonzero(run(neuron, x, 1e-3)[1]), np.array([0, 6, 12]) + late)
    slopes = jax.jacrev(lambda x: run(neuron, x, 1e-3)[1])(x)[:, 0]
    assert slopes[6 + late] != 0 and not np.any(slopes[1 + late : 6 + late])


def test_below_threshold_nothing_spikes():
    v, spikes = run(spiking.LIF(tau=20e-3), np.full(5000, 0.999), 1e-3)
    assert not np.any(spikes) and float(v[-1]) == pytest.approx(0.999, rel=1e-4)


def test_adaptation_slows_a_neuron_to_what_it_should_be():
    """Held against the same equations in float64, step by step."""
    tau, tau_a, growth, current, dt = 20e-3, 0.1, 0.2, 3.0, 1e-4
    neuron = spiking.LIF(tau=tau, adaptation=growth, tau_adapt=tau_a, reset="to_reset")
    _, spikes = run(neuron, np.full(20_000, current), dt)
    v = a = 0.0
    reference = []
    for i in range(20_000):
        v = current + np.exp(-dt / tau) * (v - current)
        a *= np.exp(-dt / tau_a)
        if v >= 1 + a:
            reference.append(i)
            v, a = 0.0, a + growth
    ours = np.flatnonzero(spikes)
    gaps = np.diff(ours)
    assert abs(len(ours) - len(reference)) <= 1 and gaps[-1] > 1.9 * gaps[0]


def test_a_synapse_is_exponential():
    neuron = spiking.LIF(tau=50.0, tau_syn=5e-3, threshold=1e9)
    state, dt = neuron.start(()), 1e-4
    state, _ = neuron.step(state, jnp.asarray(1.0), dt)
    first = float(state.i)
    for _ in range(50):
        state, _ = neuron.step(state, jnp.asarray(0.0), dt)
    assert float(state.i) == pytest.approx(first * np.exp(-1.0), rel=1e-4)


@pytest.mark.parametrize("surrogate, slope", [
    ("fast_sigmoid", lambda x: 1 / (1 + 25 * abs(x)) ** 2),
    ("arctan", lambda x: 1 / (1 + (np.pi * 25 * x / 2) ** 2)),
])  # fmt: skip
def test_surrogate_slopes_under_jit(surrogate, slope):
    x = jnp.linspace(-1, 1, 41)
    grad = jax.jit(jax.vmap(jax.grad(lambda x: spiking.spike(x, surrogate))))(x)
    np.testing.assert_allclose(grad, slope(np.asarray(x)), rtol=1e-5)
    np.testing.assert_array_equal(spiking.spike(x, surrogate), (np.asarray(x) >= 0).astype(np.float32))


def test_gradients_reach_weights_through_time():
    def loss(w):
        _, spikes = run_traced(spiking.LIF(tau=5e-3, sharpness=5.0), w * jnp.ones(60))
        return (jnp.sum(spikes) - 10.0) ** 2

    def run_traced(neuron, x):
        def step(state, x):
            state, fired = neuron.step(state, x, 1e-3)
            return state, (state.v, fired)

        return jax.lax.scan(step, neuron.start(()), x)[1]

    w = jnp.asarray(0.5)
    slope = jax.jit(jax.grad(loss))
    for _ in range(60):
        w = w - 0.002 * jnp.clip(slope(w), -50, 50)
    assert float(loss(w)) <= 1.0


def test_window_of_pairs():
    """One pair at every distance: a_+ exp(-dt / tau_+) after, -a_- exp(dt / tau_-) before, nothing at 0."""
    rule, dt = spiking.PairSTDP(), 1e-3
    for lag in (-30, -5, 0, 1, 12):
        traces, total = rule.start(1, 1), 0.0
        for i in range(100):
            pre, post = jnp.array([float(i == 50)]), jnp.array([float(i == 50 + lag)])
            traces, change = rule.step(traces, pre, post, dt)
            total += float(change[0, 0])
        a, tau = (float(rule.a_plus), 20e-3) if lag > 0 else (-float(rule.a_minus), 20e-3)
        assert total == pytest.approx(a * np.exp(-abs(lag) * dt / tau) if lag else 0.0, rel=1e-4, abs=1e-9)


def test_simplified_plasticity_sends_pulses_up_within_the_window_and_down_outside():
    rule = spiking.SimplifiedSTDP(window=10e-3)
    since = rule.start(3)
    pulses = None
    for i in range(30):
        pre = jnp.array([float(i == 25), float(i == 5), 0.0])
        since, pulses = rule.step(since, pre, jnp.array([float(i == 29), 0.0]), 1e-3)
    np.testing.assert_array_equal(pulses, [[1, 0], [-1, 0], [-1, 0]])


def test_coding():
    x = jnp.array([0.0, 0.25, 1.0])
    assert spiking.rate(x, 4000, key=jax.random.key(0)).mean(0) == pytest.approx([0, 0.25, 1.0], abs=0.03)
    np.testing.assert_array_equal(spiking.first_spike(spiking.latency(x, 9)), [9, 6, 0])
    signal = jnp.array([0.0, 0.4, 1.1, 1.0, 0.2])
    up, down = spiking.delta(signal, 0.5).transpose(1, 0)
    np.testing.assert_array_equal(up, [0, 0, 1, 1, 0])
    np.testing.assert_array_equal(down, [0, 0, 0, 0, 1])
    assert spiking.count(spiking.direct(x, 4)).tolist() == [0.0, 1.0, 4.0]


def test_constructors_refuse_what_cannot_be():
    with pytest.raises(Exception, match="reset"):
        spiking.LIF(reset="zero")
    with pytest.raises(ValueError, match="tau"):
        spiking.LIF(tau=-1.0)
    with pytest.raises(ValueError, match="decay=5000"):
        spiking.FixedPointLIF(decay=5000, threshold=1)
    with pytest.raises(ValueError, match="2 layers of synapses and 1 of neurons"):
        spiking.Spiking([abs, abs], [spiking.LIF()])
