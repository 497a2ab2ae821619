"""Two levels of variation: between devices, and from cycle to cycle of each, told apart by maximum likelihood."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from devices.fitting.engine.candidate import AbstractPredictive
from devices.fitting.engine.linear_filter import LinearModel, correlation_parameters, correlation_root
from devices.fitting.engine.optimum import search_once
from devices.fitting.engine.parameters import Parameter, Space
from devices.fitting.engine.result import Number
from devices.fitting.engine.uncertainty import covariance, numbers
from devices.instruments.trace import FileError


class Levels(AbstractPredictive):
    """Estimates of a few parameters for every device and cycle, as normal numbers on two levels.

    $$ \\hat\\theta_{dc} = \\mu + D_d + C_{dc} + e_{dc}, \\qquad C_{dc} = \\rho C_{d,c-1} + \\sqrt{1 -
    \\rho^2}\\,\\eta_{dc}, \\qquad
       D \\sim N(0, \\Sigma_{D}),\\ C \\sim N(0, \\Sigma_{C}),\\ e_{dc} \\sim N(0, V_{dc}) \\text{ known} $$

    Parameters: `mean`, `device` and `cycle` (standard deviations) of each; their correlations; `rho`. With one device
    there is no D;
    where no device has two cycles there is no C.

    Breaks when: estimates are far from normal; take logarithms of positive parameters.
    """

    kind: ClassVar[str] = "pulses"
    name: ClassVar[str] = "levels"
    law: ClassVar[str] = "theta = mu + D + C"

    names: tuple[str, ...] = eqx.field(static=True)
    devices: bool = eqx.field(static=True)
    cycles: bool = eqx.field(static=True)
    center: Any
    scale: Any

    @classmethod
    def of(cls, trace):
        raise FileError("levels are fitted to estimates, not to a trace: use `levels(...)`.")

    @classmethod
    def table(
        cls,
        estimates: np.ndarray,
        covariances: np.ndarray,
        device: np.ndarray,
        cycle: np.ndarray,
        names: tuple[str, ...],
    ) -> tuple[Levels, dict[str, np.ndarray]]:
        """The candidate and its data.

        Args:
            estimates: [rows, parameters]; NaN where one is missing. covariances: V [rows, parameters, parameters].
            device, cycle: of each row.

        Raises:
            FileError: with fewer than three rows.
        """
        if len(estimates) < 3:
            raise FileError(f"{len(estimates)} estimates of {', '.join(names)}: levels of variation need at least 3.")
        d, c = (np.unique(x, return_inverse=True)[1] for x in (device, cycle))
        shape = (d.max() + 1, c.max() + 1, len(names))
        y, used, weights = np.zeros(shape), np.zeros(shape), np.zeros((*shape, len(names)))
        whitened, there = _whiten(estimates, covariances)
        y[d, c], used[d, c] = whitened[..., 0], there
        weights[d, c] = whitened[..., 1:]
        spread = np.nanstd(estimates, 0) + 1e-12
        candidate = cls(
            tuple(names), bool(shape[0] > 1), bool(np.bincount(d).max() > 1), np.nanmean(estimates, 0), spread
        )
        return candidate, {"y": y, "weights": weights, "used": used}

    def parameters(self) -> tuple[Parameter, ...]:
        found = []
        for name, center, scale in zip(self.names, self.center, self.scale, strict=True):
            found.append(Parameter(f"mean {name}", "", -np.inf, np.inf, (center - scale, center + scale)))
            found += [
                Parameter(f"{level} {name}", "", 1e-3 * scale, 10 * scale, (0.1 * scale, 2 * scale), log=True)
                for level in self._levels
            ]
        for level in self._levels:
            found += correlation_parameters(level, self.names)
        return (*found, Parameter("rho", "", -0.95, 0.999, (-0.3, 0.95))) if self.cycles else tuple(found)

    @property
    def _levels(self) -> tuple[str, ...]:
        return ("device",) * self.devices + ("cycle",) * self.cycles

    def model(self, values: Mapping[str, Any]) -> LinearModel:
        """The states are D and C, where these exist."""
        k = len(self.names)
        roots = {level: root(values, level, self.names) for level in self._levels}
        none, size = jnp.zeros((k, k)), len(self._levels)
        place = lambda blocks: jnp.block([[b if i == j else none for j in range(size)] for i, b in enumerate(blocks)])  # noqa: E731
        rho = values.get("rho", 0.0)
        keep = {"device": jnp.ones(k), "cycle": rho * jnp.ones(k)}
        fresh = {"device": none, "cycle": roots.get("cycle", none) * jnp.sqrt(1 - rho**2)}
        return LinearModel(
            jnp.concatenate([keep[level] for level in self._levels]),
            place([roots[level] for level in self._levels]),
            place([fresh[level] for level in self._levels]),
            jnp.ones(k),
        )

    def _seen(self, values: Mapping[str, Any], data: Any):
        weights = jnp.concatenate([jnp.asarray(data["weights"])] * len(self._levels), -1)
        mean = jnp.stack([values[f"mean {name}"] for name in self.names])
        return weights, jnp.einsum("dcok,k->dco", data["weights"], mean)

    def innovations(
        self, values: Mapping[str, Any], data: Any
    ) -> tuple[Float[Array, "blocks rows"], Float[Array, "blocks rows"]]:
        weights, mean = self._seen(values, data)
        found = jax.vmap(self.model(values).innovations)(data["y"] - mean, weights, jnp.asarray(data["used"]))
        miss, total = (x.reshape(x.shape[0], -1) for x in found)
        return miss, total

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        weights, mean = self._seen(values, data)
        keys = jax.random.split(key, weights.shape[0])
        return {**data, "y": mean + jax.vmap(lambda w, k: self.model(values).draw(w, key=k))(weights, keys)}

    def count(self, data: Any) -> int:
        return int(np.sum(data["used"]))

    def laws(self, values, data):
        return {}


def root(values: Mapping[str, Any], level: str, names: tuple[str, ...]) -> Float[Array, "k k"]:
    """Root of the covariance of a level."""
    sizes = jnp.stack([values[f"{level} {name}"] for name in names])
    return sizes[:, None] * correlation_root(values, level, names)


def _whiten(estimates: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`L^-1 [theta, 1]` with `V = L L'` of the values that are there, row by row; and which are there."""
    there = np.isfinite(estimates)
    both = there[:, :, None] & there[:, None]
    root = np.linalg.cholesky(np.where(both, covariances, np.eye(estimates.shape[1])))
    sides = np.concatenate([np.where(there, estimates, 0)[..., None], np.eye(estimates.shape[1]) * there[:, None]], -1)
    return np.linalg.solve(root, sides * there[..., None]), there.astype(float)


@dataclasses.dataclass(frozen=True)
class Variation:
    """What differs between devices and between cycles.

    Args:
        numbers: mean, standard deviations, correlations and rho with errors. between, within: covariance matrices of devices
            and of cycles (0 where data cannot tell). rho: correlation of one cycle with the next. converged: of the search.
    """

    numbers: tuple[Number, ...]
    between: np.ndarray
    within: np.ndarray
    rho: float
    converged: bool


def levels(
    estimates: np.ndarray, covariances: np.ndarray, device: np.ndarray, cycle: np.ndarray, names: tuple[str, ...]
) -> Variation:
    """Fits `Levels` to estimates [rows, parameters] and their covariances.

    Raises:
        FileError: with fewer than three rows.
    """
    candidate, data = Levels.table(estimates, covariances, device, cycle, names)
    space = Space(candidate.parameters())
    with jax.enable_x64(True):
        best, *_ = search_once(candidate, space.frame(), data, space.starts([], 8), len(data["y"]))
        values = space.values(best.theta)
        roots = {level: np.asarray(root(values, level, candidate.names)) for level in candidate._levels}
    none = np.zeros((len(names),) * 2)
    between, within = (roots.get(level, none) @ roots.get(level, none).T for level in ("device", "cycle"))
    found = numbers(space, best, covariance(best, robust=False), candidate.count(data))
    return Variation(found, between, within, float(values.get("rho", 0.0)), bool(best.gain < 1e-3))
