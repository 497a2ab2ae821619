"""Series resistance and compliance: Kirchhoff, the limit exactly, gradients through the implicit solution."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices.compact.base import AbstractMemristor
from devices.compact.circuit import Circuit
from devices.compact.metastable_switch import StochasticMetastableSwitch, gmss_spice_default
from devices.compact.simulation import Waveform, simulate


class Ohmic(AbstractMemristor):
    """i = g x v, so that everything behind R has a closed form."""

    g: jax.Array = eqx.field(converter=jnp.asarray)

    def current(self, x, v):
        return self.g * x * v

    def derivative(self, x, v):
        return v * (1 - x)

    @property
    def bounds(self):
        return jnp.asarray(0.0), jnp.asarray(1.0)

    @property
    def initial(self):
        return jnp.asarray(0.5)


class Diode(Ohmic):
    """i = g x (e^(v/0.05) - 1) in both directions of time's arrow: nine decades between -1 and 1 V."""

    def current(self, x, v):
        return self.g * x * jnp.expm1(v / 0.05)


probe = eqx.filter_jit(lambda c, x, v: (c.cell_voltage(x, v), c.current(x, v), c.derivative(x, v)))
run = eqx.filter_jit(lambda circuit, wave: simulate(circuit, wave, substeps=4))
MODELS = {"ohmic": lambda: Ohmic(1e-3), "diode": lambda: Diode(1e-8)}
X, V = np.linspace(0.05, 1, 8)[:, None], np.linspace(-3, 3, 61)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("resistance", [0.0, 10.0, 1e4, 1e8])
def test_kirchhoff(name, resistance):
    """v = v_m + R i(x, v_m) to 1e-10 V in x64."""
    with jax.enable_x64(True):
        circuit = Circuit(MODELS[name](), resistance=resistance)
        x, v = jnp.asarray(X), jnp.asarray(V)
        inner, i, moving = probe(circuit, x, v)
        np.testing.assert_allclose(i, circuit.model.current(*jnp.broadcast_arrays(x, inner)), rtol=1e-12)
        np.testing.assert_allclose(
            inner + resistance * i - v, 0, atol=1e-10 * max(1, float(jnp.abs(i).max()) * resistance)
        )
        if name == "ohmic":
            np.testing.assert_allclose(i, V / (resistance + 1 / (1e-3 * X)), rtol=1e-12)
        np.testing.assert_allclose(moving, inner * (1 - x), rtol=1e-12)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compliance_is_exact(name, dtype):
    """At the limit wherever the cell would exceed it, to 1e-12 of it in x64 (2e-5 in float32: e^(v/0.05) amplifies the
    rounding of v);
    untouched below."""
    with jax.enable_x64(dtype == "float64"):
        model, x, v = MODELS[name](), jnp.asarray(X), jnp.asarray(V)
        free = Circuit(model, resistance=100.0)
        limited = Circuit(model, resistance=100.0, compliance=1e-4)
        (inner, i, _), (_, unlimited, _) = probe(limited, x, v), probe(free, x, v)
        assert i.dtype == dtype
        beyond = np.abs(unlimited) > 1e-4
        assert 10 < beyond.sum() < beyond.size - 10
        rtol = 1e-12 if dtype == "float64" else 2e-5
        np.testing.assert_allclose(np.asarray(i)[beyond], np.sign(np.asarray(unlimited)[beyond]) * 1e-4, rtol=rtol)
        np.testing.assert_allclose(np.asarray(i)[~beyond], np.asarray(unlimited)[~beyond], rtol=10 * rtol, atol=1e-12)
        # the cell keeps just the voltage that drives the limit through it
        np.testing.assert_allclose(model.current(*jnp.broadcast_arrays(x, inner)), i, rtol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_float32_residual(name):
    """Kirchhoff's law within a few roundings of the source's voltage."""
    circuit = Circuit(MODELS[name](), resistance=1e3)
    x, v = jnp.asarray(X, jnp.float32), jnp.asarray(V, jnp.float32)
    inner, i, _ = probe(circuit, x, v)
    residual = inner + 1e3 * i - v
    assert residual.dtype == jnp.float32
    np.testing.assert_allclose(residual, 0, atol=2e-5 if name == "ohmic" else 2e-4)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_the_implicit_function(name):
    """d i and d(dx/dt) / d(x, v, R, limit, g) under jit against central differences in x64, free and in compliance,
    rtol 1e-6."""

    def both(p, volts, limit):
        model = eqx.tree_at(lambda m: m.g, MODELS[name](), p[4] * MODELS[name]().g)
        circuit = Circuit(model, resistance=300.0 * p[2], compliance=limit * p[3])
        x, v = 0.4 * p[0], volts * p[1]
        return jnp.stack([circuit.current(x, v) / limit, circuit.derivative(x, v)])

    with jax.enable_x64(True):
        slope, many = jax.jit(jax.jacrev(both)), jax.jit(jax.vmap(both, in_axes=(0, None, None)))
        one, moved = jnp.ones(5), 1e-6 * jnp.eye(5)
        for volts, limit, limited in [(1.3, 1e-2, False), (1.3, 1e-5, True), (-0.9, 1e-2, False), (-0.9, 1e-10, True)]:
            at = (jnp.asarray(volts), jnp.asarray(limit))
            got = slope(one, *at)
            numeric = (many(one + moved, *at) - many(one - moved, *at)).T / 2e-6
            np.testing.assert_allclose(got, numeric, rtol=1e-6, atol=1e-7)
            assert (abs(float(many(one[None], *at)[0, 0])) > 1 - 1e-9) == limited
            # in compliance only the limit moves the current; free, all but the limit do (a reverse diode hardly feels v and R)
            moves = np.abs(np.asarray(got[0])) > 1e-7
            if limited or name == "ohmic" or volts > 0:
                np.testing.assert_array_equal(moves, np.array([0, 0, 0, 1, 0] if limited else [1, 1, 1, 0, 1], bool))


def test_gradient_at_zero_volts():
    """di/dv = 1 / (R + 1/(g x)) at 0 V too, with and without a limit, also in float32."""
    for compliance in (None, 1e-3):
        circuit = Circuit(Ohmic(1e-3), resistance=1e3, compliance=compliance)
        slope = jax.jit(jax.grad(circuit.current, argnums=1))(jnp.asarray(0.5), jnp.asarray(0.0))
        assert float(slope) == pytest.approx(1 / (1e3 + 2e3), rel=1e-5)


def test_simulation_in_compliance():
    """A square pulse into an ohmic cell that closes: the current never exceeds the limit, and the energy is that of the
    source."""
    circuit = Circuit(Ohmic(1e-3), resistance=100.0, compliance=6e-4)
    sim = simulate(circuit, Waveform(np.linspace(0, 3, 61), np.full(61, 1.0)))
    assert float(sim.i[0]) < 5.5e-4
    assert float(sim.i.max()) == pytest.approx(6e-4, rel=1e-5)
    energy = np.trapezoid(np.asarray(sim.v * sim.i), np.asarray(sim.t))
    assert float(sim.energy[-1]) == pytest.approx(energy, rel=1e-3)


@pytest.mark.few(1)
@pytest.mark.parametrize("where", ["resistance", "compliance", "model"])
def test_parameters_that_differ_from_cell_to_cell(where):
    """Three cells whose circuits differ act as three circuits, though the first state is one number."""
    spread = jnp.array([1.0, 2.0, 5.0])
    make = lambda s: Circuit(  # noqa: E731
        Ohmic(1e-3 * (s if where == "model" else 1.0)),
        resistance=100.0 * (s if where == "resistance" else 1.0),
        compliance=1e-4 * (s if where == "compliance" else 1.0),
    )
    wave = Waveform([0.0, 0.3, 0.6], [0.0, 0.8, 0.1])
    together = run(make(spread), wave)
    assert together.i.shape == (3, 3)
    for k, s in enumerate(spread):
        alone = run(make(s), wave)
        np.testing.assert_allclose(together.i[:, k], alone.i, rtol=1e-5)
        np.testing.assert_allclose(together.x[:, k], alone.x, rtol=1e-5)
    assert len(np.unique(np.asarray(together.x[-1]))) == 3


def test_stochastic_memristor_stays_stochastic():
    """Behind a resistor cells of 20 switches still scatter, and still need a key."""
    circuit = Circuit(StochasticMetastableSwitch(gmss_spice_default(), 20), resistance=50.0)
    with pytest.raises(ValueError, match="key"):
        simulate(circuit, Waveform([0.0, 1e-4], [0.3, 0.3]))
    step = jax.jit(lambda x, v, key: circuit.step(x, v, jnp.asarray(1e-4), key=key))
    x = np.asarray(step(jnp.zeros(200), jnp.asarray(0.3), jax.random.key(0)))
    np.testing.assert_allclose(x * 20, np.round(x * 20), atol=1e-4)
    assert x.std() > 0.05
    # 50 ohm before 1500 ohm leave 0.2903 V, just 0.0203 V above the threshold: 69 % of the rate 1/tau, not 76 % as at 0.3 V
    inner = float(circuit.cell_voltage(jnp.asarray(0.0), jnp.asarray(0.3)))
    assert inner == pytest.approx(0.3 * 1500 / 1550, rel=1e-5)


@pytest.mark.parametrize("wrong", [{"resistance": -1.0}, {"compliance": 0.0}, {"compliance": -1e-3}])
def test_impossible_circuits_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Circuit(Ohmic(1e-3), **wrong)
