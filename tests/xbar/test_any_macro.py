"""Soak: networks x tiles x mappings x wires x noise, drawn by Hypothesis. No NaN, no exception but stated ones, and ideal
cells without converters give the digital function."""

import contextlib
import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import devices
import xbar

NETWORKS = {
    "dot": (lambda p, x: x @ p["a"], {"a": (6, 5)}),
    "mlp": (lambda p, x: jax.nn.relu(x @ p["a"]) @ p["b"] + 0.1, {"a": (6, 9), "b": (9, 3)}),
    "shared": (lambda p, x: jnp.tanh(jnp.tanh(x @ p["a"]) @ p["a"]), {"a": (6, 6)}),
    "scan": (lambda p, x: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p["a"])[0], {"a": (2, 6, 6)}),
}
MAPPINGS = {
    "differential": xbar.Differential(), "tile": xbar.Differential(per="tile"), "offset": xbar.Offset(),
    "digital": xbar.Offset(reference="digital"), "redundant": xbar.Redundant(2),
}  # fmt: skip
SLICED = {"sliced": xbar.BitSliced(8, 4), "flipped": xbar.BitSliced(6, 2, encoding="flipped")}
WIRES = {
    "ideal": xbar.IdealWires(),
    "series": xbar.SeriesWires(1.0, 1.0, 100.0),
    "resistive": xbar.ResistiveWires(2.0, 2.0),
}
DEVICES = {
    "ideal": devices.Device(1e-6, 1e-4),
    "pcm": devices.pcm_joshi2020(),
    "reram": devices.reram_wan2022(),
    "gong": devices.reram_gong2018(),
    "stuck": devices.Device(
        1e-6, 1e-4, faults=devices.faults.StuckAt(p_low=0.05, p_high=0.05, p_open=0.02, g_low=1e-6, g_high=1e-4)
    ),
}
DRAWS = st.fixed_dictionaries(
    {
        "network": st.sampled_from(sorted(NETWORKS)), "mapping": st.sampled_from(sorted(MAPPINGS | SLICED)),
        "wires": st.sampled_from(sorted(WIRES)), "device": st.sampled_from(sorted(DEVICES)),
        "rows": st.sampled_from([1, 4, 6, 16]), "cols": st.sampled_from([1, 3, 8]),
        "dac": st.sampled_from([None, 2, 8]), "adc": st.sampled_from([None, 3, 8]),
        "noise": st.sampled_from(["independent", "frozen"]), "calibrated": st.booleans(), "batch": st.sampled_from([1, 3]),
        "scale": st.sampled_from([0.0, 1e-6, 1.0, 1e4]), "t": st.sampled_from([1.0, 86_400.0]),
        "seed": st.integers(0, 2**32 - 1),
    }
)  # fmt: skip


def built(draw):
    f, shapes = NETWORKS[draw["network"]]
    keys = jax.random.split(jax.random.key(draw["seed"]), 6)
    params = {n: draw["scale"] * jax.random.normal(k, s) for (n, s), k in zip(shapes.items(), keys, strict=False)}
    x = jax.random.normal(keys[2], (draw["batch"], 6))
    return f, params, x, keys[3:]


@functools.cache
def tile(**parts):
    names = {"device": DEVICES, "mapping": MAPPINGS | SLICED, "wires": WIRES}
    made = {k: names[k][v] if k in names else v for k, v in parts.items()}
    made |= {"dac": xbar.DAC(bits=made["dac"]), "adc": xbar.ADC(bits=made["adc"])}
    return xbar.Tile(**made)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_network_on_any_macro(room_for_compiled_code):
    """300 draws: outputs and energies are finite, energies positive; the same key gives the same output."""

    @hypothesis.given(DRAWS)
    @hypothesis.settings(max_examples=300, deadline=None, derandomize=True, database=None)
    def check(draw):
        room_for_compiled_code()
        f, params, x, keys = built(draw)
        part = {n: draw[n] for n in ("device", "mapping", "wires", "rows", "cols", "dac", "adc")}
        network = xbar.analog(f, tile(**part, read_noise=draw["noise"]))
        chip = network.program(params, x, key=keys[0])
        if draw["calibrated"]:
            if draw["scale"] == 0:  # the reads of differential pairs may give no current at all, which is stated
                with contextlib.suppress(ValueError):
                    xbar.calibrate(chip, x, key=keys[1])
                return
            chip = xbar.calibrate(chip, x, key=keys[1])
        y = chip(x, t=draw["t"], key=keys[2])
        assert y.shape == f(params, x).shape and np.isfinite(y).all(), draw
        np.testing.assert_array_equal(y, chip(x, t=draw["t"], key=keys[2]))
        ledger = chip.energy(x, t=draw["t"])
        unpriced = {"dac", "adc", "leakage"} if None in (draw["dac"], draw["adc"]) else set()  # no bits, no price: NaN
        energies = dict(zip(ledger.components, np.asarray(ledger.by_component), strict=True))
        assert all(np.isfinite(e) and e >= 0 for name, e in energies.items() if name not in unpriced), draw

    check()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ideal_cells_are_digital_on_any_macro():
    """100 draws without converters, noise or wires: the digital function, to float32 rounding."""

    @hypothesis.given(DRAWS)
    @hypothesis.settings(max_examples=100, deadline=None, derandomize=True, database=None)
    def check(draw):
        hypothesis.assume(draw["mapping"] in MAPPINGS)
        f, params, x, keys = built(draw)
        part = {n: draw[n] for n in ("mapping", "rows", "cols")}
        network = xbar.analog(f, tile(**part, device="ideal", wires="ideal", dac=None, adc=None))
        want = f(params, x)
        got = network.program(params, x, key=keys[0])(x, t=draw["t"], key=keys[2])
        size = float(jnp.abs(want).max()) if draw["scale"] else 1.0  # zeros are mapped as if the largest weight were 1
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5 * size)

    check()
