"""Names, sources and reach of everything that is published under a name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
from devices.references import REFERENCES

OURS = [n for n in devices.names() if devices.find(n).__module__.startswith("devices.")]


@pytest.mark.parametrize("name", OURS)
def test_says_what_it_is(name):
    make = devices.find(name)
    about, made = make.provenance, make() if devices.catalogue.makes_itself(name) else None
    assert about.name == name and about.technology and about.measured
    assert about.numbers in ("read", "fitted", "recalled", "assumed", "none")
    assert all(d in REFERENCES for d in about.dois), about.dois
    if make.__module__.startswith("devices.presets") and about.doi and about.numbers == "read":
        assert about.doi in make.__doc__, "the docstring names its source"
    if isinstance(made, devices.Device):
        assert made.provenance == about and 0 <= float(made.g_min) < float(made.g_max)
    said = devices.description(name)
    assert about.technology[:20] in said and max(map(len, said.splitlines()[1:])) <= 100
    if about.doi:
        assert about.doi in devices.bibtex(name)


def test_every_reference_is_used():
    used = {d for n in OURS for d in devices.find(n).provenance.dois}
    assert used == set(REFERENCES)


def test_bibtex():
    entry = devices.bibtex("reram_wan2022")
    assert entry.startswith("@article{wan2022,") and "{504--512}" in entry and entry.count("{") == entry.count("}")
    assert devices.bibtex("sonos_agrawal2022").startswith("@inproceedings{agrawal2022,")
    with pytest.raises(ValueError, match="has no publication"):
        devices.bibtex("ideal")


def test_a_name_that_is_not_there():
    with pytest.raises(ValueError, match="Did you mean 'pcm_joshi2020'"):
        devices.describe("pcm_joshi")
    with pytest.raises(ValueError, match="give both the same name"):
        devices.published(devices.Provenance("one"))(test_bibtex)


def test_preset_settings_that_cannot_be():
    with pytest.raises(ValueError, match="1 or 2"):
        devices.pcm_hermes2023(devices_per_weight=3)
    with pytest.raises(ValueError, match=r"0\.002 or 0\.02"):
        devices.reram_cmo_falcone2025(acceptance=0.2)
    tight, loose = (devices.reram_cmo_falcone2025(a).programming.scale(jnp.asarray(5e-5)) for a in (0.002, 0.02))
    assert float(loose) == pytest.approx(0.575e-6, rel=0.01) and float(tight) < float(loose) / 10


def test_the_range_of_gradually_crystallised_cells_changes_no_ratio():
    """Write error, drift and read noise of the same draws are shares of the range, whatever that is."""
    found = []
    for g_max in (25e-6, 100e-6):
        device = devices.pcm_nandakumar2020(g_max)
        cells = device.program(jnp.linspace(0, g_max, 50), key=jax.random.key(0))
        noise = jnp.sqrt(device.read_variance(cells, 1e4, 1e6))
        found.append(jnp.stack([cells.g, device.conductance(cells, 1e4), noise]) / g_max)
    np.testing.assert_allclose(*found, rtol=1e-4)
    assert np.ptp(found[0][0] - np.linspace(0, 1, 50)) > 0.05
