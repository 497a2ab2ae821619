"""What every compact model must do, written once. Run inside `jax.enable_x64(True)`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices.compact.simulation import simulate


def reference_state(model, wave, x0, *, stiff=False):
    """Last state by Diffrax, adaptive with tolerance 1e-9 and steps that end on the waveform's corners."""
    dfx = pytest.importorskip("diffrax")

    @eqx.filter_jit
    def solve(model, wave, x0):
        return dfx.diffeqsolve(
            dfx.ODETerm(lambda t, x, _: model.derivative(x, jnp.interp(t, wave.t, wave.v))),
            dfx.Kvaerno5() if stiff else dfx.Tsit5(),
            wave.t[0],
            wave.t[-1],
            None,
            x0,
            stepsize_controller=dfx.PIDController(rtol=1e-9, atol=1e-12 * jnp.abs(x0), jump_ts=wave.t[1:-1]),
            max_steps=100_000,
        ).ys[-1]

    return float(solve(model, wave, jnp.asarray(x0)))


def convergence(model, wave, x0, *, substeps=(8, 16), stiff=False):
    """Errors of the last state, as fractions of how far it moved, at so many substeps; and the order of the last
    two."""
    x0 = jnp.asarray(x0)
    end = reference_state(model, wave, x0, stiff=stiff)
    last = lambda model, wave, x0, n: simulate(model, wave, x0=x0, substeps=n, throw=False).x[-1]  # noqa: E731
    ends = np.array([eqx.filter_jit(last)(model, wave, x0, n) for n in substeps])
    errors = np.abs(ends - end) / abs(end - float(x0))
    return errors, np.log(errors[-2] / errors[-1]) / np.log(substeps[-1] / substeps[-2])


def pinched(model, volts):
    """States over the bounds, at the voltages +-`volts` [V]: the current is 0 at 0 V and has the voltage's sign."""
    low, high = model.bounds
    x = jnp.linspace(low, high, 7)[:, None]
    v = volts * jnp.array([-1.0, -0.1, -0.001, 0.0, 0.001, 0.1, 1.0])
    i = eqx.filter_jit(model.current)(x, v)
    assert i.shape == (7, 7)
    np.testing.assert_array_equal(i[:, 3], 0)
    np.testing.assert_array_equal(jnp.sign(i), jnp.broadcast_to(jnp.sign(v), i.shape))


def passive(sim):
    """The dissipated energy never falls, and is more than nothing."""
    assert float(jnp.min(jnp.diff(sim.energy, axis=0))) >= 0  # a fall would be a source
    assert float(sim.energy[-1]) > 0


def gradients(model, wave, x0, *, substeps=1, **options):
    """The gradient under jit with respect to every parameter agrees with central differences. Returns its values by
    leaf.

    The scalar, `mean(asinh(i / mean|i|) v)` plus the last state over its range, feels read-out and rate. Parameters
    that are 0 are moved by `relative` of `zero`. What differs by less than 1e-6 of the largest derivative is
    rounding.
    """
    scale = jnp.mean(jnp.abs(eqx.filter_jit(lambda m: simulate(m, wave, x0=x0, throw=False).i)(model)))

    def scalar(m):
        sim = simulate(m, wave, x0=x0, substeps=substeps, throw=False)
        low, high = m.bounds
        return jnp.mean(jnp.arcsinh(sim.i / scale) * sim.v) + (sim.x[-1] - low) / (high - low)

    return _compare(model, scalar, **options)


def _compare(model, scalar, *, rtol=1e-4, relative=1e-5, zero=1.0):
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)
    leaves, tree = jax.tree.flatten(arrays)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(arrays)]
    p = jnp.stack([jnp.asarray(leaf, float) for leaf in leaves])
    unit = jnp.where(p == 0, zero, jnp.abs(p))
    f = lambda q: scalar(eqx.combine(jax.tree.unflatten(tree, list(q * unit)), rest))  # noqa: E731
    q, moved = p / unit, relative * jnp.eye(p.size)
    values = jax.jit(jax.vmap(f))(jnp.concatenate([q + moved, q - moved]))
    expected = (values[: q.size] - values[q.size :]) / (2 * relative)
    gradient = jax.jit(jax.grad(f))(q)
    tolerance = rtol * jnp.abs(expected) + 1e-6 * jnp.max(jnp.abs(expected))
    found = zip(names, gradient, expected, tolerance, strict=True)
    wrong = [(n, float(g), float(e)) for n, g, e, t in found if not abs(g - e) <= t]
    assert not wrong, wrong
    return dict(zip(names, np.asarray(gradient), strict=True))


def rate_gradients(model, x, v, **options):
    """As `gradients`, of the currents and the rates at states `x` and voltages `v`: for models whose simulation takes
    minutes to differentiate and compile. The simulation adds nothing of the model's own."""
    x, v = jnp.asarray(x), jnp.asarray(v)
    scales = model.current(x, v), model.derivative(x, v)
    scalar = lambda m: jnp.sum(m.current(x, v) / scales[0] + m.derivative(x, v) / scales[1])  # noqa: E731
    return _compare(model, scalar, **options)


def many_cells(model, v, dt, *, cells=100_000):
    """One step of 1e5 cells by broadcasting, equal to the step of a few of them alone."""
    low, high = model.bounds
    x = jnp.linspace(low + 0.1 * (high - low), high - 0.1 * (high - low), cells)
    v, dt = jnp.asarray(v), jnp.asarray(dt)
    step = jax.jit(lambda x: model.step(x, v, dt))
    moved = step(x)
    assert moved.shape == x.shape
    few = jnp.array([0, cells // 3, cells - 1])
    np.testing.assert_allclose(moved[few], jax.vmap(step)(x[few]), rtol=1e-5)
    assert float(jnp.max(jnp.abs(moved - x))) > 0
