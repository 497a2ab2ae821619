"""What a user gets wrong, and the sentence that says how to mend it."""

import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar

PCM = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4)
W, X = jnp.ones((6, 5)), jnp.ones((4, 6))
KEY = jax.random.key(0)


def f(p, x):
    return x @ p


@pytest.fixture
def chip():
    return xbar.analog(f, PCM).program(W, X, key=KEY)


def test_wrong_shape_names_the_inputs(chip):
    with pytest.raises(TypeError) as error:
        chip(jnp.ones((4, 7)), key=KEY)
    assert "float32[4, 7]" in "".join(error.value.__notes__)


def test_empty_batch(chip):
    for call in (
        lambda x: chip(x, key=KEY),
        lambda x: xbar.calibrate(chip, x, key=KEY),
        lambda x: chip.energy(x, key=KEY),
    ):
        with pytest.raises(ValueError, match=r"input 0 is empty: its shape is \(0, 6\)"):
            call(jnp.ones((0, 6)))


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
def test_weights_that_are_not_numbers(value):
    with pytest.raises(ValueError, match=r"layers.0: a weight is NaN or infinite"):
        xbar.analog(lambda p, x: x @ p["layers"][0], PCM).program({"layers": [W.at[1, 2].set(value)]}, X, key=KEY)


@pytest.mark.parametrize("t", [-1.0, float("nan"), float("inf")])
def test_impossible_time(chip, t):
    with pytest.raises(ValueError, match="time since programming"):
        chip(X, t=t, key=KEY)


def test_time_without_data():
    chip = xbar.analog(f, xbar.Tile(device=devices.reram_wan2022(), rows=8, cols=4)).program(W, X, key=KEY)
    with pytest.raises(ValueError, match="measured at 1, 86400, 172800 s only"):
        chip(X, t=3600.0)
    assert chip(X).shape == (4, 5)  # no time given: the first that is known


def test_traced_time_without_data():
    chip = xbar.analog(f, xbar.Tile(device=devices.reram_wan2022(), rows=8, cols=4)).program(W, X, key=KEY)
    with pytest.raises(Exception, match="no data for reram_wan2022"):
        jax.block_until_ready(jax.jit(lambda t: chip(X, t=t))(3600.0))


def test_missing_read_key(chip):
    with pytest.raises(ValueError, match="needs key="):
        chip(X)


def test_inputs_that_need_other_arrays():
    branchy = lambda p, x: x @ (p if x.ndim == 2 else 2 * p.T.reshape(6, 5))  # noqa: E731
    chip = xbar.analog(branchy, PCM).program(jnp.ones((6, 5)), X, key=KEY)
    three = lambda: chip(jnp.ones((2, 4, 6)), key=KEY)  # noqa: E731
    assert three().shape == (2, 4, 5)  # same arrangement of cells: served
    more = lambda p, x: x @ p if x.shape[0] < 9 else (x @ p) @ p.T  # noqa: E731
    chip = xbar.analog(more, PCM).program(W, X, key=KEY)
    with pytest.raises(ValueError, match="need arrays that the chip does not have"):
        chip(jnp.ones((10, 6)), key=KEY)


@pytest.mark.parametrize("wrong", [dict(rows=0), dict(cols=-2), dict(cols=True)])
def test_impossible_tiles(wrong):
    with pytest.raises(ValueError, match="whole number of at least 1"):
        xbar.Tile(device=devices.ideal(), **wrong)


@pytest.mark.parametrize("wrong", [dict(v_read=0.0), dict(v_read=-0.1), dict(read_time=0.0)])
def test_impossible_voltage_or_time(wrong):
    with pytest.raises(ValueError, match="above 0"):
        xbar.Tile(device=devices.ideal(), **wrong)


IMPOSSIBLE = {
    "ADC: range = 0 A; it takes a finite number above 0": lambda: xbar.ADC(range=jnp.asarray(0.0)),
    "ADC: range = inf A": lambda: xbar.ADC(range=float("inf")),
    "DAC: range = -1": lambda: xbar.DAC(range=np.float32(-1)),
    "ADC: bits is 1; it takes a whole number from 2 to 16": lambda: xbar.ADC(bits=jnp.asarray(1.0)),
    "v_read = inf V": lambda: xbar.Tile(device=devices.ideal(), v_read=float("inf")),
    "PulseTrains: step = -1": lambda: xbar.training.PulseTrains(-1.0),
    "Technology: node = 22 m": lambda: xbar.energy.Technology(node=22.0),
}


@pytest.mark.parametrize("said", IMPOSSIBLE)
def test_impossible_numbers_of_macros(said):
    with pytest.raises(ValueError, match=re.escape(said)):
        IMPOSSIBLE[said]()


@pytest.mark.parametrize("odd", [dict(v_read=5.0), dict(read_time=2.0), dict(read_time=1e-15), dict(rows=9000)])
def test_numbers_that_no_macro_has(odd):
    with pytest.warns(UserWarning, match=f"Tile: {next(iter(odd))} = .* any device"):
        xbar.Tile(device=devices.ideal(), **odd)


def test_whole_numbers_are_fine_where_physics_is_meant():
    """They become floats, which have a derivative; whole numbers of NumPy count lines and bits."""
    dac = xbar.DAC(bits=np.int64(6), range=1, noise=1)
    tile = xbar.Tile(device=devices.ideal(), rows=np.int64(8), dac=dac, adc=xbar.ADC(bits=np.int64(6)), v_read=1)
    assert all(jnp.issubdtype(x.dtype, jnp.floating) for x in jax.tree.leaves(tile))
    assert type(tile.rows) is int and type(tile.dac.bits) is int
    bits = jax.vmap(lambda b: xbar.ADC(bits=b))(jnp.arange(3, 6)).bits
    assert bits.dtype == jnp.float32


def test_device_range():
    with pytest.raises(ValueError, match="0 <= g_min < g_max"):
        devices.ideal(g_min=5e-6, g_max=1e-6)


def test_targets_outside_the_device():
    with pytest.raises(ValueError, match="outside this device's range"):
        devices.ideal().program(jnp.asarray([1e-6, 30e-6]), key=KEY)


def test_calibrate_settings(chip):
    with pytest.raises(ValueError, match="percentile=0"):
        xbar.calibrate(chip, X, key=KEY, method="percentile", percentile=0.0)
    with pytest.raises(ValueError, match="momentum"):
        xbar.calibrate(chip, X, key=KEY, momentum=1.0)


def test_inferences(chip):
    with pytest.raises(ValueError, match="inferences=0"):
        chip.energy(X, key=KEY, inferences=0)


WRONG_TYPES = """
import jax.numpy as jnp, devices, xbar, jax
tile = xbar.Tile(device=devices.ideal())
f, w, x = (lambda p, x: x @ p), jnp.ones((6, 5)), jnp.ones((4, 6))
chip = xbar.analog(f, tile).program(w, x, key=jax.random.key(0))
for name, call in {
    "Tile: device is 'pcm' (str); it takes Device": lambda: xbar.Tile(device="pcm"),
    "Tile: dac is 8 (int); it takes DAC. Write xbar.DAC(bits=8)": lambda: xbar.Tile(device=devices.ideal(), dac=8),
    "wires is 2.0 (float); it takes AbstractWires": lambda: xbar.Tile(device=devices.ideal(), wires=2.0),
    "Such a part is passed as Tile(dac=...)": lambda: xbar.Tile(device=devices.ideal(), adc=xbar.DAC()),
    "v_read is '0.2' (str); it takes a finite number above 0 [V]": lambda: xbar.Tile(device=devices.ideal(), v_read="0.2"),
    "Periphery: adc is 8 (int)": lambda: xbar.Periphery(adc=8),
    "slots is 2.5 (float); it takes a whole number from 1 to 1000": lambda: xbar.training.PulseTrains(1e-3, slots=2.5),
    "it takes Coefficient. Write xbar.energy.Coefficient(": lambda: xbar.energy.Technology(dac=1e-12),
    "2 to 16 whole bits": lambda: xbar.DAC(bits=4.0),
    "2 to 16 whole bits ": lambda: xbar.ADC(bits="8"),
    "it must be 'amplitude', 'bit_serial' or 'pulse_width'": lambda: xbar.DAC(encoding="unary"),
    "it must be 'column' or 'tile'": lambda: xbar.Differential(per="row"),
    "whole number of at least 1": lambda: xbar.Tile(device=devices.ideal(), rows=2.0),
    "must be a Tile": lambda: xbar.analog(f, 3),
    "must be a function": lambda: xbar.analog(w, tile),
    "give a Tile or None": lambda: xbar.analog(f, lambda path, shape: 5).program(w, x, key=jax.random.key(0)),
    "it must be 'independent' or 'frozen'": lambda: xbar.Tile(device=devices.ideal(), read_noise="slow"),
    "it must be 'exact' or 'straight_through'": lambda: xbar.analog(f, tile, gradient="ste"),
    "it must be 'max' or 'percentile'": lambda: xbar.calibrate(chip, x, method="mean"),
    "key=7 is not a key; give key=jax.random.key(7)": lambda: xbar.analog(f, tile).program(w, x, key=7),
    "key=7 is not a key; give key=jax.random.key(7) ": lambda: chip(x, key=7),
    "key=7 is not a key; give key=jax.random.key(7)  ": lambda: xbar.calibrate(chip, x, key=7),
}.items():
    try:
        call()
    except (TypeError, ValueError) as error:
        assert name.strip() in str(error), (name, str(error))
    else:
        raise AssertionError(name)
"""


def test_wrong_types_get_sentences_too():
    """In a process of its own: here the run-time type checker of the tests would speak first."""
    subprocess.run([sys.executable, "-c", WRONG_TYPES], check=True, cwd=pathlib.Path(__file__).parents[2])


def test_shares_and_per_cent_taken_for_each_other(chip):
    with pytest.warns(UserWarning, match="percentile=0.999 cuts off 99.001 % of all values. Give a percentage"):
        xbar.calibrate(chip, X, percentile=0.999)
    with pytest.warns(UserWarning, match="scale=5.0 is more than the largest weight. It is a share"):
        xbar.training.weight_noise({"a": W}, 5.0, key=KEY)
    with pytest.raises(ValueError, match=r"scale=-0\.1; it is a standard deviation"):
        xbar.training.weight_noise({"a": W}, -0.1, key=KEY)
