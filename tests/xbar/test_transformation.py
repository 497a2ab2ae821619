"""The transformation: whatever the function looks like, noise-free crossbars give what the function gives.

Every case is built of the operations that real models use. With ideal devices and ideal converters the analog result
must equal the digital one to float32 rounding (1e-5 of the largest output); a mistake in any layout, in the partition
into tiles or in the bookkeeping of loops gives errors of order one.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import devices
import xbar


def tile(**changes):
    settings = dict(device=devices.ideal(), rows=7, cols=5, dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
    return xbar.Tile(**{**settings, **changes})


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def check(f, params, *inputs, mapped, digital=0):
    """Analog equals digital, in a fresh call, on a chip, and calibrated; `mapped` layers sit on tiles."""
    want = f(params, *inputs)
    network = xbar.analog(f, tile())
    chip = network.program(params, *inputs, key=jax.random.key(1))
    assert len([row for row in chip.layers if row.tiles]) == mapped, str(chip.layers)
    assert len(chip.digital_products(*inputs)) == digital
    calibrated = xbar.calibrate(chip, *inputs)
    for got in (
        network(params, *inputs, key=jax.random.key(2)),
        chip(*inputs),
        calibrated(*inputs),
    ):
        jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, atol=2e-5 * float(jnp.max(jnp.abs(w)))), got, want)
        assert jax.tree.structure(got) == jax.tree.structure(want)
    return chip


def test_mlp_with_biases():
    def mlp(p, x):
        for w, b in p:
            x = jax.nn.relu(x @ w + b)
        return x

    params = [(normal(1, 16, 12), normal(2, 12)), (normal(3, 12, 6), normal(4, 6))]
    chip = check(mlp, params, normal(0, 9, 16), mapped=2)
    assert [row.tiles for row in chip.layers] == [3 * 3, 2 * 2]
    x = normal(0, 9, 16)
    jitted = eqx.filter_jit(lambda chip, x: chip(x))(chip, x)  # jit around a chip, which is a pytree
    np.testing.assert_allclose(jitted, mlp(params, x), atol=1e-4)


@pytest.mark.few(9)
@pytest.mark.parametrize(
    "spec",
    [
        "bk,kn->bn",
        "bk,nk->bn",
        "kn,bk->nb",
        "bik,jkn->bijn",
        "gbk,gkn->gbn",
        "bgk,gnk->bgn",
        "abcd,dcef->abef",
        "k,kn->n",
        "bk,k->b",
    ],
)
@pytest.mark.parametrize("weight_first", [False, True])
def test_any_dimension_numbers(spec, weight_first):
    """Contractions over several axes, batch axes and either operand stationary."""
    left, right = spec.split("->")[0].split(",")
    sizes = dict(zip("abcdefgijkn", range(2, 13), strict=True))
    x, w = normal(0, *(sizes[c] for c in left)), normal(1, *(sizes[c] for c in right))
    if weight_first:
        check(lambda p, x: jnp.einsum(f"{right},{left}->{spec.split('->')[1]}", p, x), w, x, mapped=1)
    else:
        check(lambda p, x: jnp.einsum(spec, x, p), w, x, mapped=1)


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "settings",
    [
        dict(window_strides=(1, 1), padding="SAME"),
        dict(window_strides=(2, 1), padding="VALID"),
        dict(window_strides=(1, 2), padding=((2, 1), (0, 3)), rhs_dilation=(1, 2)),
        dict(window_strides=(1, 1), padding=((1, 1), (2, 2)), lhs_dilation=(2, 3)),
        dict(window_strides=(2, 2), padding="SAME", feature_group_count=2),
        dict(window_strides=(1, 1), padding="SAME", feature_group_count=4),
    ],
)
def test_convolution(settings):
    """Strides, padding, dilation of image and kernel, channel groups: as patches on tiles."""
    groups = settings.get("feature_group_count", 1)
    check(
        lambda w, x: lax.conv_general_dilated(x, w, **settings),
        normal(1, 8, 4 // groups, 3, 2),
        normal(0, 3, 4, 9, 8),
        mapped=1,
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("layouts", [("NHWC", "HWIO", "NHWC"), ("CNHW", "OHWI", "HWNC")])
def test_convolution_layouts(layouts):
    sizes = dict(N=3, C=4, H=9, W=8)
    kernel = dict(H=3, W=2, I=4, O=6)
    x, w = normal(0, *(sizes[c] for c in layouts[0])), normal(1, *(kernel[c] for c in layouts[1]))
    check(lambda w, x: lax.conv_general_dilated(x, w, (2, 1), "SAME", dimension_numbers=layouts), w, x, mapped=1)


def test_one_and_three_dimensional_convolution():
    check(
        lambda w, x: lax.conv_general_dilated(x, w, (2,), "SAME"),
        normal(1, 5, 3, 4),
        normal(0, 2, 3, 11),
        mapped=1,
    )
    check(
        lambda w, x: lax.conv_general_dilated(x, w, (1, 2, 1), "VALID"),
        normal(1, 5, 3, 2, 2, 2),
        normal(0, 2, 3, 4, 5, 4),
        mapped=1,
    )


def test_transposed_convolution():
    check(
        lambda w, x: lax.conv_transpose(x, w, (2, 2), "SAME"),
        normal(1, 3, 3, 4, 6),
        normal(0, 2, 5, 5, 4),
        mapped=1,
    )


def test_recurrent_scan_reads_one_array_at_every_step():
    def rnn(p, xs):
        def step(h, x):
            h = jnp.tanh(x @ p["in"] + h @ p["rec"])
            return h, h

        return lax.scan(step, jnp.zeros((4, 6)), xs)

    check(rnn, {"in": normal(1, 5, 6), "rec": normal(2, 6, 6) / 3}, normal(0, 8, 4, 5), mapped=2)


def test_weights_carried_through_a_scan_are_one_array():
    def rnn(p, xs):
        def step(carry, x):
            w, h = carry
            return (w, jnp.tanh(x + h @ w)), None

        return lax.scan(step, (p, jnp.zeros((4, 6))), xs)[0][1]

    chip = check(rnn, normal(2, 6, 6) / 3, normal(0, 8, 4, 6), mapped=1)
    assert chip.layers.tiles == 2


def test_scan_over_stacked_layers_is_a_stack_of_arrays():
    def deep(p, x):
        return lax.scan(lambda h, wb: (jnp.tanh(h @ wb[0].T + wb[1]), jnp.sum(h)), x, p)

    chip = check(deep, (normal(1, 3, 6, 6) / 2, normal(2, 3, 6)), normal(0, 4, 6), mapped=1)
    assert chip.layers.tiles == 3 * 2
    assert next(iter(chip.layers)).matrices == 3


def test_reversed_nested_scans():
    """Weights of shape [outer, inner, ...] and one that changes with the outer scan only."""

    def deep(p, x):
        def outer(h, ws):
            inner = lambda g, w: (jnp.tanh(g @ w + g @ ws["each"]), None)  # noqa: E731
            return lax.scan(inner, h, ws["stack"], reverse=True)[0], None

        return lax.scan(outer, x, p, reverse=True)[0]

    check(deep, {"stack": normal(1, 2, 3, 6, 6) / 3, "each": normal(2, 2, 6, 6) / 3}, normal(0, 4, 6), mapped=2)


def test_weights_indexed_by_a_loop_counter():
    """fori_loop of fixed length is a scan whose stationary counter picks the weight."""

    def deep(p, x):
        return lax.fori_loop(0, 3, lambda i, h: jnp.tanh(h @ p[i]), x)

    chip = check(deep, normal(1, 3, 6, 6) / 2, normal(0, 4, 6), mapped=1)
    assert chip.layers.tiles == 3 * 2


def test_while_loop_of_unknown_length():
    def iterate(p, x):
        return lax.while_loop(
            lambda s: jnp.max(jnp.abs(s[0])) > 0.5, lambda s: (0.9 * jnp.tanh(s[0] @ p), s[1] + 1), (x, 0)
        )

    check(iterate, normal(1, 6, 6) / 4, normal(0, 4, 6), mapped=1)


def test_branches():
    def either(p, x):
        return lax.cond(jnp.sum(x) > 0, lambda x: x @ p[0], lambda x: jnp.sin(x @ p[1]) + x @ p[0], x)

    check(either, normal(1, 2, 6, 6), normal(0, 4, 6), mapped=2)
    check(either, normal(1, 2, 6, 6), -normal(0, 4, 6), mapped=2)


def test_branch_without_a_product_beside_one_with():
    check(
        lambda p, x: lax.switch(jnp.int32(x[0, 0] > 0), [lambda x: x, lambda x: x @ p], x),
        normal(1, 6, 6),
        normal(0, 4, 6),
        mapped=1,
    )


def test_remat_jit_and_vmap_inside():
    @jax.checkpoint
    def block(w, x):
        return jnp.tanh(jax.jit(lambda w, x: jax.vmap(lambda row: w @ row)(x))(w, x))

    check(lambda p, x: block(p, block(p, x)), normal(1, 6, 6), normal(0, 4, 6), mapped=1)


def test_custom_derivatives_around_a_product():
    @jax.custom_jvp
    def first(w, x):
        return x @ w

    first.defjvp(lambda primals, tangents: (first(*primals), tangents[1] @ primals[0]))

    @jax.custom_vjp
    def second(w, x):
        return x @ w

    second.defvjp(lambda w, x: (second(w, x), w), lambda w, g: (jnp.zeros_like(w), g @ w.T))
    check(
        lambda p, x: second(p[1], first(p[0], x)),
        (normal(1, 6, 6), normal(2, 6, 5)),
        normal(0, 4, 6),
        mapped=2,
    )


def test_custom_derivative_without_a_product_survives():
    """relu has slope 0 at 0 by a custom rule; inlining it would give 0.5."""
    f = lambda w, x: jnp.sum(jax.nn.relu(x @ w))  # noqa: E731
    network = xbar.analog(f, tile())
    grad = jax.grad(lambda w: network(w, jnp.ones((1, 3)), key=jax.random.key(0)))(jnp.zeros((3, 2)))
    np.testing.assert_array_equal(grad, jnp.zeros((3, 2)))


def attention(p, x):
    q, k, v = (jnp.einsum("btd,dhe->bhte", x, p[name]) for name in "qkv")
    scores = jax.nn.softmax(jnp.einsum("bhte,bhse->bhts", q, k) / 2.0)
    return jnp.einsum("bhts,bhse,hed->btd", scores, v, p["o"])


def test_attention_products_stay_digital():
    """Projections are mapped; scores and their product with the values meet inputs on both sides."""
    params = {n: normal(i, 6, 2, 4) for i, n in enumerate("qkv")} | {"o": normal(9, 2, 4, 6)}
    chip = check(attention, params, normal(0, 3, 5, 6), mapped=4, digital=2)
    reasons = {d.reason for d in chip.digital_products(normal(0, 3, 5, 6))}
    assert reasons == {"both operands depend on the inputs"}


def test_embedding_and_norms_stay_digital():
    def model(p, tokens):
        x = p["embed"][tokens]
        x = (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * p["gain"]
        return x @ p["out"]

    params = {"embed": normal(1, 11, 6), "gain": normal(2, 6), "out": normal(3, 6, 11)}
    check(model, params, jnp.arange(8).reshape(2, 4), mapped=1)


def test_one_weight_used_twice_is_one_array():
    check(
        lambda w, x, y: jnp.sin(x @ w) + (2 * y) @ w,
        normal(1, 6, 5),
        normal(0, 4, 6),
        normal(2, 3, 4, 6),
        mapped=1,
    )


def test_same_expression_of_a_weight_is_one_array():
    """Two transposes of one weight in two calls of one function."""
    linear = jax.jit(lambda w, x: x @ (2.0 * w.T))
    check(lambda w, x: linear(w, jnp.tanh(linear(w, x))), normal(1, 6, 6), normal(0, 4, 6), mapped=1)


def test_tied_weights_in_two_orientations_are_two_arrays():
    chip = check(lambda w, x: jnp.tanh(x @ w) @ w.T, normal(1, 6, 5), normal(0, 4, 6), mapped=2)
    assert [row.path for row in chip.layers] == ["params", "params #2"]


def test_weight_norm_happens_at_programming():
    """No operation on the direction or gain is left in the chip's call: only the array is."""

    def model(p, x):
        w = p["v"] / jnp.linalg.norm(p["v"], axis=0) * p["g"]
        return x @ jnp.asarray(w.T.T, jnp.float32)

    params = {"v": normal(1, 6, 5), "g": normal(2, 5)}
    chip = check(model, params, normal(0, 4, 6), mapped=1)
    assert chip.leaves == (None, None)


def test_weights_masked_by_a_constant_and_solved_for():
    """Anything may happen to parameters before the product, control flow and linear algebra included."""

    def model(p, x):
        w = lax.fori_loop(0, 3, lambda i, w: 0.5 * w @ w, p["a"]) * jnp.tri(6)
        w = lax.cond(p["n"] > 0, lambda w: w, lambda w: -w, w)
        return x @ (w + jnp.linalg.inv(p["a"] + 9 * jnp.eye(6)))

    check(model, {"a": normal(1, 6, 6) / 3, "n": jnp.float32(1)}, normal(0, 4, 6), mapped=1)


def test_products_without_a_parameter_stay_digital():
    constant = normal(1, 6, 5)
    with pytest.warns(UserWarning, match="nothing in this function runs on crossbars"):
        chip = check(lambda p, x: x @ constant + p, normal(2, 5), normal(0, 4, 6), mapped=0, digital=1)
    assert "no parameter" in chip.digital_products(normal(0, 4, 6))[0].reason


def test_weight_that_depends_on_an_input_stays_digital():
    """Drop-connect: the mask comes in with the inputs."""
    f = lambda w, x, key: x @ (w * jax.random.bernoulli(key, 0.5, w.shape))  # noqa: E731
    with pytest.warns(UserWarning, match="nothing in this function runs on crossbars"):
        check(f, normal(1, 6, 5), normal(0, 4, 6), jax.random.key(3), mapped=0, digital=1)


def test_dropout_key_and_static_arguments():
    def model(p, x, key, train):
        keep = jax.random.bernoulli(key, 0.8, x.shape) if train else 1.0
        return (x * keep) @ p["w"]

    for train in (True, False):
        check(
            model,
            {"w": normal(1, 6, 5), "name": "net", "act": jnp.tanh},
            normal(0, 4, 6),
            jax.random.key(3),
            train,
            mapped=1,
        )


def test_outputs_may_be_any_pytree():
    check(lambda w, x: {"y": x @ w, "extra": (jnp.sum(x), w[0])}, normal(1, 6, 5), normal(0, 4, 6), mapped=1)


def test_bfloat16_stays_bfloat16():
    w, x = normal(1, 6, 5).astype(jnp.bfloat16), normal(0, 4, 6).astype(jnp.bfloat16)
    y = xbar.analog(lambda w, x: x @ w, tile())(w, x, key=jax.random.key(0))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32), (x @ w).astype(jnp.float32), atol=0.05)


def test_tile_chosen_by_layer():
    """A function of path and shape sends layers to different macros or leaves them digital."""

    def choose(path, shape):
        if path == "first":
            return None
        return tile(rows=3, cols=3) if shape[1] < 6 else tile()

    params = {"first": normal(1, 6, 6), "second": normal(2, 6, 6), "third": normal(3, 6, 5)}
    f = lambda p, x: x @ p["first"] @ p["second"] @ p["third"]  # noqa: E731
    x = normal(0, 4, 6)
    chip = xbar.analog(f, choose).program(params, x, key=jax.random.key(0))
    assert {row.path: row.tiles for row in chip.layers} == {"first": 0, "second": 2, "third": 2 * 2}
    assert chip.leaves[0] is not None and chip.leaves[1] is None
    np.testing.assert_allclose(chip(x), f(params, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows, cols", [(1, 1), (4, 3), (16, 12), (300, 300)])
def test_tile_size_does_not_change_the_noise_free_result(rows, cols):
    w, x = normal(1, 16, 12), normal(0, 9, 16)
    y = xbar.analog(lambda w, x: x @ w, tile(rows=rows, cols=cols))(w, x, key=jax.random.key(0))
    np.testing.assert_allclose(y, x @ w, atol=2e-5)


def test_chip_serves_any_batch_size():
    f = lambda p, x: jnp.tanh(x @ p["w"] + p["b"])  # noqa: E731
    params = {"w": normal(1, 16, 12), "b": normal(2, 12)}
    chip = xbar.analog(f, tile()).program(params, normal(0, 9, 16), key=jax.random.key(0))
    for batch in (1, 4, 33):
        x = normal(3, batch, 16)
        np.testing.assert_allclose(chip(x), f(params, x), atol=2e-5)


def test_trace_is_done_once_for_one_kind_of_input():
    """The function's own Python body runs once per kind of input, not at every call."""
    runs = []

    def f(w, x):
        runs.append(x.shape)
        return x @ w

    network = xbar.analog(f, tile())
    chip = network.program(normal(1, 6, 5), normal(0, 4, 6), key=jax.random.key(0))
    for _ in range(3):
        chip(normal(0, 4, 6))
        network(normal(1, 6, 5), normal(0, 4, 6), key=jax.random.key(0))
    assert runs == [(4, 6)]


def test_effects_are_kept(capfd):
    def f(w, x):
        jax.debug.print("mean {m}", m=jnp.mean(x) * 0 + 7)
        return x @ w

    xbar.analog(f, tile())(normal(1, 6, 5), normal(0, 4, 6), key=jax.random.key(0))
    jax.effects_barrier()
    assert "mean 7" in capfd.readouterr().out
