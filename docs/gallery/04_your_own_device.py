"""
Describe a device of your own
=============================

A law is a class with one method for *one cell*. Arrays, times, chips and gradients come for free: a law that you write
in your own file has the same standing as one of ours.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import devices


class LogRelaxation(devices.AbstractDrift):
    """g(t) = g + (shift + spread z) ln(1 + t/t0)"""

    shift: jax.Array = eqx.field(converter=jnp.asarray)  # S per e-fold of time
    spread: jax.Array = eqx.field(converter=jnp.asarray)

    def __call__(self, g, z, t):  # z: this cell's own unit normal, drawn once
        return jnp.maximum(g + (self.shift + self.spread * z) * jnp.log1p(t / 1e-3), 0)


# %%
# A cell keeps unit normals, not drawn parameters: so derivatives with respect to ``shift`` and ``spread`` exist, and drift at
# 1 s, at 1 h and at 1 day is one trajectory of the same cell.

noise = devices.noise.TelegraphNoise(amplitude=0.02, g_max=88e-6)
mine = devices.Device(9e-6, 88e-6, drift=LogRelaxation(-9e-8, 4e-8), read_noise=noise)
cells = mine.program(jnp.full((1000,), 5e-5), key=jax.random.key(0))
times = np.geomspace(1, 1e7, 15)
g = np.array([mine.conductance(cells, t) for t in times])
print(f"spread over cells after an hour: {float(mine.conductance(cells, 3600.0).std()):.3g} S")

# %%
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.plot(times, 1e6 * g[:, :40], color="C0", lw=0.6, alpha=0.5)
axes.plot(times, 1e6 * g.mean(1), color="k", label="mean of 1000 cells")
axes.set(xscale="log", xlabel="time since programming [s]", ylabel="conductance [uS]")
axes.legend(frameon=False)
plt.show()

# %%
# The same cells as an oscilloscope would see them (reads x cells):

trace = mine.trace(cells, duration=0.1, rate=1e4, key=jax.random.key(1))
print(trace.shape)

# %%
# Published devices say where their numbers come from. ``xbar cite reram_wan2022`` prints the BibTeX.

devices.describe("reram_wan2022")

# %%
# Compact models
# --------------
# State-equation models run under any waveform. ``Circuit`` adds a series resistance and a source with a current limit.

from devices import compact

model = compact.vteam_knowm_wsdc()
cell = compact.Circuit(model, resistance=1e3, compliance=2e-4)
loop = compact.simulate(cell, compact.sine(0.8, 100.0, cycles=2), substeps=8)
print(f"largest current {float(abs(loop.i).max()):.3g} A, estimated error of the state {float(loop.error):.2g}")

figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
axes.plot(loop.v, 1e6 * loop.i, lw=1)
axes.set(xlabel="voltage [V]", ylabel="current [uA]")
plt.show()

# %%
# From a table of its pulse responses we get a device again: a synapse that an array can be made of.

update = compact.pulse_response(model, up=compact.Pulse(0.3, 1e-5), down=compact.Pulse(-0.25, 1e-5))
device = devices.Device(update.law.g_min, update.law.g_max, update=update)
cells = device.program(jnp.full((1000,), 1e-4), key=jax.random.key(0))
print(f"mean after five pulses up: {float(device.pulse(cells, 5).g.mean()):.3g} S")
