"""Digital work row by row: names, places, and a sum that is all of it."""

import jax
import jax.numpy as jnp
import pytest

import devices
import xbar
from xbar.graph.rows_of_work import digital_rows

KEY = jax.random.key(0)
TILE = xbar.Tile(device=devices.ideal(), rows=32, cols=32)


def attention(p, x):
    q, k, v = (x @ p[n] for n in "qkv")
    mixed = jax.nn.softmax(q @ k.T / 4.0, -1) @ v
    x = x + mixed @ p["o"]
    mean, spread = x.mean(-1, keepdims=True), x.std(-1, keepdims=True)
    return jax.nn.gelu((x - mean) / (spread + 1e-5) @ p["f"])


def pooled(p, x):
    y = jax.lax.conv_general_dilated(x, p, (1, 1), "SAME")
    return jax.lax.reduce_window(jax.nn.relu(y), -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID").sum((2, 3))


def looped(p, xs):
    return jax.lax.scan(lambda h, x: (jnp.tanh(h + x @ p), None), jnp.zeros((4, 6)), xs)[0]


def branched(p, x):
    y = jax.lax.cond(x[0, 0] > 0, lambda y: jnp.exp(y @ p), lambda y: y @ p, x)
    return jax.lax.while_loop(lambda y: y[0, 0] < 1, lambda y: y + jnp.abs(y @ p.T @ p) + 1, y)


PARAMS = {n: jax.random.normal(KEY, (16, 16)) for n in "qkvof"}
CASES = {
    "attention": (attention, PARAMS, jnp.ones((5, 16))),
    "pooled": (pooled, jnp.ones((3, 2, 3, 3)), jnp.ones((1, 2, 8, 8))),
    "looped": (looped, jnp.ones((3, 6)), jnp.ones((7, 4, 3))),
    "branched": (branched, jnp.ones((6, 4)), jnp.ones((2, 6))),
    "twelve blocks": (
        lambda p, x: jax.lax.fori_loop(0, 1, lambda i, y: y, _blocks(p, x)),
        [jax.random.normal(KEY, (8, 8))] * 6,
        jnp.ones((2, 8)),
    ),
}


def _blocks(p, x):
    for w in p:
        x = x + jnp.tanh(x @ w)
    return x


@pytest.mark.parametrize("name", CASES)
def test_rows_are_all_of_the_work(name):
    """Sums of every amount; with layers on arrays, and with none."""
    f, params, x = CASES[name]
    chip = xbar.analog(f, TILE).program(params, x, key=KEY)
    traced, _ = chip._traced((x,))
    for mapped in (frozenset(chip.tiles), frozenset()):
        plan = traced.pruned(mapped)
        whole, rows = traced.digital_work(plan, mapped), digital_rows(traced, plan, mapped)
        for amount in ("ops", "mac_ops", "elements_moved", "transcendental", "operands", "unbounded"):
            assert sum(getattr(row.work, amount) for row in rows) == getattr(whole, amount), amount


def test_names():
    """Softmax, the two products of attention, normalisation, activation: each a row, after its layer."""
    f, params, x = CASES["attention"]
    ledger = xbar.analog(f, TILE).program(params, x, key=KEY).energy(x, inferences=1)
    rows = [name.split("(")[1].rstrip(")") for name in ledger.layers if "(" in name]
    assert {"softmax", "attention", "normalisation", "activation"} <= set(rows)
    names = dict(zip(ledger.layers, ledger.joules, strict=True))
    assert sum(name.endswith("(attention)") for name in names) >= 1
    softmax = next(v for n, v in names.items() if n.endswith("(softmax)"))
    assert float(softmax[ledger.components.index("digital")]) > 0
    pool = xbar.analog(*CASES["pooled"][:1], TILE).program(*CASES["pooled"][1:], key=KEY).energy(CASES["pooled"][2])
    assert any(name.endswith("(pooling)") for name in pool.layers)
