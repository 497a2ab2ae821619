"""
Run a network on a chip
=======================

How accurate is a network on phase-change memory, from seconds to a year after it was programmed, and what does an inference
cost?

We take real handwritten digits (they ship with xbar) and the simplest network there is: a linear classifier, one matrix of
64 x 10 weights.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import devices
import xbar
from experiments import datasets

digits = datasets.load("digits")
x, x_test = digits.x_train.reshape(-1, 64), digits.x_test.reshape(-1, 64)
targets = 2 * jax.nn.one_hot(digits.y_train, 10) - 1
weights = jnp.linalg.solve(x.T @ x + jnp.eye(64), x.T @ targets)  # ridge regression


def classify(w, images):
    return images @ w


def accuracy(logits):
    return float(np.mean(np.argmax(logits, -1) == digits.y_test))


print(f"digital network: {accuracy(classify(weights, x_test)):.1%} of {len(x_test)} test images")

# %%
# A *tile* is the crossbar macro: a given number of rows and columns of a memory device, with converters around them.
# :func:`xbar.analog` finds every product in the function that has one parameters-only operand, and puts that operand
# on tiles. Nothing in ``classify`` changes.

tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=64, cols=64, dac=xbar.DAC(bits=8), adc=xbar.ADC(bits=8))
network = xbar.analog(classify, tile)

# %%
# ``program`` writes the weights once, with the write errors of the device: this is one physical chip. ``calibrate`` sets the
# converter ranges from unlabelled inputs and turns on drift compensation. Everything random has its own key; the same key
# gives the same chip.

chip = network.program(weights, x, key=jax.random.key(1))
chip = xbar.calibrate(chip, x, key=jax.random.key(2))
print(chip.layers)

# %%
# No single chip is *the* answer: two chips of the same recipe differ. ``jax.vmap`` over keys makes a wafer of them. Drift at
# different times is one trajectory of the same cells; only the read noise is drawn anew in each read.

keys = jax.random.split(jax.random.key(3), 16)
wafer = jax.vmap(lambda k: network.program(weights, x, key=k))(keys)
wafer = xbar.calibrate(wafer, x, key=jax.random.key(4))
times = np.array([20.0, 3600.0, 86_400.0, 2.6e6, 3.15e7])
scores = []
for i, t in enumerate(times):
    logits = wafer(x_test, t=float(t), key=jax.random.key(10 + i))
    scores.append([accuracy(one) for one in logits])
scores = 100 * np.array(scores)
for t, s in zip(times, scores, strict=True):
    print(f"{t:>12,.0f} s: {s.mean():.1f} +- {s.std(ddof=1):.1f} % (n = {s.size} chips)")

# %%
# Hardware was followed for a day; beyond it, the drift law extrapolates, and a warning says so once (``Device.extrapolates``).
# Error bars are standard deviations over chips.

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.errorbar(times, scores.mean(1), scores.std(1, ddof=1), fmt="o-", capsize=3, label="PCM, 8-bit converters")
axes.axhline(100 * accuracy(classify(weights, x_test)), color="0.4", ls=":", label="digital network")
axes.set(xscale="log", xlabel="time since programming [s]", ylabel=f"accuracy [%], mean ± sd, n = {len(keys)} chips")
axes.legend(frameon=False)
plt.show()

# %%
# The energy comes from the same arrays: voltages and conductances of *these* inferences, and published coefficients for the
# circuits around them. It is never shown without its spread and its assumptions.

ledger = chip.energy(x_test, t=86_400.0, inferences=len(x_test))
print(ledger)
