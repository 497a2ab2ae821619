"""Mappings and converters of a user are tried on a few weights when a tile is made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar

DEVICE = devices.Device(1e-6, 1e-4)
EXACT = {"dac": xbar.DAC(bits=None), "adc": xbar.ADC(bits=None)}


class Middle(xbar.AbstractMapping):
    """Weights in [-1, 1] around the middle of the range, against a second cell; its code is a plain number."""

    more: float = 0.0  # S on every cell that holds a weight

    def encode(self, w, g_min, g_max):
        middle = (g_min + g_max) / 2
        return jnp.stack([middle + w * 0.45e-4 + self.more, jnp.full_like(w, middle)]), 1 / 0.45e-4

    def combine(self, currents, code):
        return currents[:1] - currents[1:]

    def decode(self, values, input_sum, code):
        return values[0] * code


class Alike(Middle):
    """Forgets to take the middle off."""

    def combine(self, currents, code):
        return currents[:1]


class Alone(Middle):
    def encode(self, w, g_min, g_max):
        return super().encode(w, g_min, g_max)[0]


class OneArgument(Middle):
    def decode(self, values, input_sum):
        return values[0]


class Summed(xbar.ADC):
    def convert(self, current, full_scale):
        return jnp.sum(current)


class NoScale(xbar.ADC):
    def convert(self, current):
        return current


def test_a_code_may_be_a_plain_number():
    w, x = jax.random.uniform(jax.random.key(0), (6, 3)), jax.random.uniform(jax.random.key(1), (5, 6))
    tile = xbar.Tile(DEVICE, rows=8, cols=4, mapping=Middle(), **EXACT)
    y = xbar.analog(lambda w, x: x @ w, tile)(w, x, key=jax.random.key(2))
    np.testing.assert_allclose(y, x @ w, rtol=1e-4)


@pytest.mark.parametrize(
    ("parts", "error", "said"),
    [
        (
            {"mapping": Alone()},
            TypeError,
            r"mapping Alone: encode returns a .*; it must return targets \[S\] and what decode needs",
        ),
        (
            {"mapping": OneArgument()},
            TypeError,
            r"mapping OneArgument must accept the call decode\(values, input_sum, code\)",
        ),
        ({"adc": Summed(bits=8)}, ValueError, r"ADC Summed: convert gives shape \(\) for currents of shape \(2, 3\)"),
        ({"adc": NoScale(bits=8)}, TypeError, r"ADC NoScale must accept the call convert\(current, full_scale\)"),
    ],
)
def test_parts_of_wrong_form_are_refused(parts, error, said):
    with pytest.raises(error, match=said):
        xbar.Tile(DEVICE, rows=8, cols=4, **parts)


def test_targets_beyond_the_range_and_a_wrong_product_are_warned_of():
    with pytest.warns(UserWarning, match=r"encode asks for 0.00010\d S; the device has 1e-06 to 0.0001 S"):
        xbar.Tile(DEVICE, rows=8, cols=4, mapping=Middle(6e-6))
    with pytest.warns(
        UserWarning, match="with ideal cells the result misses the product of weights and inputs by .* of the largest"
    ):
        xbar.Tile(DEVICE, rows=8, cols=4, mapping=Alike())
