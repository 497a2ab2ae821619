"""
Read the energy
===============

What an inference costs, which parts it consists of, how certain that is, and what the same network costs on a GPU.
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import devices
import xbar

w = jax.random.normal(jax.random.key(0), (128, 16))
x = jax.random.uniform(jax.random.key(1), (16, 128))


def layer(w, x):
    return x @ w


tile = xbar.Tile(device=devices.reram_wan2022(), rows=128, cols=128, adc=xbar.ADC(bits=8))
chip = xbar.analog(layer, tile).program(w, x, key=jax.random.key(2))
ledger = chip.energy(x, t=86_400.0, inferences=len(x))
low, median, high = ledger.quantiles((0.1, 0.5, 0.9))
print(f"{float(ledger.total):.3g} J an inference (P10 {float(low):.2g} J, P90 {float(high):.2g} J)")
print(ledger.timetable())

# %%
# Which coefficient would change the answer most? ``sensitivities`` are d ln(energy) / d ln(coefficient): 0.4 means that a
# coefficient 10 % higher gives 4 % more energy. The energy model consists of published coefficients with *judged* spreads, and
# this says which of them to look up again.

for name, value in list(ledger.sensitivities().items())[:5]:
    print(f"{name:40} {value:.2f}")

# %%
parts = {name: float(e) for name, e in zip(ledger.components, np.asarray(ledger.by_component), strict=True) if e > 0}
parts = dict(sorted(parts.items(), key=lambda item: item[1]))
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
axes.barh(list(parts), [1e12 * e for e in parts.values()])
axes.set(xlabel="energy of an inference [pJ], median coefficients", xscale="log")
plt.show()

# %%
# Published architectures
# -----------------------
# Macro, circuits and schedule of ISAAC, PUMA, NeuRRAM, HERMES, IBM's 34 tiles and NeuroSim's default. ``print`` lists
# what was published, and what was inferred from it.

arch = xbar.architectures.isaac()
print(arch)
on_isaac = xbar.analog(layer, arch.tile).program(w, x, key=jax.random.key(2))
ledger = on_isaac.energy(x, technology=arch)
print(f"{float(ledger.per_mac):.3g} J a multiply-accumulate, {float(ledger.tops_per_watt):.2g} TOPS/W")

# %%
# The same function on an H100, as a roofline: at batch 1 its weights stream from memory for every input. Read a large ratio as
# the cost of streaming, not as a verdict: a GPU is not made for a network this small.

gpu = xbar.gpu_baseline(layer, w, x[:1])
print(gpu.one)
print(xbar.energy.footnotes(xbar.energy.measured_systems()))  # chips to compare with, and what is recalled of them
