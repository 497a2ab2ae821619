"""
Bring a PyTorch model
=====================

``xbar.from_torch`` uses torchax to turn a module into a function of JAX arrays, with its parameters under their own names.
Keyword inputs, dictionaries and tuples are passed through; shared weights are stored on one array.

Needs the extra ``torch``: ``pip install -e '.[torch]'`` in a clone.
"""

import jax
import torch
from torch import nn

import devices
import xbar

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10)).eval()
x = torch.randn(32, 3, 16, 16).numpy()
f, params = xbar.from_torch(model)  # f(params, *inputs, **options)
print(f"as in torch: {abs(f(params, x) - model(torch.from_numpy(x)).detach().numpy()).max():.1e} largest difference")

# %%
# From here on it is a function like any other.

network = xbar.analog(f, xbar.Tile(device=devices.pcm_joshi2020(), rows=256, cols=256))
chip = xbar.calibrate(network.program(params, x, key=jax.random.key(0)), x, key=jax.random.key(1))
print(chip.layers)
print(chip(x, t=86_400.0, key=jax.random.key(2)).argmax(-1))  # one day after programming
