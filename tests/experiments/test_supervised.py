"""The trainer of experiments: resumed after a kill, and open to techniques of training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import xbar
from experiments import checkpoints, datasets, networks, supervised

X = jax.random.normal(jax.random.key(0), (64, 6))
Y = (X[:, 0] > 0).astype(int)
MODEL = eqx.nn.Linear(6, 2, key=jax.random.key(1))


def forward(model, x, key, extra):
    return jax.vmap(model)(x)


def trainer(**settings):
    return supervised.Trainer(forward, steps=40, batch=16, **settings)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, eqx.filter(a, eqx.is_array), eqx.filter(b, eqx.is_array))


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(tmp_path, monkeypatch):
    """Killed after 7 of 20 parts: the second run does the other 13, and the weights are those of a run in one go."""
    path, key = tmp_path / "state.npz", jax.random.key(2)
    whole = trainer().run(MODEL, X, Y, key=key)
    killed, parts = trainer(), []
    run = supervised.Trainer._run

    def counted(self, *args):
        parts.append(1)
        if len(parts) == 8:
            raise KeyboardInterrupt
        return run(self, *args)

    monkeypatch.setattr(supervised.Trainer, "_run", counted)
    with pytest.raises(KeyboardInterrupt):
        killed.run(MODEL, X, Y, key=key, checkpoint=path)
    parts[:] = [1] * 10
    same(trainer().run(MODEL, X, Y, key=key, checkpoint=path), whole)
    assert len(parts) == 10 + 13
    same(trainer().run(MODEL, X, Y, key=key, checkpoint=path), whole)
    assert len(parts) == 10 + 13  # nothing was left to do


@pytest.mark.parametrize("change", ["function", "constant", "loss", "nothing"])
def test_weights_of_an_edited_function_are_not_taken_for_those_of_the_new_one(tmp_path, change, monkeypatch):
    """The names of a function and of its arrays' shapes stay; what it computes does not."""
    path, parts = tmp_path / "state.npz", []
    made = lambda sign, shift, loss: supervised.Trainer(  # noqa: E731
        lambda model, x, key, extra: sign * jax.vmap(model)(x) + jnp.asarray(shift), steps=20, batch=8, loss=loss
    )
    loss = lambda scale: lambda out, y: scale * networks.cross_entropy(out, y)  # noqa: E731
    made(1.0, [0.0, 1.0], loss(1.0)).run(MODEL, X, Y, key=jax.random.key(2), checkpoint=path)
    run = supervised.Trainer._run
    monkeypatch.setattr(supervised.Trainer, "_run", lambda self, *args: parts.append(1) or run(self, *args))
    sign, shift = -5.0 if change == "function" else 1.0, [0.0, 2.0 if change == "constant" else 1.0]
    again = made(sign, shift, loss(2.0 if change == "loss" else 1.0))
    again.run(MODEL, X, Y, key=jax.random.key(2), checkpoint=path)
    assert len(parts) == (0 if change == "nothing" else 20)


@pytest.mark.parametrize("damage", ["cut", "other", "program", "none"])
def test_a_file_that_does_not_belong_starts_anew(tmp_path, damage, monkeypatch):
    path, state = tmp_path / "state.npz", {"w": jnp.ones(3)}
    checkpoints.save(path, "mine", 5, {"w": jnp.zeros(3)})
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:40])
    if damage == "program":
        monkeypatch.setattr(checkpoints, "source", lambda: "of another version")
    done, found = checkpoints.load(path, "other" if damage == "other" else "mine", state)
    assert (done, float(found["w"][0])) == ((5, 0.0) if damage == "none" else (0, 1.0))
    assert checkpoints.fingerprint(state) != checkpoints.fingerprint({"w": jnp.zeros(3)})


def test_techniques_fit_in():
    """Noise on weights with a schedule, flat minima, clipping, another optimiser, and a teacher's logits for labels."""
    ramp = lambda model, key, share: xbar.training.weight_noise(model, 0.1 * share, key=key)  # noqa: E731
    settings = dict(perturb=ramp, gradient=xbar.training.sharpness_aware, clip=2.5, optimiser=optax.sgd(1.0))
    teacher = 4 * jnp.stack([-X[:, 0], X[:, 0]], 1)
    made = trainer(loss=xbar.training.distillation_loss, **settings).run(
        MODEL, X, teacher, key=jax.random.key(3), rate=0.3
    )
    assert float(jnp.mean(jnp.argmax(forward(made, X, None, None), 1) == Y)) > 0.9
    assert float(jnp.abs(made.weight).max()) <= 2.5 * float(made.weight.std()) + 1e-5


def test_channels_are_clipped_each_by_its_own_spread():
    """A channel of large weights keeps them, which a clip by the whole tensor would cut; biases are not clipped."""
    model = eqx.tree_at(lambda m: m.weight, MODEL, MODEL.weight * jnp.asarray([[1.0], [100.0]]))
    model = eqx.tree_at(lambda m: m.bias, model, jnp.asarray([0.0, 500.0]))
    weights = xbar.training.weights_of(lambda m, x: jax.vmap(m)(x), model, X)
    made = trainer(clip=1.2, clip_per="channel", weights=weights).run(model, X, Y, key=jax.random.key(3), rate=1e-4)
    inside = jnp.abs(made.weight).max(1) / made.weight.std(1)
    assert float(inside.max()) <= 1.2 + 1e-2 and float(made.bias[1]) > 499
    assert float(jnp.abs(made.weight[1]).max()) > 10 * float(jnp.abs(made.weight[0]).max())


@pytest.mark.slow
def test_steps_with_convolutions_stand_outside_of_loops(monkeypatch):
    """One by one or in a loop: the same weights; a network without convolutions takes the loop."""
    data = datasets.load("digits")
    made = {name: networks.ZOO[name].make(data, jax.random.key(0)) for name in ("cnn", "mlp")}
    trainer = supervised.Trainer(lambda m, x, k, extra: networks.forward(m, x), steps=4, batch=8)
    apart = {name: trainer._convolves(model, jnp.asarray(data.x_train), None) for name, model in made.items()}
    assert apart == {"cnn": jax.default_backend() == "cpu", "mlp": False}
    run = lambda: trainer.run(made["cnn"], data.x_train[:64], data.y_train[:64], key=jax.random.key(1))  # noqa: E731
    one_by_one = run()
    monkeypatch.setattr(supervised.Trainer, "_convolves", lambda *_: False)
    for a, b in zip(jax.tree.leaves(one_by_one), jax.tree.leaves(run()), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
