"""One of two processes that share a chip, two virtual devices each: run by `test_sharding.py`. Talks to 127.0.0.1 only."""

import json
import sys

import jax

try:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        f"127.0.0.1:{sys.argv[2]}", num_processes=2, process_id=int(sys.argv[1]), initialization_timeout=60
    )
except (AttributeError, NotImplementedError, RuntimeError, ValueError) as error:
    print(error)
    sys.exit(77)

import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import process_allgather

import devices
import xbar

KEY = jax.random.key(3)
W = np.asarray(jax.random.normal(jax.random.key(1), (32, 64)))
X = np.asarray(jax.random.normal(jax.random.key(2), (4, 32)))


def product(w, x):
    return x @ w


def far(a, b):
    a, b = np.asarray(a), np.asarray(process_allgather(b, tiled=True))
    return float(np.max(np.abs(a - b)) / np.max(np.abs(a)))


def own(one, many):
    """Whether what this process has of an array is its part of the one of a chip on one device."""
    return all(np.array_equal(part.data, np.asarray(one)[part.index]) for part in many.addressable_shards)


def main():
    sharding = xbar.Sharding(jax.make_mesh((4,), ("all",)), col_tiles="all")
    tile = dict(device=devices.pcm_joshi2020(), rows=8, cols=8)
    networks = [xbar.analog(product, xbar.Tile(**tile, sharding=s)) for s in (None, sharding)]
    one, many = (xbar.calibrate(n.program(W, X, key=KEY), X, key=KEY) for n in networks)
    slope = [jax.jit(jax.grad(lambda w, n=n: jnp.sum(n(w, X, key=KEY) ** 2)))(W) for n in networks]
    found = {
        "same": [own(*p) for p in zip(*(jax.tree.leaves(c.arrays[0].cells) for c in (one, many)), strict=True)],
        "own": len(many.arrays[0].cells.g.addressable_shards),
        "outputs": far(one.at(10.0)(X, key=KEY), many.at(10.0)(X, key=KEY)),
        "energy": far(one.energy(X).total, many.energy(X).total),
        "gradient": far(*slope),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
