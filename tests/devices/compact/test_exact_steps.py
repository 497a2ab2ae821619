"""Models whose step at a frozen voltage is exact: metastable switches, memdiode, rate balance, data-driven ReRAM."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import convergence, gradients, many_cells, passive, pinched

from devices.compact.data_driven import messaris_memtorch, messaris_tiox
from devices.compact.memdiode import memdiode_aguirre
from devices.compact.metastable_switch import StochasticMetastableSwitch, gmss_spice_default, gmss_xyce
from devices.compact.rate_balance import milano2022_nanowires
from devices.compact.simulation import Waveform, simulate, sine, triangle

run = eqx.filter_jit(
    lambda model, wave: simulate(model, wave, substeps=2, throw=False)
)  # compiles once for each model and number of points

# model, waveform that moves the state without meeting a bound, first state
CASES = {
    "gmss": (gmss_xyce, ([0.0, 1e-4, 3e-4], [0.2, 0.3, -0.28]), 0.4),
    "memdiode": (memdiode_aguirre, ([0.0, 2.0, 4.0], [1.0, 1.3, 1.0]), 0.1),
    "nanowires": (milano2022_nanowires, ([0.0, 5e-3, 1e-2], [0.3, 0.5, 0.2]), 0.1),
    "data_driven": (messaris_memtorch, ([0.0, 2e-3, 4e-3], [0.4, 0.8, 0.5]), 1.2e4),
}
# parameters that these waveforms rightly do not exercise
IDLE = {
    "gmss": {".x0"},
    "memdiode": {".h0"},
    "nanowires": {".x0"},
    "data_driven": {".rate_n", ".slope_n", ".k_n", ".r_n[0]", ".r_n[1]", ".a_n", ".b_n", ".r_start"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_second_order(name):
    """Against Diffrax on ramps: order 2 (1.7 to 2.3), all of it from freezing the voltage within a step."""
    with jax.enable_x64(True):
        make, wave, x0 = CASES[name]
        errors, order = convergence(make(), Waveform(*wave), x0, substeps=(8, 16))
        assert 1.7 < order < 2.3, (errors, order)
        assert 1e-9 < errors[-1] < 1e-2


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if i else ()) for i, n in enumerate(CASES)])
def test_gradients(name):
    with jax.enable_x64(True):
        make, wave, x0 = CASES[name]
        values = gradients(make(), Waveform(*wave), x0, substeps=2)
        assert {n for n, value in values.items() if value == 0} == IDLE[name]


@pytest.mark.parametrize("name", CASES)
def test_pinched_passive_and_many(name):
    make, wave, _ = CASES[name]
    pinched(make(), 1.0)
    passive(run(make(), Waveform(*wave)))
    many_cells(make(), wave[1][1], wave[0][1] / 20)


def closed_form(name, x, v, t, kelvin=300.15):
    """State after t at the voltage v, from the rates written out (NumPy)."""
    if name == "data_driven":
        if v > 0:
            s, k, r = 743.47 * (np.exp(6.51 * v) - 1), 5.11e-4, 16719.0
            return np.log(np.exp(k * r) + np.exp(-k * s * t) * (np.exp(k * x) - np.exp(k * r))) / k if x < r else x
        s, k, r = 68012.28374 * (np.exp(-0.31645 * v) - 1), 1.17e-3, 29304.82557 + 23692.77225 * v
        return -np.log(np.exp(-k * r) + np.exp(-k * s * t) * (np.exp(-k * x) - np.exp(-k * r))) / k if x > r else x
    if name == "gmss":
        vt = 1.380649e-23 * kelvin / 1.602176634e-19
        up, down = 1e4 / (1 + np.exp(-(v - 0.27) / vt)), 1e4 * (1 - 1 / (1 + np.exp(-(v + 0.27) / vt)))
    if name == "memdiode":
        up, down = 1 / (1.796e6 * np.exp(-v / 0.0899)), 1 / (132 * np.exp(v / 0.1905))
    if name == "nanowires":
        up, down = (
            2.555173332603108574e-6 * np.exp(34.92155165334443 * v),
            64.88388862524891 * np.exp(-5.590601016803570 * v),
        )
    settled = up / (up + down)
    return settled + (x - settled) * np.exp(-(up + down) * t)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sign", [1, -1])
def test_step_is_the_closed_form(name, sign):
    """Steps from a hundredth to a hundred of the time constant: to 1e-10 in x64; so is a simulation of a square pulse."""
    with jax.enable_x64(True):
        model = CASES[name][0]()
        low, high = (float(b) for b in model.bounds)
        v = {"gmss": 0.3, "memdiode": 1.2, "nanowires": 0.5, "data_driven": 0.6}[name]
        v = v if name == "nanowires" else sign * v
        step = jax.jit(lambda x, v, t: model.step(x, v, t))
        for x in (low + 0.2 * (high - low), low + 0.95 * (high - low)):
            slope = abs(float(jax.grad(model.derivative)(jnp.asarray(x), jnp.asarray(v)))) or 1.0
            for t in 10.0 ** np.arange(-2, 3) / slope:
                got = float(step(jnp.asarray(x), jnp.asarray(v), jnp.asarray(t)))
                wanted = np.clip(closed_form(name, x, v, t), low, high)
                assert got == pytest.approx(wanted, rel=1e-10, abs=1e-10 * (high - low)), (x, t)
        assert abs(closed_form(name, x, v, 1 / slope) - x) > 1e-3 * (high - low) or name == "data_driven"


def test_memdiode_current_obeys_kirchhoff():
    """v = u + R_s i with i = diode(u) to 1e-12 A over H and +-2 V; and the diode is the published one."""
    with jax.enable_x64(True):
        model = memdiode_aguirre()
        h, v = jnp.linspace(0, 1, 9)[:, None], jnp.linspace(-2, 2, 81)
        i = model.current(h, v)
        u = np.asarray(v - (117 + (256 - 117) * h) * i)
        alpha, i0 = np.asarray(3 + 0.8 * h), np.asarray(1.8e-6 + (1.23e-3 - 1.8e-6) * h)
        published = i0 * (np.exp(0.308 * alpha * u) - np.exp(-0.692 * alpha * u))
        np.testing.assert_allclose(i, published, atol=1e-14, rtol=1e-11)


def test_gmss_loop():
    """0.5 V, 100 Hz: sets at 0.27 V and resets at -0.27 V (state half way within 25 mV), 1 mA at the peak; 20 times
    slower closes nothing."""
    sim = run(gmss_spice_default(), sine(0.5, 100.0, points=200))
    x, v = np.asarray(sim.x), np.asarray(sim.v)
    assert v[:51][np.argmax(x[:51] > 0.5)] == pytest.approx(0.27, abs=0.025)
    assert v[100:151][np.argmax(x[100:151] < 0.5)] == pytest.approx(-0.27, abs=0.025)
    assert float(sim.i.max()) == pytest.approx(0.5 / 500, rel=1e-3)
    assert float(sim.i.min()) == pytest.approx(-0.25 / 500, rel=0.25)  # switches off before the negative peak
    fast = run(gmss_spice_default(), sine(0.5, 1e5, points=200))
    assert float(jnp.max(fast.x)) < 0.1  # the period is a tenth of tau


def test_gmss_diode():
    """At 0.5 V with all switches on: 0.8 x 1 mA of the switches + 0.2 x 8e-4 (e^2 - e^-2) A of the diode; odd in the
    voltage."""
    model, one = gmss_xyce(), jnp.asarray(1.0)
    i = float(model.current(one, jnp.asarray(0.5)))
    assert i == pytest.approx(0.8 * 1e-3 + 0.2 * 8e-4 * 2 * np.sinh(2), rel=1e-5)
    assert float(model.current(one, jnp.asarray(-0.5))) == pytest.approx(-i, rel=1e-5)


def test_memdiode_loop():
    """+-1.3 V in legs of 15 s, as in the netlist: half set at 1.26 V, half reset at -0.68 V, 1 mA against 2.5 uA at 0.52 V."""
    sim = run(memdiode_aguirre(), triangle(1.3, 0.0, -1.3, 0.0, rate=1.3 / 15, points=150))
    x, v, i = (np.asarray(a) for a in (sim.x, sim.v, sim.i))
    assert v[np.argmax(x > 0.5)] == pytest.approx(1.26, abs=0.02)
    assert v[300:][np.argmax(x[300:] < 0.445)] == pytest.approx(-0.70, abs=0.03)
    assert i[60] == pytest.approx(2.6e-6, rel=0.05)
    assert i[240] == pytest.approx(9.8e-4, rel=0.02)


def test_nanowires_potentiate_and_relax():
    """10 ms at 0.5 V: 1 - e^-1.02 of the way to 0.96; then e^-0.649 in each 10 ms at 0 V. Either sign of the voltage does."""
    for sign in (1, -1):
        wave = Waveform(np.array([0, 0, 0.01, 0.01, 0.02, 0.03]), sign * np.array([0, 0.5, 0.5, 0, 0, 0]))
        x = np.asarray(run(milano2022_nanowires(), wave).x)
        assert x[2] == pytest.approx(97.845 / 101.809 * (1 - np.exp(-1.01809)), rel=1e-3)
        np.testing.assert_allclose(x[4:] / x[3:-1], np.exp(-0.6488), rtol=1e-3)


def test_data_driven_stops_at_the_boundary_of_its_voltage():
    """Device 1 from 5 kohm: +1.7 V raises R to 3085 + 1862 x 1.7 = 6250 (clipped to 6000), -1.2 V lowers it to 5193 -
    378 x 1.2
    = 4739 ohm and no further; a weaker -0.8 V then does nothing, since R is below its boundary (4891 ohm) already."""
    model = messaris_tiox()
    long, x = jnp.asarray(1e4), jnp.asarray(5000.0)
    assert float(model.step(x, jnp.asarray(1.7), long)) == pytest.approx(6000)
    low = model.step(x, jnp.asarray(-1.2), long)
    assert float(low) == pytest.approx(4739.4, abs=0.5)
    assert float(model.step(low, jnp.asarray(-0.8), long)) == pytest.approx(float(low), abs=0.01)
    assert float(model.derivative(low, jnp.asarray(-0.8))) == 0


def test_data_driven_pulse_train():
    """Device 2 at 0.8 V, from 10 kohm, 100 us pulses: the published shape, steep and then saturating below 17 kohm,
    within hundreds of pulses."""
    model = messaris_memtorch()
    r = [10e3]
    step = jax.jit(lambda x, v, t: model.step(x, v, t))
    for _ in range(300):
        r.append(float(step(jnp.asarray(r[-1]), jnp.asarray(0.8), jnp.asarray(100e-6))))
    assert 100 < r[1] - r[0] < 600
    assert 16000 < r[-1] < 16719
    assert np.all(np.diff(r) >= 0)


CELLS, SWITCHES = 4000, 50
flip = eqx.filter_jit(lambda model, x, v, dt, key: model.step(x, v, dt, key=key))


def switch(**values):
    return StochasticMetastableSwitch(dataclasses.replace(gmss_spice_default(), **values), SWITCHES)


@pytest.fixture(scope="module")
def ensemble():
    """4000 cells of 50 switches, all off at the start, for 1.5 tau just above the threshold: in one interval and in eight."""
    steps = {1: [0.0] + [1.5e-4] * 8, 8: np.linspace(0, 1.5e-4, 9)}
    chance = eqx.filter_jit(lambda wave, key: simulate(switch(), wave, x0=jnp.zeros(CELLS), key=key).x[-1])
    return {n: np.asarray(chance(Waveform(t, np.full(9, 0.28)), jax.random.key(n))) for n, t in steps.items()}


@pytest.mark.few(1)
@pytest.mark.parametrize("intervals", [1, 8])
def test_stochastic_mean_and_variance(ensemble, intervals):
    """Mean of 4000 cells within 4.5 standard errors of the deterministic model (false alarms: 7e-6), variance p(1 -
    p)/N within
    10 % (4.5 standard errors), whatever the steps; and every state is a whole number of switches."""
    x = ensemble[intervals]
    p = closed_form("gmss", 0.0, 0.28, 1.5e-4, kelvin=298.5)
    assert 0.4 < p < 0.8
    assert abs(x.mean() - p) < 4.5 * np.sqrt(p * (1 - p) / SWITCHES / CELLS)
    assert x.var() == pytest.approx(p * (1 - p) / SWITCHES, rel=0.1)
    np.testing.assert_allclose(x * SWITCHES, np.round(x * SWITCHES), atol=1e-4)


def test_stochastic_skew():
    """Binomial, not normal: at p = 0.02 the skewness is (1 - 2p)/sqrt(N p (1 - p)) = 0.97; of 4000 normal cells it is 0
    +- 0.04."""
    wait = jnp.asarray(1e-4 * 0.02 / 0.596)
    x = np.asarray(flip(switch(), jnp.zeros(CELLS), jnp.asarray(0.28), wait, jax.random.key(3)))
    assert np.mean((x - x.mean()) ** 3) / x.std() ** 3 == pytest.approx(0.97, abs=0.25)


def test_stochastic_gradient_is_that_of_the_mean():
    """d(mean state after two steps)/d(v_on) over 4000 cells agrees with the deterministic model's within 2 %."""

    def end(v_on, wrap):
        model = dataclasses.replace(gmss_spice_default(), v_on=v_on)
        model = StochasticMetastableSwitch(model, SWITCHES) if wrap else model
        step = lambda x, at: (model.step(x, at[0], jnp.asarray(1e-4), key=at[1]), None)  # noqa: E731
        volts, keys = jnp.array([0.28, -0.25]), jax.random.split(jax.random.key(0))
        return jnp.mean(jax.lax.scan(step, jnp.zeros(CELLS), (volts, keys))[0])

    chance, mean = (float(jax.jit(jax.grad(lambda v, w=w: end(v, w)))(jnp.asarray(0.27))) for w in (True, False))
    assert mean < -1
    assert chance == pytest.approx(mean, rel=0.02)


def test_stochastic_needs_a_key():
    with pytest.raises(ValueError, match="key"):
        simulate(switch(), Waveform(np.array([0, 1e-4]), np.array([0.3, 0.3])))
    with pytest.raises(ValueError, match="key"):
        switch().step(jnp.zeros(3), jnp.zeros(3), jnp.asarray(1e-4))


def test_stochastic_rates_of_zero():
    """Far from both thresholds the rates are 0 in float32; nothing flips, and there is no 0/0."""
    x = jnp.full(CELLS, 0.5)
    after = flip(switch(v_on=9.0, v_off=9.0), x, jnp.asarray(0.0), jnp.asarray(1e-4), jax.random.key(0))
    np.testing.assert_array_equal(after, x)
