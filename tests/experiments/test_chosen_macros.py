"""One place where experiments take their macro from: what it gives is the architecture's or the mapping's, or is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import devices
import xbar
from experiments import (
    accuracy_energy,
    chip_yield,
    chosen_devices,
    chosen_macros,
    mlperf_tiny,
    platforms,
    sensitivity,
    sparsity,
    specification,
)
from experiments.framework.errors import UsageError
from xbar.architectures import ARCHITECTURES

SHARED = (accuracy_energy, chip_yield, mlperf_tiny, platforms, sensitivity, sparsity, specification)
PCM = devices.pcm_joshi2020()


@pytest.mark.parametrize("module", SHARED, ids=lambda m: m.__name__.rpartition(".")[2])
def test_every_experiment_that_builds_chips_has_the_settings(module):
    names = {field.name for field in dataclasses.fields(module.Config)}
    assert {field.name for field in dataclasses.fields(chosen_macros.Setting)} <= names
    assert issubclass(module.Config, chosen_macros.Setting)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_keeps_its_macro_around_other_cells(name):
    own = ARCHITECTURES[name]().tile
    made = chosen_macros.tile(chosen_macros.Setting(architecture=name), PCM)
    assert (made.rows, made.cols, made.dac.bits, made.dac.encoding) == (
        own.rows,
        own.cols,
        own.dac.bits,
        own.dac.encoding,
    )
    assert type(made.mapping) is type(own.mapping) and made.adc.bits == own.adc.bits
    assert made.device is PCM and float(made.v_read) == float(own.v_read)
    assert (
        chosen_macros.prices(chosen_macros.Setting(architecture=name), PCM)["technology"].name
        == ARCHITECTURES[name]().name
    )
    assert ARCHITECTURES[name]().name in chosen_macros.sentences(chosen_macros.Setting(architecture=name))[0]


def test_weights_beyond_neurosims_grid_are_not_cut_off():
    """Its mapping holds weights in [-1, 1): with column scales a weight of 3 comes back as 3."""
    tile = chosen_macros.tile(chosen_macros.Setting(architecture="neurosim_default"), devices.Device(1e-6, 17e-6))
    tile = dataclasses.replace(tile, adc=xbar.ADC(bits=None))
    w, x = jnp.array([[3.0, -1.5], [0.5, 2.0]]), jnp.eye(2)
    chip = xbar.analog(lambda w, x: x @ w, tile).program(w, x, key=jax.random.key(0))
    assert jnp.allclose(chip(x), w, atol=0.06)


@pytest.mark.parametrize("mapping, cells", [("differential", 2), ("offset", 1), ("bit_sliced", 8), ("redundant", 4)])
def test_mappings_by_name(mapping, cells):
    """Cells of a weight: a pair; one; 8 bits with their sign on pairs of 2 bits; a pair twice."""
    tile = chosen_macros.tile(chosen_macros.Setting(mapping=mapping, rows=32), PCM)
    assert tile.mapping.cells == cells and tile.rows == 32 and tile.cols == 64


def test_copies_of_cells():
    """Pairs with four copies of each cell have eight cells a weight, and the macro says so."""
    chosen = chosen_macros.Setting(mapping="redundant", copies=4)
    assert chosen_macros.tile(chosen, PCM).mapping.cells == 8
    assert "4 copies of each cell" in chosen_macros.sentences(chosen)[0]


@pytest.mark.parametrize(
    "settings, says",
    [
        (dict(architecture="isaac", rows=64), "--rows 64: --architecture isaac has its own"),
        (dict(architecture="hermes", mapping="offset"), "--mapping offset"),
        (dict(rows=0), "--rows 0"),
        (dict(dac_bits=1), "--dac-bits 1"),
        (dict(copies=4), "--copies 4: only --mapping redundant"),
        (dict(mapping="redundant", copies=1), "--copies 1: give 2 to 64"),
    ],
)
def test_macros_that_cannot_be(settings, says):
    with pytest.raises(UsageError, match=says):
        chosen_macros.check(chosen_macros.Setting(**settings))


def test_cells_that_do_not_fit_an_architecture_are_refused():
    """Pulse widths are for ohmic cells; a specification asks for cells that are not."""
    with pytest.raises(UsageError, match=r"--architecture hermes: .*ohmic"):
        specification.check(specification.Config(architecture="hermes"))
    chosen_macros.check_fits(chosen_macros.Setting(architecture="hermes"), chosen_devices.find("pcm"))


def test_the_resolution_is_the_architectures_unless_given():
    assert accuracy_energy.adc_bits(accuracy_energy.Config(architecture="neurram")) == (5,)
    assert accuracy_energy.adc_bits(accuracy_energy.Config(architecture="neurram", adc_bits=(4, 6))) == (4, 6)
    assert accuracy_energy.adc_bits(accuracy_energy.Config()) == accuracy_energy.ADC_BITS


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_digits_on_every_architecture(name):
    """A perceptron for digits on each macro with ideal cells: far above chance, and for 8 bits and more near digital."""
    config = chip_yield.Config(
        network="mlp", architecture=name, device="ideal", time="1s", chips=2, images=100, steps=400
    )
    chip_yield.check(config)
    wafer = chip_yield.prepare(config)
    accuracy = wafer.accuracies(1.0, 1.0)
    assert accuracy.min() > (0.7 if name == "neurram" else wafer.study.digital() - 0.1)
