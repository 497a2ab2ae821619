"""`xbar run asymmetry-map` and `refresh`: what they refuse, and short runs."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import asymmetry_map, refreshing
from experiments.framework.errors import UsageError


@pytest.mark.parametrize(
    ("module", "setting", "said"),
    [
        (asymmetry_map, dict(algorithm=("adam",)), "unknown; choose from sgd"),
        (asymmetry_map, dict(asymmetry=(1.5,)), "from 0"),
        (asymmetry_map, dict(states=(2,)), "4 or more"),
        (refreshing, dict(device="pcm_joshi2020"), "no pulse law"),
        (refreshing, dict(times=(10.0, 1.0)), "ascending"),
        (refreshing, dict(updates=0), "at least 1"),
    ],
)
def test_what_cannot_be_is_refused(module, setting, said):
    with pytest.raises(UsageError, match=said):
        module.check(module.Config(**setting))


def test_a_device_of_the_map():
    """Steps of 1 / 100 of the range in the middle, half of it at the upper end for an asymmetry of 0.5, and 1.5 times down."""
    law = asymmetry_map.device(100, 0.5, 0.3).update.law
    g = jnp.asarray([10e-6, 20e-6])
    np.testing.assert_allclose(law.up(g), [0.2e-6, 0.1e-6], rtol=1e-5)
    np.testing.assert_allclose(law.down(g), [0.2e-6, 0.3e-6], rtol=1e-5)


@pytest.mark.slow
def test_short_runs(tmp_path, monkeypatch):
    """SGD on fine symmetric steps learns more in two epochs than on coarse soft bounds; refreshing brings back what a year of
    drift has taken, and counts its pulses."""
    import experiments
    from experiments.command import cli

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    few = ["--chips", "2", "--epochs", "2", "--out", str(tmp_path)]
    settings = ["--algorithm", "sgd", "--states", "10", "1000", "--asymmetry", "0", "1"]
    assert cli.command(["run", "asymmetry-map", *settings, *few]) == 0
    found = experiments.open_results(next((tmp_path / "asymmetry-map").glob("*")))
    accuracy = found["accuracy"].sel(algorithm="sgd").values.mean(-1)[0]  # states by asymmetry
    assert accuracy[1, 0] > accuracy[0, 1] + 0.05
    times = ["--times", "60", "31536000", "--updates", "40"]
    assert cli.command(["run", "refresh", *times, "--chips", "2", "--out", str(tmp_path)]) == 0
    found = experiments.open_results(next((tmp_path / "refresh").glob("*")))
    after, before = (found[n].sel(arm="refreshed").values.mean(0) for n in ("after", "before"))
    assert after[-1] > before[-1]
    assert np.all(np.diff(found["pulses"].sel(arm="refreshed").values) > 0)
