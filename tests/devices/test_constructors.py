"""What constructors refuse and how they say it; integers become floats; what is printed."""

import pathlib
import re
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import law_cases as cases
import numpy as np
import pytest

import devices
from devices import Device, conduction, drift, faults, noise, programming, steps, updates, write_verify
from devices.curves import Constant, Table

US = 1e-6

REFUSED = {
    "0 <= g_min < g_max in siemens, finite": lambda: Device(1e-6, jnp.inf),
    "that float32 can hold, got g_min=": lambda: Device(1e-40, 1e-38),
    "g_min=2e-05 S, g_max=1e-05 S": lambda: Device(20e-6, 10e-6),
    "g_min=nan S": lambda: Device(float("nan"), 10e-6),
    "PowerLawDrift: t0 = 0 s; it takes a finite number above 0 [s]. Times are in seconds": lambda: drift.PowerLawDrift(
        0.05, 0.0, 25e-6, 0
    ),
    "PowerLawDrift: nu_std = -0.1; it takes a finite number of 0 or more.": lambda: drift.PowerLawDrift(
        0.05, -0.1, 25e-6, 1.0
    ),
    "StretchedExponential: tau = inf s": lambda: drift.StretchedExponential(jnp.inf),
    "ActivatedLoss: temperature = -3 K": lambda: drift.ActivatedLoss(1.0, 0.05, 25e-6, -3.0),
    "OneOverFNoise: exponent = 3": lambda: noise.OneOverFNoise(0.1, 25e-6, 1.0, exponent=3.0),
    "TelegraphNoise: shortest=1 is above longest=0.5": lambda: noise.TelegraphNoise(0.1, 25e-6, 0.0, 1.0, 0.5),
    "ThermalNoise: v_read = 0 V": lambda: noise.ThermalNoise(0.0),
    "NormalMixture: share = 1.5": lambda: programming.NormalMixture(1.5, 2.0),
    "levels must ascend": lambda: programming.QuantisedProgramming([1e-6, 3e-6, 2e-6]),
    "targets, errors have 2, 1 entries": lambda: programming.QuantileProgramming([0.0, 1e-6], [0.1, 0.9], [[0.0, 0.0]]),
    "Sinh: v0 = -0.4 V": lambda: conduction.Sinh(-0.4),
    "WithSeriesResistance: resistance = -5 ohm": lambda: conduction.WithSeriesResistance(conduction.Ohmic(), -5.0),
    "MovingVoltage: g_step = 0 S": lambda: conduction.MovingVoltage(conduction.Sinh(0.4), 10.0, 0.0, 2.0),
    "StuckAt: p_low = 1.5": lambda: faults.StuckAt(jnp.asarray([1.5]), 0.0, 0.0, 1e-6),
    "WornOut: shape = 0": lambda: faults.WornOut(0, 1e6, 0, 0, 0, 25e-6),
    "ConstantStep: step_up = -1e-07 S": lambda: steps.ConstantStep(-1e-7, 1e-7, 0.0, 25e-6),
    "SoftBounds: g_min=2.5e-05 is above g_max=0": lambda: steps.SoftBounds(1e-7, 1e-7, 1e-6, 25e-6, 0.0),
    "CellSpread: others['g_max'] = -1": lambda: updates.CellSpread(others={"g_max": -1.0}),
    "CycleNoise: correlation = 2": lambda: updates.CycleNoise(correlation=2.0),
    "WriteVerify: most=0 pulses": lambda: write_verify.WriteVerify(cases.UPDATES["soft"], 1e-7, most=0),
    "x, y have 2, 3 entries": lambda: Table([0.0, 1.0], [1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("said", REFUSED)
def test_numbers_that_cannot_be(said):
    with pytest.raises(ValueError, match=re.escape(said)):
        REFUSED[said]()


WARNED = {
    "Device: g_max = 100 S is far outside the range of any device. Conductances are in siemens": lambda: Device(
        0.0, 100.0
    ),
    "g_max = 1e-20 S is far below any device": lambda: Device(0.0, 1e-20),
    "ThermalNoise: v_read = 200 V is far outside": lambda: noise.ThermalNoise(200.0),
    "temperature = 8000 K is far outside": lambda: noise.ThermalNoise(0.2, 8000.0),
}


@pytest.mark.parametrize("said", WARNED)
def test_numbers_far_from_any_device(said):
    with pytest.warns(UserWarning, match=re.escape(said)):
        WARNED[said]()


WRONG_TYPES = """
import warnings; warnings.simplefilter("error")
import numpy as np, devices
from devices import Device, drift, noise, steps, updates
telegraph = noise.TelegraphNoise(0.1, 25e-6)
for said, call in {
    "Device: g_min is '1e-6' (str); it takes a finite number of 0 or more [S]": lambda: Device("1e-6", 1e-4),
    "Device: g_min is True (bool)": lambda: Device(True, 1e-4),
    "Device: g_max is None": lambda: Device(0, None),
    "g_max is an array of bool": lambda: Device(0, np.ones(2, bool)),
    "drift is a TelegraphNoise; it takes AbstractDrift. Such a law is passed as Device(read_noise=...)":
        lambda: Device(0, 1e-4, drift=telegraph),
    "drift is 'NoDrift' (str); it takes AbstractDrift. Laws are objects": lambda: Device(0, 1e-4, drift="NoDrift"),
    "drift is the class NoDrift; it takes AbstractDrift. Make one": lambda: Device(0, 1e-4, drift=drift.NoDrift),
    "drift is None": lambda: Device(0, 1e-4, drift=None),
    "provenance is 'mine' (str); it takes Provenance. Make one: Provenance(...)":
        lambda: Device(0, 1e-4, provenance="mine"),
    "nu_mean is 'small'; it takes a number or a curve": lambda: drift.PowerLawDrift("small", 0, 1e-4, 1),
    "nu_std is NoReadNoise(); it takes a number or a curve": lambda: drift.PowerLawDrift(0, noise.NoReadNoise(), 1e-4, 1),
    "parts is a TelegraphNoise; it takes a tuple of AbstractDrift": lambda: drift.Sequential((telegraph,)),
    "Write it as a tuple": lambda: drift.Sequential([drift.NoDrift()]),
    "soft is 'yes' (str); it takes bool. Write True or False": lambda: drift.LogTimeRelaxation(0, 0, 1e-4, 1, soft="yes"),
    "law is 'soft' (str); it takes AbstractStep": lambda: updates.PulseUpdate("soft"),
    "cells is 0.3 (float); it takes CellSpread or None":
        lambda: updates.PulseUpdate(steps.ConstantStep(1e-7, 1e-7, 0, 1e-4), cells=0.3),
    "it takes standard deviations by name": lambda: updates.CellSpread(others=0.3),
}.items():
    try:
        call()
    except (TypeError, ValueError) as error:
        assert said in str(error), (said, str(error))
    else:
        raise AssertionError(said)
"""


def test_wrong_types_get_sentences_too():
    """In a process of its own: here the run-time type checker of the tests would speak first."""
    subprocess.run([sys.executable, "-c", WRONG_TYPES], check=True, cwd=pathlib.Path(__file__).parents[2])


def test_integers_become_floats():
    """Python's, NumPy's and JAX's, alone and in lists: an int leaf has no gradient."""
    whole = (
        Device(0, np.float32(1e-4), drift=drift.PowerLawDrift(0, 0, np.float64(1e-4), np.int64(6))),
        Device(np.int32(0), jnp.asarray(1e-4), faults=faults.WornOut(0, 10**7, 2, 0, 0, 1e-4)),
        drift.TabulatedSpread((1.0,), [[0, 0]], 1e-4),
        updates.PulseUpdate(steps.ConstantStep(0, jnp.asarray(0), 0, 1e-4), updates.CellSpread(0, 0, {"g_min": 0})),
        *(law for _, _, law, _ in cases.EVERY),
    )
    for leaf in jax.tree.leaves(whole):
        assert leaf.dtype == jnp.float32 or leaf.dtype == bool, leaf
    slope = jax.grad(lambda g: device_loss(eqx.tree_at(lambda d: d.g_min, whole[0], g)))(0.0)
    assert np.isfinite(slope)


def device_loss(device):
    cells = device.program(jnp.full(2, 1e-5) + device.g_min, key=jax.random.key(0))
    return jnp.sum(device.conductance(cells, 10.0))


def test_transformations_may_put_anything_in_the_leaves():
    """Tracers, None, placeholders, several draws at once: what `jit`, `vmap` and `tree.map` do to a device."""
    device = devices.pcm_nandakumar2020()
    assert jax.tree.map(lambda _: None, device).g_max is None
    repr(jax.tree.map(lambda _: object(), device))
    many = jax.vmap(lambda g: Device(0, g, drift=drift.PowerLawDrift(Constant(g), 0, g, 1)))(jnp.asarray([1e-5, 2e-5]))
    assert many.g_max.shape == (2,) and "[1e-05, 2e-05] S" in repr(many)

    @jax.jit
    def traced(g):
        made = Device(0, g, drift=drift.PowerLawDrift(Constant(g), 0, g, g))
        assert "traced" in repr(made)
        return made

    assert float(traced(1e-5).g_max) == pytest.approx(1e-5)
    bad = jax.jit(lambda g: Device(0, -g))(1e-5)  # a traced range is not checked, as it costs a call
    assert float(bad.g_max) < 0


def test_a_device_prints_its_numbers():
    said = repr(devices.pcm_joshi2020())
    lines = said.splitlines()
    assert lines[0] == "Device pcm_joshi2020" and len(lines) <= 8
    for part in (
        "0 S to 25 uS",
        "PowerLawDrift(",
        "t0=20 s",
        "g_max=25 uS",
        "slope=-0.0155",
        "10.1038/s41467-020-16108-9",
    ):
        assert part in said, part
    assert "f32[" not in said and repr(devices.agsi_jo2010()).splitlines()[1].endswith("3.0769 nS to 38.462 nS")
    about = devices.Provenance("<mine> & yours")
    html = Device(0, 1e-5, drift=cases.DRIFT["loss"], provenance=about)._repr_html_()
    assert "&lt;mine&gt; &amp; yours" in html and "<mine>" not in html and html.startswith("<table>")
    assert repr(drift.LogTimeRelaxation(-1e-7, 3e-7, 25e-6, 0.01)) == (
        "LogTimeRelaxation(shift=-100 nS, spread=300 nS, g_max=25 uS, t0=0.01 s, offset=0, power=0.5, error=Normal(), low=0 S)"
    )


@pytest.mark.parametrize(("kind", "name", "law", "ask"), cases.EVERY, ids=cases.IDS)
def test_every_law_prints_in_one_line(kind, name, law, ask):
    said = repr(law)
    assert "\n" not in said and "f32[" not in said and said.startswith(type(law).__name__)


def test_presets_raise_no_warning():
    """Warnings are errors in these tests."""
    for name in devices.names():
        if devices.catalogue.makes_itself(name):
            devices.find(name)()
