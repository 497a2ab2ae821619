"""Mappings: exact with ideal cells, in every kind of input and product; errors of cells; a mapping of one's own."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import devices
import xbar
from devices.noise import WhiteReadNoise

WHITE = WhiteReadNoise((1e-6) ** 2, 1e-4, 5e6)  # 1 uS at the bandwidth of a read
DEVICE = devices.Device(1e-6, 1e-4)
W = jax.random.normal(jax.random.key(0), (21, 7))
X = jax.random.normal(jax.random.key(1), (4, 21))
EXACT = {
    "differential": xbar.Differential(),
    "offset": xbar.Offset(),
    "offset-digital": xbar.Offset(reference="digital"),
    "offset-cell": xbar.Offset(reference="cell"),
    "redundant": xbar.Redundant(3),
    "redundant-offset": xbar.Redundant(2, over=xbar.Offset()),
}
OVER = {
    "pair": xbar.Differential(),
    "one": xbar.Offset(),
    "digital": xbar.Offset("digital"),
    "twice": xbar.Redundant(2),
}
SLICED = {
    f"{encoding}-{name}": xbar.BitSliced(8, 2, over=over, encoding=encoding)
    for name, over in OVER.items()
    for encoding in ("sign_magnitude", "twos_complement", "flipped")
}


def tile(mapping, device=DEVICE, dac=None, **more):
    sizes = {"rows": 16, "cols": 4, **more}
    return xbar.Tile(device=device, mapping=mapping, dac=dac or xbar.DAC(bits=None), adc=xbar.ADC(bits=None), **sizes)


def matvec(p, x):
    return x @ p


def read(mapping, f=matvec, w=W, x=X, **more):
    return xbar.analog(f, tile(mapping, **more))(w, x, key=jax.random.key(2))


def rounded(w, rows, bits):
    """Weights as signed integers of so many bits, scaled by the largest of each column of each tile of `rows` even rows."""
    pieces = []
    for piece in np.array_split(np.asarray(w, float), -(-len(w) // rows)):
        scale = np.abs(piece).max(0) / (2 ** (bits - 1) - 1)
        pieces.append(np.round(piece / scale) * scale)
    return np.concatenate(pieces)


@pytest.mark.parametrize("name", EXACT)
def test_ideal_cells_give_the_product(name):
    """On two row tiles and two column tiles; and the gradient of the product."""
    np.testing.assert_allclose(read(EXACT[name]), X @ W, atol=1e-5)
    loss = lambda w, f: jnp.sum(jnp.sin(f(w)))  # noqa: E731
    got = jax.grad(loss)(W, lambda w: read(EXACT[name], w=w))
    np.testing.assert_allclose(got, jax.grad(loss)(W, lambda w: X @ w), atol=1e-5)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    "name", [n for n in SLICED if n.endswith("-pair") or n.startswith("flipped") or n == "twos_complement-one"]
)  # every encoding, every way to hold a slice
def test_slices_give_the_product_of_rounded_weights(name):
    """Exactly that of weights rounded to 8 bits, whatever the digits. Gradients pass the rounding; that of a column's largest
    weight also sees the rounding errors of the column, which the scale multiplies (below 0.1 here)."""
    w = jnp.concatenate([W[:10], jnp.pad(W[10:20], ((0, 0), (0, 0)))])  # 20 rows: two tiles of 10
    x = X[:, :20]
    np.testing.assert_allclose(read(SLICED[name], w=w, x=x), x @ rounded(w, 16, 8), atol=2e-5)
    got = jax.grad(lambda w: jnp.sum(jnp.sin(read(SLICED[name], w=w, x=x))))(w)
    error = np.abs(got - x.T @ jnp.cos(x @ rounded(w, 16, 8)))
    assert error.max() < 0.1 and np.median(error) < 1e-4


@pytest.mark.parametrize("cell_bits", [1, 4])  # one bit each, and digits that do not fill the last cell
@pytest.mark.parametrize("encoding", ["sign_magnitude", "twos_complement", "flipped"])
def test_digits_of_every_width_make_up_the_weight(cell_bits, encoding):
    """All whole numbers of 6 bits in one column, read one by one."""
    q = jnp.arange(-31.0, 32)[:, None]
    mapping = xbar.BitSliced(6, cell_bits, encoding=encoding)
    y = read(mapping, w=q, x=jnp.eye(63), rows=63)
    np.testing.assert_allclose(y, q, atol=1e-4)


@pytest.mark.parametrize("negative", ["bipolar", "two_phase", "offset"])
@pytest.mark.parametrize("encoding", ["amplitude", "bit_serial"])
@pytest.mark.parametrize("name", ["differential", "offset", "offset-digital", "flipped-digital"])
def test_negative_inputs_are_defined_for_every_mapping(name, encoding, negative):
    """Inputs as codes of 8 bits: the product of rounded weights and rounded inputs, in whatever way they are applied."""
    mapping = {**EXACT, **SLICED}[name]
    top = jnp.abs(X).max()
    dac = xbar.DAC(bits=8, encoding=encoding, negative=negative, range=float(top))
    codes = np.round(np.asarray(X) / float(top) * 127) * float(top) / 127
    w = rounded(W, 16, 8) if name in SLICED else np.asarray(W)
    np.testing.assert_allclose(read(mapping, dac=dac, w=W), codes @ w, atol=3e-5)


def test_slopes_by_inputs_pass_every_way_to_apply_them():
    for negative in ("bipolar", "two_phase", "offset"):
        for encoding in ("amplitude", "bit_serial"):
            dac = xbar.DAC(bits=8, encoding=encoding, negative=negative, range=4.0)
            slope = jax.jacobian(lambda x, dac=dac: read(xbar.Differential(), x=x[None], dac=dac)[0])(X[0])
            np.testing.assert_allclose(slope, W.T, atol=1e-4)


@pytest.mark.parametrize("name", ["offset", "offset-digital", "redundant", "twos_complement-one"])
def test_mappings_under_vmap_scan_and_convolution(name):
    mapping = {**EXACT, **SLICED}[name]
    atol = 1e-4 if name in EXACT else 0.03
    square = jax.random.normal(jax.random.key(3), (6, 6)) / 3
    f = lambda w, xs: jax.lax.scan(lambda h, x: (jnp.tanh(h @ w + x), h), jnp.zeros(6), xs)[0]  # noqa: E731
    xs = jax.random.normal(jax.random.key(4), (5, 6))
    np.testing.assert_allclose(read(mapping, f, square, xs), f(square, xs), atol=atol)
    kernel, image = (
        jax.random.normal(jax.random.key(5), (6, 2, 3, 3)),
        jax.random.normal(jax.random.key(6), (2, 4, 5, 5)),
    )
    conv = lambda w, x: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", feature_group_count=2)  # noqa: E731
    np.testing.assert_allclose(read(mapping, conv, kernel, image), conv(kernel, image), atol=10 * atol)
    network = xbar.analog(matvec, tile(mapping))
    each = jax.vmap(lambda k: network(W, X, key=k))(jax.random.split(jax.random.key(7), 3))
    np.testing.assert_allclose(each, jnp.stack([X @ W] * 3), atol=10 * atol)


def test_copies_of_a_cell_average_its_errors():
    """Write errors of 3 % of the range; sixteen copies leave a quarter of the error of one. 147 weights x 64 chips: 0.7 %
    standard error of each rms; tolerance 5 %."""
    noisy = devices.Device(
        2e-5, 1.2e-4, programming=devices.programming.SpreadProgramming(3e-6, 1.2e-4)
    )  # none near 0 S
    keys = jax.random.split(jax.random.key(0), 64)

    def error(mapping):
        network = xbar.analog(matvec, tile(mapping, noisy, rows=21, cols=7))
        y = jax.jit(jax.vmap(lambda k: network(W, jnp.eye(21), key=k)))(keys)
        return float(jnp.sqrt(jnp.mean((y - W) ** 2)))

    assert error(xbar.Redundant(16)) == pytest.approx(error(xbar.Differential()) / 4, rel=0.05)


def test_a_reference_column_adds_the_same_noise_to_all_outputs():
    """Cells with white read noise: of the difference of two outputs, nothing of the reference is left. Variances over 20,000
    reads: 1 % standard error, tolerance 5 %."""
    noisy = devices.Device(0.0, 1e-4, read_noise=WHITE)
    chip = xbar.analog(matvec, tile(xbar.Offset(per="tile"), noisy, rows=32, cols=8)).program(
        W, X[:1], key=jax.random.key(0)
    )
    keys = jax.random.split(jax.random.key(1), 20_000)
    y = np.asarray(jax.jit(jax.vmap(lambda k: chip(X[:1], key=k)[0]))(keys))
    alone = float(jnp.sum(X[0] ** 2)) * (1e-6 / 5e-5 * float(jnp.abs(W).max())) ** 2  # of one line
    np.testing.assert_allclose(y.var(0), 2 * alone, rtol=0.05)
    np.testing.assert_allclose((y[:, 1:] - y[:, :-1]).var(0), 2 * alone, rtol=0.05)


@pytest.mark.parametrize(
    "mapping, wires",
    [
        pytest.param(
            xbar.Offset(), xbar.ResistiveWires(0.5, 0.5), marks=pytest.mark.slow
        ),  # wires take long to compile
        (xbar.BitSliced(6, 3, over=xbar.Offset()), xbar.IdealWires()),
        pytest.param(xbar.Offset("digital"), xbar.IdealWires(), marks=pytest.mark.slow),
        pytest.param(xbar.Redundant(2), xbar.IdealWires(), marks=pytest.mark.slow),
    ],
)
def test_every_part_of_a_chip_works_with_every_mapping(mapping, wires):
    """Calibration, drift compensation, tile map and ledger."""
    pcm = dataclasses.replace(tile(xbar.Differential(), devices.pcm_joshi2020(), dac=xbar.DAC(8)), adc=xbar.ADC(10))

    def adc(chip):
        ledger = chip.energy(X, t=3600.0)
        assert float(ledger.total) > 0
        return float(ledger.by_component[ledger.components.index("adc")])

    once = adc(xbar.analog(matvec, pcm).program(W, X, key=jax.random.key(0)))
    chip = xbar.analog(matvec, dataclasses.replace(pcm, mapping=mapping, wires=wires)).program(
        W, X, key=jax.random.key(0)
    )
    chip = xbar.calibrate(chip, X, key=jax.random.key(1), t=20.0)
    y = chip(X, t=3600.0, key=jax.random.key(2))
    assert float(jnp.corrcoef(y.ravel(), (X @ W).ravel())[0, 1]) > 0.9
    assert [row.tiles for row in chip.layers] == [4]
    assert adc(chip) / once == pytest.approx(mapping.reads, rel=1e-5)


def test_a_mapping_of_ones_own():
    """Two cells of which one holds the weight and the other, for all weights alike, the middle of the range."""

    class Shifted(xbar.AbstractMapping):
        def encode(self, w, g_min, g_max):
            scale = jnp.max(jnp.abs(w), axis=-2, keepdims=True)
            middle, half = (g_min + g_max) / 2, (g_max - g_min) / 2
            targets = jnp.stack([middle + half * w / scale, jnp.full_like(w, middle)])
            return targets, scale / half

        def combine(self, currents, code):
            return currents[:1] - currents[1:]

        def decode(self, values, input_sum, code):
            return values[0] * code

    assert (Shifted().cells, Shifted().reads, Shifted().extra_cols) == (2, 1, 0)
    np.testing.assert_allclose(read(Shifted()), X @ W, atol=1e-5)
    noisy = devices.Device(0.0, 1e-4, read_noise=WHITE)
    own = xbar.analog(matvec, tile(Shifted(), noisy, rows=32, cols=8)).program(W, X[:1], key=jax.random.key(0))
    y = jax.jit(jax.vmap(lambda k: own(X[:1], key=k)[0]))(jax.random.split(jax.random.key(1), 20_000))
    expected = 2 * jnp.sum(X[0] ** 2) * (1e-6 / 5e-5 * jnp.abs(W).max(0)) ** 2  # of both cells
    np.testing.assert_allclose(y.var(0), expected, rtol=0.05)
    np.testing.assert_allclose(read(xbar.BitSliced(8, 2, encoding="flipped"), w=W), X @ rounded(W, 16, 8), atol=0.2)


def test_a_mapping_that_gives_the_wrong_shape_is_told_so():
    class Flat(xbar.AbstractMapping):
        def encode(self, w, g_min, g_max):
            return w, ()

        def combine(self, currents, code):
            return currents

        def decode(self, values, input_sum, code):
            return values[0]

    with pytest.raises(ValueError, match="the axis of cells comes first"):
        _ = Flat().cells


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["differential", "offset", "offset-digital", "redundant"])
def test_a_backward_read_is_the_product_with_the_transpose(name):
    from xbar.macro.backward_reading import read_transposed
    from xbar.macro.programming import program

    ideal = xbar.Periphery(dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None))
    both = dataclasses.replace(tile(EXACT[name]), backward=ideal)
    array = program(both, W[None], key=jax.random.key(0))
    y = jax.random.normal(jax.random.key(8), (1, 5, 7))
    x = read_transposed(both, array, y, 21, t=jnp.zeros(()), key=None)
    np.testing.assert_allclose(x[0], y[0] @ W.T, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: xbar.BitSliced(1, 2), "weight_bits=1"),
        (lambda: xbar.BitSliced(8, 0), "cell_bits=0"),
        (lambda: xbar.BitSliced(8, 2, over=xbar.BitSliced()), "read once"),
        (lambda: xbar.Redundant(0), "n=0"),
    ],
)
def test_what_cannot_be_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
