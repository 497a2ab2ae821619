"""The accuracy of chips as a function of the device's numbers: its slopes, and readings with draws of a posterior."""

from __future__ import annotations

from typing import Any

import numpy as np


class PosteriorReading:
    """Smooth accuracy of the chips of a `specification.Search`, of a device whose numbers are shifted.

    Args:
        search: with its study, keys and smooth accuracy. numbers: those that may be shifted.
    """

    def __init__(self, search: Any, numbers: list[Any]):
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        from devices.physical_numbers import shifted
        from experiments import in_turns

        study = search.study
        self.numbers, self.model, self.keys = numbers, study.model, search.keys
        self.nominal = np.array([n.value for n in numbers])

        def of(by, model, key):
            device = shifted(study.device, numbers, by)
            chip = study.chip(study.tile(device), model, key)
            return jnp.mean(jax.nn.sigmoid(search.margin(chip(study.x, key=jax.random.fold_in(key, 1))) / search.tau))

        over = lambda f: eqx.filter_jit(lambda by, model, keys: in_turns.over(lambda key: f(by, model, key), keys))  # noqa: E731
        self._read, self._slopes = over(of), over(jax.grad(of))

    def slopes(self) -> np.ndarray:
        """d accuracy / d number [1 / unit of each] of every chip, [chips, numbers]."""
        import jax.numpy as jnp

        return np.asarray(self._slopes(jnp.zeros(len(self.numbers)), self.model, self.keys), float)

    def deviation(self, draws: np.ndarray, only: np.ndarray) -> float:
        """Standard deviation over draws of the accuracy of all chips, where some of the numbers are drawn."""
        import jax.numpy as jnp

        moved = np.where(only, draws - self.nominal, 0)
        read = [np.asarray(self._read(jnp.asarray(by, jnp.float32), self.model, self.keys)).mean() for by in moved]
        return float(np.std(read, ddof=1))
