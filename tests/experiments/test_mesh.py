"""Meshes that cannot be had leave nothing behind, and layers that are not spread say so."""

import os

import jax
import pytest

import devices
import xbar
from experiments import mesh
from experiments.framework.errors import UsageError


@pytest.mark.parametrize("count", [3, 10**12])
def test_more_devices_than_there_are(monkeypatch, count):
    """JAX has started; processes that are started later must not be told to make as many."""
    jax.devices()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    with pytest.raises(UsageError, match=f"--mesh {count}: only {len(jax.devices())} devices"):
        mesh.check_mesh(count)
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=false"


def test_a_layer_that_is_not_spread_says_so_once(capsys, monkeypatch):
    monkeypatch.setattr(mesh, "_say_whole", mesh._say_whole.__wrapped__)
    monkeypatch.setattr(xbar, "Sharding", lambda devices, **axes: None)
    tile = xbar.Tile(devices.ideal(), rows=8, cols=8)
    choose = mesh.spread(tile, 2)
    assert choose("even", (8, 16)).sharding is None and not capsys.readouterr().err
    choose("odd", (24, 8))
    assert "odd has 3 x 1 tiles, neither a multiple of 2" in capsys.readouterr().err
