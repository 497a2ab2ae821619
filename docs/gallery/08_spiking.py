"""
Spiking layers
==============

Leaky integrate-and-fire neurons whose synapses are ordinary products: ``xbar.analog`` puts their weights on crossbars like
any others.

A classifier for digits, with rate coding: the weights are those of a linear classifier, and its outputs are
membrane potentials.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import devices
import xbar
from experiments import datasets
from xbar import spiking

digits = datasets.load("digits")
x = jnp.asarray(digits.x_train.reshape(-1, 64))
x_test, y_test = jnp.asarray(digits.x_test.reshape(-1, 64)), digits.y_test
targets = 2 * jax.nn.one_hot(digits.y_train, 10) - 1
weights = jnp.linalg.solve(x.T @ x + jnp.eye(64), x.T @ targets)

synapse = eqx.nn.Linear(64, 10, use_bias=False, key=jax.random.key(0))
synapse = eqx.tree_at(lambda s: s.weight, synapse, weights.T)
network = spiking.Spiking([synapse], [spiking.LIF(tau=20e-3)], dt=1e-3)

# %%
# In each step, each pixel spikes with a probability given by its brightness. The class is the neuron whose membrane potential
# is highest on average (spike counts work too, with more steps).

STEPS = 60
spikes_in = spiking.rate(x_test, STEPS, key=jax.random.key(1))


def classes(run):
    return np.argmax(spiking.membrane_mean(run.v), -1)


digital = network(spikes_in)
print(f"digital: {np.mean(classes(digital) == y_test):.1%}")

# %%
# On phase-change memory, a day after programming. A spike is 0 or 1, so only two of the DAC's codes are used.

tile = xbar.Tile(device=devices.pcm_joshi2020(), rows=64, cols=64, adc=xbar.ADC(bits=6))
chip = xbar.analog(lambda n, s: n(s), tile).program(network, spikes_in, key=jax.random.key(2))
chip = xbar.calibrate(chip, spikes_in, key=jax.random.key(3))
run = chip(spikes_in, t=86_400.0, key=jax.random.key(4))
print(f"on PCM after a day: {np.mean(classes(run) == y_test):.1%}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.eventplot([np.flatnonzero(s) for s in np.asarray(spikes_in[:, 0]).T], lw=0.8)
left.set(xlabel="time step [ms]", ylabel="pixel", title="input spikes of one image")
for k in range(10):
    right.plot(np.asarray(run.v)[:, 0, k], color="C1" if k == y_test[0] else "0.75", lw=1.5 if k == y_test[0] else 0.8)
right.set(xlabel="time step [ms]", ylabel="membrane", title=f"membranes; orange: class {y_test[0]}")
plt.show()
