"""Nothing stays digital in silence: what a DAC converts is mapped, the rest is listed with a reason and warned about once.

Each test would fail if a product of a parameter with an input were neither on an array nor listed.
"""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental import sparse
from jax.extend.core import Primitive
from jax.interpreters import mlir
from jax.sharding import Mesh, PartitionSpec

import devices
import xbar

TILE = xbar.Tile(device=devices.ideal(), rows=32, cols=32, dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
KEY = jax.random.key(0)
W, X = jax.random.normal(KEY, (12, 6)), jax.random.normal(jax.random.key(1), (4, 12))


def program(f, params, *inputs):
    """A chip, and what was said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        chip = xbar.analog(f, TILE).program(params, *inputs, key=KEY)
    return chip, [str(w.message) for w in said]


# -- numbers that a DAC converts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype, weight, how",
    [(dtype, jnp.float32, "matmul") for dtype in (bool, jnp.uint8, jnp.int8, jnp.int32, jnp.uint32)]
    + [(bool, jnp.float32, how) for how in ("dot_general", "preferred", "einsum", "weight first")]
    + [(jnp.uint8, jnp.bfloat16, how) for how in ("matmul", "preferred")],
)
def test_integers_and_spikes_meet_devices(dtype, weight, how):
    """At 90e95cb no tile at all: "not real floating-point numbers"."""
    dims = (((1,), (0,)), ((), ()))
    f = {
        "matmul": lambda p, x: x @ p,
        "dot_general": lambda p, x: lax.dot_general(x, p, dims),
        "preferred": lambda p, x: lax.dot_general(x, p, dims, preferred_element_type=jnp.float32),
        "einsum": lambda p, x: jnp.einsum("bk,kn->nb", x, p),
        "weight first": lambda p, x: p.T @ x.T,
    }[how]
    x, w = (3 * jnp.abs(X)).astype(dtype), W.astype(weight)
    chip, said = program(f, w, x)
    want, got = f(w, x), chip(x)
    assert [row.tiles for row in chip.layers] == [1] and not chip.digital_products(x) and not said
    assert got.dtype == want.dtype
    tolerance = 1e-5 if weight == jnp.float32 else 2e-2
    np.testing.assert_allclose(got, want.astype(jnp.float32), atol=tolerance * float(jnp.max(jnp.abs(want))))


def test_integer_parameters_meet_devices():
    """Quantised weights, an adjacency matrix: the product is real, so it can be read."""
    for w in (jnp.round(3 * W).astype(jnp.int8), W > 0):
        chip, _ = program(lambda p, x: x @ p, w, X)
        assert chip.layers.tiles == 1
        np.testing.assert_allclose(chip(X), X @ w, atol=1e-4)


def test_images_of_bytes_meet_devices():
    """A convolution wants equal dtypes: the conversion is the user's, and streams."""
    image, kernel = jnp.full((2, 3, 8, 8), 200, jnp.uint8), jax.random.normal(KEY, (4, 3, 3, 3))
    f = lambda p, x: lax.conv_general_dilated(x.astype(p.dtype), p, (1, 1), "SAME")  # noqa: E731
    chip, _ = program(f, kernel, image)
    assert chip.layers.tiles > 0
    np.testing.assert_allclose(chip(image), f(kernel, image), rtol=1e-4, atol=1e-2)


def test_spikes_in_a_scan_and_their_gradient():
    def network(p, spikes):
        def step(v, s):
            v = 0.9 * v + s @ p
            return v, v > 1.0

        return lax.scan(step, jnp.zeros((4, 6)), spikes)[0]

    spikes = jax.random.bernoulli(KEY, 0.3, (5, 4, 12))
    analog = xbar.analog(network, TILE)
    loss = lambda f: jax.grad(lambda w: jnp.sum(f(w) ** 2))(W)  # noqa: E731
    got = loss(lambda w: analog(w, spikes, key=KEY))
    np.testing.assert_allclose(got, loss(lambda w: network(w, spikes)), rtol=1e-3, atol=1e-3)


# -- what stays digital ------------------------------------------------------------------------------------------------


def outer(p, x):
    return lax.dot_general(x @ p["w"], p["v"], (((), ()), ((), ())))


PARAMS = {"w": W, "v": jax.random.normal(KEY, (3,))}
SURPRISES = {
    "outer product": (outer, PARAMS, X),
    "complex": (lambda p, x: (x @ p["w"], x @ (p["w"] * 1j)), PARAMS, X),
    "integers times integers": (lambda p, x: x.astype(int) @ p["w"].astype(int) + x @ p["w"], PARAMS, X),
    "image": (
        lambda p, x: (
            lax.conv_general_dilated(p["k"], x, (1, 1), "SAME"),
            p["w"].T @ jnp.ones((12, 2)) * x[0, 0, 0, 0],
        ),
        {"k": jnp.ones((1, 2, 5, 5)), "w": W},
        jnp.ones((3, 2, 3, 3)),
    ),
    "batch groups": (
        lambda p, x: lax.conv_general_dilated(x, p["k"], (1, 1), "SAME", batch_group_count=2),
        {"k": jnp.ones((4, 3, 3, 3))},
        jnp.ones((2, 3, 5, 5)),
    ),
}


@pytest.mark.parametrize("name", SURPRISES)
def test_a_surprise_is_said_once_with_layer_and_reason(name):
    """At 90e95cb nothing was said."""
    f, params, x = SURPRISES[name]
    network = xbar.analog(f, TILE)
    with pytest.warns(UserWarning, match=name) as record:
        chip = network.program(params, x, key=KEY)
    assert len(record) == 1 and record[0].filename == __file__
    listed = [d for d in chip.digital_products(x) if name in d.reason]
    assert listed and all(d.path in params and d.path in str(record[0].message) for d in listed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network.program(params, x, key=jax.random.key(1))
        chip(x)


def test_expected_products_are_listed_in_silence():
    def attention(p, x):
        q, k = x @ p["q"], x @ p["k"]
        return jax.nn.softmax(q @ k.T) @ x + x @ jnp.fft.fft(jnp.eye(12)).real

    chip, said = program(attention, {"q": W, "k": 2 * W}, X)
    assert len(chip.digital_products(X)) == 3 and not said


def test_a_network_with_nothing_mapped_says_so():
    assert "nothing" in program(lambda p, x: x * p, W[0, 0], X)[1][0]
    with pytest.warns(UserWarning, match="params: the tile function returned None"):
        xbar.analog(lambda p, x: x @ p, lambda path, shape: None).program(W, X, key=KEY)


def test_a_loop_does_not_warn_of_what_it_saw_too_early():
    """The carry is stationary at first; the outer product with it is one of two streaming operands in the end."""

    def f(p, xs):
        def step(c, x):
            return c + lax.dot_general(x @ p["w"], c[0], (((), ()), ((), ()))), None

        return lax.scan(step, p["c"], xs)[0]

    _, said = program(f, {"w": jnp.ones((3, 2)), "c": jnp.ones((2, 3))}, jnp.ones((4, 3)))
    assert not said


@pytest.mark.parametrize(
    "f",
    [
        lambda p, x: x @ jnp.where(p["mask"], p["weight"], 0),
        lambda p, x: x @ p["weight"][p["order"]],
    ],
)
def test_a_layer_is_named_by_numbers_not_by_masks_or_indices(f):
    """At 90e95cb the mask, as the first of the largest leaves, gave its name."""
    params = {"mask": W > 0, "order": jnp.arange(12), "weight": W}
    assert [row.path for row in program(f, params, X)[0].layers] == ["weight"]
    chip, _ = program(lambda p, x: x @ p["codes"], {"codes": jnp.ones((12, 6), jnp.int8)}, X)
    assert [row.path for row in chip.layers] == ["codes"]


# -- functions inside equations ----------------------------------------------------------------------------------------

MESH = Mesh(np.array(jax.devices()[:1]), ("b",))
P = PartitionSpec
MAPPED, LISTED = "mapped", "listed"


def matmul(w, x):
    return x @ w


def custom_vmap(w, x):
    f = jax.custom_batching.custom_vmap(matmul)
    f.def_vmap(lambda n, batched, w, x: (x @ w, True))
    return f(w, x)


def custom_vjp(w, x):
    f = jax.custom_vjp(matmul)
    f.defvjp(lambda w, x: (x @ w, (w, x)), lambda res, g: (res[1].T @ g, g @ res[0].T))
    return f(w, x)


def custom_jvp(w, x):
    f = jax.custom_jvp(matmul)
    f.defjvp(lambda primals, tangents: (matmul(*primals), primals[1] @ tangents[0]))
    return f(w, x)


def invented(name):
    """A primitive that JAX does not know, which holds a function somewhere in its parameters."""
    primitive = Primitive(name)
    primitive.def_abstract_eval(lambda w, x, **_: jax.core.ShapedArray((4, 6), jnp.float32))
    primitive.def_impl(lambda w, x, **_: matmul(w, x))
    mlir.register_lowering(primitive, mlir.lower_fun(lambda w, x, **_: matmul(w, x), multiple_results=False))
    return primitive


def in_a_tuple(w, x):
    return invented("lab_call").bind(w, x, stages=(("first", jax.make_jaxpr(matmul)(w, x)),))


def open_jaxpr(w, x):
    return invented("lab_open").bind(w, x, body=(None, jax.make_jaxpr(matmul)(w, x).jaxpr))


def other_operands(w, x):
    """A function that takes other operands than its equation has."""
    return invented("lab_kernel").bind(w, x, kernel=jax.make_jaxpr(lambda x: x @ x.T)(x))


def in_another(w, x):
    return invented("lab_outer").bind(w, x, jaxpr=jax.make_jaxpr(in_a_tuple)(w, x))


def while_condition(w, x):
    return lax.while_loop(lambda s: jnp.sum(s[1] @ w) + s[0] < 3, lambda s: (s[0] + 1, s[1] * 1.0), (0.0, x))[1]


def linear_solve(w, x):
    square = w.T @ w + jnp.eye(6)
    solve = lambda matvec, b: b / 2  # noqa: E731
    return lax.custom_linear_solve(lambda v: square @ v, x[0, :6], solve, symmetric=True)


def pallas(w, x):
    def kernel(w, x, out):
        out[...] = x[...] @ w[...]

    return pl.pallas_call(kernel, out_shape=jax.ShapeDtypeStruct((4, 6), jnp.float32), interpret=True)(w, x)


INSIDE = {
    "jit": (jax.jit(matmul), MAPPED),
    "scan": (lambda w, x: lax.scan(lambda c, x: (c, x @ w), 0.0, x)[1], MAPPED),
    "while": (lambda w, x: lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] @ w @ w.T), (0, x))[1], MAPPED),
    "while condition": (while_condition, LISTED),
    "cond": (lambda w, x: lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: 2 * x @ w), MAPPED),
    "platform_dependent": (lambda w, x: lax.platform_dependent(w, x, cpu=matmul, default=matmul), MAPPED),
    "checkpoint": (jax.checkpoint(matmul), MAPPED),
    "named_call": (jax.named_call(matmul, name="layer"), MAPPED),
    "custom_jvp": (custom_jvp, MAPPED),
    "custom_vjp": (custom_vjp, MAPPED),
    "custom_vmap": (custom_vmap, MAPPED),
    "custom_gradient": (
        lambda w, x: jax.custom_gradient(lambda w, x: (x @ w, lambda g: (x.T @ g, g @ w.T)))(w, x),
        MAPPED,
    ),
    "composite": (lax.composite(matmul, "lab.matmul"), MAPPED),
    "shard_map": (jax.shard_map(matmul, mesh=MESH, in_specs=(P(), P("b")), out_specs=P("b")), LISTED),
    "shard_map and scan": (
        jax.shard_map(
            lambda w, x: lax.map(lambda row: row @ w, x), mesh=MESH, in_specs=(P(), P("b")), out_specs=P("b")
        ),
        LISTED,
    ),
    "pmap": (lambda w, x: jax.pmap(lambda x: x @ w)(x[None]), LISTED),
    "ragged_dot": (lambda w, x: lax.ragged_dot(x, jnp.stack([w, w]), jnp.array([1, 3])), LISTED),
    "pallas_call": (pallas, LISTED),
    "custom_linear_solve": (linear_solve, LISTED),
    "in a tuple": (in_a_tuple, LISTED),
    "open jaxpr": (open_jaxpr, LISTED),
    "other operands": (other_operands, LISTED),
    "in another": (in_another, LISTED),
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_product_inside_any_equation_is_mapped_or_listed(name):
    """At 90e95cb custom_vmap, composite, shard_map, pmap, ragged_dot, conditions and invented primitives went unseen."""
    f, how = INSIDE[name]
    chip, said = program(f, W, X)
    listed = [d for d in chip.digital_products(X) if d.surprising and d.path == "params"]
    assert (chip.layers.tiles > 0, bool(listed), bool(said)) == (
        (True, False, False) if how is MAPPED else (False, True, True)
    )
    np.testing.assert_allclose(chip(X), f(W, X), atol=1e-5 * float(jnp.max(jnp.abs(f(W, X)))))


def test_a_rule_without_a_reverse_derivative_does_not_matter():
    """What cannot be differentiated can be traced and read."""
    f = jax.custom_jvp(lambda x: jnp.sin(x))
    f.defjvp(lambda x, dx: (f(*x), lax.while_loop(lambda d: jnp.sum(d) > 1, lambda d: d / 2, dx[0])))
    chip, _ = program(lambda p, x: f(x @ p), W, X)
    np.testing.assert_allclose(chip(X), jnp.sin(X @ W), atol=1e-5)


def test_every_function_of_a_trace_is_looked_at():
    """All products that stand anywhere in these jaxprs, found by JAX's own walk over inner jaxprs, are mapped or listed."""
    subjaxprs = getattr(pytest.importorskip("jax._src.core", reason="JAX's own walk"), "subjaxprs", None)
    if subjaxprs is None:
        pytest.skip("this JAX has no walk over inner jaxprs at the place where it was")

    def count(jaxpr):
        here = sum("dot_general" in eqn.primitive.name for eqn in jaxpr.eqns)
        return here + sum(map(count, subjaxprs(jaxpr)))

    for f, _ in INSIDE.values():
        traced = jax.make_jaxpr(f)(W, X)
        if not count(traced.jaxpr):
            continue
        chip, _ = program(functools.partial(f), W, X)
        assert chip.layers.tiles or chip.digital_products(X)


def test_a_sparse_parameter_is_listed():
    chip, said = program(lambda p, x: x @ p, sparse.BCOO.fromdense(W), X)
    assert "sparse" in chip.digital_products(X)[0].reason and "sparse" in said[0]


UNMAPPED = {  # a product that is listed, and what the one warning says of it
    "shard_map": (INSIDE["shard_map"][0], W, "inside shard_map"),
    "pmap": (INSIDE["pmap"][0], W, "inside "),  # of a shard_map, in JAX that makes one of it
    "ragged_dot": (INSIDE["ragged_dot"][0], W, "the group sizes decide which matrix"),
    "sparse": (lambda p, x: x @ p, sparse.BCOO.fromdense(W), "the matrix is sparse"),
}


@pytest.mark.parametrize("name", UNMAPPED)
def test_what_is_not_mapped_is_said_once_and_clearly(name):
    """One warning a function, however often it is traced, with the reason that the list has too."""
    given, params, reason = UNMAPPED[name]
    f = lambda p, x: given(p, x)  # noqa: E731  a function that nobody has traced yet
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        network = xbar.analog(f, TILE)
        chips = [network.program(params, X, key=KEY) for _ in range(2)]
    assert [reason in str(w.message) for w in said] == [True]
    assert any(reason in d.reason for d in chips[0].digital_products(X))
