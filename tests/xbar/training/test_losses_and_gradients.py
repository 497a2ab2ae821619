"""Distillation, sharpness-aware gradients and curvature on problems whose answers are known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar import training

A = jnp.array([[3.0, 1.0], [1.0, 2.0]])
W = jnp.array([1.0, -2.0])


def quadratic(w):
    return 0.5 * w @ A @ w


def test_distillation_is_the_divergence_and_pulls_to_the_teacher():
    """Cross-entropy with the teacher's probabilities less its entropy; its gradient is q - p over the batch; also at T = 2."""
    student, teacher = jax.random.normal(jax.random.key(0), (2, 5, 4))
    p = jax.nn.softmax(teacher)
    expected = -jnp.mean(jnp.sum(p * jax.nn.log_softmax(student), -1)) + jnp.mean(jnp.sum(p * jnp.log(p), -1))
    np.testing.assert_allclose(training.distillation_loss(student, teacher), expected, rtol=1e-5)
    by_student, by_teacher = jax.grad(training.distillation_loss, (0, 1))(student, teacher)
    np.testing.assert_allclose(by_student, (jax.nn.softmax(student) - p) / 5, atol=1e-6)
    assert not by_teacher.any() and abs(float(training.distillation_loss(teacher, teacher))) < 1e-6
    soft = training.distillation_loss(student, teacher, 2.0)
    np.testing.assert_allclose(soft, 4 * training.distillation_loss(student / 2, teacher / 2), rtol=1e-5)
    with pytest.raises(ValueError, match=r"temperature=0\.0"):
        training.distillation_loss(student, teacher, 0.0)


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_sharpness_aware_gradient_is_its_definition(adaptive):
    """On w A w / 2 the gradient at w + rho g / |g| (adaptive: w + rho w^2 g / |w g|) is A times that."""
    g = A @ W
    step = W**2 * g / jnp.linalg.norm(W * g) if adaptive else g / jnp.linalg.norm(g)
    found = jax.jit(training.sharpness_aware(jax.grad(quadratic), 0.1, adaptive=adaptive))(W)
    np.testing.assert_allclose(found, A @ (W + 0.1 * step), rtol=1e-5)


def test_sharpness_aware_gradients_of_modules_and_of_nothing():
    """Equinox's filtered gradients have holes; where the gradient is 0 there is no direction, and no NaN."""
    model = eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))
    loss = lambda m, x: jnp.mean(jax.vmap(m)(x) ** 2)  # noqa: E731
    slope = training.sharpness_aware(eqx.filter_grad(loss))(model, jnp.ones((3, 2)))
    assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(slope))
    assert not training.sharpness_aware(jax.grad(quadratic))(jnp.zeros(2)).any()
    with pytest.raises(ValueError, match=r"radius=0\.0"):
        training.sharpness_aware(jax.grad(quadratic), 0.0)


def test_curvature_is_exact_where_it_is_diagonal():
    """Of sum a w^3 / 6 it is a w after a single probe, and its derivative by w is a."""
    a = jnp.arange(1.0, 7.0).reshape(2, 3)
    loss = lambda p: jnp.sum(a * p["w"] ** 3) / 6  # noqa: E731
    params = {"w": jax.random.normal(jax.random.key(1), (2, 3))}
    find = lambda p: training.curvature(loss, p, key=jax.random.key(2), probes=1)["w"]  # noqa: E731
    np.testing.assert_allclose(find(params), a * params["w"], rtol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.grad(lambda p: find(p).sum()))(params)["w"], a, rtol=1e-5)


def test_curvature_converges_as_it_says():
    """400 probes of a matrix with off-diagonal 1: standard error sqrt(2 / 400), taken five times."""
    found = jax.jit(lambda k: training.curvature(quadratic, W, key=k, probes=400))(jax.random.key(3))
    np.testing.assert_allclose(found, jnp.diag(A), atol=5 * (2 / 400) ** 0.5)


def test_the_most_sensitive_weights_are_those_whose_error_costs_most():
    """Cost H var / 2 of every weight, over two tensors; biases are not asked."""
    h = {"b": jnp.array([1e9, 1e9]), "v": jnp.array([[1.0, 5.0], [2.0, 8.0]]), "w": jnp.array([[9.0, 3.0], [4.0, 7.0]])}
    mask = training.most_sensitive(h, 3 / 8)
    assert mask["v"].tolist() == [[False, False], [False, True]] and mask["w"].tolist() == [
        [True, False],
        [False, True],
    ]
    assert not mask["b"].any()
    spread = {"b": jnp.ones(2), "v": jnp.full((2, 2), 100.0), "w": jnp.ones((2, 2))}
    assert training.most_sensitive(h, 0.5, variance=spread)["v"].all()
    with pytest.raises(ValueError, match="from 0 to 1"):
        training.most_sensitive(h, 2.0)
