"""Devices with multiplied imperfections: factors of 1 change nothing, of 0 take the imperfection away, and derivatives
are those
of finite differences; the physical numbers of a device have places, units and values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
from devices.amplification import AmplifiedDrift, AmplifiedNonlinearity, PartlyStuck
from devices.conduction import Cubic, PooleFrenkel, Schottky, Sinh, StateDependent
from devices.physical_numbers import departure_from_ohm, shifted, typical_cell, values_of

TARGETS = jnp.linspace(2e-6, 24e-6, 400)


def read(device, key, t=3600.0):
    cells = device.program(jnp.clip(TARGETS, device.g_min, device.g_max), key=key)
    return device.conductance(cells, t), device.read_variance(cells, t, 5e6)


@pytest.mark.parametrize("name", ["pcm_joshi2020", "pcm_hermes2023", "sonos_agrawal2022"])
def test_a_factor_of_one_changes_nothing(name, key):
    device = devices.find(name)()
    same = devices.amplify(device, devices.Factors())
    for a, b in zip(read(device, key), read(same, key), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5)
    assert same.unmeasured == device.unmeasured


def test_factors_act_on_what_they_name(key):
    """No write error: exact cells. No spread: one exponent for all. Noise and write error grow in proportion."""
    device = devices.pcm_joshi2020()
    cells = lambda **f: devices.amplify(device, devices.Factors(**f)).program(TARGETS, key=key)  # noqa: E731
    np.testing.assert_allclose(cells(write=0.0).g, TARGETS, rtol=1e-6)
    np.testing.assert_allclose(cells(write=2.0).g - TARGETS, 2 * (cells().g - TARGETS), atol=2e-11)
    still = devices.amplify(device, devices.Factors(write=0.0, drift_mean=0.0, drift_spread=0.0))
    np.testing.assert_allclose(read(still, key)[0], TARGETS, rtol=1e-6)
    typical = devices.amplify(device, devices.Factors(write=0.0, drift_spread=0.0))
    x = TARGETS / device.g_max
    np.testing.assert_allclose(
        read(typical, key)[0], TARGETS * (1 + 3600.0 / 20) ** -device.drift.nu_mean(x), rtol=1e-4
    )
    loud = devices.amplify(device, devices.Factors(read_noise=3.0))
    np.testing.assert_allclose(read(loud, key)[1], 9 * read(device, key)[1], rtol=1e-4)


@pytest.mark.parametrize("effect", ["write", "drift_mean", "drift_spread", "read_noise"])
def test_derivatives_by_factors(effect, key):
    device = devices.pcm_joshi2020()

    @jax.jit
    def of(s):
        g, variance = read(devices.amplify(device, devices.Factors(**{effect: s})), key)
        return jnp.mean((g / 1e-6) ** 2) + jnp.mean(variance / 1e-12)

    numeric = (of(1.02) - of(0.98)) / 0.04
    assert float(jax.jit(jax.grad(of))(1.0)) == pytest.approx(float(numeric), rel=2e-2)


def test_a_law_that_remembers_something_else_is_refused(key):
    class Odd(devices.AbstractDrift):
        def latents(self, target, *, key):
            return {"a": target}

        def __call__(self, g, z, t):
            return g

    law = AmplifiedDrift(Odd(), 1.0, 1.0)
    with pytest.raises(TypeError, match="Odd remembers a dict"):
        law(TARGETS, law.latents(TARGETS, key=key), jnp.asarray(1.0))


@pytest.mark.parametrize("law", [Cubic(5.0), Sinh(0.2), PooleFrenkel(0.3), Schottky(1.5)])
def test_separable_laws_are_a_conductance_times_a_function_of_the_voltage(law):
    g, v = TARGETS[:, None], jnp.linspace(-0.2, 0.2, 9)[None]
    assert law.separable and AmplifiedNonlinearity(law, 2.0).separable
    np.testing.assert_allclose(law(g, v), g * law(jnp.ones(()), v), rtol=2e-6)
    twice = AmplifiedNonlinearity(law, 2.0)
    np.testing.assert_allclose(twice(g, v) - g * v, 2 * (law(g, v) - g * v), atol=1e-12)
    assert not StateDependent([0.0], [0.0]).separable


def test_partly_stuck_cells_are_as_many_on_average_and_have_a_derivative(key):
    g = jnp.full((200_000,), 1e-5)
    law = lambda p: PartlyStuck(p, 0.25, 0.0, 2e-5)  # noqa: E731
    z = law(0.1).latents(g, key=key)
    mean = jax.jit(lambda p: jnp.mean(law(p)(g, z)))
    # a quarter of the stuck cells rises by 1e-5 S, the others fall by as much: -p / 2 of 1e-5 S; 5 standard errors
    assert float(mean(0.1)) == pytest.approx(1e-5 * (1 - 0.05), abs=5 * 1e-5 * (0.1 / 2e5) ** 0.5)
    assert float(jax.grad(mean)(0.1)) == pytest.approx(-0.5e-5, rel=0.1)
    assert float(jnp.max(jnp.abs(law(0.0)(g, z) - g))) < 1e-11


def test_numbers_of_a_device_have_places_units_and_values():
    device = devices.pcm_joshi2020()
    found = {n.path: n for n in devices.device_numbers(device)}
    assert found["programming.spread.coefficients[1]"].value == pytest.approx(1.965e-6)
    assert [found[p].unit for p in ("g_max", "programming.spread.coefficients[0]", "drift.t0", "drift.nu_mean.slope")] == [
        "S", "S", "s", "",
    ]  # fmt: skip
    assert found["g_min"].part == "range" and found["drift.t0"].part == "drift"
    assert len(found) == sum(np.isfinite(x).sum() for x in jax.tree.leaves(device) if hasattr(x, "dtype"))


def test_shifted_numbers_are_those_of_the_other_device():
    device, names = devices.pcm_joshi2020(), ("programming.spread.coefficients[2]", "drift.t0")
    some = [n for n in devices.device_numbers(device) if n.path in names]
    moved = shifted(device, some, jnp.array([1e-7, 5.0]))
    np.testing.assert_allclose(moved.programming.spread.coefficients, [0.26348e-6, 1.965e-6, -1.0731e-6], rtol=1e-5)
    assert float(moved.drift.t0) == 25.0 and moved.provenance == device.provenance
    several = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), device)
    np.testing.assert_allclose(values_of(several, some), [[n.value for n in some], [2 * n.value for n in some]])


def test_a_typical_cell(key):
    """The middle of the range of a device with a known spread, and a cubic law of a known curvature."""
    device = devices.assume_spread(devices.Device(0.0, 1e-5, conduction=Cubic(2.0)), 0.03)
    found = typical_cell(device, 1.0, 1e6, key=key, cells=20_000)
    assert found["write"] == pytest.approx(0.03, rel=0.03) and found["read_noise"] == found["drift_spread"] == 0
    assert departure_from_ohm(device, 0.2) == pytest.approx(0.08, rel=1e-4)
