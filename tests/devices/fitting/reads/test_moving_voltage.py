"""Cells decades apart that conduct by different laws: the law moves with the conductance, offsets do not absorb it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from devices import Device, device_file
from devices.fitting import assemble, fit_candidate
from devices.fitting.reads.moving_voltage_models import MovingPooleFrenkelRead, MovingSchottkyRead, MovingSinhRead
from devices.fitting.reads.read_iv_base import OhmicRead
from devices.fitting.reads.read_iv_models import CANDIDATES, PooleFrenkelRead
from devices.instruments import FileError, Trace

G = np.geomspace(2e-6, 2e-3, 13)
BENT = G < 8e-5


def mixed(law=lambda v: v * np.exp(np.sqrt(v / 0.35)), relative=0.004, floor=2e-9, seed=0):
    """Thirteen cells of 2 uS to 2 mS, up to 0.4 V: below 80 uS by `law`, else by a sinh of 1.2 V; noise of two parts."""
    rng = np.random.default_rng(seed)
    v = np.linspace(0, 0.4, 33)
    i = np.where(BENT[:, None], G[:, None] * law(v), G[:, None] * 1.2 * np.sinh(v / 1.2))
    i = i * (1 + relative * rng.standard_normal(i.shape)) + floor * rng.standard_normal(i.shape)
    device = np.repeat(np.arange(len(G)), len(v)).astype(float)
    return Trace("read-iv", {"v": np.tile(v, len(G)), "i": i.ravel(), "device": device})


def at_best_guess(candidate, trace):
    """Model, data and numbers of the likeliest of the points to start from."""
    model, data = candidate.of(trace)
    found = [{k: jnp.asarray(v, float) for k, v in guess.items()} for guess in model.guesses(data)]
    with jax.enable_x64(True):
        cost = jax.jit(lambda values: jnp.sum(model.nll(values, data)))
        costs = np.array([float(cost(values)) for values in found])
    return model, data, {k: float(v) for k, v in found[int(np.nanargmin(costs))].items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "candidate, law",
    [
        (MovingPooleFrenkelRead, lambda v: v * np.exp(np.sqrt(v / 0.35))),
        (MovingSinhRead, lambda v: 0.15 * np.sinh(v / 0.15)),
        (MovingSchottkyRead, lambda v: 0.2 * np.expm1(v / 0.2)),
    ],
)
def test_cells_decades_apart_are_told_from_the_first_guess_on(candidate, law):
    """Before any search: conductances to 5 % (the search gets them to less), every cell's currents to 7 % and 0.03 decades.
    With offsets that are free and noise that is the same for all currents, the largest conductance was a third of it."""
    model, data, values = at_best_guess(candidate, mixed(law))
    g, offset, *_ = model.fitted_arrays(values, data)
    found = model.measures(values, data)
    assert model.graded
    np.testing.assert_allclose(g, G, rtol=0.05)
    assert found["nRMSE of the worst cell"] < 0.07 and found["log RMSE [dec]"] < 0.03
    assert np.max(np.abs(offset)) < 2e-8


def test_the_law_of_the_device_gives_the_currents_of_the_fit_and_survives_a_file(tmp_path):
    model, data, values = at_best_guess(MovingPooleFrenkelRead, mixed())
    with jax.enable_x64(True):
        parts = model.laws({k: jnp.asarray(v) for k, v in values.items()}, data)
        g, _, _, _, f, _ = model.fitted_arrays(values, data)
        np.testing.assert_allclose(
            parts["conduction"](jnp.asarray(g)[:, None], jnp.asarray(data["v"])), g[:, None] * f, rtol=1e-6
        )
    device = Device(**jax.tree.map(lambda x: np.asarray(x, np.float32), parts))
    device_file.save(device, tmp_path / "a.toml")
    loaded = device_file.load(tmp_path / "a.toml")
    here, there = (d.conduction(jnp.asarray(5e-6), jnp.asarray(0.3)) for d in (device, loaded))
    assert float(here) == float(there)


def test_an_offset_is_no_larger_than_the_current_at_no_voltage():
    """Of a law that misses the shape by far, too; without a reading at 0 V the current at the smallest voltage holds."""
    trace = mixed()
    for some, most in ((trace, 2e-8), (trace.where(trace["v"] > 0.02), None)):
        model, data = OhmicRead.of(some)
        with jax.enable_x64(True):
            values = {k: jnp.asarray(v) for k, v in model.guesses(data)[0].items()}
            offset = np.asarray(model.fitted(values, data)[1])
        least = np.array([np.abs(p["i"][np.argmin(p["v"])]) for p in some.split()])
        assert np.all(np.abs(offset) <= least + 2e-8)
        assert most is None or np.max(np.abs(offset)) < most
    assert any("0 V was not read" in note for note in model.notes(data))


def test_noise_that_does_not_grow_is_one_number():
    rng = np.random.default_rng(0)
    trace = mixed(relative=0.0, floor=0.0)
    flat = Trace("read-iv", {**trace.columns, "i": trace["i"] + 1e-6 * rng.standard_normal(len(trace))})
    assert not OhmicRead.of(flat)[0].graded
    assert OhmicRead.of(mixed())[0].graded


def test_cells_alike_have_no_law_that_moves():
    trace = mixed()
    with pytest.raises(FileError, match="a decade or more apart"):
        MovingSinhRead.of(trace.where(trace["device"] < 4))
    assert {MovingPooleFrenkelRead, MovingSinhRead, MovingSchottkyRead} < set(CANDIDATES)


@pytest.mark.slow
def test_the_fit_of_cells_decades_apart():
    """The moving law beats the one that all cells share, is not rejected, and finds v0 and the largest conductance."""
    trace = mixed()
    found, shared = (fit_candidate(*c.of(trace), trace, starts=4) for c in (MovingPooleFrenkelRead, PooleFrenkelRead))
    assert found.bic < shared.bic - 100 and not found.rejected
    assert found.estimate["v0"] == pytest.approx(0.35, abs=4 * found.stderr["v0"])
    assert float(assemble([found]).g_max) == pytest.approx(2e-3, rel=0.02)  # those cells are of another law
