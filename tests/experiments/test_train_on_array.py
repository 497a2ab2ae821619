"""`xbar run train-on-array`: what it refuses, and a short run from a device file."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import array_training, train_on_array
from experiments.framework.errors import UsageError


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (dict(algorithm=("adam",)), "unknown; choose from sgd"),
        (dict(device=("pcm_joshi2020",)), "no pulse law"),
        (dict(epochs=0), "at least 1"),
        (dict(rate=0.0), "above 0"),
        (dict(adc_bits=40), "2 to 16"),
    ],
)
def test_what_cannot_be_is_refused(setting, said):
    with pytest.raises(UsageError, match=said):
        train_on_array.check(train_on_array.Config(**setting))


class Copies(eqx.Module):
    """A chip whose outputs are its inputs."""

    def reading(self):
        return lambda x, key: x


def test_every_test_sample_counts_once():
    """Samples that do not fill a last batch are read, and what fills it up does not count."""
    chip: Any = Copies()
    y = jnp.zeros(1999, jnp.int32)
    read = lambda n, **more: array_training.accuracy(chip, x[:n], y[:n], jax.random.key(0), **more)  # noqa: E731
    x = jax.nn.one_hot((jnp.arange(1999) >= 1000).astype(jnp.int32), 2)
    assert float(read(1999)) == pytest.approx(1000 / 1999)
    assert float(read(1003)) == pytest.approx(1000 / 1003) and float(read(1003, batch=7)) == float(read(1003))
    assert float(read(10)) == 1.0


@pytest.mark.slow
def test_a_compact_model_trains_a_network(tmp_path, monkeypatch, capsys):
    """VTEAM cells, their pulses as a table, in a device file: two epochs of digits are better than guessing (10 %), and
    joules are those of pulses."""
    import devices
    import experiments
    from devices import compact, device_file
    from experiments.command import cli

    model = compact.vteam_knowm_wsdc()
    update = compact.pulse_response(model, up=compact.Pulse(0.3, 1e-5), down=compact.Pulse(-0.25, 1e-5))
    device = devices.Device(update.law.g_min, update.law.g_max, update=update)
    device_file.save(device, tmp_path / "vteam.toml")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    few = ["--algorithm", "sgd", "--epochs", "2", "--chips", "2", "--out", str(tmp_path)]
    assert cli.command(["run", "train-on-array", "--device", str(tmp_path / "vteam.toml"), *few]) == 0
    found = experiments.open_results(next((tmp_path / "train-on-array").glob("*")))
    assert float(found["accuracy"].values[..., -1].mean()) > 0.15
    assert np.all(found["joules"].values > 0)
