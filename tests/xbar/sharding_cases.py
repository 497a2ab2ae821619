"""Chips whose tiles are spread over eight virtual devices, beside the same chips on one: run by `test_sharding.py`, in a
process of its own as JAX takes the number of devices when it starts. Prints what it found as JSON."""

import json
import math
import re
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import devices
import xbar
from xbar.execution import rewrite_layer
from xbar.macro import programming
from xbar.macro.updating import pulse

MESH = Mesh(np.array(jax.devices()).reshape(2, 4), ("two", "four"))
BOTH = xbar.Sharding(MESH, row_tiles="two", col_tiles="four")
COLS = xbar.Sharding(MESH, col_tiles="four")  # the axis "two" is free for chips and batches
W = jax.random.normal(jax.random.key(1), (64, 64))
X = jax.random.normal(jax.random.key(2), (4, 64))
KEY = jax.random.key(3)


def product(w, x):
    return x @ w


def network(p, x):
    return jnp.tanh(x @ p["a"]) @ p["b"]  # smooth: quantised sums may cancel to 0 or nearly so


def groups(w, x):
    return jnp.einsum("gbk,gkn->gbn", x, w)


def steps(w, x):
    return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, w)[0]


def pair(f, sharding, gradient="exact", **tile):
    tile = dict(device=devices.pcm_joshi2020(), rows=8, cols=8) | tile
    one, many = (xbar.analog(f, xbar.Tile(**tile, sharding=s), gradient=gradient) for s in (None, sharding))
    return one, many


def collectives(f, *args):
    """The collective operations of a compiled function: how many numbers each one returns to a device."""
    text = jax.jit(f).lower(*args).compile().as_text()
    found = {}
    for shapes, name in re.findall(r"= (.+?) (all-gather|all-reduce|all-to-all|reduce-scatter)(?:-start)?\(", text):
        sizes = [math.prod(map(int, s.split(","))) for s in re.findall(r"\[([\d,]+)\]", shapes)]
        found.setdefault(name, []).append(max(sizes, default=1))
    return found


def spec(x):
    return [*x.sharding.spec, *[None] * (x.ndim - len(x.sharding.spec))]


def same(a, b):
    return [bool(np.array_equal(x, y)) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)]


def far(a, b):
    """The largest deviation, in parts of the largest number."""
    return max(
        float(jnp.max(jnp.abs(jnp.asarray(x) - np.asarray(y))) / jnp.max(jnp.abs(jnp.asarray(x))))
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def compared(f, w, x, sharding, **tile):
    """A chip programmed and read both ways."""
    one, many = (n.program(w, x, key=KEY) for n in pair(f, sharding, **tile))
    now = many.at(10.0)
    return {
        "same": same(one.arrays, many.arrays),
        "cells": [spec(leaf) for leaf in jax.tree.leaves(many.arrays[0].cells)],
        "net": spec(now.arrays[0].settled.net),
        "outputs": far(one.at(10.0)(x, key=KEY), now(x, key=KEY)),
        "program": collectives(lambda w, k: pair(f, sharding, **tile)[1].program(w, x, key=k).arrays, w, KEY),
        "at": collectives(lambda chip: chip.at(10.0).arrays, many),
        "read": collectives(lambda chip, x: chip(x, key=KEY), now, x),
    }


def calibrated():
    p = {"a": W, "b": W[::-1]}
    networks = pair(network, BOTH)
    one, many = (xbar.calibrate(n.program(p, X, key=KEY), X, key=KEY) for n in networks)
    loss = lambda n: lambda p: jnp.sum(n(p, X, key=KEY) ** 2)  # noqa: E731
    straight = pair(network, BOTH, gradient="straight_through")
    slopes = [jax.jit(jax.grad(loss(n)))(p) for n in networks]
    return {
        "ranges": far(one.ranges, many.ranges),
        "adc": spec(many.ranges[0].adc),
        "reference": far(one.arrays[0].reference, many.arrays[0].reference),
        "outputs": far(one(X, t=60.0, key=KEY), many(X, t=60.0, key=KEY)),
        "energy": far(one.energy(X).total, many.energy(X).total),
        "read": collectives(lambda chip, x: chip(x, key=KEY), many, X),
        "gradient": far(*slopes),
        "spread": spec(slopes[1]["a"]),
        "straight": far(*[jax.jit(jax.grad(loss(n)))(p) for n in straight]),
        "backward": collectives(jax.grad(loss(networks[1])), p),
    }


def wafers():
    keys = jax.random.split(KEY, 4)
    one, many = pair(product, COLS)
    wafer = lambda n, k: jax.vmap(lambda k: n.program(W, X, key=k))(k)  # noqa: E731
    alone, placed = wafer(one, keys), jax.device_put(keys, NamedSharding(MESH, PartitionSpec("two")))
    found = {}
    for name, net in (("chips", one), ("tiles", many)):
        chips = wafer(net, placed)
        ready = xbar.calibrate(chips, X, key=KEY)
        found[name] = {
            "far": far(alone.arrays, chips.arrays),
            "cells": spec(chips.arrays[0].cells.g),
            "program": collectives(lambda k, n=net: wafer(n, k).arrays, placed),
            "read": collectives(lambda chips: chips(X, t=5.0, key=KEY), chips),
            "outputs": far(alone(X, t=5.0, key=KEY), chips(X, t=5.0, key=KEY)),
            "adc": spec(ready.ranges[0].adc),
        }
    return found


def batches():
    one, many = (n.program(W, X, key=KEY) for n in pair(product, COLS))
    x = jax.device_put(X, NamedSharding(MESH, PartitionSpec("two")))
    y = many(x, key=KEY)
    read = collectives(lambda chip, x: chip(x, key=KEY), many, x)
    return {"outputs": far(one(X, key=KEY), y), "spec": spec(y), "read": read, "plain": spec(one(x, key=KEY))}


def rewritten():
    one, many = (n.program(W, X, key=KEY) for n in pair(product, COLS, device=devices.reram_gong2018()))
    n = jax.random.randint(KEY, W.shape, -3, 4)
    pulsed = [chip.pulse(0, n, key=KEY) for chip in (one, many)]
    again = [chip.reprogram(0, W.T, t=1.0, key=KEY) for chip in (one, many)]
    return {
        "pulsed": same(*(c.arrays for c in pulsed)),
        "again": same(*(c.arrays for c in again)),
        "cells": [spec(c[1].arrays[0].cells.g) for c in (pulsed, again)],
        "pulse": collectives(
            lambda array, n: rewrite_layer(
                many.plan_layers[0], PULSE, many.tiles[0], array, jnp.stack([n[None]] * 2), jnp.float32(0), KEY
            ),
            many.arrays[0],
            n,
        ),
    }


def PULSE(*args):
    return pulse(*args, most=3)


def saved():
    _, many = pair(product, BOTH)
    chip = many.program(W, X, key=KEY)
    with tempfile.TemporaryDirectory() as folder:
        xbar.save(chip, f"{folder}/chip.h5")
        loaded = xbar.load(f"{folder}/chip.h5", product)
    return {"same": same(chip.arrays, loaded.arrays), "sharding": loaded.tiles[0].sharding}


def refused():
    explicit = jax.device_put(X, NamedSharding(jax.make_mesh((8,), ("x",)), PartitionSpec(None, "x")))
    sentences = []
    for wrong in (
        lambda: pair(product, BOTH)[1].program(W[:, :24], X, key=KEY),
        lambda: pair(product, BOTH)[0].program(W, X, key=KEY)(explicit, key=KEY),
        lambda: xbar.Sharding(MESH, row_tiles="three"),
        lambda: xbar.Sharding(MESH, row_tiles="two", col_tiles=("four", "two")),
    ):
        try:
            wrong()
        except ValueError as error:
            sentences.append(str(error))
    return sentences


def main():
    ordinary = programming.AT_ONCE
    programming.AT_ONCE = 2**9  # several turns of the loop on every device
    found = {"product": compared(product, W, X, BOTH)}
    programming.AT_ONCE = ordinary
    found["slices"] = compared(product, W, X, BOTH, mapping=xbar.BitSliced())
    found["frozen"] = compared(product, W, X, COLS, read_noise="frozen", mapping=xbar.Offset())
    found["wires"] = compared(product, W[:32], X[:, :32], BOTH, wires=xbar.ResistiveWires(2.0, 2.0))
    many, x = jax.random.normal(KEY, (4, 16, 16)), jax.random.normal(KEY, (4, 4, 16))
    found["groups"] = compared(groups, many, x, xbar.Sharding(MESH, blocks="four", row_tiles="two"), pack_groups=False)
    found["steps"] = compared(steps, jnp.stack([W, W.T]), X, BOTH)
    for f in (calibrated, wafers, batches, rewritten, saved, refused):
        found[f.__name__] = f()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
