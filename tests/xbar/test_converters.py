"""Converters against aihwkit's quantiser, and bit-serial against amplitude encoding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar
from xbar.macro.converters import quantise


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("side, bound", [("dac", 1.0), ("adc", 0.7)])
def test_transfer_curve(aihwkit, bits, side, bound):
    """The codes, the rounding and the clipping of a signed mid-tread converter, exactly.

    aihwkit clips after rounding and we before; on a grid that has the bound on it, this is the same. Points within 1e-4
    of a code of the middle between two codes are left out: float32 decides them by the order of its operations.
    """
    x = np.asarray(aihwkit["quantizer"]["x"])
    codes = np.abs(x / bound * (2 ** (bits - 1) - 1))
    clear = np.abs(codes % 1 - 0.5) > 1e-4
    want = np.asarray(aihwkit["quantizer"][f"{side}_{bits}bit_bound{bound:g}"])
    assert clear.sum() > 25
    got = np.asarray(quantise(jnp.asarray(x), jnp.asarray(bound), bits))
    np.testing.assert_allclose(got[clear], want[clear], rtol=1e-5, atol=1e-6)


def test_ties_round_to_even():
    """With 2 bits the ties +-0.5 are exact in binary and go to the even code 0; with full scale 2, so do +-1."""
    np.testing.assert_array_equal(quantise(jnp.asarray([-0.5, 0.5]), jnp.ones(()), 2), [0, 0])
    np.testing.assert_array_equal(quantise(jnp.asarray([-1.0, 1.0, 1.001]), jnp.asarray(2.0), 2), [0, 0, 2])


def test_unlimited_converter_neither_rounds_nor_clips():
    x = jnp.asarray([-3.0, 0.1234567, 5.0])
    np.testing.assert_array_equal(quantise(x, jnp.ones(()), None), x)


def test_straight_through_slope():
    """Slope 1 inside the range and on its ends, 0 outside; a rounding that killed the gradient would give 0 inside."""
    slope = jax.vmap(jax.grad(lambda x: quantise(x, jnp.asarray(2.0), 4)))
    np.testing.assert_allclose(slope(jnp.asarray([-2.1, -2.0, -0.3, 0.0, 1.7, 2.0, 2.1])), [0, 1, 1, 1, 1, 1, 0])


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_bit_planes_add_up_to_the_amplitude_code(bits):
    x = jax.random.normal(jax.random.key(0), (50, 7))
    amplitude, serial = xbar.DAC(bits=bits), xbar.DAC(bits=bits, encoding="bit_serial")
    planes = serial.drive(x, jnp.asarray(1.5))
    assert planes.shape == (bits - 1, 50, 7)
    assert set(np.unique(np.round(planes, 5))) <= {-1, 0, 1}
    total = jnp.tensordot(jnp.asarray(serial.plane_weights()), planes, axes=1)
    np.testing.assert_allclose(total, amplitude.drive(x, jnp.asarray(1.5))[0], atol=1e-6)


def test_bit_serial_has_the_slope_of_the_sum():
    serial = xbar.DAC(bits=5, encoding="bit_serial")
    weights = jnp.asarray(serial.plane_weights())
    slope = jax.vmap(jax.grad(lambda x: weights @ serial.drive(x, jnp.asarray(2.0))))
    np.testing.assert_allclose(slope(jnp.asarray([-3.0, -1.1, 0.0, 0.4, 2.0])), [0, 0.5, 0.5, 0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("bits", [0, 1, -3, 17, True])
@pytest.mark.parametrize("converter", [xbar.DAC, xbar.ADC])
def test_impossible_bits(converter, bits):
    with pytest.raises(ValueError, match=r"2 to 16 whole bits.*bits=None"):
        converter(bits=bits)


@pytest.mark.parametrize(
    "wrong", [dict(range=0.0), dict(range=-1.0), dict(noise=0.0), dict(bits=None, encoding="bit_serial")]
)
def test_impossible_settings_say_what_is_allowed(wrong):
    with pytest.raises(ValueError, match="DAC"):
        xbar.DAC(**wrong)
