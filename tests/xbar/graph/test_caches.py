"""What a trace costs, when it is done again, and that nothing outlives its function.

Compilations are counted by JAX's own events. A bug in a key shows as a compilation where there should be none, or as the
result of another function's trace.
"""

import functools
import gc
import time
import warnings
import weakref

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import devices
import xbar
from xbar.graph.identity import WeakCache, same
from xbar.graph.tracing import Function, flatten, trace

TILE = xbar.Tile(device=devices.ideal(), rows=32, cols=32, dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
KEY = jax.random.key(0)
W, X = jax.random.normal(KEY, (12, 6)), jax.random.normal(jax.random.key(1), (4, 12))
COMPILED = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: COMPILED.append(event) if event.endswith("backend_compile_duration") else None
)


def compilations(f):
    """What `f` returns, and how often it compiled."""
    before = len(COMPILED)
    return f(), len(COMPILED) - before


def traced(f, params=W, *inputs):
    leaves, frame = flatten(params)
    return trace(Function.of(f), frame, leaves, inputs or (X,))[0]


# -- cost --------------------------------------------------------------------------------------------------------------


def newton_schulz(n):
    def f(p, x):
        w = p / jnp.linalg.norm(p)
        for _ in range(n):
            a = w @ w.T
            w = 3.4445 * w - 4.775 * a @ w + 2.0315 * a @ a @ w
        return x @ w

    return f


def test_arithmetic_on_a_weight_costs_in_proportion():
    """At 90e95cb 11 iterations took 3.7 s, each one more four times as long; 30 take .07 s now."""
    start = time.process_time()
    assert len(traced(newton_schulz(30)).layers) == 1
    assert time.process_time() - start < 2


@pytest.mark.slow
def test_arithmetic_deeper_than_the_stack():
    f = lambda p, x: x @ functools.reduce(lambda w, _: w + 1, range(2000), p)  # noqa: E731
    chip = xbar.analog(f, TILE).program(W, X, key=KEY)
    np.testing.assert_allclose(chip(X), f(W, X), rtol=1e-4, atol=1e-2)


def test_equal_expressions_have_equal_numbers():
    """The value number of an expression tells operands, parameters of the operation and which output."""

    def f(p, x):
        one, two = jnp.split(p, 2, axis=1)
        return x @ one + x @ two + x @ jnp.split(p, 2, axis=1)[0] + x @ (2.0 * one) + x @ (2.0 * one) + x @ (3.0 * one)

    assert len(traced(f).layers) == 4


# -- memory ------------------------------------------------------------------------------------------------------------


def closing_over(big):
    return lambda p, x: x @ p + big[:6]


def inside_jit(big):
    return lambda p, x: jax.jit(lambda y: jnp.sin(y) + big[0])(x) @ p


def inside_loop(big):
    return lambda p, x: lax.fori_loop(0, 2, lambda i, y: jnp.tanh(y @ p @ p.T) + big[0], x) @ p


def with_own_derivative(big):
    @jax.custom_jvp
    def shifted(y):
        return y + big[0]

    shifted.defjvp(lambda primals, tangents: (shifted(*primals), tangents[0] * big[1]))
    return lambda p, x: shifted(x @ p)


@pytest.mark.few(2)
@pytest.mark.parametrize("make", [closing_over, inside_jit, inside_loop, with_own_derivative])
@pytest.mark.parametrize("array", [jnp.arange, pytest.param(np.arange, marks=pytest.mark.slow)])
def test_arrays_go_with_their_function(make, array):
    """At 90e95cb the caches kept function, trace and compiled plan: 21 such functions left 420 MB."""
    before = sum(a.nbytes for a in jax.live_arrays())
    big = array(250_000.0)
    f = make(big)
    network = xbar.analog(f, TILE)
    network(W, X, key=KEY)
    chip = xbar.calibrate(network.program(W, X, key=KEY), X)
    np.testing.assert_allclose(chip(X), f(W, X), rtol=1e-4, atol=1e-4)
    chip.energy(X)
    alive = weakref.ref(f), weakref.ref(big)
    del big, f, network, chip
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    assert sum(a.nbytes for a in jax.live_arrays()) - before < 1e5


def test_a_chip_keeps_its_trace():
    """The function is the chip's now; its Python body does not run again."""
    runs = []

    def f(p, x):
        runs.append(1)
        return x @ p

    chip = xbar.analog(f, TILE).program(W, X, key=KEY)
    del f
    gc.collect()
    chip(X), chip(X)
    assert len(runs) == 1


def test_captured_arrays_are_not_compiled_in():
    """They are arguments: one more of them makes the code no longer."""
    big = jnp.arange(120_000.0).reshape(-1, 12)
    t = traced(lambda p, x: (x @ p, x @ big.T), W, X)
    assert [c.shape for c in t.constants] == [big.shape]


def test_what_is_closed_over_may_be_traced_and_differentiated():
    def loss(bias):
        f = lambda p, x: jnp.tanh(x @ p + bias)  # noqa: E731
        return jnp.sum(xbar.analog(f, TILE)(W, X, key=KEY))

    want = jax.grad(lambda bias: jnp.sum(jnp.tanh(X @ W + bias)))(jnp.ones(6))
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(jnp.ones(6)), want, atol=1e-4)


# -- when it is done again ---------------------------------------------------------------------------------------------


class Model(eqx.Module):
    shift: jax.Array
    act: object = jnp.tanh
    sizes: list = eqx.field(static=True, default_factory=lambda: [1, 2])

    def __call__(self, p, x):
        return self.act(x @ p + self.shift)

    def method(self, p, x):
        return self(p, x)


class Plain:
    def __init__(self):
        self.shift = jnp.ones(6)

    def apply(self, p, x):
        return jnp.tanh(x @ p + self.shift)


def shifted(shift, p, x, *, act):
    return act(x @ p + shift)


MODEL, PLAIN, SHIFT = Model(jnp.ones(6)), Plain(), jnp.ones(6)
CALLABLES = {
    "module": lambda: MODEL,
    "method of a module": lambda: MODEL.method,
    "module made anew": lambda: Model(jnp.ones(6)),
    "bound method": lambda: PLAIN.apply,
    "partial": lambda: functools.partial(shifted, SHIFT, act=jnp.tanh),
    "partial of a partial": lambda: functools.partial(functools.partial(shifted, act=jnp.tanh), jnp.ones(6)),
    "tree partial": lambda: jax.tree_util.Partial(shifted, SHIFT, act=jnp.tanh),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_callables_that_are_made_anew_at_every_access(name):
    """At 90e95cb callables with arrays were traced and compiled at every call, about 1 s each."""
    make = CALLABLES[name]

    def step():
        f = make()
        network = xbar.analog(f, TILE)
        chip = network.program(W, X, key=KEY)
        return network(W, X, key=KEY), chip(X)

    (one, two), _ = compilations(step)
    np.testing.assert_allclose(one, jnp.tanh(X @ W + 1), atol=1e-5)
    np.testing.assert_allclose(two, jnp.tanh(X @ W + 1), atol=1e-5)
    assert compilations(step)[1] == 0


def test_arrays_of_a_callable_are_not_part_of_its_identity():
    """A module with other numbers is the same code with other arguments; and its numbers count."""
    first = xbar.analog(Model(jnp.ones(6)), TILE)
    first(W, X, key=KEY)
    y, n = compilations(lambda: xbar.analog(Model(2.0 * SHIFT), TILE)(W, X, key=KEY))
    np.testing.assert_allclose(y, jnp.tanh(X @ W + 2), atol=1e-5)
    assert n <= 1  # 2 * SHIFT itself
    assert len(jax.tree.leaves(first.f)) == 1


def test_a_chip_of_a_module_is_a_pytree():
    network = xbar.analog(MODEL.method, TILE)
    chip = network.program(W, X, key=KEY)
    np.testing.assert_allclose(eqx.filter_jit(lambda c, x: c(x))(chip, X), jnp.tanh(X @ W + 1), atol=1e-5)
    wafer = jax.vmap(lambda k: network.program(W, X, key=k))(jax.random.split(KEY, 2))
    np.testing.assert_allclose(jax.vmap(lambda c: c(X))(wafer)[1], jnp.tanh(X @ W + 1), atol=1e-5)


def test_floats_among_the_inputs_are_traced():
    """At 90e95cb every new float was a new function."""
    chip = xbar.analog(lambda p, x, rate: rate * (x @ p), TILE).program(W, X, 0.5, key=KEY)
    chip(X, 0.1)
    y, n = compilations(lambda: chip(X, 0.2))
    assert n == 0
    np.testing.assert_allclose(y, 0.2 * (X @ W), atol=1e-5)
    assert chip(X.astype(jnp.bfloat16), 0.3).dtype == jnp.float32
    half = xbar.analog(lambda p, x, rate: rate * (x @ p), TILE).program(W.astype(jnp.bfloat16), X, 0.5, key=KEY)
    assert half(X.astype(jnp.bfloat16), 0.3).dtype == jnp.bfloat16  # a Python number decides no dtype


@pytest.mark.parametrize(
    "f",
    [
        lambda p, x, rate: (x @ p) if rate > 0.15 else 2 * (x @ p),  # needs the value
        lambda p, x, rate: jnp.asarray(np.sin(rate)) * (x @ p),
        lambda p, x, rate: x @ (p * rate),  # a weight with a setting is still a weight
    ],
)
def test_floats_are_static_where_they_must_be(f):
    chip = xbar.analog(f, TILE).program(W, X, 0.5, key=KEY)
    assert chip.layers.tiles == 1
    for rate in (0.1, 0.5):
        fresh = xbar.analog(f, TILE).program(W, X, rate, key=KEY)
        np.testing.assert_allclose(fresh(X, rate), f(W, X, rate), atol=1e-5)


def test_settings_of_jax_are_part_of_a_trace():
    """The precision of a product stands in its equation; at 90e95cb the first one stayed."""
    seen = []

    def f(p, x):
        seen.append(jax.config.jax_default_matmul_precision)
        return x @ p

    chip = xbar.analog(f, TILE).program(W, X, key=KEY)
    with jax.default_matmul_precision("highest"):
        chip(X)
    chip(X)
    assert seen == [None, "highest"]


class Unhashable:
    """Compares by value, and has no hash."""

    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return isinstance(other, Unhashable) and self.n == other.n

    __hash__ = None


class NoCopy(Unhashable):
    def __deepcopy__(self, memo):
        raise RuntimeError("no copies")


def test_static_leaves_without_a_hash():
    """At 90e95cb they were traced and compiled every time, in silence."""
    runs = []

    def f(p, x):
        runs.append(1)
        return p["s"].n * (x @ p["w"])

    setting = Unhashable(2)
    network = xbar.analog(f, TILE)
    for _ in range(2):
        np.testing.assert_allclose(network({"w": W, "s": setting}, X, key=KEY), 2 * X @ W, atol=1e-5)
    assert len(runs) == 1
    setting.n = 3  # changed in place: another function
    np.testing.assert_allclose(network({"w": W, "s": setting}, X, key=KEY), 3 * X @ W, atol=1e-5)
    chip = network.program({"w": W, "s": Unhashable(2)}, X, key=KEY)
    np.testing.assert_allclose(eqx.filter_jit(lambda c, x: c(x))(chip, X), 2 * X @ W, atol=1e-5)
    with pytest.warns(UserWarning, match="again at every call, because a NoCopy can be neither hashed nor copied"):
        network({"w": W, "s": NoCopy(2)}, X, key=KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network({"w": W, "s": NoCopy(2)}, X, key=KEY)


def test_identity_of_static_things():
    a, b = [1, {"x": np.arange(3)}], [1, {"x": np.arange(3)}]
    assert same(a) == same(b) and hash(same(a)) == hash(same(b))
    b[1]["x"][0] = 7
    assert same(a) != same(b)
    assert same(0.0) != same(-0.0) and same(float("nan")) == same(float("nan"))
    assert len({same(1), same(1.0), same(True)}) == 3
    assert same(PLAIN.apply) == same(PLAIN.apply) != same(Plain().apply)


def test_a_weak_cache_forgets_with_its_keys():
    class Thing:
        pass

    cache, thing = WeakCache(size=2), Thing()
    assert cache.get((1, same(thing)), lambda: "a") == "a"
    assert cache.get((1, same(thing)), lambda: "b") == "a"
    assert cache.get((1, same(thing)), lambda: "c") == "a"
    del thing
    assert not cache.entries
    for i in range(5):
        cache.get(i, lambda i=i: i)
    assert list(cache.entries) == [3, 4]
