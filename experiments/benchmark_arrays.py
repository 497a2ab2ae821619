"""Cases of `xbar run benchmark` in which arrays learn by pulses."""

from __future__ import annotations

from typing import Any

from experiments.benchmark_peers import Timed

BATCH = 128
SIZES = (784, 256, 128, 10)


def array_step(algorithm: str, order: str = "summed") -> Any:
    """A step of training on arrays, MLP 784-256-128-10, batch 128: reads forward and backward through 8-bit converters, exact
    Bernoulli coincidences of every sample, pulses with 30 % noise on soft bounds; beside a digital step of SGD.

    The settings are those of a timed run of aihwkit 1.2.0 (`SoftBoundsDevice` with its defaults).
    """

    def make(count: int, seed: int) -> tuple[Timed, Timed]:
        import jax
        import jax.numpy as jnp
        import optax

        import xbar
        from xbar.training import insitu

        keys = jax.random.split(jax.random.key(seed), 6)
        params = [
            jax.random.normal(k, (a, b)) / 2 / a**0.5 for k, a, b in zip(keys, SIZES[:-1], SIZES[1:], strict=False)
        ]
        x = jnp.maximum(jax.random.normal(keys[3], (BATCH, SIZES[0])), 0)
        y = jnp.arange(BATCH) % SIZES[-1]
        loss = lambda out: optax.softmax_cross_entropy_with_integer_labels(out, y).mean()  # noqa: E731
        chip = xbar.analog(_forward, _tile()).program(params, x, key=keys[4])
        made: Any = {"sgd": insitu.SGD, "tiki-taka2": insitu.tiki_taka2}[algorithm]()
        rule = insitu.on_arrays(made, 0.1, order=order)
        state = rule.init(chip, key=keys[5])

        @jax.jit
        def learn(state: Any, key: Any) -> Any:
            read, write = jax.random.split(key)
            _, found = insitu.backpropagate(state.reading(), (x,), loss, key=read)
            return rule.update(found, state, key=write)[1]

        @jax.jit
        def plain(params: Any) -> Any:
            slopes = jax.grad(lambda p: loss(_forward(p, x)))(params)
            return jax.tree.map(lambda a, b: a - 0.1 * b, params, slopes)

        return lambda key: learn(state, key), lambda key: plain(params)

    return make


def _forward(params: Any, x: Any) -> Any:
    import jax

    *hidden, last = params
    for w in hidden:
        x = jax.nn.sigmoid(x @ w)
    return x @ last


def _tile() -> Any:
    """Cells with the defaults of aihwkit's soft bounds: steps of 0.001, bounds of 0.6 +- 30 %, all spreads 30 %."""
    import devices
    import xbar
    from devices import steps, updates

    half, bound = 10e-6, 0.6
    step = 0.001 / bound * half
    spread = updates.CellSpread(step=0.3, balance=0.01, others={"g_min": 0.3 * half, "g_max": 0.3 * half})
    law = steps.SoftBounds(step, step, half, 0.0, 2 * half)
    device = devices.Device(0.0, 2 * half, update=updates.PulseUpdate(law, spread, updates.CycleNoise(relative=0.3)))
    converters = xbar.DAC(bits=8), xbar.ADC(bits=8)
    mapping = xbar.Offset(reference="cell", scale=bound)
    return xbar.Tile(device, 1024, 1024, *converters, mapping=mapping, backward=xbar.Periphery(*converters))
