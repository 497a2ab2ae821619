"""Co-design: areas under fronts by hand, prices against the ledger and finite differences, write effort, searches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import codesign, codesign_view, design_chips, design_space, searches, write_effort
from experiments.framework.errors import UsageError

SMALL = codesign.Config(rows=16, cols=8, gradients=1, lambdas=(0.5,), batch=16, images=40, chips=1, repetitions=1)
OWN = """
import numpy as np
f = lambda p, x: x @ p
params = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
x = np.random.default_rng(1).normal(size=(200, 16)).astype(np.float32)
y = (x @ params).argmax(1)
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "mine.py"
    path.write_text(OWN)
    return codesign.prepare(dataclasses.replace(SMALL, network=str(path)))


def test_hypervolume_by_hand():
    """One design at a tenth of the cost and 5 points of error: 25 points times ln 10. A worse one adds nothing, a better one
    at nominal cost adds nothing either; one at half the cost with no error adds 5 points times ln 2."""
    log = np.log
    one = codesign.hypervolume(np.array([0.05]), np.array([log(0.1)]))
    assert one == pytest.approx(0.25 * log(10))
    assert codesign.hypervolume(np.array([0.05, 0.2, 0.0]), np.log([0.1, 0.5, 1.0])) == pytest.approx(one)
    assert codesign.hypervolume(np.array([0.05, 0.0]), np.log([0.1, 0.5])) == pytest.approx(one + 0.05 * log(2))
    assert codesign.hypervolume(np.array([0.4]), np.array([-1.0])) == 0


class Volumes:
    """Results that hold hypervolumes alone: `gradient` against `grid`, [repetition, chip]."""

    def __init__(self, gradient, grid):
        self.volumes = {"gradient": gradient, "grid": grid}

    def coordinates(self, dim):
        return tuple(self.volumes)

    def select(self, name, method):
        return self.volumes[method]


def test_chance_alone_makes_no_verdict():
    """Without a true difference, one run in twenty says `larger` or `smaller`, however many chips verify the designs that
    a repetition found. Fails if chips count as independent (a third of all runs)."""
    draw = np.random.default_rng(1)
    for chips in (1, 8):
        words = [
            codesign_view.verdict(Volumes(r + 0.2 * draw.normal(size=(3, chips)), np.zeros((3, chips))))[0]
            for r in draw.normal(size=(2000, 3, 1))
        ]
        assert np.mean(["not distinguishable" not in w for w in words]) == pytest.approx(0.05, abs=0.015)
    clear = codesign_view.verdict(Volumes(np.array([[1.0], [1.1], [1.05]]), np.zeros((3, 1))))[0]
    assert "larger than that of grid: +1.050 ± 0.124 (95 % interval over 3 repetitions)" in clear


def test_one_repetition_makes_no_verdict():
    (said, *_) = codesign_view.verdict(Volumes(np.array([[1.003, 1.005]]), np.ones((1, 2))))
    assert "by +0.004 in one repetition" in said
    assert not any(word in said for word in ("larger", "smaller", "±"))


def test_fronts_hold_what_nothing_beats():
    z = np.zeros(1)
    candidates = [(z + 0, 1.0, 0.0), (z + 1, 0.5, 1.0), (z + 2, 0.7, 2.0), (z + 3, 0.1, 3.0)]
    assert [float(d[0]) for d in searches.front(candidates, 9)] == [3, 1, 0]
    assert [float(d[0]) for d in searches.front(candidates, 2)] == [3, 0]


@pytest.mark.slow
def test_the_nominal_design_costs_what_the_ledger_says(state):
    """Repriced with its own bits, time, voltage and columns: the same joules and seconds, and the writes that a share of the
    inferences pays for; whole bits stay as they are."""
    space = state.spaces[0]
    z = space.box.nominal()
    energy, latency, area = space.costs_of(z)
    from xbar.energy.pricing import priced

    found = priced(space.recipes[-1])
    written = float(space.seen[-1].joules.sum()) / SMALL.inferences
    assert 0 < written < energy and energy == pytest.approx(float(found.terms.sum()) + written, rel=1e-4)
    assert latency == pytest.approx(float(found.seconds.sum()), rel=1e-4)
    assert area == pytest.approx(float(found.area.sum()), rel=1e-4)
    np.testing.assert_allclose(space.box.rounded(z), z, atol=1e-12)
    np.testing.assert_allclose(np.asarray(space.box.physics(z).bits), 8)


def test_energy_by_voltage_and_pulses_by_hand(state):
    """Twice the voltage: four times the heat of the cells and the charge of the word lines, nothing else; half the pulses:
    half of what writing takes."""
    space = state.spaces[0]
    physics = space.box.physics(space.box.nominal())
    at = lambda **new: float(space.cost(dataclasses.replace(physics, **new))[0])  # noqa: E731
    from xbar.energy.pricing import TERMS, priced

    terms = dict(zip(TERMS, np.asarray(priced(space.recipes[-1]).terms.sum(0), float), strict=True))
    extra = 3 * (terms["cells"] + terms["word_lines"])
    assert at(volts=0.4) - at() == pytest.approx(extra, rel=1e-3)
    saved = 0.5 * float(space.seen[-1].joules.sum()) / SMALL.inferences
    assert at() - at(pulses=physics.pulses / 2) == pytest.approx(saved, rel=1e-2)


def test_slopes_of_energy_against_finite_differences(state):
    space = state.spaces[0]
    z = jnp.asarray(np.linspace(0.35, 0.65, space.box.size), jnp.float32)
    energy = lambda z: jnp.log(space.cost(space.box.physics(z))[0])  # noqa: E731
    slopes = np.asarray(jax.jit(jax.grad(energy))(z))
    step = 3e-2
    value = jax.jit(energy)
    ends = [[float(value(z + s * step * e)) for s in (1, -1)] for e in jnp.eye(space.box.size)]
    np.testing.assert_allclose(slopes, [(a - b) / (2 * step) for a, b in ends], rtol=2e-2, atol=2e-3)
    assert (slopes[: len(space.box.layers)] > 0).all()  # bits cost


def test_prices_between_two_numbers_of_word_lines():
    """In the middle, the geometric mean of both; at a number that there is, its own price."""
    box = design_space.Box(("a",), None, (64, 128, 256))
    z = box.nominal()
    assert box.row_number(z) == 2 and box.size == 1 + 5
    near = [float(box.physics(np.append(z[:-1], u)).rows) for u in (0.0, 0.25, 1.0)]
    assert near == pytest.approx([0.0, 0.5, 2.0])
    assert box.rounded(np.append(z[:-1], 0.3))[-1] == 0.5
    assert design_space.Box(("a",), None, (16,)).size == 1 + 4


@pytest.mark.slow
def test_slope_of_the_price_by_word_lines(state):
    """Relaxed between 8 and 16 word lines, the design at 16 knows what a smaller tile would cost."""
    config = dataclasses.replace(state.spaces[0].config, rows=None, tile_rows=(8, 16), inferences=1e15)
    space = design_chips.Space(config, *two_of(state))  # writing, which does not depend on word lines, costs nothing
    z = jnp.asarray(space.box.nominal(), jnp.float32)
    found = float(jax.grad(lambda z: jnp.log(space.cost(space.box.physics(z))[0]))(z)[-1])
    ends = [float(np.log(space.costs_of(np.append(z[:-1], u))[0])) for u in (0.0, 1.0)]
    assert found == pytest.approx(ends[1] - ends[0], rel=1e-3) and abs(found) > 1e-3


def two_of(state):
    return state.spaces[0].task, state.model


def test_noise_of_the_amplifier_by_hand(state):
    """1 mS for 100 ns: 10 nV/sqrt(Hz) across 5 MHz are 22.4 uV, 22.4 nA; the column's own heat adds 9.1 nA in squares."""
    found = float(state.spaces[0]._amplifier(1e-3, 100e-9))
    assert found == pytest.approx(np.hypot(22.36e-9, 9.10e-9), rel=1e-3)


def test_error_of_a_loop_against_simulated_loops():
    """100,000 cells whose every pulse draws the error anew, until it is inside the window: mean pulses and rms error."""
    generator = np.random.default_rng(0)
    for window in (1.0, 0.1):
        error, pulses = generator.normal(size=100_000), np.ones(100_000)
        while (out := np.abs(error) > window).any():
            error[out], pulses[out] = generator.normal(size=out.sum()), pulses[out] + 1
        assert float(write_effort.error_after(pulses.mean())) == pytest.approx(error.std(), rel=0.02)
    assert float(write_effort.error_after(40.0)) == pytest.approx(np.sqrt(np.pi / 6) / 40, rel=1e-2)


def test_fair_shares_are_the_least_sum():
    """No other shares of as many pulses make `sum F / n^2` smaller."""
    costs, cells = np.array([8.0, 1.0, 0.1]), np.array([10.0, 100.0, 50.0])
    fair = write_effort.shares(costs, cells)
    assert (fair * cells).sum() == pytest.approx(cells.sum())
    sum_of = lambda n: (costs / n**2).sum()  # noqa: E731
    for i, j in ((0, 1), (1, 2), (2, 0)):
        other = fair.copy()
        other[i] += 0.01 / cells[i]
        other[j] -= 0.01 / cells[j]
        assert sum_of(other) > sum_of(fair)


@pytest.mark.slow
def test_a_small_run(state):
    """Every search finds designs that are verified; rounding as noise has a slope by the bits; a lower voltage is noisier."""
    found = codesign.compute(SMALL, state, {"repetition": 0})
    assert np.isfinite(found["error"][:, 0]).all() and (found["hypervolume"] >= 0).all()
    space, n = state.spaces[0], len(state.spaces[0].box.layers)
    z = jnp.asarray(space.box.nominal(), jnp.float32).at[:n].set(0.1)
    by_z, _ = space.slope((z, state.model), *state.search, jax.random.key(0), 0.0, 0)
    assert np.isfinite(np.asarray(by_z)).all() and np.abs(np.asarray(by_z)[:n]).max() > 0
    assert np.abs(np.asarray(by_z)[n : 2 * n]).max() > 0  # pulses
    assert by_z[list(space.box.shared).index("volts") + 2 * n] < 0


def test_the_grid_keeps_to_its_budget():
    box = design_space.Box(("a", "b"), (1.5, 0.5), (64, 256))
    seen = searches.grid(lambda z: (0.0, 0.0), box, 72)
    assert 36 <= len(seen) <= 72 and all(z[0] == z[1] for z, _, _ in seen)
    assert len({z[0] for z, _, _ in seen}) >= 4
    assert all(z[2] >= z[3] for z, _, _ in seen)  # the first layer is worth more pulses


@pytest.mark.parametrize(
    "settings, says",
    [
        (dict(lambdas=(1.0, 0.1)), "--lambdas"),
        (dict(architecture="isaac"), "--architecture isaac"),
        (dict(batch=0), "--batch 0"),
        (dict(slices=(1, 2), mapping="offset"), "--mapping offset"),
        (dict(inferences=0.5), "--inferences 0.5"),
    ],
)
def test_settings_that_cannot_be(settings, says):
    with pytest.raises(UsageError, match=says):
        codesign.check(codesign.Config(**{"network": "mlp", **settings}))
