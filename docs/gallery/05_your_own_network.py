"""
Bring your own network
======================

Plain JAX, Equinox, Flax: nothing in the model changes. Its parameters may be any pytree.
"""

import equinox as eqx
import jax

import devices
import xbar

model = eqx.nn.MLP(64, 10, 32, 1, key=jax.random.key(0))  # stands in for a trained one


def forward(m, x):  # f(params, *inputs)
    return jax.vmap(m)(x)


x = jax.random.normal(jax.random.key(1), (128, 64))
tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=64, cols=64)
chip = xbar.analog(forward, tile).program(model, x, key=jax.random.key(2))

# %%
# Which weight sits on which tiles, what stays digital, and why. Products of two activations (attention scores) have no
# stationary operand: they stay digital and are listed here. Of a product that is unexpectedly left out, a warning says why.

print(chip.layers)
print(chip.digital_products(x))

# %%
# ``at`` computes drift and wires once, for any number of calls at that time.

chip = xbar.calibrate(chip, x, key=jax.random.key(3))
for t, key in zip((1.0, 3600.0, 86_400.0), jax.random.split(jax.random.key(4), 3), strict=True):
    now = chip.at(t)
    print(f"{t:>9,.0f} s: mean deviation of an output {float(abs(now(x, key=key) - forward(model, x)).mean()):.3f}")

# %%
# To choose for each layer, pass a function instead of a tile. Here the first layer has 8-bit weights, sliced
# into digits of 4 bits per cell, and the last stays digital.


def choose(path, shape):
    """``path`` is the parameter's place in the pytree, ``shape`` its matrix (inputs, outputs)."""
    if "layers.1" in path:
        return None
    return xbar.Tile(
        device=devices.pcm_joshi2020(), rows=64, cols=64, mapping=xbar.BitSliced(weight_bits=8, cell_bits=4)
    )


mixed = xbar.analog(forward, choose).program(model, x, key=jax.random.key(5))
print(mixed.layers)

# %%
# Save a chip
# -----------
# A file holds the chip as it is: the same bits in every read, in another process, on another day.

import pathlib
import tempfile

with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder) / "chip.h5"
    xbar.save(chip, file)
    again = xbar.load(file, forward)
    key = jax.random.key(6)
    print("same bits:", bool((again(x, t=3600.0, key=key) == chip(x, t=3600.0, key=key)).all()))
