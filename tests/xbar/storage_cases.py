"""Chips of every kind, for the tests of files; `python storage_cases.py read FOLDER` is the other process."""

import pathlib
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import devices
import xbar

KEY = jax.random.key(7)
X = jax.random.normal(jax.random.key(2), (5, 13))
W = jax.random.normal(jax.random.key(1), (13, 10)) / 4
PCM = xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4)


class LogRelaxation(devices.AbstractDrift):
    """A law of a user's own."""

    shift: jax.Array = eqx.field(converter=jnp.asarray)
    spread: jax.Array = eqx.field(converter=jnp.asarray)
    floor: str = eqx.field(static=True, default="zero")

    def __call__(self, g, z, t):
        return jnp.maximum(g + (self.shift + self.spread * z) * jnp.log1p(t / 1e-3), 0)


def product(p, x):
    return jnp.tanh(x @ p["w"]) + p["b"]


def stack(p, x):
    return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x @ p["in"], p["ws"])[0]


def blocks(p, x):
    for w in p:
        x = jax.nn.relu(x @ w)
    return x


def mlp(model, x):
    return jax.vmap(model)(x)


P = {"w": W, "b": jnp.arange(10.0)}
STACK = {"in": W, "ws": jax.random.normal(KEY, (3, 10, 10)) / 3}
EQUAL = [jax.random.normal(jax.random.key(i), (13, 13)) / 3 for i in range(3)]
MLP = eqx.nn.MLP(13, 3, 6, 2, key=KEY)


def programmed(f, p, tile=PCM, x=X, **kwargs):
    return xbar.analog(f, tile, **kwargs).program(p, x, key=KEY)


def _tile(**kwargs):
    return xbar.Tile(device=devices.pcm_joshi2020(), rows=8, cols=4, **kwargs)


def _one_tile(**kwargs):
    return xbar.Tile(device=devices.pcm_joshi2020(), rows=16, cols=16, **kwargs)


def _calibrated():
    return xbar.calibrate(programmed(product, P), X)


def _pulsed():
    """Half of the rows pulsed after a minute: each cell has an age of its own."""
    steps = devices.steps.SoftBounds(1e-7, 1e-7, 5e-6, 1e-6, 1e-5)
    drift = LogRelaxation(-1e-8, 1e-9)
    device = devices.Device(1e-6, 1e-5, drift=drift, update=devices.updates.PulseUpdate(steps))
    chip = programmed(product, P, xbar.Tile(device=device, rows=8, cols=4))
    cells = chip.arrays[0].cells
    pulses = jnp.zeros(cells.g.shape, int).at[:, :, :, ::2].set(3)
    cells = device.pulse(cells, pulses, key=KEY, t=60.0)
    assert cells.age is not None and len(jnp.unique(cells.age)) == 2
    return eqx.tree_at(lambda c: c.arrays[0].cells, chip, cells, is_leaf=lambda x: x is None)


def _drawn():
    """A wafer whose chips have a device of their own, as drawn from a posterior."""
    spread = jnp.linspace(0.9, 1.1, 3)
    tiles = jax.vmap(
        lambda s: eqx.tree_at(lambda t: t.device.drift.nu_mean.offset, PCM, PCM.device.drift.nu_mean.offset * s)
    )(spread)
    return jax.vmap(lambda tile, k: xbar.analog(product, tile).program(P, X, key=k))(tiles, jax.random.split(KEY, 3))


def _per_layer():
    other = xbar.Tile(
        device=devices.ideal(),
        rows=16,
        cols=5,
        dac=xbar.DAC(bits=4, encoding="bit_serial", noise=1e-3),
        adc=xbar.ADC(bits=6, range=1e-4),
    )
    return programmed(
        mlp, MLP, lambda path, shape: None if path.startswith("layers.2") else (PCM if "0" in path else other)
    )


CASES = {
    "calibrated": (product, _calibrated),
    "taken": (product, lambda: _calibrated().at(3600.0)),
    "sliced": (product, lambda: programmed(product, P, _tile(mapping=xbar.BitSliced(4, 2, over=xbar.Offset())))),
    "redundant": (product, lambda: programmed(product, P, _tile(mapping=xbar.Redundant(2), read_noise="frozen"))),
    "wires": (
        product,
        lambda: programmed(product, P, _tile(wires=xbar.ResistiveWires(1.0, 2.0, drive="both"))).at(60.0),
    ),
    "wafer": (
        product,
        lambda: jax.vmap(lambda k: xbar.analog(product, PCM).program(P, X, key=k))(jax.random.split(KEY, 3)),
    ),
    "drawn": (product, _drawn),
    "pulsed": (product, _pulsed),
    "stack": (stack, lambda: programmed(stack, STACK)),
    "blocks": (blocks, lambda: programmed(blocks, EQUAL)),
    "per_layer": (mlp, _per_layer),
    "straight": (
        product,
        lambda: programmed(product, P, _one_tile(dac=xbar.DAC(negative="offset")), gradient="straight_through"),
    ),
    "own_law": (
        product,
        lambda: programmed(
            product, P, xbar.Tile(device=devices.Device(1e-6, 2e-5, drift=LogRelaxation(-1e-8, 1e-9)), rows=8, cols=4)
        ),
    ),
}


def read(chip):
    """What the chip computes, with the noise of one key, as bytes would compare it."""
    t = None if chip.taken is not None else 3600.0
    return np.asarray(chip(X, t=t, key=KEY))


def read_all(folder):
    for path in sorted(pathlib.Path(folder).glob("*.h5")):
        wide = path.stem == "float64"
        with jax.enable_x64(wide):
            chip = xbar.load(path, product if wide else CASES[path.stem][0])
            np.save(
                path.with_suffix(".again.npy"),
                np.asarray(chip(np.asarray(X, np.float64), t=3600.0, key=KEY)) if wide else read(chip),
            )


if __name__ == "__main__":
    read_all(sys.argv[2])
