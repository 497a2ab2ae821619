"""Digital work of traced functions against hand counts."""

import jax
import jax.numpy as jnp
import pytest

from xbar.energy import Work, count, work_of


def traced(f, *shapes):
    return count(jax.make_jaxpr(f)(*(jnp.zeros(shape) for shape in shapes)))


def test_mlp():
    """Fails if a product, a bias or a ReLU is missed or counted twice: 784-256-10, one input."""

    def mlp(x, w1, b1, w2, b2):
        return jnp.maximum(x @ w1 + b1, 0.0) @ w2 + b2

    work = traced(mlp, (784,), (784, 256), (256,), (256, 10), (10,))
    assert work.mac_ops == 2 * 203_264
    assert work.ops == 256 + 256 + 10
    assert work.operands == (784 + 784 * 256 + 256) + (256 + 2560 + 10)
    assert (work.elements_moved, work.transcendental, work.unbounded) == (0, 0, False)
    assert work.total == 2 * 203_264 + 522


def test_batched_dot():
    """Fails if batch dimensions are contracted or forgotten: 2 B M N K."""
    work = traced(lambda a, b: jnp.einsum("bmk,bkn->bmn", a, b), (5, 3, 7), (5, 7, 2))
    assert work.mac_ops == 2 * 5 * 3 * 2 * 7


@pytest.mark.parametrize("groups", [1, 2])
def test_convolution(groups):
    """Fails if stride or groups are ignored: 8x8 input, 4 -> 6 channels, 3x3, stride 2, SAME: 4x4 outputs."""

    def conv(x, k):
        return jax.lax.conv_general_dilated(x, k, (2, 2), "SAME", feature_group_count=groups)

    work = traced(conv, (2, 4, 8, 8), (6, 4 // groups, 3, 3))
    assert work.mac_ops == 2 * (2 * 6 * 4 * 4) * (4 // groups * 9)


def test_scan_rnn():
    """Fails if a scan body is not multiplied by its length: h' = tanh(h U + x W), 12 steps."""

    def rnn(xs, h, u, w):
        return jax.lax.scan(lambda h, x: (jnp.tanh(h @ u + x @ w), None), h, xs)[0]

    work = traced(rnn, (12, 3), (5,), (5, 5), (3, 5))
    assert work.mac_ops == 12 * 2 * (25 + 15)
    assert (work.ops, work.transcendental) == (12 * 5, 12 * 5)


def test_softmax_attention():
    """Fails if softmax's parts are misfiled: 6 queries and keys; division and exp are transcendental."""

    def attention(q, k, v):
        scores = q @ k.T
        e = jnp.exp(scores - scores.max(-1, keepdims=True))
        return (e / e.sum(-1, keepdims=True)) @ v

    work = traced(attention, (6, 8), (6, 8), (6, 4))
    assert work.mac_ops == 2 * (6 * 6 * 8 + 6 * 4 * 6)
    assert work.ops == 36 + 36 + 36  # max, subtraction, sum
    assert work.transcendental == 36 + 36  # exp, division
    assert work.elements_moved in (0, 48)  # k.T, which some versions fold into the product


def test_nested_calls_count_once():
    """Fails if jit, checkpoint, custom rules or vmap hide or repeat work."""

    @jax.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g,))
    for f in (jax.jit(lambda x: x * x), jax.checkpoint(lambda x: x * x), square, lambda x: x**2):
        assert traced(f, (7,)).ops == 7
    assert traced(jax.nn.relu, (7,)).ops == 7


def test_cond_takes_the_dearest_branch_and_while_is_flagged():
    """Fails if branches add up, or an unbounded loop is not marked."""

    def branches(x):
        return jax.lax.cond(x[0] > 0, lambda v: jnp.exp(v) + v + v, lambda v: v, x)

    work = traced(branches, (9,))
    assert (work.transcendental, work.ops) == (9, 18 + 1)
    loop = traced(lambda x: jax.lax.while_loop(lambda v: v[0] < 3, lambda v: v * 2, x), (9,))
    assert loop.unbounded
    assert loop.ops == 9 + 1


def test_moves_and_reductions():
    """Fails if a move costs operations, a free reshape moves, or a scatter counts its whole operand."""
    assert traced(lambda x: x.reshape(6), (2, 3)) == Work()
    assert traced(lambda x: x.T, (2, 3)) == Work(elements_moved=6)
    assert traced(lambda x: x.sum(0), (4, 5)) == Work(ops=20)
    assert traced(lambda x: jnp.argmax(x), (20,)).ops == 20
    assert traced(lambda x: jnp.concatenate([x, x]), (4,)) == Work(elements_moved=8)
    pool = traced(lambda x: jax.lax.reduce_window(x, 0.0, jax.lax.add, (2, 2), (2, 2), "VALID"), (8, 8))
    assert pool.ops == 16 * 4
    scatter = jax.make_jaxpr(lambda x, i: x.at[i].add(1.0))(jnp.zeros(100), jnp.arange(3))
    update = next(work_of(e) for e in scatter.eqns if e.primitive.name == "scatter-add")
    assert update == Work(ops=3, elements_moved=3)


def test_equations_without_outputs():
    """Fails if a debugging print, which has no output, cannot be counted."""

    def f(x):
        jax.debug.print("{}", x)
        return x + 1

    assert traced(f, (4,)).ops == 4


def test_arithmetic():
    """Fails if sums lose a field or the flag."""
    one = Work(1, 2, 3, 4, 5)
    assert one + 2 * one == 3 * one == Work(3, 6, 9, 12, 15)
    assert (one + Work(unbounded=True)).unbounded
