"""E6: a small CNN on MNIST whose weights have proportional errors, trained without and with them."""

from __future__ import annotations

from typing import Any

from experiments.published.case import Case, Claim
from experiments.published.programming_errors import _of

ALPHA = 0.3
NOTEBOOK = "CrossSim co-design notebook, part 3: 20 epochs, 10 draws"
BATCH, EPOCHS = 64, 20


class State:
    """The data, and both networks."""

    def __init__(self, config: Any):
        import jax
        import jax.numpy as jnp

        import xbar
        from experiments import datasets, networks, supervised
        from experiments.networks import digits

        data = datasets.load("mnist")
        self.x, self.y = jnp.asarray(data.x_test), jnp.asarray(data.y_test)
        self.analog = xbar.analog(networks.forward, proportional_errors())
        start = digits.CNN(28, 28, 10, key=jax.random.key(config.seed))
        steps = EPOCHS * len(data.x_train) // BATCH
        self.models = {}
        for name, forward in {
            "plain": lambda m, x, k, extra: networks.forward(m, x),
            "trained": lambda m, x, k, extra: self.analog(m, x, key=k),
        }.items():
            trainer = supervised.Trainer(forward, steps=steps, batch=BATCH)
            key = jax.random.fold_in(jax.random.key(config.seed), 1)
            self.models[name] = trainer.run(start, data.x_train, data.y_train, key=key, rate=1e-3)

    def _accuracy(self, model: Any, x: Any, y: Any, key: Any) -> Any:
        import jax.numpy as jnp

        chip = self.analog.program(model, x[:1], key=key)
        return jnp.mean(jnp.argmax(chip(x), -1) == y)

    def accuracy(self, name: str, key: Any) -> float:
        """Of one draw of errors."""
        import equinox as eqx

        return float(eqx.filter_jit(self._accuracy)(self.models[name], self.x, self.y, key))


def proportional_errors() -> Any:
    """Cells from 0 S whose write error is a share of the conductance, without converters."""
    import devices
    import xbar
    from devices import curves, programming

    g_max = 1e-4
    error = programming.SpreadProgramming(spread=curves.Proportional(ALPHA * g_max), g_max=g_max)
    device = devices.Device(0.0, g_max, programming=error)
    mapping = xbar.Differential(per="tile")
    return xbar.Tile(device, rows=1024, cols=64, dac=xbar.DAC(bits=None), adc=xbar.ADC(bits=None), mapping=mapping)


def measure(state: State, part: str, key: Any) -> dict[str, Any]:
    """Accuracy of one draw."""
    if part == "clean":
        from experiments import networks

        return {
            f"clean {name}": float(networks.accuracy(networks.forward(model, state.x), state.y))
            for name, model in state.models.items()
        }
    return {part: state.accuracy(part, key)}


CASE = Case(
    title="training with proportional errors of 30 %, a CNN of 7,018 weights on MNIST",
    parts=("clean", "plain", "trained"),
    quantities=("clean plain", "clean trained", "plain", "trained"),
    prepare=State,
    measure=measure,
    claims=(
        Claim("trained without errors, read without", "98.98", NOTEBOOK, _of("clean plain"), 0.980),
        Claim("trained without errors, read with them", "93.74 +- 1.15", NOTEBOOK, _of("plain"), 0.92, 0.98),
        Claim("trained with errors, read with them", "97.62 +- 0.22", NOTEBOOK, _of("trained"), 0.970),
        Claim(
            "gain of training with errors",
            "3.9",
            NOTEBOOK,
            lambda f: f["trained"] - f["plain"],
            low=0.001,
            read=False,
        ),
    ),
    method=(
        "Two 3 x 3 convolutions of stride 2 with 8 and 16 channels and a dense layer; Adam at 1e-3 with a cosine "
        "schedule, batches of 64, 20 epochs. Each weight's cells have an error of 30 % of their "
        "conductance; in training, fresh ones in each step. The notebook describes errors independent of the state, but "
        'its code passes the string "False", which is true, so that it uses proportional errors. Only those are '
        "compared.",
    ),
    minutes=8,
)
