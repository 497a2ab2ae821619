"""The interface of a candidate: one statistical model of one kind of measurement."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.instruments.trace import Trace

Values = Mapping[str, Float[Array, ""]]
CONTINUED = "continued"  # a proposal that continues the present measurement
Proposals = tuple[tuple[str, Any] | tuple[str, Any, str], ...]
Data = Any  # a pytree of arrays whose shapes do not depend on the parameters


class AbstractCandidate(eqx.Module):
    """A likelihood with parameters, and what it means as a law of a device.

    Fits, errors, profiles, bootstraps, held-out errors and advice need nothing else. Everything but `of`,
    `parameters`, `guesses`, `checks`, `measures` and `laws` is traced by JAX and must be free of side effects.

    A *block* is a stretch of data that is practically independent of the others (a device, a cycle, a hundred reads in
    a row): errors that do not rely on the noise model, the bootstrap and held-out errors are computed by blocks.
    """

    kind: ClassVar[str]  # of Trace
    name: ClassVar[str]  # as in `--model`
    law: ClassVar[str]  # the equation, in one line for people
    starts: ClassVar[int] = 24  # searches at most: fewer where a large likelihood has good guesses
    generations: ClassVar[int] = 0  # of searches from mixed ends: for likelihoods with many kinks and valleys
    ranked: ClassVar[bool] = True  # False: it uses only some readings, so its BIC does not compare; fitted if named
    nuisances: ClassVar[
        tuple[str, ...]
    ] = ()  # parameters of the measurement, not of the device: no advice is about them
    keeps_excluded: ClassVar[bool] = False  # whether `of` also wants rows that flags exclude, and masks them itself

    @classmethod
    @abc.abstractmethod
    def of(cls, trace: Trace) -> tuple[AbstractCandidate, Data]:
        """The candidate for this trace, and the trace as arrays (NumPy, float64).

        Raises:
            FileError: if the trace lacks what the model needs.
        """

    @classmethod
    def pad_to_common_shape(cls, data: list[Data]) -> list[Data]:
        """Data of several traces, padded to one shape where the model can do that."""
        return data

    @abc.abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """What is to be found."""

    def guesses(self, data: Data) -> list[dict[str, float]]:
        """Points to start from, found by looking at the data; searches start elsewhere too."""
        return []

    @abc.abstractmethod
    def nll(self, values: Values, data: Data) -> Float[Array, " blocks"]:
        """Negative logarithm of the likelihood of each block of the data."""

    @abc.abstractmethod
    def simulate(self, values: Values, data: Data, *, key: PRNGKeyArray) -> Data:
        """Other data of the same protocol, drawn from the model."""

    @abc.abstractmethod
    def count(self, data: Data) -> int:
        """Independent readings in the data, for BIC."""

    def checks(self, values: Mapping[str, float], data: Data) -> tuple[Check, ...]:
        """Tests that a wrong model does not pass."""
        return ()

    def measures(self, values: Mapping[str, float], data: Data) -> dict[str, float]:
        """Figures of merit by name ("nRMSE", "R2")."""
        return {}

    def notes(self, data: Data) -> tuple[str, ...]:
        """What was assumed about the data, in sentences for `Fit.flags`."""
        return ()

    def experiments(self, data: Data) -> Proposals:
        """Measurements that could be made next: a sentence, and its protocol as data (the readings in it are not used).
        With `CONTINUED` as a third entry the protocol is the present one and more of it: the same cells read once more, or
        a longer record."""
        return ()

    @abc.abstractmethod
    def laws(self, values: Values, data: Data) -> dict[str, Any]:
        """The parts of a `Device` that this measurement determines: `programming`, `drift`, ..., and `g_min`, `g_max`
        [S] where it knows them. Traceable, so that a posterior of parameters becomes one of devices."""


class AbstractResiduals(AbstractCandidate):
    """A candidate whose noise is normal, of one unknown standard deviation: fitted by Levenberg-Marquardt.

    The standard deviation is found with the rest (`sigma`, in the unit of the residuals) and is not among `parameters`.
    """

    @abc.abstractmethod
    def residuals(self, values: Values, data: Data) -> Float[Array, "blocks rows"]:
        """Model minus data, 0 where there is none."""

    @abc.abstractmethod
    def used(self, data: Data) -> Float[Array, "blocks rows"]:
        """1 where there are data, 0 elsewhere."""

    def nll(self, values: Values, data: Data) -> Float[Array, " blocks"]:
        sigma = values["sigma"]
        rows = jnp.sum(self.used(data), 1)
        squares = jnp.sum(self.residuals(values, data) ** 2, 1)
        return rows * (jnp.log(sigma) + 0.5 * jnp.log(2 * jnp.pi)) + squares / (2 * sigma**2)

    def count(self, data: Data) -> int:
        with jax.enable_x64(True):
            return int(jnp.sum(self.used(data)))


class AbstractPredictive(AbstractCandidate):
    """A candidate that predicts each reading from those before it, with a normal error: a Kalman filter, an autoregression.

    Searched with Fisher's information, which first derivatives give:

    $$ -\\ln L = \\tfrac12 \\sum \\ln 2\\pi S + \\nu^2 / S, \\qquad
       I = \\sum \\nabla\\nu\\,\\nabla\\nu^T / S + \\tfrac12 \\nabla\\ln S\\,\\nabla\\ln S^T $$
    """

    @abc.abstractmethod
    def innovations(
        self, values: Values, data: Data
    ) -> tuple[Float[Array, "blocks rows"], Float[Array, "blocks rows"]]:
        """Reading minus prediction nu, and variance S of that; 0 and 1/2 pi where there is no reading."""

    def nll(self, values: Values, data: Data) -> Float[Array, " blocks"]:
        miss, variance = self.innovations(values, data)
        return 0.5 * jnp.sum(jnp.log(2 * jnp.pi * variance) + miss**2 / variance, 1)
