"""Read currents: laws of conduction common to cells, under offsets and noise of each cell's own."""

import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices import Device
from devices.fitting import coverage, fit_candidate
from devices.fitting.reads.moving_voltage_models import MovingRead
from devices.fitting.reads.read_iv_models import (
    CANDIDATES,
    CubicRead,
    OhmicRead,
    PooleFrenkelRead,
    SeriesSinhRead,
    SinhRead,
    StateCubicRead,
)
from devices.instruments import FileError, Trace

FILE = pathlib.Path(os.environ.get("XBAR_DATA", "")) / "measured" / "hfo2_read_iv" / "read_multivolt.tsv.gz"
measured = pytest.mark.skipif(not FILE.is_file(), reason="needs the measured data: XBAR_DATA")
TRUTH = {"s": 2e-7, "nu": 6.0, "curvature": 1.0, "v0": 0.4, "c0": 5e-5, "c1": -4e-5, "c2": -5e-5, "r": 1e3}


def protocol(cells=40, rows=16, last=0.6, seed=0):
    """Cells of 15 to 120 uS, read up to `last` volts, with offsets; the currents are those of a simulation to come."""
    rng = np.random.default_rng(seed)
    v = np.tile(np.linspace(0, last, rows), cells)
    g = np.repeat(np.geomspace(15e-6, 120e-6, cells), rows)
    i = g * v - 2e-6 + 2e-7 * rng.standard_normal(cells * rows)
    return Trace("read-iv", {"v": v, "i": i, "device": np.repeat(np.arange(cells), rows).astype(float)})


def drawn(candidate, trace, seed=0):
    model, data = candidate.of(trace)
    with jax.enable_x64(True):
        values = {p.name: jnp.asarray(TRUTH[p.name]) for p in model.parameters()}
        i = np.asarray(model.simulate(values, data, key=jax.random.key(seed))["i"])
    return Trace("read-iv", {**trace.columns, "i": i[data["used"] > 0]})


def fitted(candidate, trace):
    return fit_candidate(*candidate.of(trace), trace, starts=6)


def check_coverage(candidate):
    model, data = candidate.of(protocol())
    held, _ = coverage(model, data, {p.name: TRUTH[p.name] for p in model.parameters()})
    assert all(0.84 <= share <= 0.96 for share in held.values()), held


@pytest.mark.slow
def test_intervals_hold_the_truth():
    """200 sets, 90 % intervals: 84 to 96 % of them; 40 offsets and conductances must not make the noise look
    smaller."""
    check_coverage(CubicRead)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # each current behind a resistance is an equation to be solved
@pytest.mark.parametrize("candidate", [OhmicRead, SinhRead, SeriesSinhRead, PooleFrenkelRead, StateCubicRead])
def test_intervals_hold_the_truth_slow(candidate):
    check_coverage(candidate)


@pytest.mark.slow
def test_wrong_laws_are_rejected_and_the_right_one_is_not():
    trace = drawn(SinhRead, protocol(200))
    found = {c.name: fitted(c, trace) for c in (OhmicRead, SinhRead)}
    assert found["ohmic"].rejected
    assert not found["sinh"].rejected, found["sinh"].checks
    assert found["sinh"].bic < found["ohmic"].bic - 20
    assert found["sinh"].estimate["v0"] == pytest.approx(0.4, abs=3 * found["sinh"].stderr["v0"])


@pytest.mark.slow
def test_noise_correlated_along_the_sweep_is_noticed():
    """A wander in steps as large as the noise: rejected by the correlation check, whose projection is accounted
    for."""
    trace = protocol(200)
    rng = np.random.default_rng(1)
    wander = np.cumsum(rng.standard_normal((200, 16)), 1) * 2e-7
    walk = Trace("read-iv", {**trace.columns, "i": trace["i"] + wander.ravel()})
    p = {
        name: {c.name: c.p for c in fitted(OhmicRead, t).checks}["residual correlation"]
        for name, t in (("white", trace), ("walk", walk))
    }
    assert p["white"] > 0.01
    assert p["walk"] < 1e-6


def test_padding_changes_nothing():
    """A cell with half the voltages: the same likelihood as alone."""
    trace = protocol(5)
    short = trace.where((trace["device"] > 0) | (trace["v"] < 0.3))
    both, alone = CubicRead.of(short), CubicRead.of(trace.where(trace["device"] > 0))
    with jax.enable_x64(True):
        values = {p.name: jnp.asarray(TRUTH[p.name]) for p in both[0].parameters()}
        padded, full = both[0].nll(values, both[1]), alone[0].nll(values, alone[1])
    np.testing.assert_allclose(padded[1:], full, rtol=1e-12)
    assert both[1]["used"][0].sum() == 8


def test_series_resistance_is_taken_off():
    """Cells behind 560 ohm: with the protocol the conductances are the cells', without it g / (1 + R g)."""
    trace = protocol(30)
    g = np.geomspace(15e-6, 120e-6, 30)
    i = np.repeat(g / (1 + 560 * g), 16) * trace["v"] + 1e-6
    behind = Trace("read-iv", {**trace.columns, "i": i}, protocol={"series_resistance": 560.0})
    model, data = OhmicRead.of(behind)
    with jax.enable_x64(True):
        found = np.asarray(model.fitted({}, data)[0])
    np.testing.assert_allclose(found, g, rtol=1e-6)


@pytest.mark.slow
def test_series_resistance_is_found():
    """Cells of 15 to 120 uS behind 1 kohm that the protocol does not name: found to 3 standard errors, and better than no
    resistance."""
    trace = drawn(SeriesSinhRead, protocol(40))
    without, found = (fitted(c, trace) for c in (SinhRead, SeriesSinhRead))
    assert found.bic < without.bic - 20
    assert found.estimate["r"] == pytest.approx(1e3, abs=3 * found.stderr["r"])
    assert found.stderr["r"] < 200
    assert not found.rejected, found.checks


@pytest.mark.slow
def test_series_resistance_is_told_by_the_likelihood():
    """Of resistances around the true one, the true one is the likeliest, by far; the law is the device's."""
    model, data = SeriesSinhRead.of(drawn(SeriesSinhRead, protocol(40)))
    with jax.enable_x64(True):
        at = lambda r: {name: jnp.asarray(r if name == "r" else TRUTH[name]) for name in ("s", "nu", "v0", "r")}  # noqa: E731
        nll = jax.jit(lambda r: jnp.sum(model.nll(at(r), data)))
        low, best, high = (float(nll(r)) for r in (500.0, 1e3, 1500.0))
        assert best < min(low, high) - 10
        g, *_, f, _ = model.fitted(at(1e3), data)
        law = model.conduction(at(1e3))
        np.testing.assert_allclose(law(g[:, None], jnp.asarray(data["v"])), g[:, None] * f, rtol=1e-9, atol=1e-15)


def test_a_resistance_that_outweighs_all_cells_is_not_likely():
    """1 Mohm, which would carry all of the voltage: far less likely than the true 1 kohm, although no cell's conductance can
    then be told from its current."""
    model, data = SeriesSinhRead.of(drawn(SeriesSinhRead, protocol(40), seed=1))
    with jax.enable_x64(True):
        at = lambda r, s: {**{n: jnp.asarray(TRUTH[n]) for n in ("nu", "v0")}, "s": jnp.asarray(s), "r": jnp.asarray(r)}  # noqa: E731
        nll = jax.jit(lambda r, s: jnp.sum(model.nll(at(r, s), data)))
        best, *wide = (float(nll(r, s)) for r, s in ((1e3, 2e-7), (1e5, 1e-6), (1e6, 1e-6), (1e6, 5e-6)))
    assert np.isfinite(best)
    assert not np.any(np.array(wide) < best + 50)  # or not a number, which a search turns away from


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "candidate", [c for c in CANDIDATES if not issubclass(c, MovingRead)]
)  # see test_moving_voltage
def test_laws_give_the_currents_of_the_fit(candidate):
    """The device's current at the fitted conductances is the model's, without the offset."""
    trace = drawn(candidate, protocol(12))
    model, data = candidate.of(trace)
    with jax.enable_x64(True):
        values = {p.name: jnp.asarray(TRUTH[p.name]) for p in model.parameters()}
        g, *_, f, _ = model.fitted(values, data)
        parts = model.laws(values, data)
        current = parts["conduction"](g[:, None], jnp.asarray(data["v"]))
        expected = np.asarray(g)[:, None] * np.asarray(f)
        assert isinstance(Device(**parts), Device)
    np.testing.assert_allclose(current, expected, rtol=1e-6, atol=1e-12)  # the state is found by iteration


def test_bad_sweeps_are_refused():
    with pytest.raises(FileError, match="3 cells with 5 or more different voltages"):
        OhmicRead.of(protocol(3))
    with pytest.raises(FileError, match="0 cells with 5 or more"):
        OhmicRead.of(protocol(10, rows=3))


def cells_of_file():
    """1024 cells at the bit line's voltage: address, current, voltage."""
    table = np.loadtxt(FILE)
    device = np.unique(table[:, 0], return_inverse=True)[1].astype(float)
    return Trace("read-iv", {"v": table[:, 2], "i": table[:, 1], "device": device})


@measured
def test_measured_cells_meet_the_reference_numbers():
    """Median RMS error over RMS current of per-cell fits: V .098, V+V^3 .065, offset+V .026, offset+V+V^3 .020,
    offset+sinh .026."""
    trace = cells_of_file()
    found = {}
    for candidate in (OhmicRead, CubicRead, SinhRead):
        model, data = candidate.of(trace)
        with jax.enable_x64(True):
            found[candidate.name] = {
                k: float(np.median(np.sqrt(s / np.sum(data["i"] ** 2, 1)))) for k, s in model.squares(data).items()
            }
    assert found["ohmic"]["no offset"] <= 0.0985
    assert found["cubic"]["no offset"] <= 0.0655
    assert found["ohmic"]["own shape"] <= 0.0260
    assert found["cubic"]["own shape"] <= 0.0205
    assert found["sinh"]["own shape"] <= 0.0210


@measured
@pytest.mark.slow
def test_measured_cells_are_not_ohmic_and_their_curvature_depends_on_the_state():
    trace = cells_of_file()
    fits = {c.name: fitted(c, trace) for c in (OhmicRead, CubicRead, StateCubicRead)}
    assert fits["state-dependent cubic"].bic < fits["cubic"].bic - 100 < fits["ohmic"].bic - 200
    assert fits["cubic"].measures["median offset [A]"] == pytest.approx(-2.1e-6, abs=2e-7)
