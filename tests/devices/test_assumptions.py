"""What a device lacks is said, and filled in from another one only when asked, at the same share of the range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
from devices.device_file import load, load_draws, save
from devices.programming import SpreadProgramming

KEY = jax.random.key(0)
BARE = devices.Device(1e-6, 1e-4, provenance=devices.Provenance("mine", numbers="fitted"))


def test_what_a_device_lacks():
    assert BARE.unmeasured == ("write errors", "drift", "read noise")
    assert devices.pcm_joshi2020().unmeasured == ()
    assert "without     write errors, drift, read noise" in repr(BARE)
    assert "without" not in repr(devices.ideal())


def test_laws_of_another_device_hold_at_the_same_share_of_the_range():
    """Cells of the completed device times the ratio of ranges are the other device's own cells, drawn from the same keys."""
    other = devices.pcm_joshi2020()
    mine = devices.assume(BARE, other)
    factor = other.g_max / BARE.g_max
    target = jnp.linspace(1e-5, 1e-4, 500)
    a, b = mine.program(target, key=KEY), other.program(target * factor, key=KEY)
    for t in (25.0, 3600.0, 8e4):
        np.testing.assert_allclose(mine.conductance(a, t) * factor, other.conductance(b, t), rtol=1e-5)
    variance = mine.read_variance(a, jnp.asarray(1e3), jnp.asarray(1e6)) * factor**2
    np.testing.assert_allclose(variance, other.read_variance(b, jnp.asarray(1e3), jnp.asarray(1e6)), rtol=1e-4)
    assert mine.unmeasured == ()


def test_an_assumption_is_said_and_cited(tmp_path):
    mine = devices.assume(BARE, devices.pcm_joshi2020())
    assert any(
        n.startswith("ASSUMED, not measured: write errors, drift, read noise of pcm_joshi2020")
        for n in mine.provenance.notes
    )
    assert "10.1038/s41467-020-16108-9" in mine.provenance.dois
    save(mine, tmp_path / "mine.toml")
    again = load(tmp_path / "mine.toml")
    assert again.provenance == mine.provenance
    cells = [d.program(jnp.full(100, 5e-5), key=KEY) for d in (mine, again)]
    np.testing.assert_array_equal(mine.conductance(cells[0], 1e4), again.conductance(cells[1], 1e4))


def test_own_laws_stay():
    own = SpreadProgramming(1e-6, 1e-4)
    mine = devices.assume(devices.Device(1e-6, 1e-4, programming=own), devices.pcm_joshi2020())
    assert mine.programming is own
    assert "write errors" not in mine.provenance.notes[-1]


def test_a_spread_of_the_range():
    """3 % of 99 uS over 20,000 cells: 2.97 uS within 2 % (four standard errors)."""
    cells = devices.assume_spread(BARE, 0.03).program(jnp.full(20_000, 5e-5), key=KEY)
    assert float(jnp.std(cells.g)) == pytest.approx(0.03 * 99e-6, rel=0.02)


def test_nothing_to_be_assumed_is_refused():
    with pytest.raises(ValueError, match="pcm_joshi2020 lacks no law"):
        devices.assume(devices.pcm_joshi2020(), devices.pcm_hermes2023())
    with pytest.raises(ValueError, match="which ideal, scaled by the largest conductance does not have either"):
        devices.assume(BARE, devices.ideal())
    for share in (0.0, -0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            devices.assume_spread(BARE, share)


def test_drawn_devices_are_completed_too(tmp_path):
    draws = jax.vmap(lambda g: devices.Device(1e-6, g, provenance=BARE.provenance))(jnp.asarray([0.9e-4, 1.1e-4]))
    save(BARE, tmp_path / "mine.toml", draws)
    drawn = jax.vmap(lambda d: devices.assume(d, devices.pcm_joshi2020()))(load_draws(tmp_path / "mine.toml", 2))
    g = jax.vmap(lambda d: d.conductance(d.program(jnp.full(50, 5e-5), key=KEY), 1e3))(drawn)
    assert g.shape == (2, 50) and float(jnp.abs(g[0] - g[1]).max()) > 0


def test_a_device_file_lists_what_was_not_measured(tmp_path):
    save(BARE, tmp_path / "mine.toml")
    assert (
        'unmeasured = [\n    "write errors",\n    "drift",\n    "read noise",\n]'
        in (tmp_path / "mine.toml").read_text()
    )
