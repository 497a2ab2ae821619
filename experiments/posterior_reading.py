"""The accuracy of chips as a function of the device parameters: its slopes, and readings with draws from a posterior."""

from __future__ import annotations

from typing import Any

import numpy as np


class PosteriorReading:
    """Smooth accuracy of the chips of a `specification.Search`, for a device whose parameters are shifted.

    Args:
        search: with its study, keys and smooth accuracy. numbers: the parameters that may be shifted.
    """

    def __init__(self, search: Any, numbers: list[Any]):
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        from devices.physical_numbers import shifted
        from experiments import in_turns

        study = search.study
        self.numbers, self.arrays, self.keys = numbers, study.arrays, search.keys
        self.nominal = np.array([n.value for n in numbers])

        def of(by, arrays, key):
            study = search.study.holding(arrays)
            device = shifted(study.device, numbers, by)
            outputs = study.outputs(study.chip(study.tile(device), key), key)
            return jnp.mean(jax.nn.sigmoid(search.margin(outputs, study.y) / search.tau))

        over = lambda f: eqx.filter_jit(lambda by, arrays, keys: in_turns.over(lambda key: f(by, arrays, key), keys))  # noqa: E731
        self._read, self._slopes = over(of), over(jax.grad(of))

    def slopes(self) -> np.ndarray:
        """d accuracy / d number [1 / unit of each] of every chip, [chips, numbers]."""
        import jax.numpy as jnp

        return np.asarray(self._slopes(jnp.zeros(len(self.numbers)), self.arrays, self.keys), float)

    def deviation(self, draws: np.ndarray, only: np.ndarray) -> float:
        """Standard deviation over draws of the accuracy of all chips, where some of the parameters are drawn."""
        import jax.numpy as jnp

        moved = np.where(only, draws - self.nominal, 0)
        read = [np.asarray(self._read(jnp.asarray(by, jnp.float32), self.arrays, self.keys)).mean() for by in moved]
        return float(np.std(read, ddof=1))
