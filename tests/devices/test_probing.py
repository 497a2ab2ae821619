"""Laws of a user are tried on a few cells when a device is made of them: shape, arguments, and signs that no cell has."""

import types
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import devices
from devices import probing


class Fading(devices.AbstractDrift):
    share: jax.Array = eqx.field(converter=jnp.asarray)

    def __call__(self, g, z, t):
        return g * (1 - self.share * jnp.minimum(t, 1.0))


class Mean(devices.AbstractDrift):
    def __call__(self, g, z, t):
        return jnp.mean(g)


class NoTime(devices.AbstractDrift):
    def __call__(self, g, z):
        return g


class Bent(devices.AbstractConduction):  # says nothing of `linear`
    def __call__(self, g, v):
        return g * v * (1 + v**2)


class Squared(devices.AbstractConduction):
    def __call__(self, g, v):
        return g * v**2


class Negative(devices.AbstractReadNoise):
    def __call__(self, g, z, t, bandwidth):
        return -(g**2)


def test_a_good_law_passes_in_silence_and_traced_ones_are_not_tried():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        device = devices.Device(1e-6, 1e-4, drift=Fading(0.1), conduction=Bent())
        slope = jax.grad(lambda s: devices.Device(1e-6, 1e-4, drift=Fading(s)).drift(1e-5, 0.0, 1.0))(2.0)
    assert not device.conduction.linear and slope == pytest.approx(-1e-5)


@pytest.mark.parametrize(
    ("law", "error", "said"),
    [
        (
            {"drift": Mean()},
            ValueError,
            r"drift Mean gives shape \(\) for cells of shape \(2, 3\). A law is elementwise",
        ),
        ({"drift": NoTime()}, TypeError, r"drift NoTime: its __call__ takes \(g, z, t\) after self"),
    ],
)
def test_laws_of_wrong_form_are_refused(law, error, said):
    with pytest.raises(error, match=said):
        devices.Device(1e-6, 1e-4, **law)


@pytest.mark.parametrize(
    ("law", "said"),
    [
        (
            {"drift": Fading(2.0)},
            "drift Fading: a cell of .* gives -.* S after 1 s; a conductance is finite and not below 0",
        ),
        ({"drift": Fading(jnp.nan)}, "drift Fading: .* gives nan S"),
        (
            {"conduction": Squared()},
            "conduction Squared: .* in the direction of -0.1 V; a current is finite and flows with its voltage",
        ),
        ({"read_noise": Negative()}, "read_noise Negative: .* for the variance of a read"),
    ],
)
def test_values_that_no_cell_has_are_warned_of(law, said):
    with pytest.warns(UserWarning, match=said):
        devices.Device(1e-6, 1e-4, **law)


def test_what_is_no_law_is_left_to_the_check_of_classes():
    other = types.SimpleNamespace(g_min=1e-6, g_max=1e-4, drift=Bent, read_noise=None, conduction=lambda g, v: g)
    probing.probe(other)
