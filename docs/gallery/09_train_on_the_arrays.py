"""
Train on the arrays
===================

Pulses to the chip's own cells instead of computed weights. Activations and errors of every array come from reads in both
directions; an algorithm turns them into pulses; the state of an Optax transformation holds the cells. Any network that
``xbar.analog`` maps will do.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax

import devices
import xbar
from xbar.training import insitu


def f(p, x):
    return jnp.tanh(x @ p["a"]) @ p["b"]


a, b, inputs, teacher, cells, fast, steps = jax.random.split(jax.random.key(0), 7)
params = {"a": jax.random.normal(a, (16, 12)) / 4, "b": jax.random.normal(b, (12, 4)) / 4}
x = jax.random.normal(inputs, (64, 16))
y = jnp.argmax(x @ jax.random.normal(teacher, (16, 4)), -1)  # labels of a linear teacher

# %%
# A weight is a cell and its reference; a weight of 1 is at the end of the range. ``backward`` gives the macro converters
# for the other direction. Plain gradient descent works on this ECRAM, whose pulses are nearly symmetric; devices
# with asymmetric pulses need Tiki-Taka and its relatives (``insitu.agad()``, ...).

pairs = xbar.Offset(reference="cell", scale=1.0)
tile = xbar.Tile(devices.ecram_lithium_tang2018(), mapping=pairs, backward=xbar.Periphery())
chip = xbar.analog(f, tile).program(params, x, key=cells)
rule = insitu.on_arrays(insitu.SGD(), 0.3)
state = rule.init(chip, key=fast)


@jax.jit
def step(state, key):
    read, write = jax.random.split(key)

    def loss(out):
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean()

    value, gradients = insitu.backpropagate(state.reading(), (x,), loss, key=read)
    return rule.update(gradients, state, key=write, t=1e-3)[1], value


losses = []
for key in jax.random.split(steps, 40):
    state, value = step(state, key)
    losses.append(float(value))
print(f"loss {losses[0]:.3f}, after {len(losses)} steps {losses[-1]:.3f}")

# %%
# The chip keeps account of what was spent on its cells.

spent = state.total[0].sum
print(f"{float(spent.pulses):.3g} pulses, {float(spent.joules):.3g} J, {float(spent.seconds):.3g} s")

figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
axes.plot(losses)
axes.set(xlabel="step", ylabel="cross entropy [nat]")
plt.show()
