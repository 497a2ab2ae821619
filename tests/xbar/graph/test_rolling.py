"""Equal blocks become one loop: the same function, names of their own, and no more to compile for more of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from xbar.graph.rolling import rolled

D = 8
EXACT = xbar.Tile(device=devices.ideal(), rows=16, cols=16, dac=xbar.DAC(None), adc=xbar.ADC(None))


def block(p, x):
    return x + jax.nn.relu(x @ p["up"] + p["bias"]) @ p["down"]


def network(layers, x):
    for p in layers["blocks"]:
        x = block(p, x)
    return x @ layers["head"]


def parameters(n):
    def one(i):
        a, b, c = jax.random.split(jax.random.fold_in(jax.random.key(0), i), 3)
        up, down = jax.random.normal(a, (D, 12)) / 3, jax.random.normal(b, (12, D)) / 4
        return {"up": up, "down": down, "bias": jax.random.normal(c, (12,))}

    return {"blocks": [one(i) for i in range(n)], "head": jnp.eye(D)}


X = jax.random.normal(jax.random.key(1), (3, D))


def jaxpr(f, *args):
    leaves, tree = jax.tree.flatten(args)
    return jax.make_jaxpr(lambda *leaves: f(*jax.tree.unflatten(tree, leaves)))(*leaves), leaves


def loops(f, *args):
    closed, leaves = jaxpr(f, *args)
    found = rolled(closed, len(leaves) - 1)
    out = jax.core.eval_jaxpr(found.jaxpr.jaxpr, found.jaxpr.consts, *leaves)
    np.testing.assert_allclose(out[0], f(*args), rtol=1e-4, atol=1e-5)
    return [e for e in found.jaxpr.jaxpr.eqns if e.primitive.name == "scan"]


def test_a_stack_of_blocks_is_one_loop():
    (scan,) = loops(network, parameters(6), X)
    assert scan.params["length"] == 6


def test_two_blocks_are_no_loop():
    assert not loops(network, parameters(2), X)


def test_blocks_inside_jit_are_seen():
    (scan,) = loops(jax.jit(lambda p, x: jax.jit(network)(p, x)), parameters(5), X)
    assert scan.params["length"] == 5


def test_hidden_states_that_are_used_later_come_out():
    def all_states(layers, x):
        states = []
        for p in layers["blocks"]:
            x = block(p, x)
            states.append(x)
        return sum(states) + states[1]

    (scan,) = loops(all_states, parameters(4), X)
    assert scan.params["length"] == 4


def test_what_all_blocks_share_is_not_stacked():
    def shared(layers, x):
        scale = jnp.exp(x[:, :1])
        for p in layers["blocks"]:
            x = block(p, x) * scale
        return x

    (scan,) = loops(shared, parameters(4), X)
    assert scan.params["length"] == 4


def test_blocks_that_differ_stay_as_they_are():
    """By a constant, by a static argument, and by the derivative alone."""

    def scaled(layers, x):
        for i, p in enumerate(layers["blocks"]):
            x = block(p, x) * (1.0 + i)
        return x

    assert not loops(scaled, parameters(4), X)

    def with_slope(c):
        f = jax.custom_jvp(lambda x: x)
        f.defjvp(lambda primals, tangents: (primals[0], c * tangents[0]))
        return f

    def same_values_other_slopes(layers, x):
        for i, p in enumerate(layers["blocks"]):
            x = with_slope(1.0 + i)(x @ p["up"] @ p["down"])
        return x

    assert not loops(same_values_other_slopes, parameters(4), X)


def test_long_skips_keep_their_way():
    def skipping(layers, x):
        first = x
        for p in layers["blocks"]:
            first, x = x, block(p, x) + 0.1 * first
        return x

    assert [s.params["length"] for s in loops(skipping, parameters(5), X)] in ([5], [4], [3], [])


def test_on_crossbars_every_block_keeps_its_name_and_its_devices():
    p = parameters(5)
    chip = xbar.analog(network, EXACT).program(p, X, key=jax.random.key(0))
    names = [row.path for row in chip.layers]
    assert names == [f"blocks.{i}.{w}" for w in ("up", "down") for i in range(5)] + ["head"]
    np.testing.assert_allclose(chip(X), network(p, X), rtol=1e-4, atol=1e-5)
    ledger = chip.energy(X, inferences=3)
    assert ledger.layers[:10] == tuple(names[:10]) and bool((ledger.joules[:10, 0] > 0).all())
    noisy = xbar.Tile(device=devices.pcm_joshi2020(), rows=16, cols=16)
    g = xbar.analog(network, noisy).program(p, X, key=jax.random.key(0)).arrays[0].cells.g
    assert g.shape[0] == 5 and float(jnp.abs(g[0] - g[1]).max()) > 1e-7


def test_gradients_of_a_loop_are_those_of_the_blocks():
    p = parameters(4)
    loss = lambda f: lambda p: jnp.sum(jnp.sin(f(p, X)))  # noqa: E731
    got = jax.grad(loss(lambda p, x: xbar.analog(network, EXACT)(p, x, key=jax.random.key(0))))(p)
    want = jax.grad(loss(network))(p)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), got, want)


def test_tiles_chosen_block_by_block():
    """A choice that differs among equal blocks takes the loop apart; one that does not leaves it."""
    other = xbar.Tile(device=devices.ideal(), rows=8, cols=8, dac=xbar.DAC(None), adc=xbar.ADC(None))
    choose = lambda path, shape: other if path == "blocks.2.up" else None if path == "head" else EXACT  # noqa: E731
    chip = xbar.analog(network, choose).program(parameters(4), X, key=jax.random.key(0))
    sizes = {row.path: row.tile for row in chip.layers}
    assert sizes["blocks.2.up"] == (8, 8) and sizes["blocks.1.up"] == (16, 16) and sizes["head"] is None
    np.testing.assert_allclose(chip(X), network(parameters(4), X), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
def test_more_blocks_do_not_make_larger_programs():
    """The compiled program of 16 blocks has as many instructions as that of 4, within a tenth."""
    noisy = xbar.Tile(device=devices.pcm_joshi2020(), rows=16, cols=16)

    def size(n):
        f = lambda p, k: xbar.analog(network, noisy)(p, X, key=k).sum()  # noqa: E731
        return len(jax.jit(f).lower(parameters(n), jax.random.key(0)).as_text().splitlines())

    assert size(16) < 1.1 * size(4)
