"""What is printed: values with units, in a few lines."""

import jax
import jax.numpy as jnp
import pytest

import devices
import xbar

TILE = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4, adc=xbar.ADC(bits=6, range=2e-5))
W, X = {"a": jnp.ones((6, 5)), "b": jnp.ones((5, 3))}, jnp.ones((4, 6))
KEY = jax.random.key(0)


def perceptron(p, x):
    return jax.nn.relu(x @ p["a"]) @ p["b"]


NETWORK = xbar.analog(perceptron, TILE)


@pytest.fixture(scope="module")
def chip():
    return NETWORK.program(W, X, key=KEY)


def test_a_chip_in_a_few_lines(chip):
    said = repr(chip)
    assert len(said.splitlines()) <= 12
    for part in ("Chip with perceptron", "pcm_joshi2020", "2 on arrays", "8 x 4", "45 weights", "calibrated  no"):
        assert part in said
    ready = repr(xbar.calibrate(chip, X, key=KEY).at(100.0))
    assert "yes, drift compensated" in ready and "at 100 s" in ready
    wafer = jax.vmap(lambda k: NETWORK.program(W, X, key=k))(jax.random.split(KEY, 3))
    assert repr(wafer).startswith("Wafer of 3 chips with perceptron")
    assert chip._repr_html_().startswith("<pre>") and "&#x27;" in chip._repr_html_()


def test_a_macro_and_its_converters():
    said = repr(TILE)
    for part in ("Tile 8 x 4", "pcm_joshi2020", "bits=6, range=2e-05 A", "IdealWires", "at 0.2 V for 1e-07 s"):
        assert part in said
    assert repr(xbar.ADC(bits=None)) == "ADC(bits=None)"
    assert "noise=0.001 V" in repr(xbar.DAC(noise=1e-3))
    assert repr(NETWORK).startswith("Analog perceptron") and "pcm_joshi2020" in repr(NETWORK)


@pytest.mark.slow
def test_a_ledger(chip):
    ledger = chip.energy(X)
    said = repr(ledger)
    assert len(said.splitlines()) < 6 and "per MAC" in said and "adc" in said
    assert "P10-P90" in ledger._repr_html_() and "P10-P90" in str(ledger)
    assert repr(xbar.energy.Technology()).startswith("Technology at 2.2e-08 m")


def test_what_is_traced_is_said_to_be():
    said = []

    def traced(k, v):
        chip = NETWORK.program(W, X, key=k)
        said.extend([repr(chip), repr(chip.energy(X)), repr(xbar.Tile(device=devices.ideal(), v_read=v))])
        return v

    jax.eval_shape(traced, KEY, 0.2)
    assert "perceptron" in said[0] and "traced" in said[1] and "traced float32" in said[2]


def test_placeholders_print(chip):
    empty = jax.tree.map(lambda _: None, chip)
    assert "pcm_joshi2020" in repr(empty)
    assert repr(jax.tree.map(lambda _: object(), TILE)).startswith("Tile 8 x 4")
    assert "Ledger" in repr(jax.tree.map(lambda _: None, chip.energy(X)))
