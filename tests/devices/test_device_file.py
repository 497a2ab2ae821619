"""Devices as TOML files: there and back, with or without a posterior, and what is said of a file that cannot be used."""

import equinox as eqx
import jax
import jax.numpy as jnp
import law_cases as cases
import numpy as np
import pytest

import devices
from devices.device_file import DeviceFileError, load, load_draws, save

NAMES = [
    n for n in devices.names() if devices.catalogue.makes_itself(n) and isinstance(devices.find(n)(), devices.Device)
]


@pytest.mark.parametrize("name", NAMES)
def test_every_published_device_survives_its_file(name, tmp_path):
    """Same structure, same provenance, same numbers to the last bit of float32."""
    device = devices.find(name)()
    save(device, tmp_path / "device.toml")
    back = load(tmp_path / "device.toml")
    assert jax.tree.structure(back) == jax.tree.structure(device)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(device), strict=True):
        np.testing.assert_array_equal(np.asarray(a, np.float32), np.asarray(b, np.float32))


@pytest.mark.parametrize(("kind", "name", "law", "_"), cases.EVERY, ids=cases.IDS)
def test_every_law_survives_its_file(kind, name, law, _, tmp_path):
    device = devices.Device(1e-6, 25e-6, **{"read_noise" if kind == "noise" else kind: law})
    save(device, tmp_path / "device.toml")
    back = load(tmp_path / "device.toml")
    assert jax.tree.structure(back) == jax.tree.structure(device)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(device), strict=True):
        np.testing.assert_array_equal(np.asarray(a, np.float32), np.asarray(b, np.float32))


def drawn(device, count=3):
    """Devices whose drift exponents differ, as from a posterior."""
    exponents = device.drift.nu_mean.offset * jnp.linspace(0.9, 1.1, count)
    stacked = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), eqx.filter(device, eqx.is_array))
    stacked = eqx.tree_at(lambda d: d.drift.nu_mean.offset, stacked, exponents)
    return eqx.combine(stacked, device)


def test_a_posterior_survives_its_file_and_repeats_when_more_is_asked_for(tmp_path):
    device = devices.pcm_joshi2020()
    save(device, tmp_path / "device.toml", drawn(device))
    back = load_draws(tmp_path / "device.toml", 5)
    expected = drawn(device).drift.nu_mean.offset[jnp.array([0, 1, 2, 0, 1])]
    np.testing.assert_allclose(back.drift.nu_mean.offset, expected, rtol=1e-6)
    assert back.g_max.shape == (5,)
    np.testing.assert_array_equal(load(tmp_path / "device.toml").g_max, device.g_max)
    conductances = jax.vmap(lambda d: d.conductance(d.program(jnp.full(4, 5e-7), key=jax.random.key(0)), 1e3))(back)
    assert np.unique(np.asarray(conductances)[:, 0]).size == 3


def test_a_file_without_a_posterior_says_how_to_get_one(tmp_path):
    save(devices.ideal(), tmp_path / "device.toml")
    with pytest.raises(DeviceFileError, match="carries no posterior; write one with"):
        load_draws(tmp_path / "device.toml", 2)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "format = 1"),
        ("format = 1\n[device", "not a TOML file"),
        (
            "format = 1\n[device]\ng_min = 0.0\ng_max = 1e-5\ndrift = {type = 'os.system'}",
            "unknown law 'os.system'",
        ),
        ("format = 1\n[device]\ng_min = 0.0\ng_max = 1e-5\ndrift = {type = 'drift.NoDrift', nu = 1.0}", "has no nu"),
        ("format = 1\n[device]\ng_min = 2e-5\ng_max = 1e-5", "0 <= g_min < g_max"),
        ("format = 1\n[device]\ng_min = nan\ng_max = 1e-5", "device.g_min is not a number"),
        ("format = 1\n[device]\ng_min = 1e-6", "g_max"),
    ],
)
def test_files_that_cannot_be_used_say_why(text, said, tmp_path):
    (tmp_path / "device.toml").write_text(text)
    with pytest.raises(DeviceFileError, match=said):
        load(tmp_path / "device.toml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DeviceFileError, match=r"nowhere\.toml: No such file"):
        load(tmp_path / "nowhere.toml")


class MyDrift(devices.AbstractDrift):
    def __call__(self, g, z, t):
        return g


def test_a_law_of_ones_own_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="MyDrift is not a law of this package"):
        save(devices.Device(0.0, 1e-5, drift=MyDrift()), tmp_path / "device.toml")
    assert not list(tmp_path.iterdir())
