"""Cases of `xbar run benchmark` in which arrays learn by pulses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from experiments.benchmark_peers import AIHWKIT, Timed, aihwkit_training

BATCH = 128
SIZES = (784, 256, 128, 10)
STEPS = 10  # of one compiled call, as in an epoch


def array_step(
    algorithm: str, order: str = "summed", peer: str = "", network: Callable[[int], Any] | None = None
) -> Any:
    """Ten steps of training on arrays (one, if a batch is worked through sample by sample): reads forward and backward
    through 8-bit converters, exact Bernoulli coincidences of every sample, pulses with 30 % noise on soft bounds; compared
    with the same number of digital SGD steps, or with aihwkit's on the same network and cells.

    Args:
        network: makes (f, params, x) of a batch; MLP 784-256-128-10 without biases, batch 128, if None.

    The settings are those of a timed run of aihwkit 1.2.0 (`SoftBoundsDevice` with its defaults).
    """

    def make(count: int, seed: int) -> tuple[Timed, Timed]:
        import jax
        import jax.numpy as jnp
        import optax

        import xbar
        from xbar.training import PulseTrains, insitu

        keys = jax.random.split(jax.random.key(seed), 6)
        forward, params, x = _mlp(keys) if network is None else network(BATCH // 2)
        y = jnp.arange(len(x)) % SIZES[-1]
        loss = lambda out: optax.softmax_cross_entropy_with_integer_labels(out, y).mean()  # noqa: E731
        chip = xbar.analog(forward, _tile()).program(params, x, key=keys[4])
        fast = insitu.FastArray(PulseTrains(slots=5), largest=5.0)  # aihwkit's preset has 5 slots
        made: Any = insitu.SGD() if algorithm == "sgd" else insitu.tiki_taka2(fast=fast)
        rule = insitu.on_arrays(made, 0.1, order=order)
        state = rule.init(chip, key=keys[5])

        def learn(i: Any, state: Any, key: Any) -> Any:
            read, write = jax.random.split(jax.random.fold_in(key, i))
            _, found = insitu.backpropagate(state.reading(), (x,), loss, key=read)
            return rule.update(found, state, key=write)[1]

        def plain(i: Any, params: Any) -> Any:
            slopes = jax.grad(lambda p: loss(forward(p, x)))(params)
            return jax.tree.map(lambda a, b: a - 0.1 * b, params, slopes)

        steps = STEPS if order == "summed" else 1
        ours = jax.jit(lambda state, key: jax.lax.fori_loop(0, steps, lambda i, s: learn(i, s, key), state))
        if peer == AIHWKIT:
            return lambda key: ours(state, key), aihwkit_training(algorithm, x, y, steps)
        digital = jax.jit(lambda params: jax.lax.fori_loop(0, steps, plain, params))
        return lambda key: ours(state, key), lambda key: digital(params)

    return make


def _mlp(keys: Any) -> tuple[Any, Any, Any]:
    import jax
    import jax.numpy as jnp

    def forward(params: Any, x: Any) -> Any:
        *hidden, last = params
        for w in hidden:
            x = jax.nn.sigmoid(x @ w)
        return x @ last

    pairs = zip(keys, SIZES[:-1], SIZES[1:], strict=False)
    params = [jax.random.normal(k, (a, b)) / 2 / a**0.5 for k, a, b in pairs]
    return forward, params, jnp.maximum(jax.random.normal(keys[3], (BATCH, SIZES[0])), 0)


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
