"""
Train for the hardware
======================

A network that has seen noise, drift and coarse converters during training loses less to them. The forward pass is the
analog one; gradients pass through devices, converters and time. Any optimiser will do.

We use digits and a small perceptron on a coarse device: write errors are assumed to be 15 % of the conductance range. On a
good device there is less to gain (see the results of ``accuracy-energy``), and a few hundred steps would not show it.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import devices
import xbar
from experiments import datasets

digits = datasets.load("digits")
x, x_test = jnp.asarray(digits.x_train.reshape(-1, 64)), jnp.asarray(digits.x_test.reshape(-1, 64))
y = jnp.asarray(digits.y_train)
DAY = 86_400.0


def mlp(p, images):
    return jax.nn.relu(images @ p["a"]) @ p["b"]


def train(forward, params, steps, rate, key):
    """Adam on the cross entropy; ``forward(params, inputs, key)`` is digital or analog."""
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def loss(p, key):
        batch, noise = jax.random.split(key)
        chosen = jax.random.randint(batch, (64,), 0, len(y))
        logits = forward(p, x[chosen], noise)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y[chosen]).mean()

    @jax.jit
    def step(params, state, key):
        updates, state = optimiser.update(jax.grad(loss)(params, key), state)
        return optax.apply_updates(params, updates), state

    state = optimiser.init(params)
    for k in jax.random.split(key, steps):
        params, state = step(params, state, k)
    return params


a, b, first, second = jax.random.split(jax.random.key(0), 4)
params = {"a": jax.random.normal(a, (64, 32)) / 8, "b": jax.random.normal(b, (32, 10)) / 6}
digital = train(lambda p, xs, key: mlp(p, xs), params, 400, 3e-3, first)

# %%
# Fresh devices in every step would give the exact statistics, but drawing them would be most of the work.
# :func:`xbar.training.moment_matched` samples the device once and draws its spread at the outputs instead. Weights are
# clipped to 2.5 standard deviations, so that outliers do not waste the conductance range.

coarse = devices.assume_spread(devices.Device(1e-6, 1e-4), 0.15)
tile = xbar.Tile(device=coarse, rows=64, cols=64, adc=xbar.ADC(bits=6))
drawn = xbar.training.moment_matched(tile, DAY, key=jax.random.key(1))
network = xbar.analog(mlp, drawn)
clipped = xbar.training.clip_weights(digital, 2.5)
aware = train(lambda p, xs, key: network(p, xs, key=key, t=DAY), clipped, 400, 2e-3, second)

# %%
# The control: the same number of further steps without devices. A gain that longer training alone would give is not due to
# hardware-aware training.

longer = train(lambda p, xs, key: mlp(p, xs), clipped, 400, 2e-3, jax.random.clone(second))  # the same batches

# %%
# Twelve chips each, read a day after programming. All three networks run on the same cells (same keys), so differences
# are paired.

keys = jax.random.split(jax.random.key(5), 12)


def on_chips(params):
    wafer = jax.vmap(lambda k: xbar.analog(mlp, tile).program(params, x[:256], key=k))(keys)
    wafer = xbar.calibrate(wafer, x[:256], key=jax.random.key(6))
    logits = wafer(x_test, t=DAY, key=jax.random.key(7))
    return 100 * np.mean(np.argmax(logits, -1) == digits.y_test, -1)


names = ("as trained", "trained longer", "hardware-aware")
scores = np.array([on_chips(p) for p in (digital, longer, aware)])
for name, s in zip(names, scores, strict=True):
    print(f"{name:15} {s.mean():.1f} ± {s.std(ddof=1):.1f} %")
gain = scores[2] - scores[1]
print(
    f"paired gain over longer training: {gain.mean():+.2f} ± {gain.std(ddof=1) / len(keys) ** 0.5:.2f} points (mean ± se)"
)

# %%
figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
for chip in range(len(keys)):
    axes.plot(names, scores[:, chip], color="0.8", lw=0.8)
axes.errorbar(names, scores.mean(1), scores.std(1, ddof=1), fmt="o", capsize=4)
axes.set(ylabel=f"accuracy after a day [%], mean ± sd, n = {len(keys)} chips")
plt.show()
