"""The ledger: prices, sums, uncertainty, notes, printing, transformations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from xbar.energy import (
    COMPONENTS,
    Andrulis,
    Coefficient,
    LayerCosts,
    NeuroSimSAR,
    Technology,
    Usage,
    Work,
    coefficients,
    energy_scale,
    engineering,
    price,
)
from xbar.energy.pricing import TERMS

COST = LayerCosts("dense", adc_bits=8, dac_bits=8, rows=256, cols=512, read_time=100e-9, v_read=0.2)
USAGE = Usage(2e-9, 784, 0, 1024, 768, 256, 200_704, inputs=784, outputs=256, line_swing=784 * 0.04, driven_rows=784)
WORK = Work(ops=512, mac_ops=2000, elements_moved=100, transcendental=10, operands=50)


def adc_only(conversions=1000.0):
    return Usage(0.0, 0.0, 0.0, conversions, 0.0, 0.0, 1.0)


def test_every_term_by_hand():
    """Fails if any event is priced by the wrong coefficient, node or width."""
    tech = Technology(node=32e-9, buffer_bytes=65536, feature=32e-9, v_select=0.9)
    ledger = price([COST], [USAGE], WORK, tech, elements=(784, 256))
    logic, dac, register = (float(energy_scale(node, 32e-9)) for node in (45e-9, 40e-9, 40e-9))
    rate = 8 / 100e-9
    bit = 0.156e-12 * 8**0.475 * logic
    line = 512 * 12 * 32e-9 * 0.2e-9
    gates = 512 * 10e-6 * 2.78e-15 / 128 * 1e5
    leaking = 0.2 * 32 * rate * float(Andrulis().energy(8, rate, 32e-9)) + 65536 / 8 * 0.33e-3 / 2048
    expected = {
        "array": [2e-9, 0.0],
        "lines": [784 * (line * 0.04 + (line + gates) * 0.81), 0.0],
        "dac": [784 * 0.291e-12 * dac, 0.0],
        "sample_hold": [1024 * 10e-6 / 1024 * 100e-9, 0.0],
        "adc": [1024 * float(Andrulis().energy(8, rate, 32e-9)), 0.0],
        "accumulate": [768 * 0.021e-12 + 256 * 1.1e-12 * logic, 0.0],
        "digital": [0.0, (2512 * 0.75e-12 + 10 * 6e-12) * logic],
        "memory": [1040 * 8 * bit, 250 * 8 * bit],
        "network": [(784 + 256) * 8 * 0.081e-12, 0.0],
        "off_chip": [0.0, 0.0],
        "leakage": [leaking * float(ledger.period), 0.0],
        "clock": [1024 * 16 * 9e-15 * register, 0.0],
        "neurons": [0.0, 0.0],
    }
    assert ledger.layers == ("dense", "(digital)")
    assert tuple(expected) == COMPONENTS
    for i, name in enumerate(COMPONENTS):
        np.testing.assert_allclose(ledger.joules[:, i], expected[name], rtol=1e-4, err_msg=name)


def test_neurosim_row_wire():
    """Fails if the pitch, the wire's capacitance or the gates' is off: 128 cells at 22 nm are 6.76 fF, 0.85 V."""
    tech = Technology(node=22e-9, feature=22e-9, v_select=0.85)
    assert float(tech.line_capacitance(128)) == pytest.approx(6.76e-15, rel=2e-3)
    for ohm, femtojoules in ((100e3, 6.893), (20e3, 14.93)):
        assert float(tech.select_energy(128, 1 / ohm)) == pytest.approx(femtojoules * 1e-15, rel=2e-3)


def test_bit_serial_drivers():
    """Fails if pulses are not ISAAC's 0.39 pJ at 32 nm, or are priced as multi-bit conversions."""
    ledger = price([COST], [Usage(0, 0, 1000, 0, 0, 0, 1)], Work(), Technology(node=32e-9))
    assert float(ledger.by_component[COMPONENTS.index("dac")]) == pytest.approx(1000 * 0.390625e-12, rel=1e-4)


def test_sums_agree():
    """Fails if a view of the table loses a term; sums to float32 rounding."""
    tech = Technology().without("adc_leakage", "memory_leakage")  # these depend on how inferences share the time
    ledger = price([COST, COST], [USAGE, adc_only()], WORK, tech, inferences=4)
    for view in (ledger.joules, ledger.by_layer, ledger.by_component):
        assert float(view.sum()) == pytest.approx(float(ledger.total), rel=1e-5)
    assert float(ledger.elasticities.sum()) == pytest.approx(1.0, rel=1e-5)
    single = price([COST, COST], [USAGE, adc_only()], WORK, tech)
    assert float(single.total) == pytest.approx(4 * float(ledger.total), rel=1e-5)
    assert float(ledger.per_mac) == pytest.approx(float(single.total) / (200_704 + 1 + 1000), rel=1e-5)


def test_array_energy_follows_the_data():
    """Fails if energy ignores inputs: dense against sparse inputs, > 1.3 in the total, the rest fixed."""
    rng = np.random.default_rng(0)
    g = rng.uniform(1e-6, 50e-6, (2, 256, 64))
    dense, sparse = rng.uniform(0.9, 1.0, 256), rng.uniform(0, 1, 256) * (rng.uniform(size=256) < 0.2)

    def ledger(x):
        joules = np.einsum("r,prc->", (0.2 * x) ** 2, g) * 100e-9
        return price([COST], [Usage(joules, 256, 0, 64, 0, 0, 256 * 64)], Work(), Technology())

    a, b = ledger(dense), ledger(sparse)
    assert float(a.total / b.total) > 1.3
    fixed = slice(1, None)
    np.testing.assert_allclose(a.by_component[fixed], b.by_component[fixed])


@pytest.mark.slow
def test_monotone_in_bits_and_node():
    """Fails if a wider converter or a larger node makes the chip cheaper."""

    def total(bits, node):
        cost = LayerCosts("a", bits, bits, 256, 512, 100e-9, 0.2)
        return float(price([cost], [USAGE], WORK, Technology(node=node)).total)

    by_bits = [total(bits, 22e-9) for bits in range(4, 12)]
    by_node = [total(8, node) for node in np.geomspace(14e-9, 130e-9, 25)]
    assert (np.diff(by_bits) > 0).all()
    assert (np.diff(by_node) > 0).all()


def test_quantiles_of_one_coefficient_are_analytic():
    """Fails if the spread is not log-normal: E exp(1.2 z_p) to 0.5 % (hypercube: about 0.1 %)."""
    alone = Technology().without("register", "sample_hold", "adc_leakage", "memory_leakage")
    ledger = price([LayerCosts("a", 8, 8, 1, 0, 1e-7, 0.2)], [adc_only()], Work(), alone)
    p = (0.05, 0.1, 0.5, 0.9, 0.95)
    expected = float(ledger.total) * np.exp(1.2 * norm.ppf(p))
    np.testing.assert_allclose(ledger.quantiles(p), expected, rtol=5e-3)


def test_quantiles_share_coefficients_over_layers():
    """Fails if layers draw their own coefficients: two equal layers have twice the quantile."""
    cost = LayerCosts("a", 8, 8, 1, 0, 1e-7, 0.2)
    tech = Technology().without("adc_leakage", "memory_leakage")  # two layers leak for twice as long
    one = price([cost], [adc_only()], Work(), tech).quantiles()
    two = price([cost, cost], [adc_only(), adc_only()], Work(), tech).quantiles()
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)


def test_quantiles_against_monte_carlo():
    """Fails if terms are not independent: 2 terms, 1e6 draws; P10 and P90 within 2 % (draws alone 0.3 %)."""
    ledger = price([COST], [Usage(0, 10_000, 0, 1000, 0, 0, 1)], Work(), Technology())
    terms, sigma = np.asarray(ledger.terms.sum(0)), np.asarray(ledger.sigma_ln)
    z = np.random.default_rng(1).standard_normal((1_000_000, terms.size))
    used = terms > 0
    samples = (terms[used] * np.exp(sigma[used] * z[:, used])).sum(-1)
    np.testing.assert_allclose(ledger.quantiles(), np.quantile(samples, (0.1, 0.5, 0.9)), rtol=0.02)
    assert ledger.quantiles((0.5,), by="layer").shape == (1, 2)
    assert ledger.quantiles(by="component").shape == (3, len(COMPONENTS))
    with pytest.raises(ValueError, match="'tile'"):
        ledger.quantiles(by="tile")


def test_unquantised_converter_is_undefined():
    """Fails if bits=None ever prints a number: NaN, a note, and other entries untouched."""
    cost = LayerCosts("free", None, None, 256, 512, 100e-9, 0.2)
    ledger = price([cost], [USAGE], Work(), Technology())
    joules = dict(zip(COMPONENTS, ledger.joules[0], strict=True))
    assert np.isnan(joules["adc"])
    assert np.isnan(joules["dac"])
    assert float(joules["array"]) == pytest.approx(2e-9)
    assert np.isnan(ledger.total)
    assert sum("no defined energy" in note for note in ledger.notes) == 2
    assert "undefined" in str(ledger)
    pulses_only = price([cost], [Usage(1e-9, 0, 10, 0, 0, 0, 1)], Work(), Technology())
    assert np.isfinite(pulses_only.total)
    assert not any("no defined energy" in note for note in pulses_only.notes)


def test_notes_name_what_is_assumed():
    """Fails if an extrapolation or a recalled constant is hidden, or one not in play is printed."""
    three_bits = LayerCosts("a", 3, 8, 256, 512, 100e-9, 0.2)
    notes = "\n".join(price([three_bits], [USAGE], Work(unbounded=True), Technology(node=7e-9)).notes)
    optimistic = price([three_bits], [USAGE], Work(), Technology(adc_model=NeuroSimSAR())).notes
    assert any("below the best" in note for note in optimistic)
    for text in ("3 bits", "7 nm", "while loop", "recalled", "multi-bit DAC", "not priced"):
        assert text in notes
    assert "1-bit driver" not in notes
    assert "transcendental" not in notes


def test_recalled_coefficients_are_footnoted():
    """Fails if a coefficient tagged [L] enters a ledger without a note."""
    recalled = Coefficient(1e-13, 0.5, "J", None, "L", "a talk")
    tech = eqx.tree_at(lambda t: t.dac, Technology(), recalled)
    assert "dac is recalled [L], not read: a talk" in price([COST], [USAGE], WORK, tech).notes
    with pytest.raises(ValueError, match="provenance tag is one of R, M, D, L"):
        Coefficient(1.0, 0.0, "J", None, "X", "nowhere")


@pytest.mark.few(1)
@pytest.mark.parametrize("layers", [1, 30])
def test_prints_within_100_columns(layers):
    """Fails if long names, many layers, undefined entries or notes overflow the terminal."""
    bits = [None if i % 3 == 2 else 8 for i in range(layers)]
    costs = [LayerCosts(f"encoder.blocks.{i}.attention.weight", b, b, 256, 512, 1e-7, 0.2) for i, b in enumerate(bits)]
    text = str(price(costs, [USAGE] * layers, WORK, Technology()))
    assert max(map(len, text.splitlines())) <= 100
    for word in (*COMPONENTS, "P10", "P90", "per MAC", "per inference"):
        assert word in text
    assert max(map(len, Technology().table().splitlines())) <= 100


def test_technology_table_lists_every_coefficient_with_its_source():
    """Fails if a coefficient lacks a tag or a source, or is missing from the printed table."""
    tech, text = Technology(supply=0.8, adc_model=NeuroSimSAR()), Technology().table()
    for name, coefficient in coefficients(tech).items():
        assert name in text
        assert coefficient.source
        assert coefficient.tag in "RMDL3"
    assert "NeuroSimSAR" in str(tech)
    assert "800 mV" in str(tech)


@pytest.mark.slow
def test_gradients_by_every_coefficient():
    """Fails if a price is not differentiable: d ln E / d ln theta is the elasticity; jit, float64."""
    with jax.enable_x64(True):
        tech = Technology(node=24e-9)  # at 22 nm the tables of wires have a corner

        def log_total(t):
            return jnp.log(price([COST], [USAGE], WORK, t).total)

        grad = jax.jit(jax.grad(log_total))(tech)
        ledger = price([COST], [USAGE], WORK, tech)
        shares = dict(zip(TERMS, ledger.elasticities, strict=True))
        for name, term in {
            "array": "cells",
            **{n: n for n in ("dac", "driver", "shift_add", "hop", "register")},
        }.items():
            theta = getattr(tech, name).value
            assert float(getattr(grad, name).value * theta) == pytest.approx(float(shares[term]), rel=1e-9)
        found = ledger.sensitivities()
        for name in ("adc", "wire", "gate", "memory_leakage"):
            slope = float(getattr(grad, name).value * getattr(tech, name).value)
            assert float(found[name]) == pytest.approx(slope, rel=1e-9)
        for get in (lambda t: t.node, lambda t: t.memory.value, lambda t: t.columns_per_adc):
            up, down = (eqx.tree_at(get, tech, get(tech) * (1 + h)) for h in (1e-5, -1e-5))
            finite = (log_total(up) - log_total(down)) / 2e-5
            assert float(get(grad) * get(tech)) == pytest.approx(float(finite), rel=1e-5, abs=1e-9)


def test_gradients_by_usage_and_read_time():
    """Fails if traced events or timing lose their gradient: dE/d(array_joules) = 1."""
    with jax.enable_x64(True):

        def total(joules, read_time):
            cost = LayerCosts("a", 8, 8, 256, 512, read_time, 0.2)
            return price([cost], [Usage(joules, 1, 0, 1000, 0, 0, 1)], Work(), Technology()).total

        by_joules, by_time = jax.jit(jax.grad(total, argnums=(0, 1)))(1e-9, 2e-9)
        assert float(by_joules) == pytest.approx(1.0, rel=1e-9)
        finite = (total(1e-9, 2e-9 * 1.00001) - total(1e-9, 2e-9 * 0.99999)) / (2e-9 * 2e-5)
        assert float(by_time) == pytest.approx(float(finite), rel=1e-5)
        assert float(by_time) < 0


@pytest.mark.slow
def test_vmap_over_chips_and_over_technologies():
    """Fails if a ledger is not a pytree: batched sums, quantiles and printing; equal to one-by-one."""

    def ledger(joules, node):
        usage = Usage(joules, 784, 0, 1024, 768, 256, 200_704)
        return price([COST], [usage], WORK, Technology(node=node))

    joules, nodes = jnp.array([1e-9, 2e-9, 3e-9]), jnp.array([14e-9, 22e-9, 65e-9])
    batch = jax.jit(jax.vmap(ledger))(joules, nodes)
    assert batch.joules.shape == (3, 2, len(COMPONENTS))
    assert batch.quantiles().shape == (3, 3)
    assert batch.quantiles(by="layer").shape == (3, 3, 2)
    single = ledger(joules[1], nodes[1])
    np.testing.assert_allclose(batch.total[1], single.total, rtol=1e-5)
    np.testing.assert_allclose(batch.quantiles()[:, 1], single.quantiles(), rtol=1e-5)
    assert "mean of 3 ledgers" in str(batch)


def test_mismatched_lists_are_refused():
    """Fails if a layer without events is silently dropped."""
    with pytest.raises(ValueError, match="1 given for 2 layers"):
        price([COST, COST], [USAGE], WORK, Technology())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.67e-12, "1.67 pJ"),
        (999.6e-12, "1 nJ"),
        (0.0, "0 J"),
        (123e3, "123 kJ"),
        (-2e-3, "-2 mJ"),
        (1e-30, "1e-06 yJ"),
    ],
)
def test_engineering_notation(value, text):
    """Fails if rounding crosses a prefix or a value falls off the list of prefixes."""
    assert engineering(value, "J") == text


def test_lines_are_charged_between_consecutive_planes():
    """Half of the square of every step, from 0 through the planes and back: codes 11 and 10 cost one square, +1 then -1 three,
    and 1010 twice as much as 1100."""
    from xbar.energy.counting import _swing

    rows = jnp.array([[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, -1.0]])
    assert float(_swing(0.2 * rows.reshape(2, 1, 1, 1, 4))) == pytest.approx(5 * 0.2**2)
    apart, together = (jnp.array(x).reshape(4, 1, 1, 1, 1) for x in ([1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]))
    assert float(_swing(apart)) == pytest.approx(2 * float(_swing(together)))


def test_long_names_of_digital_rows_stay_apart():
    from xbar.energy.table import _fitted

    names = [f"blocks.{k}.{part}.weight (activation)" for k in range(3) for part in "ab"]
    assert len({_fitted(name) for name in names}) == len(names)
    assert _fitted("blocks.1.b.weight (pooling)") == "blocks.1.b (pooling)"
